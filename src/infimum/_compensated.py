"""Residuals of products in twice the working precision: sums that keep their rounding errors.

Only float64 takes part, so every machine finds the same to within the stated bound (T. Ogita, S. M. Rump, S. Oishi,
"Accurate sum and dot product", SIAM J. Sci. Comput. 26 (2005)).
"""

from __future__ import annotations

from functools import reduce

import numpy as np

UNIT = 2.0**-53
SPLITTER = 2.0**27 + 1.0
LARGEST, LEAST = 2.0**300, 2.0**-300  # entries between which products of two, and their errors, stay in range


def residual_norm(matrix: np.ndarray, factors: tuple[np.ndarray, ...]) -> tuple[float, float] | None:
    """Frobenius norm of ``matrix - factors[0] @ ... @ factors[-1]``, and a bound on what rounding does to it.

    None where entries are so large or so small that a product may leave the range of float64.
    """
    if any(np.iscomplexobj(part) for part in (matrix, *factors)):
        matrix, factors = _columns(matrix), (*map(_blocks, factors[:-1]), _columns(factors[-1]))
    if not all(map(_ordinary, (matrix, *factors))):
        return None
    high, low = factors[-1], np.zeros_like(factors[-1])
    for part in reversed(factors[1:-1]):
        high, low = _add_product(np.zeros((part.shape[0], high.shape[1])), part, high, low)
    high, low = _add_product(-matrix, factors[0], high, low)
    # a sum of p products is off by at most (2 p + 4)**2 * UNIT**2 of the sum of their absolute values; what is off in
    # one factor passes through the next ones
    terms = sum(part.shape[1] for part in factors[:-1]) + len(factors)
    sizes = float(np.linalg.norm(reduce(np.matmul, map(np.abs, factors)) + np.abs(matrix)))
    norm = float(np.linalg.norm(high + low))
    return norm, 2.0 * (2 * terms + 4) ** 2 * UNIT**2 * sizes * (1.0 + 1e-6) + (sum(matrix.shape) + 4) * UNIT * norm


def _blocks(matrix: np.ndarray) -> np.ndarray:
    """Return the real matrix that multiplies as a complex one does."""
    return np.block([[matrix.real, -matrix.imag], [matrix.imag, matrix.real]])


def _columns(matrix: np.ndarray) -> np.ndarray:
    """Return real and imaginary parts, one above the other."""
    return np.concatenate([matrix.real, matrix.imag])


def _ordinary(matrix: np.ndarray) -> bool:
    sizes = np.abs(matrix[matrix != 0.0])
    return not sizes.size or bool(sizes.max() < LARGEST and sizes.min() > LEAST)


def _add_product(start: np.ndarray, A: np.ndarray, high: np.ndarray, low: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ``start + A @ (high + low)`` as a sum of two: errors of sums and products are collected beside them."""
    total, errors = start, A @ low
    for column, row in zip(A.T, high, strict=True):
        product, lost = _times(column[:, None], row[None, :])
        after = total + product
        back = after - total
        errors = errors + ((total - (after - back)) + (product - back) + lost)
        total = after
    return total, errors


def _times(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return products and their rounding errors, exactly (Dekker)."""
    product = x * y
    (a, b), (c, d) = _halves(x), _halves(y)
    return product, b * d - (((product - a * c) - b * c) - a * d)


def _halves(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scaled = SPLITTER * x
    high = scaled - (scaled - x)
    return high, x - high
