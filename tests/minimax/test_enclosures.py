"""The trusted core, attacked: conversions, models and bounds against exact arithmetic and dense samples."""

import os
import runpy
from fractions import Fraction

import numpy as np
import pytest

from infimum.proof.enclosure import balls, series, taylor_model
from infimum.proof.enclosure.approximants import ChebyshevSum, Formula, Monomials
from infimum.proof.enclosure.balls import LARGEST, float_above, float_below, hull, working
from infimum.proof.enclosure.change_of_basis import monomials
from infimum.proof.enclosure.parsing import parse
from infimum.proof.enclosure.quotients import Quotient
from infimum.proof.enclosure.spaces import Powers
from infimum.proof.enclosure.taylor_model import Cell, Model
from infimum.proof.theorems import alternation


def exact(ball):
    mantissa, exponent = (int(part) for part in ball.man_exp())
    return mantissa * Fraction(2) ** exponent


def test_floats_enclose_balls():
    rng = np.random.default_rng(0)
    with working(300) as flint:
        for _ in range(400):
            number = flint.arb(float(rng.standard_normal())) * flint.arb(2) ** int(rng.integers(-1150, 1000))
            number = number + number * flint.arb(2) ** -int(rng.integers(10, 200)) * float(rng.standard_normal())
            ball = flint.arb(number.mid(), abs(number.mid()) * float(rng.uniform(0, 1e-3)) * int(rng.integers(0, 2)))
            low, high = float_below(ball), float_above(ball)
            assert Fraction(low) <= exact(ball.lower().mid())
            assert exact(ball.upper().mid()) <= Fraction(high)
            if ball.is_exact() and abs(low) > 1e-300:
                assert high <= np.nextafter(low, np.inf)


def test_floats_at_the_ends_of_the_range():
    with working(100) as flint:
        huge, tiny = flint.arb(2) ** 5000, flint.arb(2) ** -5000
        assert (float_below(huge), float_above(huge)) == (LARGEST, np.inf)
        assert (float_below(-huge), float_above(-huge)) == (-np.inf, -LARGEST)
        assert (float_below(tiny), float_above(tiny)) == (0.0, 5e-324)
        assert (float_below(-tiny), float_above(-tiny)) == (-5e-324, 0.0)
        for bad in (flint.arb.nan(), flint.arb.pos_inf(), flint.arb.neg_inf()):
            assert (float_below(bad), float_above(bad)) == (-np.inf, np.inf)
        assert float_above(flint.arb(0)) == 0.0


def test_the_hull_of_an_interval_contains_its_ends():
    with working(64) as flint:
        for low, high in ((0.1, 0.7), (-1e300, 1e-300), (1.0, np.nextafter(1.0, 2.0)), (0.0, 5e-324), (-3.0, 1e17)):
            centre, radius = hull(low, high)
            ball = flint.arb(centre, radius)
            assert ball.contains(flint.arb(low))
            assert ball.contains(flint.arb(high))
            assert exact(centre) - exact(radius) <= Fraction(low)
            assert Fraction(high) <= exact(centre) + exact(radius)


def test_context_is_restored_after_an_error():
    import flint

    before = flint.ctx.prec, flint.ctx.cap
    with pytest.raises(ZeroDivisionError), working(999, 7):
        raise ZeroDivisionError
    assert (flint.ctx.prec, flint.ctx.cap) == before


def test_bound_of_a_model_holds_on_random_models():
    rng = np.random.default_rng(1)
    s = np.linspace(-1.0, 1.0, 2001)
    with working(100) as flint:
        for _ in range(300):
            order = int(rng.integers(1, 8))
            c = rng.standard_normal(order) * 10.0 ** rng.uniform(-3, 1, order)
            tail = float(rng.uniform(0, 0.1))
            bound = taylor_model.largest(Model([flint.arb(v) for v in c.tolist()], flint.arb(tail)), flint.arb(1))
            power = order if order > 1 else 0
            worst = np.max(np.abs(np.polynomial.polynomial.polyval(s, c)) + tail * np.abs(s) ** power)
            assert bound >= worst * (1 - 1e-15)


def test_bound_is_scaled_by_the_unit():
    with working(100) as flint:
        model = Model([flint.arb(10) ** 200, flint.arb(10) ** 199, flint.arb(10) ** 198], flint.arb(10) ** 190)
        assert taylor_model.largest(model, flint.arb(10) ** 200) == pytest.approx(1.11, abs=1e-6)
        tiny = Model([c / flint.arb(10) ** 400 for c in model.coefficients], model.tail / flint.arb(10) ** 400)
        assert taylor_model.largest(tiny, flint.arb(10) ** -200) == pytest.approx(1.11, abs=1e-6)


FUNCTIONS = [
    "exp(x)",
    "1/(1 + 25*x**2)",
    "abs(x - 1/3)",
    "sqrt(x)",
    "x**1.5",
    "erf(5*x)",
    "max(x, 1 - x)",
    "sign(x - 1/2)",
]


