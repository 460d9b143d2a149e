"""The enclosure of a supremum norm against known suprema, exact models, and each of its hypotheses broken once."""

import math

import numpy as np
import pytest

from infimum.errors import VerificationError
from infimum.proof.enclosure import taylor_model
from infimum.proof.enclosure.balls import working
from infimum.proof.enclosure.parsing import parse
from infimum.proof.enclosure.taylor_model import Model
from infimum.proof.theorems import sup_norm

UNIT_INTERVAL = [(0.0, 1.0)]


def enclose(text, cells, *, domain=None, unit=1.0, tol=1e-8, **options):
    function = parse(text)
    return sup_norm.enclose(function.model, cells if domain is None else domain, cells, unit=unit, tol=tol, **options)


def test_name_and_defaults():
    """The page states them; precision and order are part of no proof, but of its cost."""
    assert sup_norm.THEOREM == "sup_norm"
    assert (sup_norm.ORDER, sup_norm.BITS, sup_norm.MOST_CELLS) == (14, 128, 10_000)


@pytest.mark.parametrize(
    ("text", "low", "high", "supremum"),
    [
        ("sin(x)", 0.0, 3.0, 1.0),
        ("x*(1 - x)", 0.0, 1.0, 0.25),
        ("abs(x - 1/3)", 0.0, 1.0, 2.0 / 3.0),
        ("sqrt(x)", 0.0, 2.0, np.sqrt(2.0)),
        ("x**2*sign(x - 0.7)", -1.0, 1.0, 1.0),
        ("cos(50*x)*exp(-x**2)", -1.0, 1.0, 1.0),
        ("-exp(x)", -1.0, 1.0, np.e),
    ],
)
def test_supremum_of_known_functions(text, low, high, supremum):
    found = enclose(text, [(low, high)])
    assert found.lower <= supremum * (1 + 1e-15)
    assert supremum * (1 - 1e-15) <= found.upper
    assert found.upper <= supremum * (1 + 1e-7)
    assert found.lower >= supremum * (1 - 1e-7)
    other = enclose(text, [(low, high)], unit=1e-100)
    assert other.upper == pytest.approx(found.upper, rel=1e-7)


@pytest.mark.parametrize("text", ["1/x", "1/(x - 1/3)", "log(abs(x))"])
def test_a_pole_is_never_bounded(text):
    found = enclose(text, [(-1.0, 1.0)], tol=1e-6, most=500)
    assert found.upper == math.inf
    low, high = found.worst
    assert low <= (1.0 / 3.0 if "3" in text else 0.0) <= high


def test_the_largest_cell_counts():
    found = enclose("x", [(0.0, 0.25), (0.25, 0.5), (0.5, 1.0)])
    assert found.upper == pytest.approx(1.0, rel=1e-12)
    assert found.upper >= 1.0
    assert 0.5 <= found.lower <= 1.0
    assert found.worst[1] == 1.0


def test_every_cell_is_bounded_once_where_nothing_needs_halving():
    with working(128) as flint:
        model = Model([flint.arb(2), flint.arb(0), flint.arb(-1)], flint.arb(0))
        found = sup_norm.enclose(lambda cell, order: model, UNIT_INTERVAL, UNIT_INTERVAL, unit=1.0, tol=1e-6)
    assert (found.cells, found.worst) == (1, (0.0, 1.0))
    assert 2.0 <= found.upper <= 2.0 * (1 + 1e-14)
    assert found.lower == 2.0


def test_values_that_no_precision_sharpens_count_with_their_radius():
    with working(128) as flint:
        blurred = Model([flint.arb(2, 0.5), flint.arb(0)], flint.arb(0))
        found = sup_norm.enclose(lambda cell, order: blurred, UNIT_INTERVAL, UNIT_INTERVAL, unit=1.0, tol=1e-6, most=1)
    assert found.lower == pytest.approx(1.5, rel=1e-9)
    assert found.upper == pytest.approx(2.5, rel=1e-9)


