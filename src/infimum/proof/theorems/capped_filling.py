"""Capped filling: under learning-rate caps, how even the memory can be for a given share of the initialisation.

Scaled so that no weight exceeds the target p and the initialisation has weight t, the weights ``y_j = min(p_j,
c_j D_{j-1})``, D_j being the memory filled so far, are the largest possible, all at once. Hence a schedule whose
initialisation has a smaller share than the filling at t has a larger ratio ``max(w/p) / min(w/p)`` than that filling.
Statement and proof: docs/theorems/capped_filling.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar, NamedTuple, Protocol

import numpy as np

from infimum.proof.evidence import number, within
from infimum.proof.theorems.unrolling import SPACING, WIDE

THEOREM = "capped_filling"
CHUNK = 32  # steps tried at once, four times as many after each success


class DecayLaw(Protocol):
    """How the decay of a step follows from its learning rate, and with it the growth of the filled memory D.

    Every operation on D rounds to a relative `spacing`.
    """

    spacing: ClassVar[float]

    def decay(self, lr: np.ndarray) -> np.ndarray:
        """Fraction lost at a step of that learning rate, for the steps from the first on."""
        ...

    def free(self, filled: np.longdouble, weights: np.ndarray, start: int) -> np.ndarray:
        """D after each of the steps `start`, ..., which receive these weights, from D before them."""
        ...


@dataclass(frozen=True)
class FixedDecay:
    """Weight decay given for every step: ``D_j = D_{j-1} + rates_j y_j``."""

    rates: np.ndarray
    spacing: ClassVar[float] = SPACING

    def decay(self, lr: np.ndarray) -> np.ndarray:
        """Return the fraction lost at each step."""
        return np.asarray(self.rates * lr)

    def free(self, filled: np.longdouble, weights: np.ndarray, start: int) -> np.ndarray:
        """Return D after each step."""
        return np.asarray(filled + np.cumsum(self.rates[start : start + weights.size] * weights))


@dataclass(frozen=True)
class ProportionalDecay:
    """Weight decay ``rate * lr``: ``D_j - rate * y_j**2 / D_j = D_{j-1}``."""

    rate: float
    spacing: ClassVar[float] = float(np.finfo(float).eps)  # the recursion runs in Python's floats

    def decay(self, lr: np.ndarray) -> np.ndarray:
        """Return the fraction lost at each step."""
        return self.rate * np.asarray(lr, dtype=WIDE) ** 2

    def free(self, filled: np.longdouble, weights: np.ndarray, start: int) -> np.ndarray:
        """Return D after each step."""
        gains = (2.0 * np.sqrt(WIDE(self.rate)) * weights).astype(float).tolist()
        # hypot, as the square of a very large or small D does not fit
        steps = accumulate(gains, lambda D, gain: (D + math.hypot(D, gain)) / 2.0, initial=float(filled))
        return np.fromiter(steps, dtype=float, count=weights.size + 1)[1:].astype(WIDE)


@dataclass(frozen=True)
class NormKeepingDecay:
    """Decay that keeps a length under orthogonal unit updates: ``D_j**2 = D_{j-1}**2 + (y_j / radius)**2``."""

    radius: float
    spacing: ClassVar[float] = SPACING

    def decay(self, lr: np.ndarray) -> np.ndarray:
        """Return the fraction lost at each step."""
        square = (np.asarray(lr, dtype=WIDE) / self.radius) ** 2
        return np.asarray(square / (1.0 + np.sqrt(1.0 - square)))

    def free(self, filled: np.longdouble, weights: np.ndarray, start: int) -> np.ndarray:
        """Return D after each step."""
        return np.asarray(np.sqrt(filled * filled + np.cumsum((weights / self.radius) ** 2)))


class Filling(NamedTuple):
    """The largest weights y <= p under the caps, the memory D_0..D_T filled, and which steps are at their cap."""

    weights: np.ndarray
    filled: np.ndarray
    capped: np.ndarray

    @property
    def share(self) -> np.longdouble:
        """Share of the initialisation."""
        return WIDE(self.filled[0] / self.filled[-1])


def fill(target: np.ndarray, caps: np.ndarray, law: DecayLaw, initial: np.longdouble) -> Filling:
    """Fill the memory step by step: the target where the cap allows it, else the cap."""
    keep = 1.0 - law.decay(caps)
    reach = caps / keep
    filled = np.empty(target.size + 1, dtype=WIDE)
    filled[0] = initial
    capped = np.zeros(target.size, dtype=bool)
    step, length, free = 0, CHUNK, True
    with np.errstate(over="ignore"):  # a run at the caps may be tried far beyond its end
        while step < target.size:
            part = slice(step, min(step + length, target.size))
            run = law.free(filled[step], target[part], step) if free else filled[step] * np.cumprod(1.0 / keep[part])
            before = np.concatenate([filled[step : step + 1], run[:-1]])
            good = (reach[part] * before >= target[part]) == free
            count = good.size if good.all() else int(np.argmin(good))
            filled[step + 1 : step + 1 + count] = run[:count]
            capped[step : step + count] = not free
            step += count
            if count == good.size:
                length *= 4
            else:
                length, free = CHUNK, not free
    return Filling(np.where(capped, reach * filled[:-1], target), filled, capped)


def ratio_bound(
    target: np.ndarray,
    caps: np.ndarray,
    law: DecayLaw,
    share: float,
    *,
    initial: float,
    slack: float,
    room: float = 1.0,
) -> float:
    """Lower bound on ``max(w/p) / min(w/p)`` over all schedules within the caps whose initial share is at most `share`.

    Any `initial` weight serves as a witness: it proves something when its filling has a larger share than `share`.
    Decays that differ from the law by a factor of up to ``1 + slack`` are included. `room` allowances are left.
    """
    ask(target, caps, law)
    share, initial = number("initial_share", share, above=0.0, most=1.0), number("initial", initial, above=0.0)
    error = relative_error(law, caps, number("slack", slack, least=0.0), room=room)
    filling = fill(target, caps, law, WIDE(initial))
    if not filling.share * (1.0 - error) > share:
        return 1.0
    highest = float((target / filling.weights).max() * (1.0 - error))
    return max(1.0, math.nextafter(highest, 0.0))


def ask(target: np.ndarray, caps: np.ndarray, law: DecayLaw) -> None:
    """Refuse a target or caps that are not positive, and a law that is not from 0 to below 1 at the caps."""
    steps = within("max_lr", caps, (None,), above=0.0).shape[0]
    within("target", target, (steps,), above=0.0)
    within("max_lr * weight_decay", law.decay(caps), (steps,), least=0.0, below=1.0)


def relative_error(law: DecayLaw, caps: np.ndarray, slack: float = 0.0, *, room: float = 1.0) -> float:
    """Bound on the relative error of a filling: decays off by a factor ``1 + slack``, and `room` times the rounding."""
    decay = law.decay(caps)
    keep = 1.0 - (1.0 + slack) * decay
    if not keep.min() > 0.0:
        return math.inf
    growth = float(np.sum(decay / keep))
    error = room * (law.spacing * (8.0 * decay.size + 8.0) + 2.0 * SPACING * growth) + slack * growth
    return error / (1.0 - error) if error < 1.0 else math.inf  # errors of many factors multiply
