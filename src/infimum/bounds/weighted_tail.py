"""Eckart-Young in a weighted norm: how well a rank-r matrix can replace W between given inputs and gradients.

For C and G symmetric, C >= 0, G > 0, every W' of rank at most r has ``tr(G (W - W') C (W - W')')`` at least the sum of
all but the r largest eigenvalues of ``K = G^(1/2) W C W' G^(1/2)``.
Statement and proof: docs/theorems/weighted_tail.md.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

# The eigenvalues of K come from float64 products of length at most max(m, n) and a backward stable eigensolver:
# their sum over any set moves by less than ALLOWANCE * max(m, n) * eps * trace(K).
ALLOWANCE = 16.0


def whitened(W: np.ndarray, C: np.ndarray, root: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return H and Q with ``K = Q H Q'``, H as small as the smaller side of W; Q is None where it is the identity.

    `root` is the symmetric square root of G, None for the identity.
    """
    m, n = W.shape
    weighted = W if root is None else root @ W
    if m <= n:
        return weighted @ C @ weighted.T, None
    Q, T = scipy.linalg.qr(weighted, mode="economic", check_finite=False)
    return T @ C @ T.T, Q


def tails(eigenvalues: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Lower bounds on the error of every matrix of rank 0, 1, ..., from the eigenvalues of K (any order)."""
    values = np.sort(np.maximum(eigenvalues, 0.0))
    allowance = ALLOWANCE * max(shape) * np.finfo(float).eps * float(values.sum())
    return np.maximum(np.concatenate([np.cumsum(values)[::-1], [0.0]]) - allowance, 0.0)


def error(W: np.ndarray, left: np.ndarray, right: np.ndarray, C: np.ndarray, G: np.ndarray | None) -> float:
    """``tr(G (W - left right) C (W - left right)')``, rounded upwards."""
    difference = W - left @ right
    weighted = difference @ C
    computed = float(np.sum((weighted if G is None else G @ weighted) * difference))
    eps = float(np.finfo(float).eps)
    # rounding in the difference itself, entry by entry at most (rank + 4) unit roundoffs of |left||right| + |W|,
    # counts in the weighted norm by at most the largest eigenvalues of C and G, which their traces exceed
    size = float(np.sum(np.linalg.norm(left, axis=0) * np.linalg.norm(right, axis=1)) + np.linalg.norm(W))
    weight = float(np.trace(C)) * (1.0 if G is None else float(np.trace(G)))
    rounding = (left.shape[1] + 4) * eps * size * weight**0.5
    own = 4.0 * sum(W.shape) * eps * float(np.sum(difference**2)) * weight
    return float((max(computed + own, 0.0) ** 0.5 + rounding) ** 2)
