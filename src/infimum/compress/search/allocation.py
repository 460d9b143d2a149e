"""One budget for all layers: which layers are narrowed, and which rank each layer gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from infimum.compress.menu.widths import Choice
from infimum.compress.search.core import best_selection
from infimum.errors import BudgetError
from infimum.proof.theorems.allocation_dual import Curve, Unit, largest_layer, point_bounds

CLOSE, POINTS = 1e-3, 8  # to the bound: then no layer is looked at point by point; else at so many, the most promising
LARGE = 0.1  # of what all layers together can cost more or less: a layer that may leave a gap
STEP = 1e-4  # to which the fraction for a target is found: a hundredth of a per cent


class Allocation(NamedTuple):
    """The choice of each unit, and the multiplier whose dual value bounds the total error from below."""

    choices: tuple[Choice, ...]
    multiplier: float


class Frontier(NamedTuple):
    """Lower convex hull of a unit's choices in the plane of cost and error, cheapest first: a row per vertex."""

    costs: np.ndarray
    errors: np.ndarray
    alternatives: np.ndarray
    points: np.ndarray

    def choice(self, vertex: int) -> Choice:
        """Return the choice of a vertex."""
        return Choice(int(self.alternatives[vertex]), tuple(self.points[vertex].tolist()))


def frontier(unit: Unit) -> Frontier:
    """Lower convex hull of all choices of a unit."""
    parts = [_merged(curves) for curves in unit]
    costs, errors, points = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    alternatives = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    order = np.lexsort((errors, costs))
    kept = order[_hull(costs[order], errors[order])]
    return Frontier(costs[kept], errors[kept], alternatives[kept], points[kept])


def allocate(units: Sequence[Unit], frontiers: Sequence[Frontier], budget: float) -> Allocation:
    """Minimise the total error over one choice per unit, with total cost at most `budget`.

    Walks the lower convex hulls in order of error saved per number stored (the exact optimum of the convex relaxation,
    which at most one unit leaves fractional), spends what is left over on what still fits, off the hull too, and then
    looks for the optimum among what can be part of it (`best_selection`). Where one layer is so large that this leaves
    a gap, the same is done for the most promising of its points.

    Raises
    ------
    BudgetError
        Even the smallest choices cost more than `budget`.

    References
    ----------
    .. [1] P. Sinha, A. A. Zoltners, "The multiple-choice knapsack problem", Operations Research 27 (1979).
    """
    best = _allocate(units, frontiers, budget)
    error, split = value(units, best.choices), largest_layer(units)
    if split is None or _span(frontiers[split]) < LARGE * sum(map(_span, frontiers)):
        return best
    bounds = point_bounds(units, split, int(budget), best.multiplier)
    if error <= (1.0 + CLOSE) * float(np.min(bounds)):
        return best
    ((curve,),) = units[split]
    for point in np.argsort(bounds, kind="stable")[:POINTS].tolist():
        if bounds[point] >= error:
            break
        one = ((Curve(curve.costs[[point]], curve.errors[[point]]),),)
        parts, hulls = list(units), list(frontiers)
        parts[split], hulls[split] = one, frontier(one)
        if sum(float(hull.costs[0]) for hull in hulls) > budget:
            continue
        choices = list(_allocate(parts, hulls, budget).choices)
        choices[split] = Choice(0, (point,))
        if (found := value(units, choices)) < error:
            best, error = best._replace(choices=tuple(choices)), found
    return best


def _allocate(units: Sequence[Unit], frontiers: Sequence[Frontier], budget: float) -> Allocation:
    smallest = sum(float(hull.costs[0]) for hull in frontiers)
    if budget < 0:
        raise BudgetError(
            f"{-budget:.0f} numbers more are to be removed than there are in the layers that may be replaced: remove "
            "less; those that stay, as asked or since the text does not reach them, count in what is removed of"
        )
    if smallest > budget:
        raise BudgetError(
            f"{budget:.0f} numbers were allowed for the compressible layers, but their smallest form needs "
            f"{smallest:.0f}; remove less, or take a menu or a format that offers smaller ones"
        )
    unit = np.repeat(np.arange(len(frontiers)), [len(hull.costs) - 1 for hull in frontiers])
    prices = np.concatenate([np.diff(hull.costs) for hull in frontiers])
    slopes = np.concatenate([_slopes(hull) for hull in frontiers])
    order = np.argsort(-slopes, kind="stable")
    spent = np.append(smallest, smallest + np.cumsum(prices[order]))
    fitting = int(np.searchsorted(spent, budget, side="right")) - 1
    steps = np.bincount(unit[order[:fitting]], minlength=len(units))
    multiplier = float(slopes[order[fitting]]) if fitting < len(order) else 0.0
    slack, stopped = budget - float(spent[fitting]), set()
    for edge in order[fitting:].tolist():
        if unit[edge] in stopped:
            continue
        if prices[edge] > slack:
            stopped.add(unit[edge])
            continue
        steps[unit[edge]] += 1
        slack -= float(prices[edge])
    choices = [hull.choice(int(step)) for hull, step in zip(frontiers, steps, strict=True)]
    filled = _fill(units, choices, slack)
    better = best_selection(units, budget, multiplier, value(units, filled))
    return Allocation(filled if better is None else tuple(better), multiplier)


