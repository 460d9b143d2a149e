"""The profile of least total variation under caps and a share, for constant decay: found by search, without a program.

Where the caps keep some steps below the target, others must take more. It does not matter to the distance which, so
the earliest should: what they add to the memory raises all later caps. Hence the answer runs at the caps up to a
step, then takes the target where the cap allows it. Proof: docs/theorems/profile_dual.md.
"""

from __future__ import annotations

import numpy as np
import scipy.optimize

from infimum.proof.schedule_limits import Limits
from infimum.proof.theorems.capped_filling import Filling, FixedDecay, fill
from infimum.proof.theorems.unrolling import WIDE


class _Runs:
    """All profiles at the caps up to a step; their weights sum to 1 when the memory D reaches `goal`."""

    def __init__(self, target: np.ndarray, caps: np.ndarray, rate: np.longdouble, share: float) -> None:
        self.target, self.caps, self.rate = target, caps, rate
        growth = 1.0 / (1.0 - rate * caps)
        start = rate * WIDE(share) / (1.0 - WIDE(share))
        self.goal = start / WIDE(share)
        with np.errstate(over="ignore"):  # far beyond the goal
            self.at_caps = np.cumprod(np.concatenate([[start], growth]))  # D_0, D_1, ... with every step at its cap
        self.reach = caps * growth
        capped = self._fill(0, target.size, start).capped
        self.end = int(np.flatnonzero(capped).max(initial=-1)) + 1  # more memory before only frees more steps

    def _fill(self, first: int, end: int, filled: np.longdouble) -> Filling:
        part = slice(first, end)
        return fill(self.target[part], self.caps[part], FixedDecay(np.full(end - first, self.rate)), filled)

    def excess(self, first: int, filled: np.longdouble) -> np.longdouble:
        """Memory at the end above the goal, when D is `filled` before step `first` and the target is followed."""
        end = max(first, self.end)
        if end > first:
            filled = self._fill(first, end, filled).filled[-1]
        return WIDE(filled + self.rate * self.target[end:].sum() - self.goal)

    def partial(self, step: int) -> tuple[np.longdouble, np.longdouble]:
        """Least and largest weight of the last step before the target is followed."""
        high = self.reach[step] * self.at_caps[step]
        return min(self.target[step], high), high

    def profile(self, step: int, weight: np.longdouble) -> Filling:
        """Return the profile that is at the caps before `step`, has this weight there, and follows the target after."""
        after = self.at_caps[step] + self.rate * weight
        tail = self._fill(step + 1, self.target.size, after)
        return Filling(
            np.concatenate([self.reach[:step] * self.at_caps[:step], [weight], tail.weights]),
            np.concatenate([self.at_caps[: step + 1], tail.filled]),
            np.concatenate([np.ones(step, dtype=bool), [False], tail.capped]),
        )


def front_loaded(limits: Limits, rate: np.longdouble, share: float) -> tuple[Filling, np.ndarray]:
    """Return the best profile whose initial share is `share`, and what the multiplier of every step must balance."""
    runs = _Runs(limits.target / limits.target.sum(), limits.caps, rate, share)
    low, high = 0, limits.caps.size  # the target reaches the goal when followed after `high` steps, not after `low`
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if runs.excess(middle, runs.at_caps[middle]) >= 0.0 else (middle, high)
    least, most = runs.partial(low)

    def excess(part: float) -> float:
        weight = least + WIDE(part) * (most - least)
        return float(runs.excess(low + 1, runs.at_caps[low] + rate * weight) / runs.goal)

    part = scipy.optimize.brentq(excess, 0.0, 1.0, xtol=1e-15) if excess(0.0) < 0.0 < excess(1.0) else 1.0
    best = runs.profile(low, least + WIDE(part) * (most - least))
    return best, _push(runs, best, low)


def _push(runs: _Runs, best: Filling, last: int) -> np.ndarray:
    """Balance of the multipliers: s where the cap keeps a step below the target, s - 1 where it is passed early.

    With the price U of memory after step `last`, ``s = 1 - rate * U``, and U is proportional to s.
    """
    behind = best.capped & (best.weights < runs.target)
    keep = (1.0 - runs.rate * runs.caps).astype(float)
    caps, rate, price = runs.caps.astype(float), float(runs.rate), 0.0
    for j in np.flatnonzero(behind[last + 1 :])[::-1].tolist():
        j += last + 1
        price += caps[j] * (1.0 + rate * price) / keep[j]
    s = 1.0 / (1.0 + rate * price)
    passed = best.capped & ~behind
    passed[last:] = False
    return np.where(behind, s, np.where(passed, s - 1.0, -np.inf))
