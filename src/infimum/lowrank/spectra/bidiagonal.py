"""Least squares by Golub-Kahan bidiagonalisation (LSQR), for a matrix that only multiplies."""

from __future__ import annotations

import math

import numpy as np

from infimum._arrays import Array, namespace, to_numpy
from infimum._linalg import as_row
from infimum._spread import at_hand
from infimum.proof.operators.operator import Operator

STEPS = 4  # for each singular value: exact arithmetic takes one


def lsqr(A: Operator, B: Array, weight: float, rtol: float) -> Array:
    """Return the shortest X of least ``norm(A @ X - B)**2 + weight * norm(X)**2``, all columns together.

    A column is done when its gradient or its residual is rounding, or where singular values below `rtol` times the
    norm of A would have to count (C. Paige, M. Saunders, ACM Trans. Math. Softw. 8 (1982)).
    """
    damp, size = math.sqrt(weight), math.sqrt(A.energy)
    start, U = _normalised(B)
    alpha, V = _normalised(at_hand(A.adjoint_times(U)))
    W, X = V, A.xp.zeros_like(V)
    reach, corner, lost, inverses = start, alpha, 0.0 * start, 0.0 * start
    active = (start > 0.0) & (alpha > 0.0)
    for _ in range(STEPS * min(A.shape)):
        if not np.any(active):
            break
        beta, U = _normalised(at_hand(A.times(V)) - U * as_row(alpha, U))
        alpha, V = _normalised(at_hand(A.adjoint_times(U)) - V * as_row(beta, V))
        # one rotation takes the damping out, the next what stands below the diagonal
        damped = np.where(active, np.hypot(corner, damp), 1.0)
        lost, reach = lost + (damp / damped * reach) ** 2, corner / damped * reach
        rho = np.hypot(damped, beta)
        X = X + W * as_row(np.where(active, damped * reach / rho**2, 0.0), W)
        inverses = inverses + (_lengths(W) / rho) ** 2
        W = V - W * as_row(beta * alpha / rho**2, W)
        corner, reach = -damped * alpha / rho, beta * reach / rho
        residual = np.sqrt(reach**2 + lost)
        active &= np.abs(alpha * damped / rho * reach) > A.eps * size * residual
        active &= residual > A.eps * (start + size * _lengths(X))
        active &= rtol * size * np.sqrt(inverses) < 1.0
    return X


def _lengths(block: Array) -> np.ndarray:
    return np.asarray(to_numpy(namespace(block=block).linalg.vector_norm(block, axis=0)).real)


def _normalised(block: Array) -> tuple[np.ndarray, Array]:
    """Return the lengths of columns, and the columns at length 1, those of zeros as they are."""
    lengths = _lengths(block)
    return lengths, block / as_row(np.where(lengths > 0.0, lengths, 1.0), block)
