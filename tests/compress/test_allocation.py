"""The shared budget against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from infimum.errors import BudgetError
from infimum.proof.theorems.allocation_dual import Curve, Unit, dual_value, lower_bound

pytest.importorskip("torch")

from infimum.compress.menu.widths import Choice
from infimum.compress.search import core
from infimum.compress.search.allocation import Allocation, allocate, frontier, uniform, value


def random_curve(rng: np.random.Generator, least: float = 0.0) -> Curve:
    points = int(rng.integers(1, 7))
    costs = np.cumsum(rng.integers(1, 9, points)).astype(float)
    errors = np.sort(rng.exponential(size=points) * 10.0 ** rng.integers(-8, 3))[::-1].copy()
    errors[-1] = 0.0
    if rng.random() < 0.3:
        errors = np.round(errors, 1)  # ties and flat pieces
    return Curve(costs, errors + least)


def random_units(rng: np.random.Generator) -> list[Unit]:
    """Return units of one layer, and units of two or three layers with several alternatives."""
    units: list[Unit] = []
    for _ in range(rng.integers(1, 5)):
        layers = int(rng.choice([1, 1, 2]))
        alternatives = 1 if layers == 1 else int(rng.integers(1, 4))
        losses = np.append(0.0, rng.exponential(size=alternatives - 1))
        units.append(tuple(tuple(random_curve(rng, loss) for _ in range(layers)) for loss in losses))
    return units


def choices_of(unit: Unit) -> list[Choice]:
    return [
        Choice(index, points)
        for index, curves in enumerate(unit)
        for points in itertools.product(*(range(len(curve.costs)) for curve in curves))
    ]


def cost(units: list[Unit], choices: tuple[Choice, ...]) -> float:
    curves = [curve for unit, choice in zip(units, choices, strict=True) for curve in unit[choice.alternative]]
    points = [point for choice in choices for point in choice.points]
    return sum(float(curve.costs[k]) for curve, k in zip(curves, points, strict=True))


def best(units: list[Unit], budget: float) -> float:
    """Return the least total error, one unit after the other: the least error at every cost."""
    table = {0.0: 0.0}
    for unit in units:
        points = [(cost([unit], (choice,)), value([unit], [choice])) for choice in choices_of(unit)]
        merged: dict[float, float] = {}
        for (spent, error), (price, more) in itertools.product(table.items(), points):
            if spent + price <= budget:
                merged[spent + price] = min(error + more, merged.get(spent + price, np.inf))
        table = merged
    return min(table.values())


def solve(units: list[Unit], budget: float) -> Allocation:
    return allocate(units, [frontier(unit) for unit in units], budget)


def limits(units: list[Unit]) -> tuple[float, float]:
    """Return the smallest cost, and that of choices without error."""
    prices = [[(cost([unit], (c,)), value([unit], [c])) for c in choices_of(unit)] for unit in units]
    return sum(min(p)[0] for p in prices), sum(min(price for price, error in p if error == 0.0) for p in prices)


def test_dual_optimum_and_value_are_ordered() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        units = random_units(rng)
        smallest, largest = limits(units)
        budget = int(rng.integers(int(smallest), int(largest) + 1))
        chosen = solve(units, budget)
        optimum = best(units, budget)
        assert cost(units, chosen.choices) <= budget
        assert optimum <= value(units, chosen.choices) * (1 + 1e-15)
        assert value(units, chosen.choices) <= optimum * (1 + 1e-9)  # so small, the core holds the optimum
        for multiplier in (chosen.multiplier, 0.0, *rng.exponential(size=5) * chosen.multiplier, 1e9):
            assert lower_bound(units, budget, multiplier) <= optimum
        # no other multiplier proves more: the dual of the convex relaxation is solved exactly
        top = dual_value(units, budget, chosen.multiplier)
        for factor in (0.5, 0.9, 0.999, 1.001, 1.1, 2.0):
            assert dual_value(units, budget, chosen.multiplier * factor) <= top * (1 + 1e-12) + 1e-300


def test_a_frontier_is_the_hull_of_all_choices() -> None:
    rng = np.random.default_rng(3)
    for _ in range(100):
        (unit, *_) = random_units(rng)
        hull = frontier(unit)
        for vertex, (price, error) in enumerate(zip(hull.costs, hull.errors, strict=True)):
            assert price == cost([unit], (hull.choice(vertex),))
            assert error == pytest.approx(value([unit], [hull.choice(vertex)]), abs=1e-15)
        for multiplier in (*rng.exponential(size=4), 1e-9, 1e9):
            least = min(cost([unit], (c,)) * multiplier + value([unit], [c]) for c in choices_of(unit))
            assert np.min(hull.costs * multiplier + hull.errors) == pytest.approx(least, rel=1e-12)


def fine_curve(rng: np.random.Generator, size: int, energy: float = 1.0) -> Curve:
    ranks = np.arange(1, size)
    errors = np.append(np.cumsum(np.sort(rng.exponential(size=size)) ** 2)[::-1][1:], 0.0)
    return Curve(np.append(ranks * (2 * size - ranks), float(size**2)), energy * errors)


@pytest.mark.parametrize("alternatives", [1, 4])
def test_fine_curves_have_a_small_gap(alternatives: int) -> None:
    rng = np.random.default_rng(1)
    units: list[Unit] = []
    for _ in range(30):
        full = fine_curve(rng, 64)
        narrow = [
            Curve(np.floor(full.costs * (1 - k / 8)), full.errors * (1 - k / 8) + k**2) for k in range(alternatives)
        ]
        units.append(tuple((curve, full) for curve in narrow))
    budget = int(0.7 * 60 * 4096)
    chosen = solve(units, budget)
    reached = value(units, chosen.choices)
    assert reached - dual_value(units, budget, chosen.multiplier) <= 1e-3 * reached


def test_a_budget_for_everything_keeps_everything() -> None:
    units = random_units(np.random.default_rng(2))
    assert value(units, solve(units, limits(units)[1]).choices) == 0.0


def test_an_infeasible_budget_names_the_smallest() -> None:
    units: list[Unit] = [((Curve(np.array([4.0, 9.0]), np.array([1.0, 0.0])),),)] * 2
    with pytest.raises(BudgetError, match="smallest form needs 8"):
        solve(units, 7)
    with pytest.raises(BudgetError, match="remove less"):
        uniform(units, [frontier(unit) for unit in units], 7)


def test_uniform_gives_each_unit_its_fraction() -> None:
    units: list[Unit] = [((Curve(np.arange(1.0, 11.0) * size, np.arange(9.0, -1.0, -1.0)),),) for size in (1, 10)]
    chosen = uniform(units, [frontier(unit) for unit in units], 0.7 * 110)
    assert chosen == (Choice(0, (6,)), Choice(0, (6,)))


def test_a_layer_as_large_as_all_others_is_looked_at_point_by_point(monkeypatch: pytest.MonkeyPatch) -> None:
    curves = [Curve(np.array([0.0, 1.0]), np.array([1.0, 0.0]))] * 60
    units: list[Unit] = [((one,),) for one in (*curves, Curve(np.array([0.0, 100.0]), np.array([50.0, 0.0])))]
    monkeypatch.setattr(core, "MOST", 1)  # of large problems the search sees a part
    chosen = solve(units, 120)  # steepest first: all of the small ones, and 50 are left
    assert value(units, chosen.choices) == pytest.approx(40.0)
    assert lower_bound(units, 120, chosen.multiplier) == pytest.approx(40.0, rel=1e-3)
    assert cost(units, chosen.choices) <= 120
