"""Claims by the Ritz block bound: its free parameters, and whether a random draw is worth its doubt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from infimum._arrays import Array
from infimum.proof.operators.operator import Operator
from infimum.proof.rounding import ROOM, energy_allowance
from infimum.proof.theorems import ritz_block
from infimum.proof.theorems.ritz_block import Block, Bound, Choice

FAINT = 1e5  # a squared tail below so many allowances is worth a look that squares nothing


def claim(M: Operator, basis: Array, rank: int, delta: float) -> Bound:
    """Best bound from a block of either side, with its witness."""
    M = M if basis.shape[0] == M.shape[1] else M.adjoint()
    block, mu, witness = examined(M, ritz_block.orthonormal(M, basis), basis, delta)
    return best_bound(M, block, rank, mu, witness)


def examined(
    M: Operator, Q: Array, basis: Array, delta: float, halves: int = 2 * ritz_block.POWER
) -> tuple[Block, float, dict[str, Any]]:
    """Measure a block, bound the norm outside it by the draws that will judge it, and return the witness of both.

    Q is an orthonormal basis of the span of `basis`.
    """
    width, draw = int(basis.shape[1]), ritz_block.probes(basis, delta)
    block, mu = ritz_block.measure_and_probe(M, Q, width, draw, delta, halves / 2, room=ROOM)
    return block, mu, {"basis": basis, "delta": delta, "probed": width, "halves": halves}


def drawn_norm(M: Operator, basis: Array, delta: float) -> float:
    """Bound the norm outside an orthonormal block by the draws that will judge it."""
    return ritz_block.spectral_norm_bound(M, basis, ritz_block.probes(basis, delta), delta, room=ROOM)


def best_bound(M: Operator, block: Block, rank: int, mu: float | None, witness: Mapping[str, Any]) -> Bound:
    """Return the deterministic bound, or with `mu` the probable one where it is worth its doubt, with its witness.

    `witness` is what both share and what the probable one needs besides: basis, delta, probed.
    """
    candidates = []
    for size in (None, mu) if mu is not None else (None,):
        value, choice = best_choice(M, block, rank, size)
        parts = {"basis": witness["basis"]} if size is None else dict(witness)
        parts.update(shift=choice.shift, converged=choice.converged, interlacing=False)
        candidates.append(Bound(value, size is not None, parts))
    sure, likely = candidates[0], candidates[-1]
    allowance = energy_allowance(M.shape, M.eps, rank, M.energy)
    if max(sure.value, likely.value) ** 2 < FAINT * allowance:
        inside = ritz_block.interlacing_bound(M, block, rank, room=ROOM)
        sure = Bound(max(sure.value, inside), False, {**sure.witness, "interlacing": True})
    return likely if likely.value**2 > sure.value**2 + allowance else sure


def best_choice(M: Operator, block: Block, rank: int, mu: float | None) -> tuple[float, Choice]:
    """Return the best bound of a few choices, each valid, and its choice; with the room that a claim needs."""
    choices = _choices(block, rank, ritz_block.outside_norm(M, block, mu, ROOM))
    bounds = [ritz_block.bound(M, block, rank, mu, choice, room=ROOM) for choice in choices]
    best = int(np.argmax(bounds))
    return bounds[best], choices[best]


def _choices(block: Block, rank: int, mu: float) -> list[Choice]:
    """Shifts and splits to try: every one is valid, so their quality is no matter of truth."""
    energies = ritz_block.energies(block)
    weighted = np.cumsum(energies / np.maximum(block.theta, 1e-300))
    # what the converged pairs cost must not count beside what the `rank` leading ones lose anyway
    converged = int(np.sum(weighted <= 1e-4 * weighted[min(rank, energies.size) - 1]))
    reference = max(float(block.theta[min(rank, energies.size) - 1]), 1e-30 * float(block.theta[0]), 1e-100)
    # tau just reaches the rank-th Ritz value, or stays below; around mu where it cannot
    space = reference - mu
    shifts = (
        [f * space for f in (1.0, 0.5, 0.1)] if space > 0.05 * reference else [f * mu for f in (1.0, 0.3, 0.1, 0.03)]
    )
    return [Choice(shift, converged) for shift in shifts]
