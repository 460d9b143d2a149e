"""Allowances for rounding that several theorems and losses share."""

from __future__ import annotations

import math

import numpy as np

# A solver claims its value and its bound with so many allowances for rounding, `infimum.verify` derives them with one.
# Two evaluations of one quantity, on whatever machine, each lie within one allowance of the truth: so the second one,
# with its own allowance, never passes a claim that leaves three.
ROOM = 3.0

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
    squares = np.zeros(singular_values.size + 1)
    np.cumsum(np.square(singular_values[::-1]), out=squares[1:])
    return np.asarray(np.sqrt(squares[::-1]))


def rounding_allowance(shape: tuple[int, int], eps: float, magnitude: float) -> float:
    """How far a computed singular value or tail may lie from the true one, for a matrix of norm `magnitude`."""
    return float((DEFLATION + REDUCTION * max(shape) ** 0.5) * eps * magnitude)


def energy_allowance(shape: tuple[int, int], eps: float, rank: int, energy: float) -> float:
    """How far rounding moves the energy, or what `rank` orthonormal directions take of it.

    With products and sums of length up to max(m, n) in any order, entry by entry the computed Gram matrix is off by
    max(m, n) unit roundoffs of ``abs(M).T @ abs(M)``, whose Frobenius norm is at most the energy; the sum over `rank`
    directions moves by at most ``sqrt(rank)`` times that.
    """
    return (8.0 + math.sqrt(rank)) * max(shape) * eps * energy
