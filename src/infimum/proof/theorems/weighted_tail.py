"""Eckart-Young in a weighted norm: how well a matrix of rank r can replace W when errors are weighted on both sides.

For C and G symmetric, C >= 0, G > 0, every W' of rank at most r has ``tr(G (W - W') C (W - W')')`` at least the sum of
all but the r largest eigenvalues of ``H = T C T'``, where ``W = L T`` with ``L' G L = I``.
Statement and proof: docs/theorems/weighted_tail.md.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

EPS = float(np.finfo(np.float64).eps)
# LAPACK's symmetric eigensolvers are backward stable: the eigenvalues are exact for a matrix that differs by less than
# SOLVER * size * eps of the norm of the given one.
SOLVER = 16.0


def semidefinite(C: np.ndarray) -> np.ndarray:
    """Return the symmetric part of C plus the multiple of the identity that makes it provably positive semidefinite.

    A moment is semidefinite, but its float64 copy need not be, and then no loss is bounded from below. A completed
    Cholesky factorisation of ``C + shift/2`` proves ``C + shift >= 0`` (S. M. Rump, "Verification of positive
    definiteness", BIT 46 (2006)): its rounding is at most ``(n + 1) * eps * trace``, less than half the shift.
    """
    C = (C + C.T) / 2
    shift = 8.0 * (C.shape[0] + 1) * EPS * float(np.trace(C))
    while shift > 0.0 and not _has_cholesky_factor(_shifted(C, shift / 2)):
        shift *= 4.0
    return _shifted(C, shift)


def _shifted(C: np.ndarray, shift: float) -> np.ndarray:
    return np.asarray(C + shift * np.eye(C.shape[0]))


def _has_cholesky_factor(C: np.ndarray) -> bool:
    try:
        scipy.linalg.cholesky(C, check_finite=False)
    except np.linalg.LinAlgError:
        return False
    return True


def split(W: np.ndarray, G: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return L and T with ``W = L T`` and ``L' G L`` the identity on the range of T (G None: the identity matrix).

    The smaller side decides the size of T, so that no root of a matrix larger than that is needed.
    """
    m, n = W.shape
    if m <= n:
        if G is None:
            return np.eye(m), W
        values, vectors = scipy.linalg.eigh(G, check_finite=False)
        roots = np.sqrt(np.maximum(values, values[-1] * EPS))
        return (vectors / roots) @ vectors.T, ((vectors * roots) @ vectors.T) @ W
    gram = W.T @ (W if G is None else G @ W)
    values, vectors = scipy.linalg.eigh((gram + gram.T) / 2, check_finite=False)
    # directions of W below rounding are left out of L: W differs from L T there by no more than rounding
    kept = values > n * EPS * max(values[-1], 0.0)
    roots = np.sqrt(values[kept])
    return W @ (vectors[:, kept] / roots), (vectors[:, kept] * roots).T


def allowance(W: np.ndarray, T: np.ndarray, C: np.ndarray, G: np.ndarray | None) -> float:
    """How far rounding may move a sum of eigenvalues of ``T C T'``, as computed, from that of K.

    K has the eigenvalues of ``C^(1/2) W' G W C^(1/2)``, so a defect ``T' T - W' G W`` counts at most its norm times
    the trace of C. The defect is measured, whatever `split` did. All other terms are norms of what enters the rounding,
    not of the outcome, which can be far smaller where the factors nearly cancel.
    """
    (m, n), p = W.shape, T.shape[0]
    trace, weight = float(np.trace(C)), 1.0 if G is None else float(np.linalg.norm(G))
    squares = float(np.linalg.norm(T)) ** 2
    measured = float(np.linalg.norm(T.T @ T - W.T @ (W if G is None else G @ W)))
    defect = 0.0 if T is W else measured + EPS * (p * squares + 2 * m * weight * float(np.linalg.norm(W)) ** 2)
    product = 2.0 * n * EPS * squares * float(np.linalg.norm(C)) * p**0.5
    return float(defect * trace + product + SOLVER * p * EPS * squares * trace)


def tails(eigenvalues: np.ndarray, shape: tuple[int, int], allowance: float) -> np.ndarray:
    """Lower bounds on the error of every matrix of rank 0, 1, ..., min(m, n), from the eigenvalues of ``T C T'``."""
    values = np.zeros(min(shape))
    values[: eigenvalues.size] = np.sort(np.maximum(eigenvalues, 0.0))[::-1]
    rounding = allowance + 2.0 * values.size * EPS * float(values.sum())
    return np.maximum(np.append(np.cumsum(values[::-1])[::-1], 0.0) - rounding, 0.0)


def lowered(errors: np.ndarray, distance: float) -> np.ndarray:
    """Lower bounds for matrices near one of the rank: `distance` is the squared distance in the same norm."""
    roots = np.sqrt(errors)
    rounding = 4.0 * EPS * (roots + distance**0.5)
    return np.asarray(np.maximum(roots - distance**0.5 - rounding, 0.0) ** 2 * (1.0 - EPS))


def error(W: np.ndarray, left: np.ndarray, right: np.ndarray, C: np.ndarray, G: np.ndarray | None) -> float:
    """``tr(G (W - left right) C (W - left right)')``, rounded upwards."""
    difference = W - left @ right
    weighted = difference @ C
    computed = float(np.sum((weighted if G is None else G @ weighted) * difference))
    # rounding in the difference itself, entry by entry at most (rank + 4) unit roundoffs of |left||right| + |W|,
    # counts in the weighted norm by at most the largest eigenvalues of C and G, which their traces exceed
    size = float(np.sum(np.linalg.norm(left, axis=0) * np.linalg.norm(right, axis=1)) + np.linalg.norm(W))
    weight = float(np.trace(C)) * (1.0 if G is None else float(np.trace(G)))
    rounding = (left.shape[1] + 4) * EPS / 2 * size * weight**0.5
    own = sum(W.shape) * EPS * float(np.sum(difference**2)) * weight
    return float((max(computed + own, 0.0) ** 0.5 + rounding) ** 2)