def uniform(units: Sequence[Unit], frontiers: Sequence[Frontier], budget: float) -> tuple[Choice, ...]:
    """Give every unit that has a choice the same fraction of its largest cost: the usual method, for comparison."""
    largest = np.array([hull.costs[-1] for hull in frontiers])
    fixed = np.array([len(hull.costs) == 1 for hull in frontiers])
    fraction = (budget - float(largest[fixed].sum())) / max(float(largest[~fixed].sum()), 1.0)
    try:
        each = zip(units, frontiers, np.where(fixed, largest, fraction * largest).tolist(), strict=True)
        return tuple(_allocate([unit], [hull], share).choices[0] for unit, hull, share in each)
    except BudgetError as error:
        raise BudgetError(
            f"a fraction of {fraction:.3f} is less than the smallest form of a layer; remove less"
        ) from error


def value(units: Sequence[Unit], choices: Iterable[Choice]) -> float:
    """Total error of a choice per unit."""
    return sum(_errors(unit[choice.alternative], choice.points) for unit, choice in zip(units, choices, strict=True))


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


def _errors(curves: Sequence[Curve], points: Sequence[int]) -> float:
    return sum(float(curve.errors[k]) for curve, k in zip(curves, points, strict=True))


def _merged(curves: Sequence[Curve]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower convex hull of the sums of one point of each curve: costs, errors and points, a row per vertex."""
    hulls = [np.array(_hull(curve.costs, curve.errors)) for curve in curves]
    layers = np.repeat(np.arange(len(curves)), [len(hull) - 1 for hull in hulls])
    ends = np.concatenate([hull[1:] for hull in hulls])
    price = np.concatenate([np.diff(curve.costs[hull]) for curve, hull in zip(curves, hulls, strict=True)])
    saved = np.concatenate([-np.diff(curve.errors[hull]) for curve, hull in zip(curves, hulls, strict=True)])
    order = np.argsort(-saved / price, kind="stable")  # edge by edge, steepest first
    points = np.empty((len(order) + 1, len(curves)), dtype=np.int64)
    for layer, hull in enumerate(hulls):
        moves = np.where(layers[order] == layer, ends[order], hull[0])
        points[:, layer] = np.maximum.accumulate(np.append(hull[0], moves))
    costs = sum(curve.costs[points[:, layer]] for layer, curve in enumerate(curves))
    errors = sum(curve.errors[points[:, layer]] for layer, curve in enumerate(curves))
    return np.asarray(costs), np.asarray(errors), points


def _span(hull: Frontier) -> float:
    return float(hull.costs[-1] - hull.costs[0])


def _slopes(hull: Frontier) -> np.ndarray:
    """Error saved per number stored along a hull; rounding must not change the order of its edges."""
    return np.minimum.accumulate(-np.diff(hull.errors) / np.diff(hull.costs))


def _hull(costs: np.ndarray, errors: np.ndarray) -> list[int]:
    """Return the indices of the lower convex hull of points in order of cost, from the cheapest to the least error."""
    improves = errors < np.append(np.inf, np.minimum.accumulate(errors)[:-1])
    hull: list[int] = []
    points = list(zip(costs.tolist(), errors.tolist(), strict=True))
    for k in np.flatnonzero(improves).tolist():
        while len(hull) > 1 and _slope(points[hull[-2]], points[hull[-1]]) <= _slope(points[hull[-2]], points[k]):
            hull.pop()
        hull.append(k)
    return hull


def _slope(start: tuple[float, float], end: tuple[float, float]) -> float:
    """Error saved per number stored."""
    return (start[1] - end[1]) / (end[0] - start[0])


def _fill(units: Sequence[Unit], choices: Sequence[Choice], slack: float) -> tuple[Choice, ...]:
    """Spend the left-over budget: again and again the affordable change of one layer that saves the most error."""
    points = [list(choice.points) for choice in choices]
    layers = [
        (unit, layer, curve)
        for unit, choice in enumerate(choices)
        for layer, curve in enumerate(units[unit][choice.alternative])
    ]
    while True:
        best, saved = None, 0.0
        for unit, layer, curve in layers:
            now = points[unit][layer]
            affordable = np.flatnonzero(curve.costs <= curve.costs[now] + slack)
            point = int(affordable[np.argmin(curve.errors[affordable])])
            if curve.errors[now] - curve.errors[point] > saved:
                best, saved = (unit, layer, curve, point), float(curve.errors[now] - curve.errors[point])
        if best is None:
            return tuple(Choice(choice.alternative, tuple(p)) for choice, p in zip(choices, points, strict=True))
        unit, layer, curve, point = best
        slack -= float(curve.costs[point] - curve.costs[points[unit][layer]])
        points[unit][layer] = point
