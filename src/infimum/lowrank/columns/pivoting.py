"""Columns by pivoting: QR, LU, and the strong rank-revealing QR."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from infimum._linalg import pivoted_qr
from infimum._threads import one_thread
from infimum.lowrank.columns.reduction import Reduction
from infimum.lowrank.columns.skeleton import Skeleton

GROWTH = 2.0  # the strong rank-revealing QR exchanges while that multiplies the volume by more


def by_pivoted_qr(M: Reduction, count: int, rng: np.random.Generator) -> np.ndarray:
    """Take the column with the longest residual next (Businger and Golub 1965)."""
    return pivoted_qr(M.matrix)[0][:count]


def by_lupp(M: Reduction, count: int, rng: np.random.Generator) -> np.ndarray:
    """Row pivots of an LU decomposition of a Gaussian sketch of the columns (Dong and Martinsson, arXiv:2104.05877)."""
    sketch = M.matrix.T @ rng.standard_normal((M.matrix.shape[0], count))
    (getrf,) = scipy.linalg.get_lapack_funcs(("getrf",), (sketch,))  # a zero pivot is no reason to warn here
    order = np.arange(sketch.shape[0])
    for step, other in enumerate(getrf(sketch)[1]):
        order[[step, other]] = order[[other, step]]
    return order[:count]


def by_strong_rrqr(M: Reduction, count: int, rng: np.random.Generator, growth: float = GROWTH) -> np.ndarray:
    """Exchange columns of a pivoted QR while that multiplies their volume by more than `growth`.

    Then every coefficient is at most `growth`, and the singular values of the skeleton are within a factor
    ``sqrt(1 + growth**2 * k * (n - k))`` of the leading ones of the matrix (Gu and Eisenstat 1996).
    """
    return _exchanged_by_volume(M, by_pivoted_qr(M, count, rng), growth, residuals=True)


def bounded(M: Reduction, columns: np.ndarray, largest: float) -> np.ndarray:
    """Exchange columns until no coefficient exceeds `largest`; every exchange multiplies their volume by as much."""
    return _exchanged_by_volume(M, columns, largest, residuals=False)


def coefficients(M: Reduction, columns: np.ndarray) -> np.ndarray:
    """Least-squares coefficients of all columns on the independent ones among the chosen, zero on the others."""
    full = independent(M, columns, rtol=1e-12)
    result = np.zeros((columns.size, M.matrix.shape[1]), dtype=M.matrix.dtype)
    if full.size:
        result[full] = Skeleton(M, columns[full]).coefficients
    return result


def independent(M: Reduction, columns: np.ndarray, rtol: float) -> np.ndarray:
    """Return the places of those of the chosen columns that are independent: those of a pivoted QR above `rtol`."""
    pivots, triangle = pivoted_qr(M.with_rows_for(columns)[:, columns])
    diagonal = np.abs(np.diagonal(triangle))
    return np.sort(pivots[: np.count_nonzero(diagonal > rtol * diagonal[0])])


def _exchanged_by_volume(M: Reduction, columns: np.ndarray, growth: float, residuals: bool) -> np.ndarray:
    """Exchange i for j while ``|Z_ij|**2 (+ norm(e_j)**2 / distance_i**2)``, the squared growth, is large."""
    full = independent(M, columns, rtol=1e-12)  # dependent columns serve nobody and stay where they are
    if full.size == 0:
        return columns
    skeleton, dependent = Skeleton(M, columns[full]), np.delete(columns, full)
    with one_thread():
        for _ in range(20 * full.size + 200):  # the volume grows geometrically: a bound on rounding, not on the search
            squares = np.abs(skeleton.coefficients) ** 2
            if residuals:
                squares += np.outer(np.linalg.norm(skeleton.dual, axis=0) ** 2, skeleton.energy)
            squares[:, dependent] = 0.0
            squares[:, skeleton.columns] = 0.0
            i, j = np.unravel_index(int(np.argmax(squares)), squares.shape)
            if squares[i, j] <= (growth * (1.0 + 1e-9)) ** 2:
                break
            skeleton.exchange(int(i), int(j))
    result = columns.copy()
    result[full] = skeleton.columns
    return result
