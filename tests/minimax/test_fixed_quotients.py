"""Quotients that begin at 0 as is given: ``fixed + x**s p/q``."""

import dataclasses
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest

import infimum
from infimum import minimax
from infimum.errors import InfimumError, OptionError, VerificationError
from infimum.proof.enclosure.functions import as_function
from tests.minimax.agreement import follows

# Cephes' tanh, x + x**3 P(x**2)/Q(x**2)
TANH = {
    "P": [-1.61468768441708447952e3, -9.92877231001918586564e1, -9.64399179425052238628e-1],
    "Q": [4.84406305325125486048e3, 2.23548839060100448583e3, 1.12811678491632931402e2, 1],
}

CASES: dict[str, tuple[Any, tuple[int, int], Any, dict[str, Any]]] = {
    "odd, lead 1": ("tanh", (3, 4), (-0.625, 0.625), {"fixed": {1: 1}, "relative": True}),
    "even, two given": ("cos", (4, 4), (-0.8, 0.8), {"fixed": {0: 1, 2: "-1/2"}}),
    "0 inside, odd power": ("exp", (2, 2), (-0.35, 0.5), {"fixed": {0: 1}}),
    "0 inside, even power": ("exp", (2, 3), (-0.35, 0.5), {"fixed": {0: 1, 1: 1}, "relative": True}),
    "0 at an end": ("log(1 + x)", (2, 2), (0, 0.4), {"fixed": {1: 1, 2: -0.5}, "relative": True}),
    "no constant": ("exp(x) - 1", (2, 2), (-1, 1), {"fixed": {0: 0}, "relative": True}),
    "away from 0": ("exp", (2, 2), ((0.1, 0.5), (1, 2)), {"fixed": {0: 1}}),
    "sizes at 0": ("exp", (2, 2), (-1, 1), {"fixed": {0: 1.1}}),
    "p = 0": ("1 + x**4", (0, 1), (-1, 1), {"fixed": {0: 1}}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_others_are_best(name):
    f, type_, domain, options = CASES[name]
    result = minimax.rational(f, type_, domain, **options)
    assert result.certificate.ratio <= 1.0 + 1e-6
    assert follows(result.certificate, infimum.verify(infimum.from_json(result.to_json()), f))
    ends = domain if isinstance(domain[0], tuple) else (domain,)
    x = np.concatenate([np.linspace(low, high, 2000) for low, high in ends])
    x = x[x != 0.0] if options.get("relative") else x
    exact = as_function(f)(x)
    errors = np.abs(exact - result(x)) / (np.abs(exact) if options.get("relative") else 1.0)
    assert np.max(errors) == pytest.approx(result.certificate.value, rel=1e-3)
    assert minimax.check(result, f, domain, relative=result.relative).optimal
    fixed = {power: Fraction(value) for power, value in options["fixed"].items()}
    above, below = result.parts_of_code()
    with mpmath.workdps(60):
        series = mpmath.taylor(lambda t: _value(above, t) / _value(below, t), 0, max(fixed))
        for power in range(max(fixed) + 1):
            assert abs(series[power] - mpmath.mpf(float(fixed.get(power, 0)))) < 1e-15


def _value(part, t):
    return sum(mpmath.mpf(c.numerator) / c.denominator * t**power for power, c in part.items())


def test_values_alone_lead_to_the_same_quotient():
    found = minimax.rational(np.exp, (2, 2), (-1, 0.35), fixed={0: 1})
    proved = minimax.rational("exp", (2, 2), (-1, 0.35), fixed={0: 1}).certificate
    assert found.certificate.rigour == "sampled"
    assert found.certificate.lower_bound <= proved.value
    assert found.certificate.lower_bound == pytest.approx(proved.value, rel=1e-6)
    assert infimum.verify(found, np.exp, rng=1).value <= found.certificate.value


def test_values_less_what_is_fixed_have_the_rounding_of_their_terms():
    """The rest of exp less 1 + x is small, the rounding of its values is that of numbers near 1."""
    fixed, domain = {0: 1, 1: 1}, (-0.02, 0.02)
    for f in (np.exp, "exp(x)"):
        found = minimax.polynomial(f, 7, domain, fixed=fixed, certify=False).certificate
        assert found.lower_bound <= 5.7975805439228e-21
    quotient = minimax.rational(np.exp, (3, 1), domain, fixed=fixed).certificate
    assert quotient.lower_bound <= 1.1064570526042e-18


@pytest.mark.parametrize("relative", [False, True])
def test_with_a_constant_below_they_are_polynomials(relative):
    fixed = {0: 1, 1: 1}
    quotient = minimax.rational("exp", (3, 0), (-0.5, 0.35), fixed=fixed, relative=relative).certificate
    polynomial = minimax.polynomial("exp", 5, (-0.5, 0.35), fixed=fixed, relative=relative).certificate
    assert quotient.value == pytest.approx(polynomial.value, rel=1e-9)
    assert quotient.lower_bound == pytest.approx(polynomial.lower_bound, rel=1e-9)


def test_a_member_is_found_exactly():
    result = minimax.rational("1 + x/(2 + x)", (0, 1), fixed={0: 1})
    assert (result.certificate.value, result.degrees) == (0.0, (0, 1))
    assert minimax.rational("1 + x/(2 + x)", (0, 1), fixed={0: "1/2"}).certificate.lower_bound > 0.4


def test_a_table_in_its_own_space():
    p = "x + x*x**2*P(x**2)/Q(x**2)"
    options: dict[str, Any] = {"relative": True, "tables": TANH}
    own = minimax.check(p, "tanh", (-0.625, 0.625), fixed={1: 1}, **options)
    wider = minimax.check(p, "tanh", (-0.625, 0.625), **options)
    best = minimax.rational("tanh", (5, 6), (-0.625, 0.625), fixed={1: 1}, relative=True).certificate
    assert own.certificate.value == pytest.approx(4.90064e-18, rel=1e-5)
    assert own.certificate.lower_bound == pytest.approx(best.value, rel=1e-6)
    assert wider.certificate.value == own.certificate.value
    assert wider.certificate.lower_bound < own.certificate.lower_bound
    with pytest.raises(OptionError, match=r"coefficient of x\*\*1"):
        minimax.check(p, "tanh", (-0.625, 0.625), fixed={1: 0.5}, **options)
    with pytest.raises(OptionError, match="mapping"):
        minimax.check(p, "tanh", (-0.625, 0.625), fixed=[1], **options)


def test_code_and_conversions_have_the_fixed_part():
    result = minimax.rational("exp", (2, 2), (-0.35, 0.35), fixed={0: 1, 1: 1})
    x = np.linspace(-0.35, 0.35, 200)
    space: dict[str, Any] = {}
    exec(result.to_numpy(name="p"), space)
    assert space["p"](x) == pytest.approx(result(x), rel=1e-14)
    low, high = minimax.sup_norm(result, "exp", (-0.35, 0.35))
    assert low <= result.certificate.value * (1.0 + 1e-6)
    assert result.certificate.lower_bound <= high
    assert len(result.plot().lines) > 0


def test_forged_fixed_parts_are_refused():
    result = minimax.rational("exp", (2, 2), (-0.35, 0.35), fixed={0: 1, 1: 1})
    for fixed in ((), ((0, "1"),), ((0, "1"), (1, "2")), ((0, "1"), (1, "x")), ((0, 1), (0, 1)), "01", (0,), None):
        with pytest.raises((VerificationError, InfimumError)):
            infimum.verify(dataclasses.replace(result, fixed=fixed), "exp")


def test_an_alternation_through_0_is_that_of_the_errors_over_the_power():
    """Errors of ``1 + x p/q`` that alternate as they are do so once too often, since all of them vanish at 0."""
    result = minimax.rational("exp", (1, 0), (-1, 1), fixed={0: 1})
    points = np.array([-1.0, -0.4, 0.5, 1.0])
    assert result.certificate.ratio <= 1.0 + 1e-6
    assert np.all(result.points != 0.0)
    signs = np.array(result.signs) * np.sign(result.points)
    assert np.all(signs[:-1] * signs[1:] < 0)
    forged = dataclasses.replace(
        result, certificate=dataclasses.replace(result.certificate, witness={"points": np.append(points[:2], 0.0)})
    )
    with pytest.raises(VerificationError):
        infimum.verify(forged, "exp")


@pytest.mark.parametrize(
    ("fixed", "message"),
    [({-1: 1}, "every power"), ({0: "one"}, r"fixed\[0\] must be"), ([1, 2], "mapping"), ({1990: 1}, "at most 2000")],
)
def test_words_for_what_cannot_be_fixed(fixed, message):
    with pytest.raises(OptionError, match=message):
        minimax.rational("exp", (12, 2), fixed=fixed)
