"""The k largest entries of every row, in one pass over the matrix."""

from __future__ import annotations

from typing import Any, NamedTuple

import array_api_compat
import numpy as np

from infimum._arrays import Array, is_floating, namespace
from infimum._compiled import compiled_or


class Largest(NamedTuple):
    """The k largest of every row; where `dropped` equals `threshold` others would do as well."""

    columns: Array  # (m, k)
    threshold: Array  # (m,): the least of them
    dropped: Array  # (m,): the largest of the others


def k_largest(rows: Array, k: int, bias: Array | None = None) -> Largest:
    """Return the k largest of every row of ``rows + bias``, rounded sums; int64 or float64.

    Arrays of other libraries than NumPy stay where they are.
    """
    least = -np.inf if is_floating(rows) else np.iinfo(np.int64).min
    if bias is None:
        bias = namespace(rows=rows).zeros(rows.shape[1], dtype=rows.dtype, device=array_api_compat.device(rows))
    search = _k_largest if isinstance(rows, np.ndarray) else _k_largest_of_arrays
    return Largest(*search(rows, bias, k, least))


def descending(rows: Array, count: int) -> Array:
    """Return the largest entries of every row, so many of them in descending order, by its own library."""
    xp = namespace(rows=rows)
    if hasattr(xp, "topk"):
        return xp.topk(rows, count, dim=1).values
    return xp.flip(xp.sort(rows, axis=1), axis=1)[:, :count]


def _k_largest_of_arrays(rows: Array, bias: Array, k: int, least: Any) -> tuple[Array, Array, Array]:
    xp, moved = namespace(rows=rows, bias=bias), rows + bias
    if isinstance(moved, np.ndarray):
        threshold = np.partition(moved, rows.shape[1] - k, axis=1)[:, rows.shape[1] - k]
    else:
        threshold = descending(moved, k)[:, k - 1]
    chosen, tied = moved > threshold[:, None], moved == threshold[:, None]
    free = k - xp.sum(xp.astype(chosen, xp.int64), axis=1, keepdims=True)
    chosen = chosen | tied & (xp.cumulative_sum(xp.astype(tied, xp.int64), axis=1) <= free)
    dropped = xp.max(xp.where(chosen, least, moved), axis=1)
    return xp.reshape(xp.nonzero(chosen)[1], (-1, k)), threshold, dropped


@compiled_or(_k_largest_of_arrays)
def _k_largest(rows: np.ndarray, bias: np.ndarray, k: int, least: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of equal entries the first are taken; columns are in ascending order."""
    count, kind = rows.shape[0], bias.dtype
    columns, threshold, dropped = np.empty((count, k), np.int64), np.empty(count, kind), np.empty(count, kind)
    values, places = np.empty(k, kind), np.empty(k, np.int64)
    for row in range(count):
        values[:], places[:] = least, -1
        lost = least
        for column in range(bias.size):
            number = rows[row, column] + bias[column]
            if column < k or number > values[k - 1]:
                place = min(column, k - 1)
                if column >= k:
                    lost = max(lost, values[k - 1])
                while place > 0 and values[place - 1] < number:
                    values[place], places[place] = values[place - 1], places[place - 1]
                    place -= 1
                values[place], places[place] = number, column
            elif number > lost:
                lost = number
        threshold[row], dropped[row] = values[k - 1], lost
        for taken in range(k):  # np.sort would take as long as all else
            column, place = places[taken], taken
            while place > 0 and columns[row, place - 1] > column:
                columns[row, place] = columns[row, place - 1]
                place -= 1
            columns[row, place] = column
    return columns, threshold, dropped
