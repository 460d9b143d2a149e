"""One budget for all layers: which rank each layer gets."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from infimum.bounds.allocation_dual import Curve
from infimum.errors import BudgetError

STEP = 1e-4  # to which the fraction for a target is found: a hundredth of a per cent


class Allocation(NamedTuple):
    """The chosen point of each curve, and the multiplier whose dual value bounds the total error from below."""

    choices: tuple[int, ...]
    multiplier: float


class _Edge(NamedTuple):
    slope: float  # error saved per number stored
    layer: int
    start: int
    end: int


def allocate(curves: Sequence[Curve], budget: float) -> Allocation:
    """Minimise the total error over one point per curve, with total cost at most `budget`.

    Walks the lower convex hulls in order of error saved per number stored (the exact optimum of the convex relaxation,
    which at most one layer leaves fractional), then spends what is left over on points off the hull.

    Raises
    ------
    BudgetError
        Even the smallest choices cost more than `budget`.

    References
    ----------
    .. [1] P. Sinha, A. A. Zoltners, "The multiple-choice knapsack problem", Operations Research 27 (1979).
    """
    choices = [int(np.argmin(curve.costs)) for curve in curves]
    spent = _spent(curves, choices)
    if spent > budget:
        raise BudgetError(
            f"{budget:.0f} numbers were allowed for the compressible layers, but their smallest form needs "
            f"{spent:.0f}; remove less"
        )
    multiplier = 0.0
    for edge in sorted((edge for index, curve in enumerate(curves) for edge in _hull(index, curve)), reverse=True):
        price = float(curves[edge.layer].costs[edge.end] - curves[edge.layer].costs[edge.start])
        if spent + price > budget:
            multiplier = edge.slope
            break
        choices[edge.layer], spent = edge.end, spent + price
    return Allocation(tuple(_fill(curves, choices, budget)), multiplier)


def uniform(curves: Sequence[Curve], budget: float) -> tuple[int, ...]:
    """Give every layer the same fraction of its largest cost: the usual method, for comparison."""
    fraction = budget / sum(float(np.max(curve.costs)) for curve in curves)
    choices = []
    for curve in curves:
        affordable = np.flatnonzero(curve.costs <= fraction * np.max(curve.costs))
        if affordable.size == 0:
            raise BudgetError(f"a fraction of {fraction:.3f} is less than the smallest form of a layer; remove less")
        choices.append(int(affordable[np.argmin(curve.errors[affordable])]))
    return tuple(choices)


def knee(points: Sequence[tuple[float, float, float]]) -> float:
    """Return the fraction removed beyond which one per cent more costs more than the average over these points.

    `points` are those of `Plan.curve`. Where the curve lies farthest below its chord, it has the chord's slope.
    """
    (start, low, _), (end, high, _) = points[0], points[-1]
    slope = (high - low) / (end - start)
    return max(points, key=lambda point: low + slope * (point[0] - start) - point[1])[0]


def last(holds: Callable[[float], bool], end: float) -> float:
    """Find, to `STEP`, the last number in [0, end) at which a property holds that is lost once."""
    low = 0.0
    while end - low > STEP:
        middle = (low + end) / 2
        low, end = (middle, end) if holds(middle) else (low, middle)
    return low


def _spent(curves: Sequence[Curve], choices: Sequence[int]) -> float:
    return float(sum(curve.costs[choice] for curve, choice in zip(curves, choices, strict=True)))


def _hull(layer: int, curve: Curve) -> list[_Edge]:
    """Edges of the lower convex hull of one curve, steepest first."""
    hull: list[int] = []
    for point in np.argsort(curve.costs, kind="stable"):
        while len(hull) > 1 and _slope(curve, hull[-2], hull[-1]) <= _slope(curve, hull[-2], int(point)):
            hull.pop()
        hull.append(int(point))
    edges = (_Edge(_slope(curve, a, b), layer, a, b) for a, b in itertools.pairwise(hull))
    return [edge for edge in edges if edge.slope > 0.0]


def _slope(curve: Curve, start: int, end: int) -> float:
    return float((curve.errors[start] - curve.errors[end]) / (curve.costs[end] - curve.costs[start]))


def _fill(curves: Sequence[Curve], choices: list[int], budget: float) -> list[int]:
    """Spend the left-over budget: again and again the affordable change that saves the most error."""
    slack = budget - _spent(curves, choices)
    while True:
        best, saved = None, 0.0
        for layer, (curve, choice) in enumerate(zip(curves, choices, strict=True)):
            affordable = np.flatnonzero(curve.costs <= curve.costs[choice] + slack)
            point = int(affordable[np.argmin(curve.errors[affordable])])
            if curve.errors[choice] - curve.errors[point] > saved:
                best, saved = (layer, point), float(curve.errors[choice] - curve.errors[point])
        if best is None:
            return choices
        layer, point = best
        slack -= float(curves[layer].costs[point] - curves[layer].costs[choices[layer]])
        choices[layer] = point
