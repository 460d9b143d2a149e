"""Expressions are parsed, never executed; both evaluations agree, and the series enclose."""

import mpmath
import numpy as np
import pytest

from infimum.errors import OptionError
from infimum.proof.enclosure.balls import working
from infimum.proof.enclosure.functions import as_function
from infimum.proof.enclosure.operations import OPERATIONS
from infimum.proof.enclosure.parsing import parse

INSIDE = (-0.4, 0.3, 0.9)
PLACES = {
    "asin": INSIDE,
    "acos": INSIDE,
    "atanh": INSIDE,
    "erfinv": INSIDE,
    "acosh": (1.1, 2.0, 5.0),
    "lgamma": (0.3, 2.7, 7.0),
}
NAMES = sorted(name for name, operation in OPERATIONS.items() if operation.public and operation.arity == 1)
FORMULAS = [
    *NAMES,
    "x**0.3",
    "x**(-2)",
    "x**x",
    "2**x",
    "max(x, 1/x)",
    "min(x, 2 - x)",
    "1e-3*x - pi + e",
    "(1 + x)/(2 + x**3)",
    "where(x < 1/2, x**2, 1 - x)",
    "where(x >= 1, exp(x), 2)",
    "where(x > 1/2, x, exp(x))",
    "where(x <= 1, x**3, 3 - x)",
    "elu(2*x)",
    "hardswish",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_balls_contain_what_numpy_computes(text):
    function = parse(text)
    for x in PLACES.get(text, (0.3, 0.9, 1.7)):
        value = float(function(np.asarray([x]))[0])
        with working(128) as flint:
            ball = function.series(flint.arb_series([flint.arb(x)]))[0]
        assert value == pytest.approx(float(ball.mid()), rel=4e-15, abs=1e-16)


@pytest.mark.parametrize("text", FORMULAS)
def test_series_over_a_ball_contain_all_expansions_inside(text):
    function = parse(text)
    with working(200, 6) as flint:
        wide = function.series(flint.arb_series([flint.arb(0.6, 0.01), 1]))
        for x in (0.5905, 0.6, 0.6099):
            thin = function.series(flint.arb_series([flint.arb(x), 1]))
            for i in range(6):
                assert wide[i].contains(thin[i].mid()) or not wide[i].is_finite()


def test_derivatives_agree_with_another_library():
    function = parse("exp(sin(x))/(1 + x**2)")
    with mpmath.workprec(150):
        expected = mpmath.taylor(lambda x: mpmath.exp(mpmath.sin(x)) / (1 + x**2), mpmath.mpf("0.25"), 5)
    with working(128, 6) as flint:
        series = function.series(flint.arb_series([flint.arb(0.25), 1]))
        assert [float(series[i].mid()) for i in range(6)] == pytest.approx([float(c) for c in expected], rel=1e-14)


def test_decimals_mean_decimals():
    with working(200) as flint:
        tenth = parse("0.1").series(flint.arb_series([1]))[0]
        assert (tenth * 10 - 1).contains(0)
        assert not (flint.arb(0.1) * 10 - 1).contains(0)


@pytest.mark.parametrize("text", ["abs(x)", "max(x, 0)", "relu(x)", "abs(x)*exp(x)", "min(x, -x) + x"])
def test_second_coefficient_encloses_difference_quotients_at_a_kink(text):
    function = parse(text)
    with working(128, 2) as flint:
        slope = function.series(flint.arb_series([flint.arb(0, 0.1), 1]))[1]
    for a, b in ((-0.1, 0.1), (-0.05, 0.0), (0.0, 0.1), (0.02, 0.07)):
        quotient = float((function(np.array([b])) - function(np.array([a])))[0]) / (b - a)
        assert float(slope.lower()) - 1e-12 <= quotient <= float(slope.upper()) + 1e-12


@pytest.mark.parametrize("text", ["abs(x)", "sign(x)", "sqrt(x)", "log(x)", "1/x", "x**0.5", "x**1.5", "log1p(x - 1)"])
def test_nothing_is_claimed_at_a_singularity(text):
    function = parse(text)
    with working(128, 6) as flint:
        series = function.series(flint.arb_series([flint.arb(0, 0.1), 1]))
        assert not any(series[i].is_finite() for i in range(2, 6))


@pytest.mark.parametrize(
    ("text", "parity"),
    [("x", -1), ("cos(x)", 1), ("x*sin(x)", 1), ("abs(x)", 1), ("x**3 - x", -1), ("exp(x)", 0), ("exp(-x**2)", 1),
     ("x + 1", 0), ("tanh(x)/x", 1), ("sign(x)", -1), ("max(x, -x)", 0), ("x**2 + 1", 1), ("-x", -1), ("x**0.5", 0)],
)  # fmt: skip
def test_parity_of_a_formula(text, parity):
    assert parse(text).parity() == parity


@pytest.mark.parametrize("text", FORMULAS)
def test_text_reads_back(text):
    function = parse(text)
    assert parse(str(function)) == function


@pytest.mark.parametrize(
    "text",
    ["__import__('os').system('true')", "x.real", "(lambda: 1)()", "[x]", "x if x else 1", "f(x)", "y", "exp(x, x)",
     "exp(x", "", "exp(x=1)", "'x'", "x and 1", "1/0", "x**99999", "1j*x", "True", "x // 2", "1e400", "neg(x)",
     "(" * 300 + "x" + ")" * 300, "+".join(["x"] * 3000), "-" * 100 + "x", "exp(*x)", "x := 1"],
)  # fmt: skip
def test_anything_else_is_refused(text):
    with pytest.raises(OptionError):
        parse(text)


def test_what_is_no_function_is_refused():
    for item in (None, [1.0], np.inf, True, object()):
        with pytest.raises(OptionError):
            as_function(item)
    assert as_function(2)(np.zeros(3)).tolist() == [2.0, 2.0, 2.0]
