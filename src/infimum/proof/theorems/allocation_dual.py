"""Lagrangian dual of a budget: whatever is chosen, the total error is at least D(lambda), for every lambda >= 0.

A unit is a layer, or several that are narrowed together. It offers alternatives, and in each of them every layer offers
ranks: ``D(lambda) = sum over units of min over alternatives of sum over layers of min_r (error(r) + lambda * cost(r))
- lambda * budget``. One number proves the whole allocation.
Statement and proof: docs/theorems/allocation_dual.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from infimum.errors import VerificationError
from infimum.proof.evidence import array, number, whole

THEOREM = "allocation_dual"
EPS = float(np.finfo(np.float64).eps)
REACH, TRIED, ZOOMS = 6, 65, 4  # multipliers of a split: powers of two, how many at a time, how often closer
LARGEST = 2**53  # up to here a float64 holds every whole number


@dataclass(frozen=True, slots=True)
class Curve:
    """The choices of one layer: costs (numbers stored), and the least error at each or a lower bound on it."""

    costs: np.ndarray
    errors: np.ndarray

    def __post_init__(self) -> None:
        (points,) = array("costs", self.costs, (None,)).shape
        array("errors", self.errors, (points,))
        if points == 0:
            raise VerificationError("a layer must have at least one choice, got none")
        if np.any(self.costs < 0) or np.any(self.costs > LARGEST) or np.any(self.costs != np.floor(self.costs)):
            raise VerificationError(f"costs must be whole numbers from 0 to {LARGEST}, as float64")
        if np.any(self.errors < 0):
            raise VerificationError(f"errors must not be negative, got {float(np.min(self.errors)):g}")


Unit: TypeAlias = tuple[tuple[Curve, ...], ...]  # of each alternative, the curves of the layers


def dual_value(units: Sequence[Unit], budget: int, multiplier: float, *, room: float = 1.0) -> float:
    """Lower bound on the total error of any choice whose costs sum to at most `budget`, less `room` allowances.

    A choice is one alternative of every unit, and one point of each of its curves. The errors may themselves be lower
    bounds. 0 where the dual proves less, since errors are not negative.
    """
    multiplier, budget = number("multiplier", multiplier, least=0.0), whole("budget", budget, least=0, most=LARGEST)
    if not all(units):
        raise VerificationError("each unit must offer at least one alternative")
    terms = [min(sum(least(curve, multiplier) for curve in curves) for curves in unit) for unit in units]
    paid = multiplier * budget
    # a term is a product and a sum of numbers that are not negative, `paid` a product; then one sum for each further
    # layer, and two differences: each rounds by half an eps of the sum of all that enters
    layers = sum(max(map(len, unit)) for unit in units)
    rounding = (layers + 4) * EPS * (sum(terms) + paid)
    value = sum(terms) - paid - room * rounding
    return float(value) if 0.0 < value < math.inf else 0.0


def split_value(units: Sequence[Unit], budget: int, multiplier: float, *, room: float = 1.0) -> float:
    """Lower bound as `dual_value`, with a multiplier of its own for every point of one layer: each choice has one.

    The layer is a unit by itself, the one whose costs differ most; where no unit is a single layer the bound is 0.
    Multipliers are tried around the one that is given, and itself: every one is valid.
    """
    split = largest_layer(units)
    return 0.0 if split is None else float(np.min(point_bounds(units, split, budget, multiplier, room=room)))


def point_bounds(units: Sequence[Unit], split: int, budget: int, multiplier: float, *, room: float = 1.0) -> np.ndarray:
    """Return the lower bound on the total error of every choice with each point of unit `split`, a single layer."""
    multiplier, budget = number("multiplier", multiplier, least=0.0), whole("budget", budget, least=0, most=LARGEST)
    curve, rest = units[split][0][0], [unit for index, unit in enumerate(units) if index != split]
    layers = 1 + sum(max(map(len, unit)) for unit in rest)
    best, relative = np.zeros(curve.costs.size), np.append(0.0, np.exp2(np.linspace(-REACH, REACH, TRIED)))
    for _ in range(ZOOMS):
        with np.errstate(over="ignore", invalid="ignore"):
            tried = multiplier * relative
            others = [
                np.min([np.sum([_cheapest_point(c, tried) for c in curves], axis=0) for curves in unit], axis=0)
                for unit in rest
            ]
            terms = sum(others) + curve.errors[:, None] + curve.costs[:, None] * tried
            paid = tried * budget
            values = terms - paid - room * ((layers + 4) * EPS * (terms + paid))  # as in `dual_value`
        values = np.where(np.isfinite(values), values, 0.0)
        best = np.maximum(best, np.max(values, axis=1))
        around = int(np.argmax(values[int(np.argmin(best))]))  # the weakest point decides: look closer there
        relative = np.linspace(relative[max(around - 1, 0)], relative[min(around + 1, relative.size - 1)], TRIED)
    return best


def lower_bound(units: Sequence[Unit], budget: int, multiplier: float, *, room: float = 1.0) -> float:
    """Lower bound on the total error of every choice within the budget: the better of both."""
    return max(dual_value(units, budget, multiplier, room=room), split_value(units, budget, multiplier, room=room))


def largest_layer(units: Sequence[Unit]) -> int | None:
    """Return which of the units that are a single layer has the costs that differ most, if there is any."""
    single = [index for index, unit in enumerate(units) if len(unit) == len(unit[0]) == 1] if all(units) else []
    return max(single, key=lambda index: float(np.ptp(units[index][0][0].costs)), default=None)


def _cheapest_point(curve: Curve, multipliers: np.ndarray) -> np.ndarray:
    return np.asarray(np.min(curve.errors[:, None] + curve.costs[:, None] * multipliers, axis=0))


def least(curve: Curve, multiplier: float) -> float:
    """Return the smallest error plus price of a layer."""
    with np.errstate(over="ignore"):
        return float(np.min(curve.errors + multiplier * curve.costs))
