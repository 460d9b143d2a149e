"""Best rational functions: known optima, degenerate types, refusals."""

import dataclasses
import math
from itertools import pairwise

import numpy as np
import pytest

import infimum
from infimum import minimax
from infimum.errors import InfimumError, OptionError, VerificationError
from infimum.proof.enclosure.functions import as_function
from infimum.proof.enclosure.quotients import _between
from tests.minimax.agreement import follows


@pytest.mark.parametrize(
    ("f", "type_", "domain", "optimum", "digits"),
    [
        ("abs", (2, 2), (-1, 1), 0.043689, 1e-5),  # tests of Chebfun
        ("sqrt", (1, 1), (0, 1), 0.043689, 1e-5),
        ("abs", (3, 3), (-1, 1), 0.043689, 1e-5),
        ("exp", (2, 2), (-1, 1), 8.69e-5, 1e-4),
        ("exp", (5, 0), (-1, 1), 4.52055119261158258609e-5, 1e-6),
        ("sqrt", (6, 6), (0, 1), 1.07471162e-4, 1e-6),
        ("sqrt", (10, 10), (0, 1), 4.87595751e-6, 1e-6),
        ("log(1.1 - x)", (8, 8), (-1, 1), 3.2177490406e-12, 1e-6),
        ("abs", (30, 30), (-1, 1), 2.1739878e-7, 1e-6),  # Chebfun's
        ("exp", (20, 20), (-1, 1), 1.97231443898e-73, 1e-6),
        ("1/(1 + 25*x**2)", (4, 0), (-1, 2), 0.322856199238, 1e-6),
        ("abs", (8, 8), (-1, 2), 0.0013086335163794, 1e-6),
        ("erf", (3, 9), (-3, 4), 2.97905500e-4, 1e-6),
    ],
)
def test_known_optima(f, type_, domain, optimum, digits):
    result = minimax.rational(f, type_, domain)
    certificate = result.certificate
    assert certificate.rigour == "enclosed"
    assert certificate.theorem == "vallee_poussin"
    assert certificate.ratio <= 1.0 + 1e-6
    assert certificate.value == pytest.approx(optimum, rel=digits)
    assert follows(certificate, infimum.verify(result, f))


def test_reciprocals_are_found():
    """Type (0, n) for 1/f is no polynomial problem, but its error alternates as often."""
    result = minimax.rational("exp", (0, 3), (0, 1))
    x = np.linspace(0, 1, 3001)
    assert np.max(np.abs(np.exp(x) - result(x))) <= result.certificate.value
    assert result.certificate.ratio <= 1.0 + 1e-6
    assert len(result.points) == 5


def test_a_weight():
    plain = minimax.rational("exp", (1, 1), (0, 1)).certificate
    weighted = minimax.rational("exp", (1, 1), (0, 1), weight="exp(-x)").certificate
    assert weighted.ratio <= 1.0 + 1e-6
    assert plain.value / math.e < weighted.value < plain.value


def test_a_function_of_the_type_has_no_error():
    for f, type_ in (("1/(1 + 25*x**2)", (1, 3)), ("x**3", (3, 1)), ("1/(2 + x)", (3, 3))):
        result = minimax.rational(f, type_, (-1, 1))
        assert result.certificate.lower_bound == 0.0
        assert result.certificate.value < 1e-30
        infimum.verify(result, f)


@pytest.mark.parametrize(("f", "domain"), [("x**3", (-1, 1)), ("sin(x)", (0, 6.283185307179586))])
def test_the_best_of_a_type_may_be_nothing(f, domain):
    low, high = domain
    result = minimax.rational(f, (0, 2), domain)
    assert result.degrees == (-1, 0)
    assert result.certificate.ratio <= 1.0 + 1e-9
    assert result.certificate.value == pytest.approx(1.0, rel=1e-9)
    assert not np.any(result(np.linspace(low, high, 7)))
    infimum.verify(result, f)


def test_relative_errors_where_f_is_0():
    result = minimax.rational("sin(x)", (3, 2), (-1, 1), relative=True)
    assert result.degrees == (3, 2)
    assert result.certificate.ratio <= 1.0 + 1e-6
    x = np.linspace(-1, 1, 2000)
    seen = np.max(np.abs(1.0 - result(x) / np.sin(x)))
    assert seen == pytest.approx(result.certificate.value, rel=1e-4)
    assert infimum.verify(infimum.from_json(result.to_json()), "sin(x)") is not None
    with pytest.raises(OptionError, match="f vanishes"):
        minimax.rational("log(x)", (2, 2), (0.5, 2), relative=True)


@pytest.mark.parametrize(
    ("f", "domain", "types"),
    [
        ("sqrt", (0, 1), [(1, 1), (2, 2), (4, 4), (5, 5), (7, 7), (9, 8)]),
        ("tanh(x) + x/7", (-4, 3), [(1, 1), (3, 2), (5, 4), (6, 6)]),
        ("abs(x - 0.3)", (-1, 1), [(2, 2), (4, 4), (8, 8)]),
        ("x**0.3", (0, 1), [(4, 4), (9, 9)]),
    ],
)
def test_larger_types_are_no_worse(f, domain, types):
    certificates = [minimax.rational(f, type_, domain).certificate for type_ in types]
    assert all(certificate.ratio <= 1.0 + 1e-6 for certificate in certificates)
    values = [certificate.value for certificate in certificates]
    assert values == sorted(values, reverse=True)


