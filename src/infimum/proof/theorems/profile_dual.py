"""Profile dual: a lower bound on the total variation between a memory profile and its target, by linear duality.

For every u >= 0, a schedule within the caps whose initial share is at most rho has
``TV >= m + sum_j q_j min(g_j - m, 1)``, where ``g_j = u_j - rates_j (sum_{i>=j} caps_i u_i + rho v)``,
``v = sum_i caps_i u_i / (1 - rho)``, ``m = min_j g_j`` and q is the target scaled to sum 1.

For the profile of the *gradients* under momentum, and every f from 0 to 1, ``TV >= sum_j q_j f_j + min_j (g_j - a_j)``,
where a_j is the average of f over the gradients in update j. Without momentum ``f = min(g - m, 1)`` is the line above.
Statement and proof: docs/theorems/profile_dual.md.
"""

from __future__ import annotations

import math

import numpy as np

from infimum._arrays import to_numpy
from infimum.errors import VerificationError
from infimum.proof.evidence import array, number, within
from infimum.proof.momentum import averaged, rounding
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
    prices = _prices(target, caps, rates, share, multipliers)
    if prices is None:
        return 0.0
    q, g, allowance = prices
    lowest = g.min()
    return _claimed(lowest + np.sum(q * np.minimum(g - lowest, 1.0)), room * (allowance + _unit(q) * abs(lowest)))


def gradients_bound(
    target: np.ndarray,
    caps: np.ndarray,
    rates: np.ndarray,
    share: float,
    multipliers: np.ndarray,
    missed: np.ndarray,
    beta: float,
    *,
    room: float = 1.0,
) -> float:
    """As `lower_bound`, for the memory of the gradients under momentum `beta`; `missed` are any numbers from 0 to 1.

    At its best `missed` is 1 where a gradient is remembered less than wanted, and 0 where more.
    """
    prices = _prices(target, caps, rates, share, multipliers)
    part = np.asarray(to_numpy(array("missed", missed, (target.size,))))
    within("missed", part, (target.size,), least=0.0, below=math.nextafter(1.0, 2.0))
    beta = number("beta1", beta, least=0.0, below=1.0)
    if prices is None:
        return 0.0
    q, g, allowance = prices
    lowest = (g - averaged(np.asarray(part, dtype=float), beta)).min()
    allowance += _unit(q) * abs(lowest) + 2.0 * rounding(beta, q.size)
    return _claimed(lowest + np.sum(q * part), room * allowance)


def _prices(
    target: np.ndarray, caps: np.ndarray, rates: np.ndarray, share: float, multipliers: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float] | None:
    """Return q, g, and how far a bound of them may be off but for their least entry; None: the bound is 0."""
    ask(target, caps, FixedDecay(rates))
    share = number("initial_share", share, above=0.0, most=1.0)
    multipliers = np.asarray(to_numpy(array("multipliers", multipliers, (None,))))
    if multipliers.size > caps.size or not np.all(multipliers >= 0.0):
        raise VerificationError(f"multipliers must be at least 0, and at most {caps.size}")
    if share >= 1.0 or not multipliers.size:
        return None
    u = np.zeros(caps.size, dtype=WIDE)
    u[: multipliers.size] = multipliers
    later = np.cumsum((caps * u)[::-1])[::-1]  # sum over i >= j
    v = later[0] * (1.0 + _unit(caps) / 4.0) / (1.0 - WIDE(share))  # upwards, so that the initialisation gains nothing
    pull = rates * (later + share * v)
    # the bound changes by at most the largest change of g; the two sums round as well
    allowance = _unit(caps) * (float(u.max()) + float(pull.max()) + 2.0)
    return target / target.sum(), u - pull, allowance


def _unit(vector: np.ndarray) -> float:
    return float(4.0 * (vector.size + 8.0) * SPACING)


def _claimed(bound: np.longdouble, allowance: float) -> float:
    return max(0.0, math.nextafter(float(bound) - allowance, -math.inf))
