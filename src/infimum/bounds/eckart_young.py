"""Eckart-Young-Mirsky: no matrix of rank k is closer to M than the tail of its singular values.

Statement and proof: docs/theorems/eckart_young.md.
"""

from __future__ import annotations

import numpy as np

from infimum._arrays import Array, Working, to_numpy
from infimum._linalg import frobenius, product

# LAPACK's and cuSOLVER's SVD are backward stable: the computed singular values are those of M + E with
# norm(E, "fro") <= ALLOWANCE * max(m, n) * eps * norm(M, "fro"). Observed errors stay below a tenth of this.
ALLOWANCE = 8.0


def tails(singular_values: np.ndarray) -> np.ndarray:
    """Return the norms of ``singular_values[k:]`` for k = 0, 1, ..., len: the errors of the best rank-k matrices.

    Summed from the small end, so that each tail is accurate by itself.
    """
    squares = np.cumsum(np.square(singular_values[::-1]))
    return np.asarray(np.sqrt(np.concatenate([squares[::-1], [0.0]])))


def rounding_allowance(shape: tuple[int, int], eps: float, norm: float) -> float:
    """How far a computed tail may lie above the true one (the perturbation of a tail is at most that of the matrix)."""
    return float(ALLOWANCE * max(shape) * eps * norm)


def tail_bound(M: Working, rank: int) -> float:
    """Lower bound on ``norm(M - X, "fro")`` over every matrix X of rank at most `rank` (scaled as `M` is)."""
    values = to_numpy(M.xp.linalg.svdvals(M.array))
    norm = frobenius(M.array)
    return max(0.0, float(tails(values)[rank]) - rounding_allowance(M.array.shape, M.eps, norm))


def residual_norm(M: Working, factors: tuple[Array, ...]) -> float:
    """Frobenius norm of ``M - factors[0] @ factors[1] @ ...``, rounded upwards.

    The allowance covers the worst case of every multiplication and sum, in any order of summation
    (N. J. Higham, Accuracy and Stability of Numerical Algorithms, section 3.5).
    """
    computed = frobenius(M.array - product(factors))
    magnitude = 1.0
    for factor in factors:
        magnitude *= frobenius(factor)
    steps = sum(factor.shape[1] for factor in factors[:-1]) + 2
    rounding = steps * M.eps * (magnitude + frobenius(M.array))
    return float((computed + rounding) * (1.0 + 2 * sum(M.array.shape) * M.eps))
