"""The least total error within a budget, exactly: only choices whose reduced cost is below the gap can be part of it.

With the multiplier that proves the dual bound, the reduced cost of a choice is its error plus price less the least such
sum of its unit. The total error of any selection is the bound, plus its reduced costs, plus the price of what it leaves
of the budget. So a selection that is better than a known one has reduced costs below the known one's gap, all together:
few choices are left, the core, and dynamic programming over them is fast.

D. Pisinger, "A minimal algorithm for the multiple-choice knapsack problem", European Journal of Operational Research 83
(1995).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from infimum.compress.menu.widths import Choice
from infimum.proof.theorems.allocation_dual import Curve, Unit, least

MOST = 4_000  # states that are kept, those of the least reduced costs: with more the answer may not be the optimum


class _Points(NamedTuple):
    """Choices of some layers: their costs, reduced costs and points, a row each."""

    costs: np.ndarray
    reduced: np.ndarray
    points: np.ndarray


def best_selection(units: Sequence[Unit], budget: float, multiplier: float, known: float) -> list[Choice] | None:
    """Return a selection with a total error below `known`, the least that there is; None if there is none."""
    lows = [min(sum(least(curve, multiplier) for curve in curves) for curves in unit) for unit in units]
    gap = known - (sum(lows) - multiplier * budget)
    cost, reduced = np.zeros(1), np.zeros(1)
    steps: list[tuple[list[Choice], np.ndarray, np.ndarray]] = []
    for unit, lowest in zip(units, lows, strict=True):
        prices, more, choices = _options(unit, multiplier, lowest, gap)
        total = reduced[:, None] + more
        state, option = np.nonzero(total < gap)
        costs, total = cost[state] + prices[option], total[state, option]
        kept = _undominated(costs, total - multiplier * costs)
        if len(kept) > MOST:
            kept = np.sort(kept[np.argsort(total[kept], kind="stable")[:MOST]])
        cost, reduced = costs[kept], total[kept]
        steps.append((choices, state[kept], option[kept]))
    lost = np.where(cost <= budget, reduced + multiplier * (budget - cost), np.inf)
    if lost.size == 0 or float(lost.min()) >= gap * (1.0 - 1e-9):
        return None
    place, selected = int(np.argmin(lost)), []
    for choices, state, option in reversed(steps):
        selected.append(choices[int(option[place])])
        place = int(state[place])
    return selected[::-1]


def _options(unit: Unit, multiplier: float, lowest: float, gap: float) -> tuple[np.ndarray, np.ndarray, list[Choice]]:
    """Return costs, reduced costs and choices of a unit, as far as the reduced cost is below the gap."""
    parts: list[_Points] = []
    choices: list[Choice] = []
    for alternative, curves in enumerate(unit):
        rest = sum(least(curve, multiplier) for curve in curves) - lowest
        found = _Points(np.zeros(1), np.full(1, rest), np.zeros((1, 0), dtype=np.int64))
        for curve in curves:
            found = _joined(found, curve, multiplier, gap)
        parts.append(found)
        choices += [Choice(alternative, tuple(points)) for points in found.points.tolist()]
    return np.concatenate([part.costs for part in parts]), np.concatenate([part.reduced for part in parts]), choices


def _joined(found: _Points, curve: Curve, multiplier: float, gap: float) -> _Points:
    """Add a point of one more layer to each choice."""
    above = curve.errors + multiplier * curve.costs - least(curve, multiplier)
    total = found.reduced[:, None] + above
    choice, point = np.nonzero(total < gap)
    costs, reduced = found.costs[choice] + curve.costs[point], total[choice, point]
    kept = _undominated(costs, reduced - multiplier * costs)
    points = np.column_stack([found.points[choice], point])
    return _Points(costs[kept], reduced[kept], points[kept])


def _undominated(costs: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Return which pairs are better than all that are as cheap, cheapest first; errors up to a constant."""
    order = np.lexsort((errors, costs))
    before = np.minimum.accumulate(np.append(np.inf, errors[order]))[:-1]
    return np.asarray(order[errors[order] < before])
