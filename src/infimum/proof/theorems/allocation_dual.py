"""Lagrangian dual of a budget: whatever is chosen, the total error is at least D(lambda), for every lambda >= 0.

A unit is a layer, or several that are narrowed together. It offers alternatives, and in each of them every layer offers
ranks: ``D(lambda) = sum over units of min over alternatives of sum over layers of min_r (error(r) + lambda * cost(r))
- lambda * budget``. One number proves the whole allocation.
Statement and proof: docs/theorems/allocation_dual.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np


class Curve(NamedTuple):
    """The choices of one layer: costs (numbers stored, increasing) and the least error at each."""

    costs: np.ndarray
    errors: np.ndarray


Unit: TypeAlias = tuple[tuple[Curve, ...], ...]  # of each alternative, the curves of the layers


def dual_value(units: Sequence[Unit], budget: float, multiplier: float) -> float:
    """Lower bound on the total error of any choice whose costs sum to at most `budget`.

    A choice is one alternative of every unit, and one point of each of its curves. Rounded downwards; the errors may
    themselves be lower bounds. 0 where the dual proves less, since errors are not negative.
    """
    terms = [min(sum(_least(curve, multiplier) for curve in curves) for curves in unit) for unit in units]
    paid = multiplier * budget
    layers = sum(len(unit[0]) for unit in units)
    rounding = 4.0 * (layers + 4) * float(np.finfo(float).eps) * (sum(map(abs, terms)) + abs(paid))
    return max(sum(terms) - paid - rounding, 0.0)


def _least(curve: Curve, multiplier: float) -> float:
    """Smallest error plus price of a layer."""
    return float(np.min(curve.errors + multiplier * curve.costs))
