"""Singular triples by subspace iteration from a random block (the randomised SVD)."""

from __future__ import annotations

import numpy as np

from infimum._arrays import to_numpy
from infimum._linalg import gaussian, orthonormal_basis
from infimum.lowrank.spectra import ritz_claims
from infimum.lowrank.spectra.spectrum import Goal, Spectrum, copied, from_right
from infimum.proof.operators.operator import Operator
from infimum.proof.theorems import ritz_block
from infimum.proof.theorems.ritz_block import Bound

PASSES = 3  # subspace iterations of `randomized`; each multiplies by M and its adjoint


def randomized(M: Operator, goal: Goal, rng: np.random.Generator) -> Spectrum:
    """Subspace iteration; with a tolerance, the subspace doubles until the rank that meets it is inside."""
    limit = min(M.shape)
    rank = goal.rank or min(16, limit)
    while True:
        # half as wide again as the rank: the certificate needs that room
        width = min(rank + max(10, rank // 2), limit)
        basis = orthonormal_basis(gaussian(rng, (M.shape[1], width), like=M.like))
        for _ in range(PASSES):
            # without orthonormalising at every half step the small directions drown in rounding (float32 above all)
            basis = orthonormal_basis(M.adjoint_times(orthonormal_basis(M.times(basis))))
        block = ritz_block.measure(M, basis)
        U, s, Vh = from_right(M, basis, block.image())
        captured = np.concatenate([[0.0], np.cumsum(np.square(to_numpy(s)))])
        errors = np.sqrt(np.maximum(M.energy - captured, 0.0))
        if goal.rank is not None or rank == limit or errors[rank] <= float(goal.tol or 0.0) * errors[0]:
            break
        rank = min(2 * rank, limit)
    mu = ritz_claims.drawn_norm(M, basis, goal.delta)
    witness = {"basis": basis, "delta": goal.delta, "probed": width}

    def bound(rank: int) -> Bound:
        return ritz_claims.best_bound(M, block, rank, mu, witness)

    return Spectrum(M, errors, lambda r: (copied(U[:, :r]), s[:r], copied(Vh[:r, :])), bound, ritz_block.THEOREM)
