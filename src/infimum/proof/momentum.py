"""Momentum: what part of every update belongs to which gradient.

Update i is a moving average of the gradients up to i, corrected for its start: gradient j has the part
``(1 - b) b**(i - j) / (1 - b**i)`` of it, and these parts add up to 1. All of them are at least 0, so that every sum
below has terms of one sign.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

ULP = 2.0**-53


def spread(weights: np.ndarray, beta: float) -> np.ndarray:
    """Return the memory of the gradients: every update hands its weight to them in their parts."""
    shared = weights.astype(float) / bias_corrections(beta, weights.size)
    return recursion(np.full(shared.size, beta), shared[::-1])[::-1].copy()


def averaged(numbers: np.ndarray, beta: float) -> np.ndarray:
    """Return for every update the average of its gradients' numbers, by their parts."""
    sums = recursion(np.full(numbers.size, beta), numbers)
    return np.asarray(sums / bias_corrections(beta, numbers.size))


def rounding(beta: float, steps: int) -> float:
    """Relative error of `spread` and `averaged`: each term passes two roundings a step, and those of its part."""
    return ULP * (2.0 * steps + 8.0 + 8.0 / (1.0 - beta))


def bias_corrections(beta: float, steps: int) -> np.ndarray:
    """Return ``(1 - b**i) / (1 - b)``: a moving average starts with few gradients, and is corrected for that."""
    return np.asarray((1.0 - beta ** np.arange(1, steps + 1, dtype=float)) / (1.0 - beta))


def recursion(keep: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """``x_j = keep_j x_{j-1} + gain_j`` from ``x_0 = gain_0`` on: forward substitution in a matrix of two diagonals."""
    band = np.zeros((2, keep.size), order="F")
    band[1, :-1] = -keep[1:]
    return np.asarray(scipy.linalg.blas.dtbsv(1, band, gain, lower=1, diag=1))
