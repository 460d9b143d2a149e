"""Polynomials from anywhere: enclosed errors, optimality, and the least degree."""

import math
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest

from infimum import minimax
from infimum.errors import NonFiniteError, OptionError, ToleranceError


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


# ------------------------------------------------------------------ approximations of every kind

QUARTER = math.pi / 4
SINE = [
    *(-1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04),
    *(2.75573137070700676789e-06, -2.50507602534068634195e-08, 1.58969099521155010221e-10),
]
POWER = [1.0, 0.695146143436431884765625, 0.227564394474029541015625, 0.077119089663028717041015625]


def test_a_sine_in_use_in_its_own_space():
    """The lead is 1: the error is 2**-57.85, 1.06 times the least; with the lead free it would be 1.16 times."""
    table: dict[int, Any] = {1: 1, **{2 * k + 3: c for k, c in enumerate(SINE)}}
    found = minimax.check(table, "sin", (0, QUARTER), fixed=[1], relative=True)
    assert math.log2(found.certificate.value) == pytest.approx(-57.85, abs=0.005)
    assert found.certificate.ratio == pytest.approx(1.063, abs=1e-3)
    assert not found.optimal
    assert {change.power for change in found.changes} == {3, 5, 7, 9, 11, 13}
    named = minimax.check("x + x**3*P(x**2)", "sin", (0, QUARTER), fixed={1: 1}, relative=True, tables={"P": SINE})
    assert named.certificate == found.certificate
    free = minimax.check(table, "sin", (0, QUARTER), relative=True)
    assert free.certificate.lower_bound < found.certificate.lower_bound


def test_an_exponential_in_use_in_its_own_space():
    found = minimax.check(POWER, "exp2", (0, 1), fixed=[0], relative=True)
    assert found.certificate.value == pytest.approx(8.763e-5, rel=1e-4)
    assert found.certificate.lower_bound == pytest.approx(8.559e-5, rel=1e-4)
    assert found.changes[0].power in (1, 2)
    assert all(change.power for change in found.changes)


def test_changes_lead_to_the_best():
    found = minimax.check([1.0, 1.0, 0.5], "exp")
    better = [Fraction(1), Fraction(1), Fraction(1, 2)]
    for change in found.changes:
        assert change.given == better[change.power]
        better[change.power] = change.best
    assert minimax.check(better, "exp").optimal
    assert [change.effect for change in found.changes] == sorted((c.effect for c in found.changes), reverse=True)
    assert found.changes[0].effect == pytest.approx(abs(float(found.changes[0].best) - 1.0))


def test_exact_numbers_stay_exact():
    """One third as a double would leave 2e-17, in extended precision 1e-20."""
    assert minimax.check(["1/3", 1], "x + 1/3").certificate.value == 0.0
    assert minimax.check({0: Fraction(1, 3), 1: 1}, "x + 1/3").certificate.value == 0.0
    assert minimax.sup_norm([(0.1, 1e-18), 1], "x + 0.1")[1] == pytest.approx(6.5511e-18, rel=1e-3)
    long = np.array([1.0, 1.0], dtype=np.longdouble) / 3
    true = abs(Fraction(*long[0].as_integer_ratio()) - Fraction(1, 3)) * 2
    lower, upper = minimax.sup_norm(long, "x/3 + 1/3")
    assert lower <= float(true) * (1 + 1e-15)
    assert upper >= float(true) * (1 - 1e-15)
    lower, upper = minimax.sup_norm(np.array([0.1], dtype=np.float32), "0.1")
    assert lower <= float(abs(Fraction(float(np.float32(0.1))) - Fraction(1, 10))) <= upper


def test_numpy_polynomials_are_taken():
    for p in (np.polynomial.Polynomial([1, 1, 0.5]), np.poly1d([0.5, 1, 1])):
        assert minimax.sup_norm(p, "exp") == minimax.sup_norm([1, 1, 0.5], "exp")
    series = np.polynomial.Chebyshev([1.25, 1.0, 0.25])
    assert minimax.check(series, "exp").certificate == minimax.check([1, 1, 0.5], "exp").certificate
    assert minimax.sup_norm([1.25, 1.0, 0.25], "exp", basis="chebyshev") == minimax.sup_norm([1, 1, 0.5], "exp")


def test_answers_are_taken_in_their_own_spaces():
    rounded = minimax.rounded("2**x", 3, (0, 1), fixed={0: 1})
    found = minimax.check(rounded, "2**x", (0, 1))
    assert found.certificate.value == pytest.approx(rounded.certificate.value, rel=1e-6)
    assert found.certificate.lower_bound == pytest.approx(rounded.certificate.lower_bound, rel=1e-6)
    fixed = minimax.polynomial("sin", 7, (0, 1), system="odd", fixed={1: 1})
    assert minimax.check(fixed, "sin", (0, 1)).optimal
    assert not minimax.check(fixed, "sin", (0, 1), fixed={}, system="odd", degree=7).optimal
    functions = minimax.polynomial("1/(1 + x)", None, (0, 2), system=["1", "exp(-x)", "exp(-2*x)"])
    assert minimax.check(functions, "1/(1 + x)", (0, 2)).optimal
    assert minimax.sup_norm(functions, "1/(1 + x)", (0, 2))[1] == pytest.approx(functions.certificate.value, rel=1e-5)
    best = minimax.rational("exp", (2, 2))
    again = minimax.check(best, "exp")
    assert again.optimal
    assert again.changes == ()
    assert minimax.sup_norm(best, "exp")[1] == pytest.approx(best.certificate.value, rel=1e-5)