def test_models_are_asked_for_at_the_order_and_precision():
    seen = []
    with working(64) as flint:
        model = Model([flint.arb(1), flint.arb(0)], flint.arb(0))

        def error(cell, order):
            seen.append((order, flint.ctx.prec, float(cell.centre), float(cell.radius)))
            return model

        sup_norm.enclose(error, [(2.0, 6.0)], [(2.0, 6.0)], unit=1.0, tol=1e-6)
        sup_norm.enclose(error, [(2.0, 6.0)], [(2.0, 6.0)], unit=1.0, tol=1e-6, bits=200)
    assert seen == [(14, 128, 4.0, 2.0), (14, 200, 4.0, 2.0)]


def test_halving_ends_where_it_is_told():
    """The error is 1 on (0, 1) with rests that shrink with the cells: |e| <= 1 + radius."""
    with working(128) as flint:

        def error(cell, order):
            return Model([flint.arb(1), flint.arb(0)], cell.radius)

        def run(**options):
            return sup_norm.enclose(error, UNIT_INTERVAL, UNIT_INTERVAL, unit=1.0, **options)

        assert run(tol=0.6).cells == 1
        assert run(tol=0.4).cells == 3
        assert run(tol=0.2).cells == 7
        assert run(tol=1e-6, most=9).cells == 9
        assert run(tol=1e-6, most=1).cells == 1
        assert run(tol=1e-6, enough=1.6).cells == 1
        assert run(tol=1e-6, enough=1.3).cells == 3
        first = run(tol=1e-6, most=1).upper
        assert run(tol=1e-6, enough=first).cells == 1
        assert run(tol=1e-6, enough=math.nextafter(first, 0.0)).cells == 3
        tenth = sup_norm.enclose(
            lambda cell, order: Model([flint.arb(0.1), flint.arb(0)], cell.radius / 10),
            UNIT_INTERVAL,
            UNIT_INTERVAL,
            unit=1.0,
            tol=0.2,
        )
        assert tenth.cells == 7  # by default no size is small enough
        small = sup_norm.enclose(error, UNIT_INTERVAL, UNIT_INTERVAL, unit=4.0, tol=1e-6, enough=1.3)
        assert small.cells == 3
        assert small.upper == pytest.approx(1.25, rel=1e-12)
        assert small.lower == pytest.approx(1.0, rel=1e-12)
        for low in (1.0, math.nextafter(1.0, 2.0)):  # their middles are rounded down and up
            ends = [(low, math.nextafter(low, 2.0))]
            assert sup_norm.enclose(error, ends, ends, unit=1.0, tol=1e-30).cells == 1


def test_both_bounds_are_rounded_outwards():
    with working(128) as flint:
        third = flint.arb(1) / 3
        model = Model([third, flint.arb(0)], flint.arb(0))
        for unit in (1.0, 0.1, 3e-7):
            found = sup_norm.enclose(lambda cell, order: model, UNIT_INTERVAL, UNIT_INTERVAL, unit=unit, tol=1e-6)
            assert found.lower <= third
            assert third <= found.upper
            assert found.upper <= found.lower * (1 + 1e-14)


def test_values_at_centres_count_only_where_they_are_values():
    """A model of one coefficient holds no value of the error, and one that is not finite none at all."""
    with working(128) as flint:
        flat = Model([flint.arb(5)], flint.arb(1))
        found = sup_norm.enclose(lambda c, o: flat, UNIT_INTERVAL, UNIT_INTERVAL, unit=1.0, tol=1e-6, most=5)
        assert found.lower == 0.0
        assert found.upper == pytest.approx(6.0, rel=1e-12)
        wild = Model([flint.arb.nan(), flint.arb(0)], flint.arb(0))
        found = sup_norm.enclose(lambda c, o: wild, UNIT_INTERVAL, UNIT_INTERVAL, unit=1.0, tol=1e-6, most=5)
        assert (found.lower, found.upper) == (0.0, math.inf)


