"""Eckart-Young in a weighted norm: how well a rank-r matrix can replace W between given inputs and gradients.

For C and G symmetric, C >= 0, G > 0, every W' of rank at most r has ``tr(G (W - W') C (W - W')')`` at least the sum of
all but the r largest eigenvalues of ``K = G^(1/2) W C W' G^(1/2)``.
Statement and proof: docs/theorems/weighted_tail.md.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg

EPS = float(np.finfo(float).eps)
# LAPACK's Householder QR and symmetric eigensolvers are backward stable: their results are exact for a matrix that
# differs by less than BACKWARD * max(m, n) * eps of the norm of the given one.
BACKWARD = 16.0


class Whitened(NamedTuple):
    """``K = Q H Q'`` up to rounding: no sum of eigenvalues of K is further than `allowance` from that of H."""

    H: np.ndarray
    Q: np.ndarray | None  # None for the identity
    allowance: float


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


def whitened(W: np.ndarray, C: np.ndarray, G: np.ndarray | None, root: np.ndarray | None) -> Whitened:
    """Return K on the smaller side of W, and how far rounding may have moved its eigenvalues.

    `G` is None for the identity, and so is `root`, the symmetric square root of G.
    """
    m, n = W.shape
    weighted = W if root is None else root @ W
    S, Q = (weighted, None) if m <= n else scipy.linalg.qr(weighted, mode="economic", check_finite=False)[::-1]
    product = S @ C
    H = product @ S.T
    # Sums of eigenvalues move by at most the nuclear norm of the change of the matrix. Each bound below is a norm of
    # what enters the rounding, not of K: K can be far smaller than its factors where W and C nearly cancel.
    in_S = (0.0 if root is None else m * EPS * _norm(root) * _norm(W)) + BACKWARD * max(m, n) * EPS * _norm(S)
    in_H = 2.0 * n * EPS * _norm(S) ** 2 * _norm(C) * min(m, n) ** 0.5
    moved = 2.0 * in_S * (_norm(product) + n * EPS * _norm(S) * _norm(C)) + in_S**2 * _norm(C) + in_H
    solver = BACKWARD * max(m, n) * EPS * abs(float(np.trace(H)))
    return Whitened(H, Q, moved + solver + _root_defect(W, C, G, root))


def _root_defect(W: np.ndarray, C: np.ndarray, G: np.ndarray | None, root: np.ndarray | None) -> float:
    """Bound what ``root @ root != G`` does to the eigenvalues: at most ``norm(root @ root - G) * tr(W C W')``."""
    if G is None or root is None:
        return 0.0
    m, n = W.shape
    defect = _norm(root @ root - G) + m * EPS * _norm(root) ** 2
    energy = float(np.sum((W @ C) * W)) + 4.0 * (m + n) * EPS * _norm(W) ** 2 * _norm(C)
    return defect * energy


def _norm(matrix: np.ndarray) -> float:
    return float(np.linalg.norm(matrix))


def tails(eigenvalues: np.ndarray, allowance: float) -> np.ndarray:
    """Lower bounds on the error of every matrix of rank 0, 1, ..., from the eigenvalues of H (any order)."""
    values = np.sort(np.maximum(eigenvalues, 0.0))
    rounding = allowance + 2.0 * values.size * EPS * float(values.sum())
    return np.maximum(np.concatenate([np.cumsum(values)[::-1], [0.0]]) - rounding, 0.0)


def error(W: np.ndarray, left: np.ndarray, right: np.ndarray, C: np.ndarray, G: np.ndarray | None) -> float:
    """``tr(G (W - left right) C (W - left right)')``, rounded upwards."""
    difference = W - left @ right
    weighted = difference @ C
    computed = float(np.sum((weighted if G is None else G @ weighted) * difference))
    # rounding in the difference itself, entry by entry at most (rank + 4) unit roundoffs of |left||right| + |W|,
    # counts in the weighted norm by at most the largest eigenvalues of C and G, which their traces exceed
    size = float(np.sum(np.linalg.norm(left, axis=0) * np.linalg.norm(right, axis=1)) + np.linalg.norm(W))
    weight = float(np.trace(C)) * (1.0 if G is None else float(np.trace(G)))
    rounding = (left.shape[1] + 4) * EPS * size * weight**0.5
    own = 4.0 * sum(W.shape) * EPS * float(np.sum(difference**2)) * weight
    return float((max(computed + own, 0.0) ** 0.5 + rounding) ** 2)
