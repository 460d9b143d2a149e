"""The profile of least total variation under caps and a share, for given decay, and the multipliers that prove it.

Constant decay needs no program (see `front_loading`). Otherwise: unknown are the memory weights, in units of the
target, and the memory D filled so far; every constraint is linear in them. Long runs are solved in blocks of steps that
share one unit; the answer then respects every step's cap, and the multipliers are spread over the steps of a block, so
that the bound holds for the full run.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.optimize
import scipy.sparse

from infimum.memory.search.front_loading import front_loaded
from infimum.memory.search.initial_weight import with_share
from infimum.proof.schedule_limits import Limits
from infimum.proof.theorems import profile_dual
from infimum.proof.theorems.capped_filling import Filling, FixedDecay

BLOCKS = 1000  # the program grows with the blocks, not with the steps
SNAP = 1e-6  # reduced costs this near to an end of their range are taken to be there


class Solution(NamedTuple):
    """Units of every block, and for every step what its multiplier must balance (minus infinity: no multiplier)."""

    units: np.ndarray
    push: np.ndarray


def nearest(limits: Limits, law: FixedDecay, filling: Filling, gap: float) -> tuple[Filling, dict[str, Any]]:
    """Return the profile of least total variation at the filling's share, with the multipliers that bound all others.

    The filling itself is the answer where its own pattern proves it, as after a warm-up under constant decay.
    """
    share = float(filling.share)
    behind = filling.capped & (_shares_of_weights(filling.weights) < _shares_of_weights(limits.target))
    multipliers = _multipliers(limits, law, np.where(behind, 1.0, -np.inf))
    best = profile_dual.lower_bound(limits.target, limits.caps, law.rates, share, multipliers)
    if _variation(filling, limits.target) - best <= gap:
        return filling, {"multipliers": multipliers}
    if law.rates[0] > 0.0 and np.all(law.rates == law.rates[0]):
        rival, push = front_loaded(limits, law.rates[0], share)
    else:
        units, push = _solve_program(limits, law, share, filling)
        rival = with_share(limits._replace(target=limits.target * units), share)
    if _variation(rival, limits.target) < _variation(filling, limits.target):
        filling = rival
    spread = _multipliers(limits, law, push)
    if profile_dual.lower_bound(limits.target, limits.caps, law.rates, share, spread) > best:
        multipliers = spread
    return filling, {"multipliers": multipliers}


def _shares_of_weights(weights: np.ndarray) -> np.ndarray:
    return np.asarray(weights / weights.sum())


def _variation(filling: Filling, target: np.ndarray) -> float:
    return float(0.5 * np.abs(_shares_of_weights(filling.weights) - _shares_of_weights(target)).sum())


def _multipliers(limits: Limits, law: FixedDecay, push: np.ndarray) -> np.ndarray:
    """Multipliers of the caps, from the last step to the first, that balance `push` at every step (trailing 0s cut)."""
    decay = law.decay(limits.caps)
    active = np.flatnonzero(np.isfinite(push))
    u = np.zeros(active[-1] + 1 if active.size else 0)
    later = 0.0
    for j in active[::-1].tolist():
        u[j] = max(0.0, (push[j] + float(law.rates[j]) * later) / float(1.0 - decay[j]))
        later += float(limits.caps[j]) * u[j]
    return u


def _edges(capped: np.ndarray) -> np.ndarray:
    """Return the ends of the blocks: evenly spread, and where the filling changes between target and cap."""
    changes = np.flatnonzero(capped[1:] != capped[:-1]) + 1
    even = np.linspace(0, capped.size, min(BLOCKS, capped.size) + 1).astype(int)
    return np.unique(np.concatenate([even, changes[:BLOCKS]]))


def _solve_program(limits: Limits, law: FixedDecay, share: float, filling: Filling) -> Solution:
    edges = _edges(filling.capped)
    counts = np.diff(edges)
    q = _shares_of_weights(limits.target)
    gains = law.rates * q
    passed = np.cumsum(gains)
    inside = passed - np.repeat(passed[edges[:-1]] - gains[edges[:-1]], counts)
    mass, gain = np.add.reduceat(q, edges[:-1]), np.add.reduceat(gains, edges[:-1])
    # a block of weight y, in the proportions of the target, needs D >= need * y before it and adds gain * y
    need = (np.maximum.reduceat(q / limits.caps - inside, edges[:-1]) / mass).astype(float)
    gain = (gain / mass).astype(float)
    y, u, v = _highs(mass.astype(float), gain, need, share)
    later = np.cumsum(u[::-1])[::-1] - u
    reduced = u * need - gain * (later + share * v)
    lowest = reduced.min()
    for end in (0.0, 1.0):
        reduced[np.abs(reduced - lowest - end) < SNAP] = lowest + end
    push = np.repeat(np.where(u > 0.0, reduced, -np.inf), counts) + (law.rates * share * v).astype(float)
    return Solution(np.repeat(np.maximum(y, 0.0) / mass, counts), push)


def _highs(mass: np.ndarray, gain: np.ndarray, need: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Minimise the mass that is missing; returns the weights, the multipliers of the caps and that of the share.

    Variables: weights y, missing parts d >= mass - y, filled D_1..D_B, and D_0, the weight of the initialisation; y and
    d in units of 1/B and D in such of `need`, so that the solver's absolute tolerances fit.
    """
    n, scale = mass.size, float(need.max())
    eye, zero = scipy.sparse.identity(n), scipy.sparse.csr_array((n, n))
    start = np.zeros((n, 1))
    start[0] = 1.0
    before = scipy.sparse.hstack([scipy.sparse.diags_array([np.ones(n - 1)], offsets=[-1], shape=(n, n)), start])
    after = scipy.sparse.hstack([eye, np.zeros((n, 1))])
    last = np.zeros((1, 3 * n + 1))
    last[0, 3 * n], last[0, 3 * n - 1] = 1.0, -share
    answer = scipy.optimize.linprog(
        np.concatenate([np.zeros(n), np.ones(n), np.zeros(n + 1)]),
        A_ub=scipy.sparse.vstack(
            [
                scipy.sparse.hstack([scipy.sparse.diags_array(need / scale), zero, -before]),
                last,
                scipy.sparse.hstack([-eye, -eye, zero, np.zeros((n, 1))]),
            ]
        ).tocsr(),
        b_ub=np.concatenate([np.zeros(n + 1), -n * mass]),
        A_eq=scipy.sparse.vstack(
            [
                scipy.sparse.hstack([-scipy.sparse.diags_array(gain / scale), zero, after - before]),
                np.concatenate([np.ones(n), np.zeros(2 * n + 1)])[None, :],
            ]
        ).tocsr(),
        b_eq=np.append(np.zeros(n), n),
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if answer.x is None:  # the filling stays the answer, and its own multipliers the proof
        return mass, np.zeros(n), 0.0
    prices = np.maximum(-answer.ineqlin.marginals, 0.0) / scale
    return answer.x[:n] / n, prices[:n], float(prices[n])
