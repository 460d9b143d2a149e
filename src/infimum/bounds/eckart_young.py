"""Eckart-Young-Mirsky: no matrix of rank k is closer to M than the tail of its singular values.

Statement and proof: docs/theorems/eckart_young.md.
"""

from __future__ import annotations

import math

import numpy as np

from infimum._arrays import Working, to_numpy
from infimum._operator import Operator

# LAPACK's and cuSOLVER's SVD are backward stable: the computed singular values are those of M + E. The QR iteration of
# LAPACK (dbdsqr) drops off-diagonal entries of up to about 90 unit roundoffs of their neighbours, which alone moved a
# tight cluster by 43 * eps; the reduction to bidiagonal form was observed to add less than eps up to n = 1000. So
# norm(E, 2) and norm(E, "fro") are taken to be at most (200 + 16 * sqrt(max(m, n))) * eps times the norm of M.
# The symmetric eigensolvers work in the same two steps, and get the same allowance.
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


def tail_bound(M: Working, rank: int, values: np.ndarray | None = None, shape: tuple[int, int] | None = None) -> float:
    """Lower bound on ``norm(M - X, "fro")`` over every matrix X of rank at most `rank` (scaled as `M` is).

    `values` are the computed singular values of M, where a backward stable solver has already found them. `shape` is
    that of a larger matrix of which M is the triangular factor: every block of rows that went into it has rounded.
    """
    if values is None:
        values = to_numpy(M.xp.linalg.svdvals(M.array))
    # each value moves by at most norm(E, 2), the whole tail by at most norm(E, "fro"): the smaller one counts
    magnitude = min(float(np.linalg.norm(values)), float(values[0]) * (values.size - rank) ** 0.5)
    return max(0.0, float(tails(values)[rank]) - rounding_allowance(shape or M.array.shape, M.eps, magnitude))


def energy_allowance(shape: tuple[int, int], eps: float, rank: int, energy: float) -> float:
    """How far rounding moves the energy, or what `rank` orthonormal directions take of it.

    With products and sums of length up to max(m, n) in any order, entry by entry the computed Gram matrix is off by
    max(m, n) unit roundoffs of ``abs(M).T @ abs(M)``, whose Frobenius norm is at most the energy; the sum over `rank`
    directions moves by at most ``sqrt(rank)`` times that.
    """
    return (8.0 + math.sqrt(rank)) * max(shape) * eps * energy


def gram_tail_bound(M: Operator, rank: int, eigenvalues: np.ndarray | None = None, room: float = 1.0) -> float:
    """Lower bound as in `tail_bound`, from the spectrum of the Gram matrix on the smaller side.

    The tail is the energy less what the `rank` largest eigenvalues hold. Cheaper than singular values, but
    a difference of energies: tails below about ``1e-6 * norm(M)`` are lost.

    `eigenvalues` are those of ``M* M`` or ``M M*``, ascending, where a backward stable solver has already found them. A
    `room` above 1 takes off more than rounding needs, so that a second derivation, which rounds differently, reaches
    the bound too.
    """
    if eigenvalues is None:
        small = M if M.shape[1] <= M.shape[0] else M.adjoint()
        eigenvalues = to_numpy(M.xp.linalg.eigvalsh(small.gram()))
    largest = float(np.sum(eigenvalues[::-1][:rank]))
    solver = rounding_allowance(M.shape, M.eps, float(np.linalg.norm(eigenvalues))) * math.sqrt(rank)
    allowance = room * (energy_allowance(M.shape, M.eps, rank, M.energy) + solver)
    return math.sqrt(max(M.energy - largest - allowance, 0.0))
