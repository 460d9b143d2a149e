"""Eckart-Young-Mirsky: no matrix of rank k is closer to M than the tail of its singular values.

Statement and proof: docs/theorems/eckart_young.md.
"""

from __future__ import annotations

import math

import numpy as np

from infimum._arrays import Working, to_numpy
from infimum.proof.operators.operator import Operator
from infimum.proof.rounding import energy_allowance, rounding_allowance, tails

THEOREM = "eckart_young"


def tail_bound(
    M: Working,
    rank: int,
    values: np.ndarray | None = None,
    shape: tuple[int, int] | None = None,
    room: float = 1.0,
) -> float:
    """Lower bound on ``norm(M - X, "fro")`` over every matrix X of rank at most `rank` (scaled as `M` is).

    `values` are the computed singular values of M, where a backward stable solver has already found them. `shape` is
    that of a larger matrix of which M is the triangular factor: every block of rows that went into it has rounded. So
    many allowances for rounding as `room` says are taken off.
    """
    if values is None:
        values = to_numpy(M.xp.linalg.svdvals(M.array))
    if rank >= values.size:
        return 0.0
    # each value moves by at most norm(E, 2), the whole tail by at most norm(E, "fro"): the smaller one counts
    errors = tails(values)
    magnitude = min(float(errors[0]), float(values[0]) * (values.size - rank) ** 0.5)
    allowance = rounding_allowance(shape or M.array.shape, M.eps, magnitude)
    return max(0.0, float(errors[rank]) - room * allowance)


def gram_tail_bound(M: Operator, rank: int, eigenvalues: np.ndarray | None = None, room: float = 1.0) -> float:
    """Lower bound as in `tail_bound`, from the spectrum of the Gram matrix on the smaller side.

    The tail is the energy less what the `rank` largest eigenvalues hold. Cheaper than singular values, but
    a difference of energies: tails below about ``1e-6 * norm(M)`` are lost.

    `eigenvalues` are those of ``M* M`` or ``M M*``, ascending, where a backward stable solver has already found them.
    So many allowances for rounding as `room` says are taken off.
    """
    small = M if M.shape[1] <= M.shape[0] else M.adjoint()
    if eigenvalues is None:
        eigenvalues = to_numpy(M.xp.linalg.eigvalsh(small.gram()))
    largest = float(np.sum(eigenvalues[::-1][:rank]))
    solver = rounding_allowance(M.shape, M.eps, float(np.linalg.norm(eigenvalues))) * math.sqrt(rank)
    sums = (small.longest_sum, small.shape[1])
    allowance = room * (energy_allowance(sums, M.eps, rank, M.energy) + solver)
    return math.sqrt(max(M.energy - largest - allowance, 0.0))
