"""Answers as objects of NumPy and SymPy, their derivatives and zeros; quotients likewise where they have them."""

import sys
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import scipy.interpolate

from infimum import minimax
from infimum.errors import InfimumError, MissingExtraError, OptionError

sympy: Any = pytest.importorskip("sympy")
X = np.linspace(-1.0, 1.0, 41)


@pytest.fixture(scope="module")
def answers():
    return {
        "full": minimax.polynomial("exp", 6),
        "odd": minimax.polynomial("sin", 7, system="odd", fixed={1: 1}),
        "rounded": minimax.rounded("exp2", 3),
        "listed": minimax.polynomial("exp(x)", None, (0.1, 1.0), system=[0, 1, 4]),
    }


@pytest.mark.parametrize("name", ["full", "odd", "rounded", "listed"])
def test_numpy_and_sympy_have_the_same_values(answers, name):
    answer = answers[name]
    x = X if name != "listed" else np.linspace(0.1, 1.0, 41)
    for kind in ("monomial", "chebyshev"):
        assert answer.to_polynomial(kind)(x) == pytest.approx(answer(x), rel=1e-13, abs=1e-15)
    expression = answer.to_sympy("t")
    t = sympy.Symbol("t")
    exact = dict(zip(answer.powers, answer.exact_coefficients(), strict=True))
    for power, c in exact.items():
        assert expression.coeff(t, power) == sympy.Rational(c.numerator, c.denominator)
    assert minimax.sup_norm(answer, expression, (0.1, 1.0))[1] <= 1e-12


def test_derivatives_are_exact_and_judged(answers):
    answer = answers["full"]
    first = answer.deriv()
    exact = answer.exact_coefficients()
    assert first == {k: (k + 1) * exact[k + 1] for k in range(6)}
    assert answer.deriv(2) == {k: (k + 1) * (k + 2) * exact[k + 2] for k in range(5)}
    assert answer.deriv(7) == {0: Fraction(0)}
    lower, upper = minimax.sup_norm(first, "exp")
    assert lower <= np.max(np.abs(answer.to_polynomial().deriv()(X) - np.exp(X))) * (1 + 1e-6)
    assert answer.certificate.value < upper < 1e-3
    for order in (0, -1, 1.5):
        with pytest.raises(InfimumError):
            answer.deriv(order)


def test_zeros():
    answer = minimax.polynomial("cos(3*x)", 8)
    zeros = answer.roots()
    assert zeros.size == 8
    real = np.sort(zeros[np.abs(zeros.imag) < 1e-12].real)
    inside = real[np.abs(real) < 1.0]
    assert inside == pytest.approx([-np.pi / 6, np.pi / 6], abs=1e-4)
    assert np.abs(answer(inside)) == pytest.approx(np.zeros(2), abs=1e-14)


def test_functions_have_no_powers():
    answer = minimax.polynomial("1/(1 + x)", None, (0, 2), system=["1", "exp(-x)"])
    for call in (answer.deriv, answer.roots, answer.to_polynomial, answer.to_sympy):
        with pytest.raises(OptionError, match="only polynomials"):
            call()


def test_other_kinds_are_refused(answers):
    with pytest.raises(OptionError, match="kind must be"):
        answers["full"].to_polynomial("legendre")


def test_sympy_is_asked_for_by_name(answers, monkeypatch):
    monkeypatch.setitem(sys.modules, "sympy", None)
    with pytest.raises(MissingExtraError, match="pip install sympy"):
        answers["full"].to_sympy()


def test_cases_of_more_than_one_comparison_are_refused():
    x = sympy.Symbol("x")
    middle = sympy.Piecewise((x, sympy.And(x > 0, x < sympy.Rational(1, 2))), (0, True))
    with pytest.raises(OptionError, match="must be one comparison"):
        minimax.polynomial(middle, 3)


def test_interpolants_of_scipy_stand_for_themselves():
    x = np.linspace(-1.0, 1.0, 300)
    with pytest.warns(RuntimeWarning, match="AAA"):
        near = scipy.interpolate.AAA(x, np.exp(x), max_terms=4)
    lower, upper = minimax.sup_norm(near, "exp")
    assert lower * (1 - 1e-6) <= np.max(np.abs(near(X) - np.exp(X))) * 1.2
    assert np.max(np.abs(near(X) - np.exp(X))) <= upper * (1 + 1e-6)
    judged = minimax.check(near, "exp")
    best = minimax.rational("exp", (3, 3)).certificate
    assert judged.certificate.lower_bound == pytest.approx(best.value, rel=1e-5)
    assert judged.certificate.value == pytest.approx(upper, rel=1e-5)
    nodes = np.cos(np.pi * (np.arange(7) + 0.5) / 7)
    through = scipy.interpolate.BarycentricInterpolator(nodes, np.exp(nodes))
    fitted = np.polynomial.Chebyshev.interpolate(np.exp, 6)
    assert minimax.sup_norm(through, "exp")[1] == pytest.approx(minimax.sup_norm(fitted, "exp")[1], rel=1e-6)


@pytest.mark.parametrize(
    "interpolant",
    [
        scipy.interpolate.BarycentricInterpolator([0.0, 1.0], [[1.0, 2.0], [3.0, 4.0]]),
        scipy.interpolate.BarycentricInterpolator([0.0, 1.0], [1.0, 1j]),
        scipy.interpolate.KroghInterpolator([0.0, 0.0, 1.0], [1.0, 0.0, 2.0]),
    ],
)
def test_interpolants_of_more_than_one_number_are_refused(interpolant):
    with pytest.raises(OptionError, match="must be an interpolant"):
        minimax.sup_norm(interpolant, "exp", (0, 1))
