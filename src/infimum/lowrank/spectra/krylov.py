"""Singular triples from a block Krylov space that grows until their certificate is good enough."""

from __future__ import annotations

from typing import Any

import numpy as np

from infimum._arrays import like_array
from infimum.lowrank.spectra import ritz_claims
from infimum.lowrank.spectra.full import WHOLE_LIMIT
from infimum.lowrank.spectra.krylov_space import BlockKrylov
from infimum.lowrank.spectra.single import in_single
from infimum.lowrank.spectra.spectrum import Goal, Spectrum, Triples, from_right
from infimum.lowrank.spectra.thick_restart import capacity, thick_restart
from infimum.proof.operators.operator import Operator
from infimum.proof.rounding import energy_allowance
from infimum.proof.theorems import ritz_block

LEAST = 4  # vectors of a block whose space only grows: with fewer its Ritz values are looked at too often


def krylov(M: Operator, goal: Goal, rng: np.random.Generator, limit: int) -> Spectrum | None:
    """Grow a block Krylov space until the gap is proved; None when it would fill more than `limit` dimensions."""
    found = _accurate(M, goal, rng, limit) or in_single(M, goal, rng, limit)
    if found is not None:
        return found
    # narrower blocks find more in fewer dimensions, where a pass takes them less time
    space = BlockKrylov(M, min(max(M.together, LEAST) + (goal.rank or 50) // 10, M.shape[1]), rng)
    witness: dict[str, Any] = {"delta": goal.delta}
    mu, left = None, M.energy
    while True:
        block, W = space.ritz()
        captured = np.concatenate([[0.0], np.cumsum(block.theta)])
        errors = np.sqrt(np.maximum(M.energy - captured, 0.0))
        reached = _reached(goal, errors)
        before, left = left, float(errors[-1]) ** 2
        if reached is not None and _settled(block, reached, goal, M.eps):
            error = float(errors[reached])
            floor = error / (1.0 + goal.gap)
            near = _lost(block, reached) <= 2.0 * goal.gap * error**2
            proved = near and ritz_claims.best_choice(M, block, reached, mu)[0] >= floor
            # one draw for all sizes: it is made when what lies outside seems small enough, and stays true after;
            # not where growing by as many passes as it takes leaves so little that a bound needs no draw
            steps = ritz_block.POWER
            fading = left ** (steps + 1) < block.theta[reached - 1] * before**steps
            planned = mu is None and near and not proved and not fading
            if planned and ritz_claims.best_choice(M, block, reached, 1.5 * _guess(block))[0] >= floor:
                mu = _drawn(M, space, witness)
                proved = ritz_claims.best_choice(M, block, reached, mu)[0] >= floor
            if proved or _exhausted(M, block, reached, error**2 * goal.gap):
                break
        if not (space.grow() or (reached is None and space.begin_anew())):
            if limit < M.shape[1] <= WHOLE_LIMIT:  # what takes over decomposes the whole in little time
                return None
            mu = _drawn(M, space, witness) if mu is None else mu
            break
        if space.size > limit:
            return None
    basis = witness["basis"] = space.basis()

    def triples(rank: int) -> Triples:
        rotation = like_array(W[:, :rank], basis)
        return from_right(M, basis @ rotation, space.image_of(rotation))

    return Spectrum(
        M, errors, triples, lambda rank: ritz_claims.best_bound(M, block, rank, mu, witness), ritz_block.THEOREM
    )


def _reached(goal: Goal, errors: np.ndarray) -> int | None:
    """Return the rank asked for where the space has it: one more for a tolerance, since rounding may want it."""
    reached = goal.reached(errors)
    return None if goal.rank is None and reached == errors.size - 1 else reached


def _drawn(M: Operator, space: BlockKrylov, witness: dict[str, Any]) -> float:
    """Bound the norm outside a space by a draw, of which the witness keeps how much was there."""
    witness["probed"] = space.size
    return ritz_claims.drawn_norm(M, space.basis(), witness["delta"])


def _accurate(M: Operator, goal: Goal, rng: np.random.Generator, limit: int) -> Spectrum | None:
    """Find accurate triples in a space that is restarted; None where these are not asked for, or M is too small for it.

    It is also None where the gap is not proved, and what takes over decomposes the whole in little time.
    """
    if goal.residual == np.inf:
        return None
    rank, width, side = goal.rank, min(M.together, M.shape[1]), M.shape[1]
    if rank is None:
        rough = krylov(M, goal._replace(residual=np.inf), rng, limit)
        rank = None if rough is None else goal.reached(rough.errors)
    if rank is None or 2 * capacity(rank, width) > side:
        return None
    spectrum = thick_restart(M, rank, goal, width, rng)
    needed = side > WHOLE_LIMIT or limit == side
    proved = needed or spectrum.bound(rank).value * (1.0 + goal.gap) >= float(spectrum.errors[rank])
    return spectrum if proved else None


def _settled(block: ritz_block.Block, rank: int, goal: Goal, eps: float) -> bool:
    if goal.residual == np.inf:
        return True
    return goal.settled(block.theta, np.sqrt(np.maximum(ritz_block.energies(block)[:rank], 0.0)), eps)


def _lost(block: ritz_block.Block, rank: int) -> float:
    """Estimate from below what the leading Ritz pairs lack of the largest squared singular values.

    It is no more than the residual: beside Ritz values that are rounding its square says nothing.
    """
    energies = np.maximum(np.diag(block.residual_gram).real[:rank], 0.0)
    return float(np.sum(np.minimum(energies / np.maximum(block.theta[:rank], 1e-300), np.sqrt(energies))))


def _guess(block: ritz_block.Block) -> float:
    """Estimate the largest squared singular value outside the space: the first Ritz value that has not converged."""
    energies = np.diag(block.residual_gram).real
    return float(block.theta[int(np.argmax(energies > 0.01 * np.square(block.theta)))])


def _exhausted(M: Operator, block: ritz_block.Block, rank: int, wanted: float) -> bool:
    """Tell whether rounding hides the part of the squared error that is `wanted`, and all that is left to gain."""
    allowance = energy_allowance(M.shape, M.eps, rank, M.energy)
    return wanted <= 2.0 * allowance and _lost(block, rank) <= 0.01 * allowance
