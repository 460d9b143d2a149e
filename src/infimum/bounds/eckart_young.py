"""Eckart-Young-Mirsky: no matrix of rank k is closer to M than the tail of its singular values.

Statement and proof: docs/theorems/eckart_young.md.
"""

from __future__ import annotations

import numpy as np

from infimum._arrays import Array, Working, is_complex, to_numpy
from infimum._linalg import frobenius

# LAPACK's and cuSOLVER's SVD are backward stable: the computed singular values are those of M + E. The QR iteration of
# LAPACK (dbdsqr) drops off-diagonal entries of up to about 90 unit roundoffs of their neighbours, which alone moved a
# tight cluster by 43 * eps; the reduction to bidiagonal form was observed to add less than eps up to n = 1000. So
# norm(E, 2) and norm(E, "fro") are taken to be at most (200 + 16 * sqrt(max(m, n))) * eps times the norm of M.
DEFLATION, REDUCTION = 200.0, 16.0


def tails(singular_values: np.ndarray) -> np.ndarray:
    """Return the norms of ``singular_values[k:]`` for k = 0, 1, ..., len: the errors of the best rank-k matrices.

    Summed from the small end, so that each tail is accurate by itself.
    """
    squares = np.cumsum(np.square(singular_values[::-1]))
    return np.asarray(np.sqrt(np.concatenate([squares[::-1], [0.0]])))


def rounding_allowance(shape: tuple[int, int], eps: float, magnitude: float) -> float:
    """How far a computed singular value or tail may lie from the true one, for a matrix of norm `magnitude`."""
    return float((DEFLATION + REDUCTION * max(shape) ** 0.5) * eps * magnitude)


def tail_bound(M: Working, rank: int) -> float:
    """Lower bound on ``norm(M - X, "fro")`` over every matrix X of rank at most `rank` (scaled as `M` is)."""
    values = to_numpy(M.xp.linalg.svdvals(M.array))
    # each value moves by at most norm(E, 2), the whole tail by at most norm(E, "fro"): the smaller one counts
    magnitude = min(float(np.linalg.norm(values)), float(values[0]) * (values.size - rank) ** 0.5)
    return max(0.0, float(tails(values)[rank]) - rounding_allowance(M.array.shape, M.eps, magnitude))


def residual_norm(M: Working, left: Array, right: Array) -> float:
    """Frobenius norm of ``M - left @ right``, rounded upwards.

    The allowance covers the worst case of every multiplication and sum, in any order of summation
    (N. J. Higham, Accuracy and Stability of Numerical Algorithms, section 3.5): entry by entry the product is off by at
    most k unit roundoffs of ``abs(left) @ abs(right)``, whose norm is at most the sum over the k rank-one terms.
    """
    xp, unit = M.xp, M.eps / 2
    computed = frobenius(M.array - left @ right)
    lengths = xp.linalg.vector_norm(left, axis=0) * xp.linalg.vector_norm(right, axis=1)
    magnitude = float(xp.sum(xp.real(lengths) if is_complex(lengths) else lengths)) + frobenius(M.array)
    rounding = (left.shape[1] + 4) * unit * magnitude
    return float((computed + rounding) * (1.0 + 2 * sum(M.array.shape) * unit))
