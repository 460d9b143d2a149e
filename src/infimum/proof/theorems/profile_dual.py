"""Profile dual: a lower bound on the total variation between a memory profile and its target, by linear duality.

For every u >= 0, a schedule within the caps whose initial share is at most rho has
``TV >= m + sum_j q_j min(g_j - m, 1)``, where ``g_j = u_j - rates_j (sum_{i>=j} caps_i u_i + rho v)``,
``v = sum_i caps_i u_i / (1 - rho)``, ``m = min_j g_j`` and q is the target scaled to sum 1.
Statement and proof: docs/theorems/profile_dual.md.
"""

from __future__ import annotations

import math

import numpy as np

from infimum._arrays import to_numpy
from infimum.errors import VerificationError
from infimum.proof.evidence import array, number
from infimum.proof.theorems.capped_filling import FixedDecay, ask
from infimum.proof.theorems.unrolling import SPACING, WIDE

THEOREM = "profile_dual"


def lower_bound(
    target: np.ndarray,
    caps: np.ndarray,
    rates: np.ndarray,
    share: float,
    multipliers: np.ndarray,
    *,
    room: float = 1.0,
) -> float:
    """Lower bound on the total variation distance over all schedules, less `room` allowances, rounded down; at least 0.

    `multipliers` (at most as many as there are steps; the rest are 0) may be any nonnegative numbers: a poor choice
    only weakens the bound.
    """
    ask(target, caps, FixedDecay(rates))
    share = number("initial_share", share, above=0.0, most=1.0)
    multipliers = np.asarray(to_numpy(array("multipliers", multipliers, (None,))))
    if multipliers.size > caps.size or not np.all(multipliers >= 0.0):
        raise VerificationError(f"multipliers must be at least 0, and at most {caps.size}")
    if share >= 1.0 or not multipliers.size:
        return 0.0
    u = np.zeros(caps.size, dtype=WIDE)
    u[: multipliers.size] = multipliers
    later = np.cumsum((caps * u)[::-1])[::-1]  # sum over i >= j
    rounding = (caps.size + 8.0) * SPACING
    v = later[0] * (1.0 + rounding) / (1.0 - WIDE(share))  # rounded upwards, so that the initialisation gains nothing
    pull = rates * (later + share * v)
    g = u - pull
    q = target / target.sum()
    lowest = g.min()
    bound = lowest + np.sum(q * np.minimum(g - lowest, 1.0))
    # the bound changes by at most the largest change of g; the two sums round as well
    allowance = 4.0 * rounding * (float(u.max()) + float(pull.max()) + abs(float(lowest)) + 2.0)
    return max(0.0, math.nextafter(float(bound) - room * allowance, -math.inf))
