"""The k largest entries of every row, in one pass over the matrix."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from infimum._compiled import compiled_or


class Largest(NamedTuple):
    """The k largest of every row; where `dropped` equals `threshold` others would do as well."""

    columns: np.ndarray  # (m, k)
    threshold: np.ndarray  # (m,): the least of them
    dropped: np.ndarray  # (m,): the largest of the others


def k_largest(rows: np.ndarray, k: int, bias: np.ndarray | None = None) -> Largest:
    """Return the k largest of every row of ``rows + bias``, rounded sums; int64 or float64."""
    least = np.iinfo(rows.dtype).min if rows.dtype.kind == "i" else -np.inf
    return Largest(*_k_largest(rows, np.zeros(rows.shape[1], rows.dtype) if bias is None else bias, k, least))


def _k_largest_of_arrays(
    rows: np.ndarray, bias: np.ndarray, k: int, least: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    moved = rows + bias
    threshold = np.partition(moved, rows.shape[1] - k, axis=1)[:, rows.shape[1] - k]
    chosen, tied = moved > threshold[:, None], moved == threshold[:, None]
    chosen |= tied & (np.cumsum(tied, axis=1) <= k - chosen.sum(axis=1, keepdims=True))
    dropped = moved.max(axis=1, where=~chosen, initial=least)
    return (np.flatnonzero(chosen) % rows.shape[1]).reshape(-1, k), threshold, dropped


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