def test_evaluation_in_doubles_keeps_the_error():
    """p and q vary by a factor of 1e70 over the domain: only their quotient is known to double precision."""
    result = minimax.rational("sqrt", (16, 16), (0, 1))
    x = np.concatenate([[0.0], np.geomspace(1e-25, 1.0, 4001), result._evaluation[0]])
    assert np.max(np.abs(np.sqrt(x) - result(x))) <= result.certificate.value * (1.0 + 1e-6)
    assert result(1e-12) == pytest.approx(1e-6, abs=result.certificate.value)
    single = result(x.astype(np.float32))
    assert single.dtype == np.float32
    assert np.max(np.abs(single - np.sqrt(x))) < 3e-6


def test_poles_and_zeros():
    result = minimax.rational("sqrt", (4, 3), (0, 1))
    poles, zeros = result.poles(), result.zeros()
    assert poles.shape == (3,)
    assert zeros.shape == (4,)
    assert np.all(np.abs(poles.imag) <= 1e-12 * np.abs(poles))
    assert np.all(poles.real < 0.0)
    x = 0.37
    product = np.prod(x - zeros) / np.prod(x - poles) / (np.prod(0.8 - zeros) / np.prod(0.8 - poles))
    assert product.real == pytest.approx(result(x) / result(0.8), rel=1e-12)


@pytest.mark.parametrize(
    ("f", "type_", "domain", "optimum", "degrees"),
    [
        ("abs(x)**0.3", (1, 1), (-1, 1), 0.5, (0, 0)),
        ("cos(x)", (1, 1), (-1, 1), (1.0 - math.cos(1.0)) / 2.0, (0, 0)),
        ("exp(-x**2)*cos(3*x)", (1, 7), (-1, 1.7), 0.404457319, (0, 6)),
        ("exp(-x**2)*cos(3*x)", (0, 7), (-1, 1.7), 0.404457319, (0, 6)),
        ("abs", (3, 3), (-1, 1), 0.043689, (2, 2)),
    ],
)
def test_smaller_types_that_are_best(f, type_, domain, optimum, degrees):
    result = minimax.rational(f, type_, domain)
    assert result.degrees == degrees
    assert result.certificate.ratio <= 1.0 + 1e-6
    assert result.certificate.value == pytest.approx(optimum, rel=1e-6)


@pytest.mark.parametrize(
    ("f", "type_", "domain", "optimum", "smaller"),
    [
        ("gelu", (6, 6), (-8, 8), 0.00313838983, (5, 6)),
        ("erf(x)", (4, 4), (-1.9, 3), 0.00181277988, (3, 4)),
        ("erf(x)", (4, 4), (-2.1, 3), 0.00182338179, (3, 4)),
        pytest.param("tanh(3*x)", (9, 7), (0, 1), 7.609246188e-16, (9, 6), marks=pytest.mark.slow),
    ],
)
def test_a_pole_next_to_the_domain_and_a_zero_beside_it(f, type_, domain, optimum, smaller):
    """From all nodes at hand the search ends at smaller types; linear programs or smaller domains lead there."""
    result = minimax.rational(f, type_, domain)
    assert result.certificate.ratio <= 1.0 + 1e-6
    assert result.certificate.value == pytest.approx(optimum, rel=1e-6)
    assert result.certificate.value < minimax.rational(f, smaller, domain).certificate.value
    real = [pole.real for pole in result.poles() if abs(pole.imag) < 1e-9]
    assert min(abs(pole - end) for pole in real for end in domain) < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("n", [4, 12, 21, 30])
@pytest.mark.parametrize(
    ("f", "domain"),
    [
        ("sqrt", (0, 1)),
        ("abs", (-1, 1)),
        ("abs", (-1, 1.5)),
        ("exp", (-2, 1)),
        ("log", (0.01, 1)),
        ("1/(1 + 25*x**2)", (-1, 2)),
        ("tanh(x)", (-5, 3)),
        ("erf(x)", (-2, 3)),
        ("x**0.3", (0, 1)),
    ],
)
def test_types_from_4_to_30_close(f, domain, n):
    result = minimax.rational(f, (n, n), domain)
    assert result.certificate.ratio <= 1.01 or result.certificate.value < 1e-30


@pytest.mark.parametrize(
    ("f", "type_"),
    [
        ("x**3 - x", (4, 3)),
        ("1/(3 + x)", (1, 2)),
        ("(x/3 + 1)/(7 + x**2)", (1, 2)),
        ("1/3", (2, 2)),
        ("x/(2 + abs(x))", (3, 1)),
    ],
)
def test_quotients_of_the_type_are_found_exactly(f, type_):
    result = minimax.rational(f, type_, (0, 2.7))
    assert (result.certificate.value, result.certificate.lower_bound) == (0.0, 0.0)
    assert infimum.verify(infimum.from_json(result.to_json()), f).value == 0.0
    changed = result.numerator.copy()
    changed[0, 0] = np.nextafter(changed[0, 0], np.inf)
    with pytest.raises(VerificationError):
        infimum.verify(dataclasses.replace(result, numerator=changed), f)
    assert minimax.check(result, f, (0, 2.7)).optimal