def test_coefficients_of_functions():
    found = minimax.check([1.0, 2.0], "1/(1 + x)", (0, 2), system=["1", "exp(-x)"])
    assert found.certificate.value == pytest.approx(2.0)
    assert found.direction is not None
    better = np.array([1.0, 2.0]) + found.direction
    assert minimax.check(better, "1/(1 + x)", (0, 2), system=["1", "exp(-x)"]).optimal


QUOTIENTS: dict[str, tuple[Any, str, tuple[float, float], float]] = {
    "pair": (([1, 0.5, "1/12"], [1, -0.5, "1/12"]), "exp", (-1, 1), 3.99611e-3),
    "expression": ("x*(27 + x**2)/(27 + 9*x**2)", "tanh", (-2, 2), 2.35203e-2),
    "named": ("x*P(x**2)/Q(x**2)", "tanh", (-2, 2), 2.35203e-2),
}


@pytest.mark.parametrize("name", QUOTIENTS)
def test_quotients(name):
    p, f, domain, value = QUOTIENTS[name]
    tables = {"P": [27, 1], "Q": [27, 9]} if name == "named" else None
    lower, upper = minimax.sup_norm(p, f, domain, tables=tables)
    assert lower <= upper <= lower * (1 + 1e-5)
    assert upper == pytest.approx(value, rel=1e-5)
    found = minimax.check(p, f, domain, tables=tables)
    type_ = (2, 2) if name == "pair" else (3, 2)
    assert found.certificate.lower_bound == pytest.approx(
        minimax.rational(f, type_, domain).certificate.lower_bound, rel=1e-5
    )
    assert {change.part for change in found.changes} == {"numerator", "denominator"}
    assert found.needed == sum(type_) + 2


def test_formulas_have_an_error_but_no_space():
    lower, upper = minimax.sup_norm("x/(1 + exp(-1.702*x))", "gelu", (-4, 4))
    assert lower == pytest.approx(0.020335, abs=1e-6)
    assert upper == pytest.approx(lower, rel=1e-5)
    with pytest.raises(OptionError, match="sup_norm encloses its error"):
        minimax.check("x/(1 + exp(-1.702*x))", "gelu", (-4, 4))


def test_a_pole_of_a_quotient_is_told():
    with pytest.raises(NonFiniteError, match="denominator has a zero"):
        minimax.sup_norm("1/x", "exp")
    with pytest.raises(NonFiniteError):
        minimax.check(([1.0], [0.3, 1.0]), "exp")


def test_the_whole_domain_counts_where_only_f_is_odd_or_even():
    """Half of a symmetric domain is enough for f, but not for p."""
    for p, f in (([-0.1, 1.0], "sin"), ([0.1, 1.0], "sin"), ([1.0, 0.2, -0.5], "cos"), ([0.3], "tanh")):
        x = np.linspace(-1, 1, 401)
        seen = np.max(np.abs(getattr(np, f)(x) - np.polynomial.polynomial.polyval(x, p)))
        lower, upper = minimax.sup_norm(p, f)
        assert lower * (1 - 1e-3) <= seen <= upper
        assert minimax.check(p, f, system="full").certificate.value >= seen


def test_bounds_are_those_of_the_space_that_p_belongs_to():
    for options in ({"system": "odd"}, {"system": [1, 3]}, {"fixed": {0: 2}}, {"system": "full", "degree": 0}):
        with pytest.raises(OptionError):
            minimax.check([1.0, 1.0], "exp", (0.1, 1), **options)


@pytest.mark.parametrize(
    "p",
    [{}, {-1: 1.0}, {"a": 1.0}, [np.inf], [1j], [[1.0]], "x + y", "x + P(x)", object(), [None]],
)
def test_what_is_no_approximation_is_refused(p):
    with pytest.raises(OptionError):
        minimax.sup_norm(p, "exp")


def test_tables_have_names_of_their_own():
    names: list[Any] = ["x", "exp", "a b", 3]
    for name in names:
        with pytest.raises(OptionError):
            minimax.sup_norm("x", "exp", tables={name: [1.0]})


def test_random_quotients_against_many_digits():
    rng = np.random.default_rng(5)
    for relative in (False, True) * 4:
        p, q = rng.standard_normal(3).tolist(), [1.0, *(rng.uniform(-0.3, 0.3, 2)).tolist()]
        lower, upper = minimax.sup_norm((p, q), "cos(x) + 2", relative=relative)
        with mpmath.workdps(30):
            seen = []
            for t in np.linspace(-1, 1, 101).tolist():
                true = mpmath.cos(t) + 2
                seen.append(
                    abs(true - mpmath.polyval(p[::-1], t) / mpmath.polyval(q[::-1], t)) / (true if relative else 1)
                )
        assert float(max(seen)) <= upper * (1 + 1e-15)
        assert lower <= upper <= lower * (1 + 1e-5)
        assert float(max(seen)) >= lower * (1 - 1e-2)
