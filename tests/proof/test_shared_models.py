"""Bounds on parts of a wide cell from one Taylor model, against many points in many digits."""

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from infimum.proof.enclosure import shared_models
from infimum.proof.enclosure.balls import hull, working
from infimum.proof.enclosure.taylor_model import Cell, Model
from infimum.proof.theorems import sup_norm

pytest.importorskip("flint")
ENDS = (0.25, 0.625)


def bounds(coefficients, cells, *, tail=0.0, unit=1.0, goal=0.0, tol=1e-6, most=np.inf, wide=ENDS, **told: Any):
    with working(128) as flint:
        balls = [c if isinstance(c, flint.arb) else flint.arb(c) for c in coefficients]
        model = Model(balls, flint.arb(tail), **told)
        return shared_models.bounds_on_parts(model, Cell(*hull(*wide)), cells, flint.arb(unit), goal, tol, most)


def exact(coefficients, x, wide=ENDS):
    low, high = map(Fraction, wide)
    s = (Fraction(x) - (low + high) / 2) / ((high - low) / 2)
    value = Fraction(0)
    for c in reversed(coefficients):
        value = value * s + Fraction(c)
    return value


@pytest.mark.parametrize("seed", range(12))
def test_no_point_lies_above_and_none_of_the_bounds_is_loose(seed):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(3, 45))
    c = rng.normal(size=size) * 10.0 ** rng.uniform(-3, 3) * rng.choice([0.5, 1.0, 1.3]) ** np.arange(size)
    cuts = np.sort(rng.uniform(*ENDS, int(rng.integers(0, 6))))
    ends = [ENDS[0], *cuts.tolist(), ENDS[1]]
    cells = list(itertools.pairwise(ends))
    found = bounds(c, cells)
    for (low, high), upper, lower in zip(cells, found.upper.tolist(), found.lower.tolist(), strict=True):
        x = [low, high, *np.linspace(low, high, 40)[1:-1].tolist()]
        seen = max(abs(exact(c, point)) for point in x)
        assert seen <= upper
        assert 0.0 <= lower <= upper
    largest = max(abs(exact(c, point)) for point in np.linspace(*ENDS, 401).tolist())
    assert max(found.lower) <= float(largest) * 1.01
    assert max(found.upper) <= float(largest) * 1.5


def test_extremes_at_centres_are_sharp():
    c = np.polynomial.chebyshev.cheb2poly(np.eye(1, 9, 8)[0])
    middle, radius = (ENDS[0] + ENDS[1]) / 2, (ENDS[1] - ENDS[0]) / 2
    places = np.cos(np.pi * np.arange(1, 8) / 8)
    cells = [(middle + radius * (p - 0.02), middle + radius * (p + 0.02)) for p in places.tolist()]
    found = bounds(c, cells)
    assert np.max(np.abs(found.upper - 1.0)) < 1e-9
    assert np.max(np.abs(found.lower - 1.0)) < 1e-9


def test_units_tails_and_balls_count():
    with working(128) as flint:
        plain, scaled = bounds([1.0, 0.5, 0.25], [ENDS]), bounds([1.0, 0.5, 0.25], [ENDS], unit=2.0**-20)
        assert scaled.upper[0] == pytest.approx(plain.upper[0] * 2.0**20, rel=1e-11)
        tailed = bounds([1.0, 0.5, 0.25], [ENDS], tail=0.125)
        balls = bounds([flint.arb(1.0, 0.125), 0.5, 0.25], [ENDS])
        for wider in (tailed, balls):
            assert wider.upper[0] >= plain.upper[0] + 0.125
            assert wider.upper[0] == pytest.approx(1.875, rel=1e-9)
            assert wider.lower[0] <= plain.lower[0] - 0.12
    large = bounds([0.0, 0.0, 0.0], [ENDS], tail=0.5)
    assert (large.lower[0], large.upper[0]) == (0.0, pytest.approx(0.5, rel=1e-9))


def test_cells_are_halved_down_to_a_goal():
    c = [0.0, 0.0, 0.0, 1.0, 0.0, -1.0]
    loose, tight = bounds(c, [ENDS], goal=10.0), bounds(c, [ENDS], goal=0.3)
    largest = max(abs(exact(c, point)) for point in np.linspace(*ENDS, 2001).tolist())
    assert float(largest) <= tight.upper[0] < 0.25 < 1.9 < loose.upper[0]


@pytest.mark.parametrize(
    "told",
    [
        {"moved": True},
        {"tail": 0.2, "most": 0.1},
        {"tail": np.inf},
        {"coefficients": [1.0, 2.0]},
        {"coefficients": [1.0, 2.0, np.nan]},
        {"coefficients": [1e200, 2.0, 3.0]},
        {"coefficients": [1e18, 2.0, 3.0], "most": 1.0},
    ],
)
def test_models_that_do_not_serve_are_not_taken(told):
    told = {"coefficients": [1.0, 2.0, 3.0], "cells": [ENDS], **told}
    assert bounds(**told) is None


def test_cells_about_branch_points_do_not_serve():
    with working(128) as flint:
        model = Model([flint.arb(1)] * 3, flint.arb(0))
        centre, radius = hull(*ENDS)
        for cell in (Cell(centre, radius, 2), Cell(centre, radius, half=True)):
            assert shared_models.bounds_on_parts(model, cell, [ENDS], flint.arb(1), 0.0, 1e-6, np.inf) is None


def test_narrow_cells_far_from_0_are_covered():
    wide = (1e6, 1e6 + 2.0**-20)
    c = [1.0, 3.0, -2.0, 0.5]
    inner = wide[0] + 2.0**-22
    found = bounds(c, [(wide[0], inner), (inner, wide[1])], wide=wide)
    for (low, high), upper in zip([(wide[0], inner), (inner, wide[1])], found.upper.tolist(), strict=True):
        assert max(abs(exact(c, point, wide)) for point in np.linspace(low, high, 50).tolist()) <= upper


def test_many_cells_share_few_models():
    calls = []

    def sine(cell, order):
        calls.append(order)
        with working(128, order + 1) as flint:
            thin = flint.arb_series([cell.centre, cell.radius]).sin()
            return Model([thin[i] for i in range(order)], (abs(cell.radius) ** order / flint.arb(order).fac()).upper())

    ends = np.linspace(0.0, 20.0, 61).tolist()
    cells = list(itertools.pairwise(ends))
    found = sup_norm.enclose(sine, [(0.0, 20.0)], cells, unit=1.0, tol=1e-6)
    assert 1.0 - 1e-6 <= found.lower <= 1.0 <= found.upper <= 1.0 + 1e-6
    assert len(calls) < len(cells) / 3


def test_a_gap_between_cells_is_no_part_of_a_model():
    """1/x on both sides of 0: no model reaches over the gap."""

    def inverse(cell, order):
        with working(128, order + 1) as flint:
            wide = 1 / flint.arb_series([flint.arb(*cell[:2]), cell.radius])
            thin = 1 / flint.arb_series([cell.centre, cell.radius])
            return Model([thin[i] for i in range(order)], wide[order].abs_upper())

    found = sup_norm.enclose(inverse, [(-2.0, -1.0), (0.5, 2.0)], [(-2.0, -1.0), (0.5, 2.0)], unit=1.0, tol=1e-6)
    assert found.lower <= 2.0 <= found.upper < 2.0 + 1e-5
