"""The shared budget against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from infimum.bounds.allocation_dual import Curve, dual_value
from infimum.errors import BudgetError

pytest.importorskip("torch")

from infimum.compress.allocation import allocate, uniform


def random_curves(rng: np.random.Generator) -> list[Curve]:
    curves = []
    for _ in range(rng.integers(1, 5)):
        points = int(rng.integers(1, 7))
        costs = np.cumsum(rng.integers(1, 9, points)).astype(float)
        errors = np.sort(rng.exponential(size=points) * 10.0 ** rng.integers(-8, 3))[::-1].copy()
        errors[-1] = 0.0
        if rng.random() < 0.3:
            errors = np.round(errors, 1)  # ties and flat pieces
        curves.append(Curve(costs, errors))
    return curves


def best(curves: list[Curve], budget: float) -> float:
    choices = itertools.product(*(range(len(curve.costs)) for curve in curves))
    return min(
        sum(float(curve.errors[k]) for curve, k in zip(curves, choice, strict=True))
        for choice in choices
        if sum(float(curve.costs[k]) for curve, k in zip(curves, choice, strict=True)) <= budget
    )


def test_dual_optimum_and_value_are_ordered() -> None:
    rng = np.random.default_rng(0)
    for _ in range(400):
        curves = random_curves(rng)
        smallest, largest = (sum(float(pick(c.costs)) for c in curves) for pick in (np.min, np.max))
        budget = float(rng.integers(int(smallest), int(largest) + 1))
        chosen = allocate(curves, budget)
        value = sum(float(c.errors[k]) for c, k in zip(curves, chosen.choices, strict=True))
        optimum = best(curves, budget)
        assert sum(float(c.costs[k]) for c, k in zip(curves, chosen.choices, strict=True)) <= budget
        assert optimum <= value * (1 + 1e-15)
        for multiplier in (chosen.multiplier, 0.0, *rng.exponential(size=5) * chosen.multiplier, 1e9):
            assert dual_value(curves, budget, multiplier) <= optimum
        # no other multiplier proves more: the dual of the convex relaxation is solved exactly
        top = dual_value(curves, budget, chosen.multiplier)
        for factor in (0.5, 0.9, 0.999, 1.001, 1.1, 2.0):
            assert dual_value(curves, budget, chosen.multiplier * factor) <= top * (1 + 1e-12) + 1e-300


def test_fine_curves_have_a_small_gap() -> None:
    rng = np.random.default_rng(1)
    curves = []
    for _ in range(30):
        ranks = np.arange(1, 64)
        errors = np.append(np.cumsum(np.sort(rng.exponential(size=64)) ** 2)[::-1][1:], 0.0)
        curves.append(Curve(np.append(ranks * (128 - ranks), 4096.0), errors))
    budget = 0.7 * 30 * 4096
    chosen = allocate(curves, budget)
    value = sum(float(c.errors[k]) for c, k in zip(curves, chosen.choices, strict=True))
    assert value - dual_value(curves, budget, chosen.multiplier) <= 2e-3 * value


def test_a_budget_for_everything_keeps_everything() -> None:
    curves = random_curves(np.random.default_rng(2))
    chosen = allocate(curves, sum(float(c.costs[-1]) for c in curves))
    assert all(c.errors[k] == 0.0 for c, k in zip(curves, chosen.choices, strict=True))


def test_an_infeasible_budget_names_the_smallest() -> None:
    curves = [Curve(np.array([4.0, 9.0]), np.array([1.0, 0.0]))] * 2
    with pytest.raises(BudgetError, match="smallest form needs 8"):
        allocate(curves, 7)
    with pytest.raises(BudgetError, match="remove less"):
        uniform(curves, 7)


def test_uniform_gives_each_layer_its_fraction() -> None:
    curves = [Curve(np.arange(1.0, 11.0) * size, np.arange(9.0, -1.0, -1.0)) for size in (1, 10)]
    assert uniform(curves, 0.7 * 110) == (6, 6)
