"""Lagrangian dual of a budget: whatever ranks are chosen, the total error is at least D(lambda), for every lambda >= 0.

``D(lambda) = sum_l min_r (error_l(r) + lambda * cost_l(r)) - lambda * budget``. One number proves the whole allocation.
Statement and proof: docs/theorems/allocation_dual.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Curve(NamedTuple):
    """The choices of one layer: costs (numbers stored, increasing) and the least error at each."""

    costs: np.ndarray
    errors: np.ndarray


def dual_value(curves: Sequence[Curve], budget: float, multiplier: float) -> float:
    """Lower bound on the total error of any choice of one point per curve whose costs sum to at most `budget`.

    Rounded downwards; the errors may themselves be lower bounds. 0 where the dual proves less, since errors are not
    negative.
    """
    terms = [float(np.min(curve.errors + multiplier * curve.costs)) for curve in curves]
    paid = multiplier * budget
    rounding = 4.0 * (len(terms) + 4) * float(np.finfo(float).eps) * (sum(map(abs, terms)) + abs(paid))
    return max(sum(terms) - paid - rounding, 0.0)