@pytest.mark.parametrize("text", FUNCTIONS)
@pytest.mark.parametrize(("low", "high"), [(0.0, 0.125), (0.25, 0.5), (0.3, 0.7), (0.4999, 0.5001), (0.0, 1.0)])
def test_models_of_functions_enclose(text, low, high):
    function = parse(text)
    with working(128) as flint:
        cell = Cell(*hull(low, high))
        model = taylor_model.of_function(function.series, cell, 9)
        if not model.is_finite():
            return
        for s in np.linspace(-1.0, 1.0, 41).tolist():
            x = cell.centre + cell.radius * s
            value = function.series(flint.arb_series([x]))[0]
            if not value.is_finite():
                continue  # a square root just below 0, where the ball of the cell is wider than the cell
            polynomial = sum((c * flint.arb(s) ** i for i, c in enumerate(model.coefficients)), flint.arb(0))
            reach = abs(flint.arb(s)) ** len(model.coefficients) if len(model.coefficients) > 1 else 1
            assert (value - polynomial).abs_lower() <= model.tail * reach + flint.arb(10) ** -30


def test_products_and_reciprocals_of_models_enclose():
    f, g = parse("exp(x)"), parse("2 + sin(3*x)")
    with working(128) as flint:
        cell = Cell(*hull(0.2, 0.5))
        one = taylor_model.of_function(f.series, cell, 8)
        other = taylor_model.of_function(g.series, cell, 8)
        quotient = taylor_model.product(one, taylor_model.reciprocal(other))
        assert quotient.is_finite()
        for s in np.linspace(-1.0, 1.0, 41).tolist():
            x = flint.arb_series([cell.centre + cell.radius * s])
            value = f.series(x)[0] / g.series(x)[0]
            polynomial = sum((c * flint.arb(s) ** i for i, c in enumerate(quotient.coefficients)), flint.arb(0))
            assert (value - polynomial).abs_lower() <= quotient.tail * abs(flint.arb(s)) ** 8 + flint.arb(10) ** -30
        assert not taylor_model.reciprocal(taylor_model.of_function(parse("x - 0.3").series, cell, 8)).is_finite()


@pytest.mark.parametrize("stride", [1, 2])
def test_models_from_blocks_enclose(stride):
    """Polynomials of a high degree are expanded about the middles of blocks first; what is left out there counts."""
    rng = np.random.default_rng(4)
    size = 400
    coefficients = rng.standard_normal((2, size)) / np.arange(1, size + 1) * np.array([[1.0], [1e-17]])
    stored = ChebyshevSum(Powers(stride - 1, stride, size), (0.25, 4.0), coefficients)
    for bits in (53, 128):
        with working(bits) as flint:
            for low, width in ((0.5, 1e-5), (0.503, 1e-3), (1.1, 4e-3), (1.9999, 1e-4), (0.6, 0.5)):
                cell = Cell(*hull(low, low + width))
                model = stored.model(cell, 6)
                assert model.is_finite()
                for s in (-1.0, -0.3, 0.0, 0.8, 1.0):
                    x = cell.centre + cell.radius * s
                    sum_ = sum((c * flint.arb(s) ** i for i, c in enumerate(model.coefficients)), flint.arb(0))
                    assert (stored.at(x) - sum_).abs_lower() <= model.tail * abs(flint.arb(s)) ** 6
    assert len(stored._cache) > 4, "no blocks were made"


@pytest.mark.parametrize(
    "space", [Powers(0, 1, 12), Powers(1, 2, 6), Powers(0, 2, 7), Powers(2, 3, 4), Powers(0, 1, 1)]
)
def test_models_of_stored_polynomials_are_exact(space):
    rng = np.random.default_rng(3)
    coefficients = rng.standard_normal((2, space.size)) * np.array([[1.0], [1e-17]])
    stored = ChebyshevSum(space, (0.25, 4.0), coefficients)
    rational = monomials(coefficients, (0.25, 4.0))
    with working(128) as flint:
        for low, high in ((0.5, 2.0), (0.6, 0.7), (1.0, 1.0 + 1e-9)):
            cell = Cell(*hull(low, high))
            model = stored.model(cell, 5)
            for s in (-1.0, -0.3, 0.0, 0.8, 1.0):
                x = exact(cell.centre) + exact(cell.radius) * Fraction(s)
                value = sum(c * x ** (space.start + space.stride * i) for i, c in enumerate(rational))
                ball = flint.arb(flint.fmpq(value.numerator, value.denominator))
                polynomial = sum((c * flint.arb(s) ** i for i, c in enumerate(model.coefficients)), flint.arb(0))
                assert (ball - polynomial).abs_lower() <= model.tail * abs(flint.arb(s)) ** 5 + flint.arb(10) ** -30
                assert (ball - stored.at(cell.centre + cell.radius * s)).contains(0)