APART = [
    ("exp(x)", (2, 2), ((-1, -0.2), (0.5, 1))),
    ("sqrt(abs(x))", (3, 3), ((-1, -0.25), (0.1, 2))),
    ("log(x)", (4, 4), ((0.01, 0.1), (1, 2), (5, 6))),
    ("abs(x)", (4, 4), ((-1, -0.01), (0.01, 1))),
]


@pytest.mark.parametrize(("f", "type_", "domain"), APART)
def test_several_intervals(f, type_, domain):
    result = minimax.rational(f, type_, domain)
    assert result.certificate.ratio <= 1.0 + 1e-6
    assert follows(result.certificate, infimum.verify(infimum.from_json(result.to_json()), f))
    x = np.concatenate([np.linspace(low, high, 400) for low, high in domain])
    seen = np.max(np.abs(as_function(f)(x) - result(x)))
    assert seen == pytest.approx(result.certificate.value, rel=1e-3)
    whole = minimax.rational(f, type_, (0.01 if f == "log(x)" else domain[0][0], domain[-1][1]))
    assert result.certificate.value < whole.certificate.value
    assert minimax.check(result, f, domain).optimal
    assert len(result.plot().lines) > len(domain)


def test_zolotarev():
    """The sign on both sides of 0: from type to type the error falls by exp(-pi K'/K), about exp(-pi**2 / log(4/a))."""
    low = 0.01
    errors = [minimax.rational("sign(x)", (n, n - 1), [(-1, -low), (low, 1)]).certificate for n in (5, 7, 9)]
    assert all(error.ratio <= 1.0 + 1e-6 for error in errors)
    ratios = [b.value / a.value for a, b in pairwise(errors)]
    assert ratios == pytest.approx([math.exp(-(math.pi**2) / math.log(4.0 / low))] * 2, rel=0.01)


def test_denominators_have_one_sign_on_all_intervals():
    """1/x is the quotient x/x**2 there; 1/x itself changes its sign between the intervals."""
    domain = [(-2, -1), (1, 3)]
    result = minimax.rational("1/x", (1, 2), domain)
    assert (result.certificate.value, result.degrees) == (0.0, (1, 2))
    forged = dataclasses.replace(
        result, numerator=np.array([[1.0]]), denominator=np.array([[0.5, 2.5]]), signs=(0,) * len(result.points)
    )
    with pytest.raises(InfimumError, match="one sign"):
        infimum.verify(forged, "1/x")


def test_corrupted_results_are_refused():
    result = minimax.rational("exp", (2, 2))
    numerator = result.numerator.copy()
    numerator[0, 1] *= 1.0 + 1e-9
    pole = dataclasses.replace(result, denominator=np.array([[0.1, 1.0, 0.0]]))
    for corrupted in (
        dataclasses.replace(result, numerator=numerator),
        dataclasses.replace(result, type=(1, 2)),
        dataclasses.replace(result, signs=(*result.signs[:-1], 0)),
        pole,
    ):
        with pytest.raises(VerificationError):
            infimum.verify(corrupted, "exp")


def test_json_and_plot():
    result = minimax.rational("tanh", (3, 2), (-2, 3))
    again = infimum.from_json(result.to_json())
    infimum.verify(again, "tanh")
    assert isinstance(result(0.5), float)
    assert result.plot().get_xlabel() == "x"


@pytest.mark.parametrize(
    ("f", "type_", "domain", "options"),
    [
        ("exp", (2, 2), (-1, 1), {"weight": np.exp}),
        (lambda x: 1j * x, (2, 2), (-1, 1), {}),
        ("exp", (-1, 2), (-1, 1), {}),
        ("exp", (2, 2, 2), (-1, 1), {}),
        ("exp", 3, (-1, 1), {}),
        ("exp", (99, 0), (-1, 1), {}),
        ("exp", (1, 1), (1, -1), {}),
        ("exp", (1, 1), [(0, 1), (1, 3)], {}),
        ("1/x", (1, 1), (-1, 1), {}),
        ("exp", (1, 1), (-1, 1), {"weight": "x"}),
    ],
)
def test_hostile_input(f, type_, domain, options):
    with pytest.raises(InfimumError):
        minimax.rational(f, type_, domain, **options)
    with pytest.raises(OptionError):
        minimax.rational("exp", "22")


def test_nodes_where_points_are_too_few_lie_in_the_domain():
    nodes = _between(np.array([0.5]), ((-1.0, 3.0),), 4)
    assert len(set(nodes)) == 4
    assert all(-1.0 < node < 3.0 for node in nodes)
    nodes = _between(np.array([-1.0, 2.5]), ((-1.0, 0.0), (2.0, 3.0)), 5)
    assert len(set(nodes)) == 5
    assert all(-1.0 < node < 0.0 or 2.0 < node < 3.0 for node in nodes)
