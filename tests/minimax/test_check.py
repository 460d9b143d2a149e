"""Polynomials from anywhere: enclosed errors, optimality, and the least degree."""

import math

import numpy as np
import pytest

from infimum import minimax
from infimum.errors import OptionError, ToleranceError


def test_sup_norm_encloses_the_error_of_taylor():
    lower, upper = minimax.sup_norm([1.0, 1.0, 0.5], "exp", (-1.0, 1.0))
    assert lower <= math.e - 2.5 <= upper
    assert upper / lower == pytest.approx(1.0, abs=1e-5)


def test_sup_norm_of_a_chebyshev_interpolant():
    c = np.polynomial.Chebyshev.interpolate(lambda u: np.tanh(3.0 * u), 9).coef
    lower, upper = minimax.sup_norm(c, "tanh", (-3.0, 3.0), basis="chebyshev")
    x = np.linspace(-3.0, 3.0, 20001)
    seen = np.max(np.abs(np.polynomial.chebyshev.chebval(x / 3.0, c) - np.tanh(x)))
    assert lower - 1e-15 <= seen <= upper
    assert upper - seen < 1e-5 * seen


def test_taylor_is_not_optimal_and_the_direction_lowers_its_error():
    taylor = np.array([1.0, 1.0, 0.5])
    found = minimax.check(taylor, "exp")
    assert not found.optimal
    assert (found.alternations, found.needed) == (1, 4)
    assert found.slope <= found.certificate.lower_bound - found.certificate.value + 1e-9
    for step in (1e-3, 0.5, 1.0):
        better = minimax.sup_norm(taylor + step * found.direction, "exp")[1]
        assert better < found.certificate.value
    assert better == pytest.approx(found.certificate.lower_bound, rel=1e-6)
    found.plot()


def test_direction_of_kolmogorov_is_a_derivative():
    p = np.array([1.0, 0.9, 0.6, 0.1])
    found = minimax.check(p, "exp", (-1.0, 1.0))
    before = minimax.sup_norm(p, "exp", tol=1e-9)[1]
    after = minimax.sup_norm(p + 1e-5 * found.direction, "exp", tol=1e-9)[1]
    assert (after - before) / 1e-5 == pytest.approx(found.slope, rel=1e-3)


@pytest.mark.parametrize(("f", "degree", "domain"), [("exp", 5, (-1, 1)), ("abs", 8, (-1, 1)), ("tanh", 7, (-2, 3))])
def test_the_best_polynomial_is_optimal(f, degree, domain):
    found = minimax.check(minimax.polynomial(f, degree, domain), f, domain, degree=degree)
    assert found.optimal
    assert found.direction is None
    assert found.alternations >= found.needed == degree + 2
    assert np.all(found.errors[:-1] * found.errors[1:] < 0.0)


def test_odd_polynomials_compete_with_odd_ones():
    best = minimax.polynomial("sin", 5, (-2, 2), system="odd")
    found = minimax.check(best, "sin", (-2, 2), degree=5, system="odd")
    assert found.optimal
    assert found.alternations == found.needed == 8


def test_a_python_function_is_checked_by_samples():
    found = minimax.check([0.0, 1.0], np.sin, (-1.0, 1.0))
    assert found.certificate.rigour == "sampled"
    assert not found.optimal


@pytest.mark.parametrize(
    ("f", "error", "domain", "options"),
    [("exp", 1e-6, (-1, 1), {}), ("abs", 2e-2, (-1, 1), {}), ("sin", 1e-8, (-1, 1), {"system": "odd"})],
)
def test_least_degree(f, error, domain, options):
    found = minimax.degree_for(f, error, domain, **options)
    assert found.polynomial.certificate.value <= error < found.impossible
    assert found.polynomial.certificate.rigour == "enclosed"
    step = 2 if options else 1
    below = minimax.polynomial(f, found.degree - step, domain, **options).certificate.lower_bound
    assert below == pytest.approx(found.impossible, rel=1e-9)


def test_a_degree_that_does_not_suffice():
    with pytest.raises(ToleranceError, match="degree 6 is not enough"):
        minimax.degree_for("abs", 1e-3, most=6)


def test_an_error_between_value_and_bound_is_no_proof():
    certificate = minimax.polynomial("abs", 20).certificate
    middle = (certificate.value + certificate.lower_bound) / 2
    with pytest.raises(ToleranceError, match="too close"):
        minimax.degree_for("abs", middle)


@pytest.mark.parametrize(
    "call",
    [
        lambda: minimax.sup_norm([np.nan], "exp"),
        lambda: minimax.sup_norm([], "exp"),
        lambda: minimax.sup_norm([1.0], np.exp),
        lambda: minimax.sup_norm([1.0], "exp", basis="legendre"),
        lambda: minimax.check([1.0, 2.0], "exp", degree=0),
        lambda: minimax.degree_for("exp", 0.0),
        lambda: minimax.degree_for("exp", 1e-3, most=-1),
        lambda: minimax.degree_for(np.exp, 1e-3),
    ],
)
def test_bad_arguments(call):
    with pytest.raises(OptionError):
        call()