def test_models_of_monomials_are_exact():
    p = Monomials({1: 0.1, 3: -2.5, 4: 1e-3})
    with working(128) as flint:
        cell = Cell(*hull(-0.5, 0.75))
        model = p.model(cell, 3)
        for s in (-1.0, 0.25, 1.0):
            x = exact(cell.centre) + exact(cell.radius) * Fraction(s)
            value = sum(Fraction(c) * x**k for k, c in p.coefficients.items())
            polynomial = sum((c * flint.arb(s) ** i for i, c in enumerate(model.coefficients)), flint.arb(0))
            ball = flint.arb(flint.fmpq(value.numerator, value.denominator))
            assert (ball - polynomial).abs_lower() <= model.tail * abs(flint.arb(s)) ** 3 + flint.arb(10) ** -30


def test_weights_annihilate():
    with working(200) as flint:
        t = [flint.arb(v) for v in (0.1, 0.3, 0.35, 0.9, 1.7)]
        weights = alternation.divided_difference(t)
        for power in range(4):
            assert sum((w * v**power for w, v in zip(weights, t, strict=True)), flint.arb(0)).contains(0)
        columns = [[v.exp() for v in t], [v.sin() for v in t], [flint.arb(1)] * 5, t]
        null = alternation.null_vector(list(zip(*columns, strict=True)))
        for column in columns:
            assert sum((w * v for w, v in zip(null, column, strict=True)), flint.arb(0)).contains(0)
        singular = alternation.null_vector([[flint.arb(1), flint.arb(2)]] * 3)
        assert not any(w.is_finite() for w in singular[:-1])


def test_duality_is_tight_for_the_parabola():
    with working(100) as flint:
        points = [flint.arb(v) for v in (-1, 0, 1)]
        bound = alternation.duality(alternation.divided_difference(points), [p * p for p in points], [flint.arb(1)] * 3)
        assert abs(bound - flint.arb(1) / 2).contains(0)


@pytest.mark.parametrize(
    ("name", "x", "value"),
    [
        ("softplus", 0.3, np.log1p(np.exp(0.3))),
        ("asin", 0.5, np.arcsin(0.5)),
        ("asin", 1.0, np.pi / 2),
        ("acos", -0.5, np.arccos(-0.5)),
        ("asinh", -0.5, np.arcsinh(-0.5)),
        ("asinh", 2.0, np.arcsinh(2.0)),
        ("acosh", 1.5, np.arccosh(1.5)),
        ("atanh", -0.25, np.arctanh(-0.25)),
        ("cbrt", -8.0, -2.0),
        ("cbrt", 27.0, 3.0),
    ],
)
def test_series_have_the_values_of_their_functions(name, x, value):
    with working(100) as flint:
        found = getattr(series, name)(series.constant(flint.arb(x)))
        assert abs(float(found[0].mid()) - value) <= 1e-14
        wide = getattr(series, name)(series.constant(flint.arb(x, 2.0**-20)))[0]
        assert wide.contains(flint.arb(value)) or abs(x) == 1.0, "beyond its range the arc sine has no value"


def test_the_cube_root_of_a_ball_around_zero_holds_both_sides():
    with working(100) as flint:
        found = series.cbrt(series.constant(flint.arb(0, 1)))[0]
        assert found.contains(flint.arb(1))
        assert found.contains(flint.arb(-1))


def test_what_a_quotient_of_formulas_says_of_itself():
    odd = Quotient(Formula(parse("x")), Formula(parse("1 + x**2")))
    assert np.allclose(odd(np.array([2.0, -1.0])), [0.4, -0.5])
    assert odd.is_like(-1)
    assert not odd.is_like(1)
    assert odd.polynomial() is None
    with working(100) as flint:
        assert Formula(parse("2*x + 1")).polynomial() == flint.fmpq_poly([1, 2])
        assert odd.at(flint.arb(2)).contains(flint.arb(2) / 5)
        model = odd.model(Cell(*hull(0.5, 0.75)), 8)
        assert model.is_finite()
        assert abs(model.coefficients[0] - flint.arb(0.625) / (1 + flint.arb(0.625) ** 2)) <= model.tail
        assert not Quotient(Formula(parse("1")), Formula(parse("x"))).model(Cell(*hull(-1.0, 1.0)), 8).is_finite()


@pytest.mark.parametrize(("ball", "exponent"), [((0.0, 0.5), Fraction(-1, 3)), ((-2.0, 0.5), Fraction(1, 3))])
def test_powers_without_a_value_have_no_series(ball, exponent):
    with working(100, 4) as flint:
        assert not series.power_series(flint.arb_series([flint.arb(*ball), 1]), exponent)[0].is_finite()


def test_systems_without_ways_to_fork():
    """Windows has none: the module is run again, apart, as it is loaded there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(os, "register_at_fork", raising=False)
        names = runpy.run_path(balls.__file__)
    with names["working"](70) as flint:
        assert flint.ctx.prec == 70
