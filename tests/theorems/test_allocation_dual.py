"""The dual of a budget: below every choice, each hypothesis asked, and its rounding pinned."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from infimum.errors import VerificationError
from infimum.proof.theorems import allocation_dual
from infimum.proof.theorems.allocation_dual import Curve, Unit, dual_value, lower_bound, split_value

EPS = 2.0**-52


def curve(costs: list[float], errors: list[float]) -> Curve:
    return Curve(np.array(costs, dtype=float), np.array(errors, dtype=float))


def one(costs: list[float], errors: list[float]) -> Unit:
    return ((curve(costs, errors),),)


def random_unit(rng: np.random.Generator) -> Unit:
    layers, scale = int(rng.integers(1, 3)), 10.0 ** rng.integers(-6, 4)
    return tuple(
        tuple(curve(rng.integers(0, 9, 3).tolist(), (scale * rng.exponential(size=3)).tolist()) for _ in range(layers))
        for _ in range(int(rng.integers(1, 4)))
    )


def exact(units: list[Unit], budget: int, multiplier: float) -> Fraction:
    """The dual in rationals."""
    price = Fraction(multiplier)
    total = -price * budget
    for unit in units:
        total += min(
            sum(
                (
                    min(Fraction(e) + price * Fraction(c) for c, e in zip(layer.costs, layer.errors, strict=True))
                    for layer in curves
                ),
                Fraction(0),
            )
            for curves in unit
        )
    return total


def least(units: list[Unit], budget: int) -> Fraction | None:
    """The least error of all choices, by trying them all; None where none is within the budget."""
    choices = [
        [
            (
                sum(curves[i].costs[k] for i, k in enumerate(ks)),
                sum((Fraction(curves[i].errors[k]) for i, k in enumerate(ks)), Fraction(0)),
            )
            for curves in unit
            for ks in itertools.product(*(range(len(layer.costs)) for layer in curves))
        ]
        for unit in units
    ]
    found = [
        sum((e for _, e in pick), Fraction(0))
        for pick in itertools.product(*choices)
        if sum(c for c, _ in pick) <= budget
    ]
    return min(found, default=None)


def test_below_every_choice_and_near_the_exact_dual() -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        units = [random_unit(rng) for _ in range(int(rng.integers(1, 3)))]
        budget = int(rng.integers(0, 30))
        truth = least(units, budget)
        for multiplier in (0.0, *(10.0 ** rng.uniform(-8, 3, 3))):
            value = dual_value(units, budget, multiplier)
            dual = exact(units, budget, multiplier)
            assert Fraction(value) <= max(dual, Fraction(0))
            assert truth is None or Fraction(value) <= truth
            layers = sum(max(map(len, unit)) for unit in units)
            size = float(dual) + 2 * multiplier * budget
            assert value >= float(dual) - 2 * (layers + 5) * EPS * size


def test_the_alternatives_and_layers_add_up() -> None:
    two = ((curve([2, 4], [8, 1]), curve([1], [0.5])), (curve([3], [2]), curve([3], [1])))
    single = one([1, 5], [4, 0])
    # at a price of 1: min(min(10, 5) + 1.5, 5 + 4) + min(5, 5) - 6
    assert dual_value([two, single], 6, 1.0) == pytest.approx(6.5 + 5 - 6, rel=1e-12)
    assert dual_value([single], 0, 0.25) == pytest.approx(1.25, rel=1e-12)
    assert dual_value([single], 5, 0.0) == 0.0
    assert dual_value([], 5, 1.0) == 0.0


def test_the_allowance_is_as_stated() -> None:
    """(layers + 4) eps of all that enters, once for each room; layers are those of the longest alternatives."""
    units: list[Unit] = [
        ((curve([1], [2]), curve([1], [1])), (curve([4], [1]),)),  # the shorter alternative is the smaller one
        one([8], [16]),
    ]
    terms, paid = 5.0 + 24.0, 3.0
    for room in (0.0, 1.0, 3.0):
        expected = terms - paid - room * (3 + 4) * EPS * (terms + paid)
        assert dual_value(units, 3, 1.0, room=room) == expected
    assert dual_value(units, 3, 1.0) == dual_value(units, 3, 1.0, room=1.0)


def test_without_its_allowance_the_bound_would_be_false() -> None:
    """Sums that round upwards: the terms of many units, of many layers, and what is paid."""
    cases: tuple[tuple[list[Unit], int, float], ...] = (
        ([one([0], [1.0]), *(one([0], [1.3 * 2.0**-53]) for _ in range(40))], 0, 0.0),
        ([(tuple(curve([0], [e]) for e in (1.0, *[1.3 * 2.0**-53] * 40)),)], 0, 0.0),
        ([one([3], [1e-17])], 2, 0.1),
        ([one([3], [0.1])], 2, 0.7),
    )
    for units, budget, price in cases:
        truth = exact(units, budget, price)
        assert Fraction(dual_value(units, budget, price)) <= truth
    upwards = 0
    rng = np.random.default_rng(1)
    for _ in range(100):
        units = [one([float(rng.integers(0, 50))], [float(rng.exponential())]) for _ in range(20)]
        budget, price = int(rng.integers(0, 200)), float(rng.exponential())
        truth = exact(units, budget, price)
        upwards += Fraction(dual_value(units, budget, price, room=0.0)) > max(truth, Fraction(0))
        assert Fraction(dual_value(units, budget, price)) <= max(truth, Fraction(0))
    assert upwards > 20


def test_what_overflows_proves_nothing() -> None:
    assert dual_value([one([9], [1.0])], 1, 1e308) == 0.0
    assert dual_value([one([9], [1.0])], 9, 1e308) == 0.0
    assert dual_value([one([0], [1e308]), one([0], [1e308])], 9, 1.0) == 0.0


def test_the_forged_multiplier_of_the_findings() -> None:
    units = [one([1, 2, 4], [4, 1, 0])]
    with pytest.raises(VerificationError, match="multiplier must be a finite number at least 0"):
        dual_value(units, 10, -1.0)
    assert dual_value(units, 10, 1.0) == 0.0


@pytest.mark.parametrize("multiplier", [-5e-324, math.nan, math.inf, True, "1", None, 1j, np.array([1.0]), 10**400])
def test_the_multiplier_is_asked(multiplier: Any) -> None:
    with pytest.raises(VerificationError, match="multiplier"):
        dual_value([one([1], [1])], 1, multiplier)


@pytest.mark.parametrize("budget", [-1, 1.0, True, "1", None, math.nan, 2**53 + 1, np.float64(1)])
def test_the_budget_is_asked(budget: Any) -> None:
    with pytest.raises(VerificationError, match="budget"):
        dual_value([one([1], [1])], budget, 1.0)


def test_the_largest_budget_and_cost() -> None:
    assert dual_value([one([2.0**53], [1])], 2**53, 0.0) == pytest.approx(1.0)
    assert dual_value([one([0], [1])], 0, 0.0) == pytest.approx(1.0)


BAD: dict[str, tuple[Any, Any, str]] = {
    "no points": (np.zeros(0), np.zeros(0), "at least one choice"),
    "two dimensions": (np.ones((1, 1)), np.ones((1, 1)), "costs must have shape"),
    "fewer errors": (np.ones(2), np.ones(1), "errors must have shape"),
    "whole costs": (np.ones(2, dtype=int), np.ones(2), "costs must hold real"),
    "complex costs": (np.ones(2) + 0j, np.ones(2), "costs must hold real"),
    "bool costs": (np.ones(2, dtype=bool), np.ones(2), "costs must hold real"),
    "whole errors": (np.ones(2), np.ones(2, dtype=int), "errors must hold real"),
    "complex errors": (np.ones(2), np.ones(2) + 0j, "errors must hold real"),
    "a list": ([1.0], np.ones(1), "costs must be an array"),
    "errors a list": (np.ones(1), [1.0], "errors must be an array"),
    "negative cost": (np.array([1.0, -1.0]), np.ones(2), "whole numbers"),
    "half a cost": (np.array([1.0, 1.5]), np.ones(2), "whole numbers"),
    "cost beyond": (np.array([1.0, 2.0**53 + 2]), np.ones(2), "whole numbers"),
    "cost not finite": (np.array([1.0, np.inf]), np.ones(2), "costs"),
    "negative error": (np.ones(2), np.array([1.0, -1e-300]), "errors must not be negative"),
    "error not finite": (np.ones(2), np.array([1.0, np.nan]), "errors"),
}


@pytest.mark.parametrize("name", BAD)
def test_curves_are_asked(name: str) -> None:
    costs, errors, message = BAD[name]
    with pytest.raises(VerificationError, match=message):
        Curve(costs, errors)


def test_a_unit_must_offer_something() -> None:
    with pytest.raises(VerificationError, match="at least one alternative"):
        dual_value([one([1], [1]), ()], 1, 1.0)


def test_its_name() -> None:
    assert allocation_dual.THEOREM == "allocation_dual"
    assert allocation_dual.LARGEST == 2**53
    assert curve([0], [0]).costs == 0.0


def test_a_split_budget_is_below_every_choice_and_above_the_dual() -> None:
    rng = np.random.default_rng(5)
    better = 0
    for _ in range(60):
        units = [random_unit(rng) for _ in range(int(rng.integers(0, 3)))]
        units.insert(int(rng.integers(0, len(units) + 1)), one(rng.integers(0, 40, 4).tolist(), rng.random(4).tolist()))
        budget = int(rng.integers(0, 60))
        truth = least(units, budget)
        for multiplier in (0.0, 1e-3, 0.1, 7.0):
            split, dual = split_value(units, budget, multiplier), dual_value(units, budget, multiplier)
            assert split >= dual * (1.0 - 1e-12)  # its sums round in another order
            assert lower_bound(units, budget, multiplier) == max(split, dual)
            assert truth is None or Fraction(split) <= truth
            better += split > 1.1 * dual > 0.0
    assert better > 20


def test_a_split_closes_the_gap_of_one_large_layer() -> None:
    large, small = one([0, 100], [50.0, 0.0]), [one([0, 1], [1.0, 0.0]) for _ in range(60)]
    units, budget = [*small, large], 80  # the large one does not fit beside anything: 60 errors of 1 vanish, 50 stays
    assert least([one([0, 60], [60.0, 0.0]), large], budget) == 50
    assert dual_value(units, budget, 0.5) == pytest.approx(40.0)
    assert split_value(units, budget, 0.5) == pytest.approx(50.0, rel=1e-3)


def test_a_split_asks_for_every_hypothesis() -> None:
    pair = ((curve([0, 1], [1, 0]), curve([0, 1], [1, 0])),)
    two = ((curve([0, 1], [1, 0]),), (curve([0, 1], [2, 0]),))
    assert split_value([pair, two], 1, 1.0) == 0.0  # no layer by itself
    assert lower_bound([pair, two], 1, 1.0) == dual_value([pair, two], 1, 1.0)
    assert split_value([], 1, 1.0) == 0.0
    for multiplier in (-1.0, math.nan, math.inf, "1"):
        with pytest.raises(VerificationError, match="multiplier"):
            split_value([one([1], [1])], 1, multiplier)
    for budget in (-1, 0.5, 2**53 + 1):
        with pytest.raises(VerificationError, match="budget"):
            split_value([one([1], [1])], budget, 1.0)
    with pytest.raises(VerificationError, match="at least one alternative"):
        lower_bound([one([1], [1]), ()], 1, 1.0)


def test_a_split_rounds_down() -> None:
    rng = np.random.default_rng(6)
    for _ in range(50):
        scale = 10.0 ** rng.integers(-300, 280)
        units = [one(rng.integers(0, 9, 3).tolist(), (scale * rng.random(3)).tolist()) for _ in range(3)]
        budget = int(rng.integers(0, 20))
        truth = least(units, budget)
        assert truth is None or Fraction(split_value(units, budget, float(scale))) <= truth
        assert split_value(units, budget, float(scale), room=1e6) <= split_value(units, budget, float(scale))
    assert split_value([one([9], [1.0])], 9, 1e308) == pytest.approx(1.0)  # a price of 0 overflows nothing
    assert split_value([one([0], [1e308]), one([0], [1e308])], 9, 1.0) == 0.0
    # where nothing can be gained the rounding of all terms is what is lost
    units = [one([0], [1.0]), one([0], [2.0])]
    assert split_value(units, 0, 1.0) == 3.0 - 6 * EPS * 3.0
    assert split_value(units, 0, 1.0, room=0.0) == 3.0
