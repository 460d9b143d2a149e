"""Functions that are limits at a point, or have a root there: values, models and certificates."""

import mpmath
import numpy as np
import pytest

import infimum
from infimum import minimax
from infimum.errors import NonFiniteError, OptionError
from infimum.proof.enclosure import continuation
from infimum.proof.enclosure.balls import working
from infimum.proof.enclosure.parsing import parse
from infimum.proof.enclosure.task import as_task
from infimum.proof.enclosure.taylor_model import Cell

LIMITS = {
    "sin(x)/x": ((-1.0, 1.0), 1.0),
    "(2**x - 1)/x": ((-0.5, 0.5), np.log(2.0)),
    "(exp(x) - 1 - x)/x**2": ((0.0, 1.0), 0.5),
    "tanh(sqrt(x))/sqrt(x)": ((0.0, 1.0), 1.0),
    "(tan(sqrt(x)) - sqrt(x))/x**(3/2)": ((0.0, 0.6), 1.0 / 3.0),
    "x*(exp(x) + 1)/(exp(x) - 1)": ((0.0, 0.347), 2.0),
    "log(x)/(x - 1)": ((0.5, 1.5), 1.0),
    "exp(sin(x)/x)*cos(x)": ((-1.0, 1.0), np.e),
}


@pytest.mark.parametrize("text", LIMITS)
def test_limits_are_approximated(text):
    domain, limit = LIMITS[text]
    result = minimax.polynomial(text, 4, domain)
    assert result.certificate.rigour == "enclosed"
    assert result.certificate.ratio <= 1.0 + 1e-6
    at = 1.0 if "log" in text else 0.0
    assert abs(result(at) - limit) <= result.certificate.value * (1.0 + 1e-6)
    infimum.verify(infimum.from_json(result.to_json()), text)


@pytest.mark.parametrize("text", ["sin(x)/x", "(2**x - 1)/x", "(exp(x) - 1 - x)/x**2"])
def test_values_beside_a_limit_do_not_cancel(text):
    task = as_task(text, 3, (-0.5, 0.5))
    x = np.array([-1e-3, -1e-9, 0.0, 1e-16, 1e-8, 1e-4, 0.1])
    with mpmath.workdps(120):
        known = {"sin": mpmath.sin, "exp": mpmath.exp}
        true = [float(eval(text, {**known, "x": mpmath.mpf(float(t) or 1e-40)})) for t in x]
    assert task.f(x) == pytest.approx(true, rel=3e-15)


def test_models_about_a_singular_point_enclose():
    """Whole cells, halves of them, and halves in a root of the variable."""
    cases = [("sin(x)/x", 1, False), ("(1 - cos(x))/x**2", 1, True), ("tanh(sqrt(x))/sqrt(x)", 2, True)]
    s = np.linspace(0.0, 1.0, 21)[1:]
    for text, power, half in cases:
        with working(200) as module:
            cell = Cell(module.arb(0), module.arb(0.25), power, half, singular=True)
            model = parse(text).model(cell, 10)
            assert model.is_finite()
            assert len(model.coefficients) >= 4
            for place in s.tolist():
                x = module.arb(0.25) * module.arb(place) ** power
                value = parse(text).series(module.arb_series([x]))[0]
                sum_ = sum((c * module.arb(place) ** i for i, c in enumerate(model.coefficients)), module.arb(0))
                assert abs(value - sum_).lower() <= model.tail * module.arb(place) ** len(model.coefficients)


@pytest.mark.parametrize("text", ["1/x", "cos(x)/x", "log(x)", "abs(x)/x", "exp(1/x)", "x/sin(x)**2"])
def test_a_pole_or_a_jump_has_no_limit(text):
    with working(128) as module:
        assert not parse(text).at(module.arb(0)).is_finite()


def test_a_root_has_the_limit_of_its_own_side():
    """sqrt(x**2)/x is 1 to the right of 0 and -1 to its left."""
    right = minimax.polynomial("sqrt(x**2)/x + x**2", 2, (0, 1)).certificate
    both = minimax.polynomial("sqrt(x**2)/x", 4, (-1, 1)).certificate
    assert right.value < 1e-20
    assert both.lower_bound == pytest.approx(1.0)
    assert both.ratio <= 1.0 + 1e-6


def test_a_singular_point_beside_the_domain():
    found = minimax.polynomial("(tan(sqrt(x)) - sqrt(x))/x**(3/2)", 4, (2.0**-252, 0.6)).certificate
    at_zero = minimax.polynomial("(tan(sqrt(x)) - sqrt(x))/x**(3/2)", 4, (0.0, 0.6)).certificate
    assert found.ratio <= 1.0 + 1e-6
    assert found.value == pytest.approx(at_zero.value, rel=1e-6)


def test_roots_of_a_high_order_have_no_taylor_polynomials(monkeypatch):
    function = parse("sin(x**(1/13))/x**(1/13)")
    assert continuation.singular_points(function, ((0.0, 1.0),)) == (0.0,)
    assert continuation.continued(function, {0.0}, (), ((0.0, 1.0),)) is function
    monkeypatch.setattr(continuation, "available", lambda: False)
    assert continuation.singular_points(parse("sin(x)/x"), ((-1.0, 1.0),)) == ()


RELATIVE = {
    "exp(x) - 1": [1, 2, 3],
    "log(1 + x)": [1, 2, 3, 4],
    "1 - cos(x)": [2, 4, 6],
    "sin(x)": [1, 2, 3],
}


@pytest.mark.parametrize("text", RELATIVE)
def test_relative_errors_where_f_vanishes(text):
    result = minimax.polynomial(text, None, (-0.25, 0.25), system=RELATIVE[text], relative=True)
    assert result.certificate.ratio <= 1.0 + 1e-6
    with mpmath.workdps(50):
        known = {"exp": mpmath.exp, "log": mpmath.log, "cos": mpmath.cos, "sin": mpmath.sin}
        c = [mpmath.mpf(v.numerator) / v.denominator for v in result.exact_coefficients()]
        for t in (-0.25, -0.1, -1e-3, 1e-7, 0.03, 0.2, 0.25):
            true = eval(text, {**known, "x": mpmath.mpf(t)})
            p = sum(v * mpmath.mpf(t) ** k for v, k in zip(c, result.powers, strict=True))
            assert abs(p / true - 1) <= result.certificate.value


def test_zeros_of_f_that_the_space_does_not_have_are_named():
    with pytest.raises(OptionError, match="f vanishes at x = 0"):
        minimax.polynomial("sin(x)", 4, (-1, 0.5), relative=True)
    with pytest.raises(OptionError, match=r"f vanishes at x = 0\.5"):
        minimax.polynomial("x - 0.5", 3, (0, 1), relative=True)
    with pytest.raises(NonFiniteError):
        minimax.polynomial("1/x", 3, (0, 1))
