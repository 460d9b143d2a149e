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


def least(curve: Curve, multiplier: float) -> float:
    """Return the smallest error plus price of a layer."""
    with np.errstate(over="ignore"):
        return float(np.min(curve.errors + multiplier * curve.costs))
