"""Where to start filling: the weight of the initialisation that an exact profile, or a wanted share, asks for."""

from __future__ import annotations

import math

import numpy as np
import scipy.optimize

from infimum.errors import InfeasibleError
from infimum.memory.search.backwards import before, enough
from infimum.proof.rounding import ROOM
from infimum.proof.schedule_limits import Limits
from infimum.proof.theorems.capped_filling import Filling, fill, relative_error
from infimum.proof.theorems.unrolling import WIDE

SAFETY = 1e-12  # a wanted share is undercut by this much, so that rounding does not exceed it


def exact_after(limits: Limits, first: int) -> Filling:
    """Fill with the least initial weight for which the target is met exactly from step `first` (0-based) on."""
    target, caps, law, _ = limits
    keep = 1.0 - law.decay(caps)
    needed = target * keep / caps
    filling = fill(target, caps, law, _at_start(limits, keep, needed[first], first))
    if filling.capped[first + 1 :].any():  # the cap of a later step asks for more
        filled = enough(law, needed[first:], target[first:], first)
        filling = fill(target, caps, law, _at_start(limits, keep, filled, first))
    return filling


def _at_start(limits: Limits, keep: np.ndarray, filled: np.longdouble, first: int) -> np.longdouble:
    """Weight of the initialisation that fills so much before step `first`."""
    for step in range(first - 1, -1, -1):  # invert D -> D + gain, where the gain is the target's or the cap's
        filled = max(before(limits.law, filled, limits.target[step], step), filled * keep[step])
    return filled


def with_share(limits: Limits, share: float) -> Filling:
    """Fill so that the initialisation keeps this share, or less where the exact profile needs less."""
    target, caps, law, _ = limits
    exact = exact_after(limits, 0)
    if exact.share <= share:
        return exact
    wanted = share * (1.0 - SAFETY)
    everything = float(np.prod(1.0 - law.decay(caps)))
    if everything > share:
        raise InfeasibleError(
            f"max_initial_share={share:g} cannot be reached: even the largest learning rate at every step leaves "
            f"{everything:.6g} to the initialisation (binding: max_lr). Its profile is the nearest feasible one: "
            f"max_initial_share={min(everything * (1.0 + 1e-5), 1.0):.6g}; or take more steps, a larger "
            "max_lr, more weight decay or a shorter warm-up"
        )

    def excess(log_initial: float) -> float:
        return math.log(float(fill(target, caps, law, WIDE(math.exp(log_initial))).share) / wanted)

    high = math.log(float(exact.filled[0]))
    low = high
    while excess(low) > 0.0:
        low -= 2.0
        if np.array_equal(fill(target, caps, law, WIDE(math.exp(low))).capped, target > 0.0):
            break  # every step at its cap: no less is possible for this target
    if excess(low) >= 0.0:  # the share lies within SAFETY of the least one: caps everywhere
        least = fill(target, caps, law, WIDE(math.exp(low)))
        some = target > 0.0
        return fill(target, caps, law, least.filled[0] / (least.weights[some] / target[some]).max())
    root = scipy.optimize.brentq(excess, low, high, xtol=1e-14, rtol=1e-14)
    return fill(target, caps, law, WIDE(math.exp(root)))


def above(limits: Limits, filling: Filling, share: float) -> float:
    """Return an initial weight, hardly more than the filling's, whose filling has provably more than this share.

    Where nearly every step is at its cap the share hardly depends on the initial weight, so the step is searched.
    """
    target, caps, law, slack = limits
    error = relative_error(law, caps, slack, room=ROOM)
    step = max(error, 1e-16)
    while step < 1.0:
        initial = float(filling.filled[0]) * (1.0 + step)
        if fill(target, caps, law, WIDE(initial)).share * (1.0 - error) > share:
            return initial
        step *= 8.0
    return float(filling.filled[0])