@pytest.mark.parametrize(
    ("domain", "cells"),
    [
        ([(0.0, 1.0)], [(0.0, 0.5), (0.6, 1.0)]),
        ([(0.0, 1.0)], [(0.1, 1.0)]),
        ([(0.0, 1.0)], [(0.0, 0.9)]),
        ([(0.0, 1.0), (2.0, 3.0)], [(0.0, 1.0)]),
        ([(0.0, 1.0), (2.0, 3.0)], [(0.0, 1.0), (2.0, 2.5)]),
        ([(0.0, 1.0)], []),
        ([(0.0, math.nan)], [(0.0, 1.0)]),
    ],
)
def test_cells_with_a_gap_are_refused(domain, cells):
    with pytest.raises(VerificationError, match="leave a gap"):
        enclose("x", cells, domain=domain)


def test_cells_may_overlap_and_come_in_any_order():
    found = enclose("x", [(0.5, 1.0), (0.0, 0.6)], domain=[(0.0, 1.0)])
    assert found.upper == pytest.approx(1.0, rel=1e-12)
    found = enclose("x", [(2.0, 3.0), (0.0, 1.0)], domain=[(0.0, 1.0), (2.0, 3.0)])
    assert found.upper == pytest.approx(3.0, rel=1e-12)


@pytest.mark.parametrize(
    "options",
    [{"unit": 0.0}, {"unit": -1.0}, {"unit": math.inf}, {"unit": math.nan}, {"tol": 0.0}, {"tol": -1.0},
     {"tol": math.nan}, {"enough": -1.0}, {"enough": math.nan}],
)  # fmt: skip
def test_sizes_that_mean_nothing_are_refused(options):
    with pytest.raises(VerificationError, match="positive"):
        enclose("x", UNIT_INTERVAL, **{"unit": 1.0, "tol": 1e-6, **options})


def test_a_cell_without_a_model_is_never_taken_for_small():
    with working(128) as flint:
        bad = Model([flint.arb(0), flint.arb(0), flint.arb(0)], flint.arb.pos_inf())
        assert taylor_model.largest(bad, flint.arb(1)) == math.inf


def test_centres_outside_of_the_domain_hold_no_value():
    with working(128) as flint:
        outside = Model([flint.arb(2), flint.arb(0), flint.arb(0)], flint.arb(0), inside=False)
        found = sup_norm.enclose(lambda cell, order: outside, UNIT_INTERVAL, UNIT_INTERVAL, unit=1.0, tol=1e-6, most=9)
    assert found.lower == 0.0
    assert found.upper >= 2.0


def test_blurred_values_are_computed_in_more_bits():
    """Eight digits are lost, and eight are asked for: 64 bits are not enough, four times as many are."""
    seen = set()
    with working(64) as flint:

        def error(cell, order):
            seen.add(flint.ctx.prec)
            value = flint.arb(1) + flint.arb(0, 2.0 ** (40 - flint.ctx.prec))
            return Model([value, flint.arb(0), flint.arb(0)], flint.arb(0))

        found = sup_norm.enclose(error, UNIT_INTERVAL, UNIT_INTERVAL, unit=1.0, tol=1e-8, bits=64)
        assert seen == {64, 256}
        assert found.cells == 5  # one in 64 bits, and one in four times as many
        assert found.upper == pytest.approx(1.0, abs=1e-14)
        seen.clear()
        sup_norm.enclose(error, UNIT_INTERVAL, UNIT_INTERVAL, unit=1e9, tol=1e-8, bits=64)
        assert seen == {64}


def test_halving_ends_where_values_diverge():
    found = enclose("1/x**3", [(-1.0, 1.0)], domain=[(-1.0, 1.0)])
    assert found.upper == math.inf
    assert found.cells < 400
    assert found.lower > 1e60
