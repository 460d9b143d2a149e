"""Coefficients that are given: known optima, exactness, and every kind of function."""

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import scipy.optimize

import infimum
from infimum import minimax
from infimum.errors import OptionError, RangeError, VerificationError

QUARTER = np.pi / 4


def test_exp2_with_its_constant():
    """Degree 3, relative, c0 = 1: a table in use has 8.763e-5."""
    result = minimax.polynomial("exp2", 3, (0, 1), fixed={0: 1}, relative=True)
    assert result.certificate.value == pytest.approx(8.559e-5, rel=1e-4)
    assert result.certificate.ratio <= 1.0 + 1e-6
    assert result.exact_coefficients()[0] == 1
    assert result(0.0) == 1.0


CASES: dict[str, tuple[str, int, Any, dict[str, Any], Any]] = {
    "sin, lead 1": ("sin", 13, (-QUARTER, QUARTER), {"fixed": {1: 1}, "relative": True}, 2.0**-57.9383),
    "cos, two given": ("cos", 8, (0, QUARTER), {"system": "even", "fixed": {0: 1, 2: Fraction(-1, 2)}}, None),
    "exp, 1 + x": ("exp(x)", 5, (-0.3466, 0.3466), {"fixed": {0: 1, 1: 1}}, None),
    "in between": ("exp(x)", 5, (0.01, 1), {"fixed": {2: 0.5}}, None),
    "no constant": ("exp(x) - 1", 4, (-1, 1), {"fixed": {0: 0}, "relative": True}, None),
}


@pytest.mark.parametrize("name", CASES)
def test_fixed_coefficients_are_exact_and_the_others_optimal(name):
    f, degree, domain, options, optimum = CASES[name]
    result = minimax.polynomial(f, degree, domain, **options)
    exact = dict(zip(result.powers, result.exact_coefficients(), strict=True))
    for power, value in options["fixed"].items():
        assert exact.get(power, 0) == Fraction(value)
    assert result.certificate.ratio <= 1.0 + 1e-6
    if optimum is not None:
        assert result.certificate.value == pytest.approx(optimum, rel=1e-4)
    infimum.verify(infimum.from_json(result.to_json()), result.f)


def test_against_linear_programming():
    result = minimax.polynomial("exp(x)", 4, (-1, 1), fixed={0: 1, 1: 0.9})
    x = np.cos(np.linspace(0, np.pi, 1500))
    rows = x[:, None] ** np.arange(2, 5)
    matrix = np.block([[rows, -np.ones((x.size, 1))], [-rows, -np.ones((x.size, 1))]])
    rest = np.exp(x) - 1.0 - 0.9 * x
    best = scipy.optimize.linprog([0, 0, 0, 1], A_ub=matrix, b_ub=np.concatenate([rest, -rest]), bounds=(None, None))
    assert result.certificate.lower_bound <= best.fun * (1.0 + 1e-4)
    assert best.fun <= result.certificate.value * (1.0 + 1e-7)


def test_numbers_stand_for_themselves():
    long = np.longdouble(1) + np.longdouble(2) ** -60 if np.finfo(np.longdouble).nmant > 60 else np.longdouble(1)
    cases: list[tuple[Any, Fraction]] = [
        ("1/3", Fraction(1, 3)),
        ("0.1", Fraction(1, 10)),
        (0.1, Fraction(0.1)),
        ((0.1, 1e-18), Fraction(0.1) + Fraction(1e-18)),
        (Fraction(2, 7), Fraction(2, 7)),
        (np.float32(0.1), Fraction(float(np.float32(0.1)))),
        (long, Fraction(*long.as_integer_ratio())),
        (np.int64(2), Fraction(2)),
    ]
    for given, value in cases:
        result = minimax.polynomial("cos", 4, (0.1, 1), fixed={0: given})
        assert result.exact_coefficients()[0] == value
        assert minimax.MinimaxPolynomial.from_json(result.to_json()).exact_coefficients()[0] == value


def test_functions_that_are_no_formulas():
    sampled = minimax.polynomial(np.sin, 7, (0.1, 1), system="odd", fixed={1: 1})
    enclosed = minimax.polynomial("sin", 7, (0.1, 1), system="odd", fixed={1: 1})
    assert sampled.certificate.rigour == "sampled"
    assert sampled.certificate.value == pytest.approx(enclosed.certificate.value, rel=1e-4)
    infimum.verify(sampled, np.sin)
    table = np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.3, 1.0])
    tabled = minimax.polynomial(table, 4, (0, 1), fixed={1: 0.3})
    text = minimax.polynomial("max(0.6*x, 0.3 + 1.4*(x - 0.5))", 4, (0, 1), fixed={1: "0.3"})
    assert tabled.certificate.rigour == "enclosed"
    assert tabled.certificate.value == pytest.approx(text.certificate.value, rel=1e-6)
    infimum.verify(tabled, table)


def test_values_and_code_have_the_fixed_part():
    result = minimax.polynomial("exp(x)", 5, (-0.5, 0.5), fixed={0: 1, 1: 1})
    x = np.linspace(-0.5, 0.5, 31)
    assert result.powers == (0, 1, 2, 3, 4, 5)
    assert result(x) == pytest.approx(np.polynomial.polynomial.polyval(x, result.coefficients()), rel=1e-15)
    assert np.max(np.abs(result(x) - np.exp(x))) <= result.certificate.value * (1 + 1e-6)
    space: dict = {}
    exec(result.to_numpy(name="p"), space)
    assert space["p"](x) == pytest.approx(result(x), rel=1e-14)


def test_rounding_keeps_what_is_fixed():
    result = minimax.rounded("2**x", 3, (0, 1), dtype="bfloat16", fixed={0: 1})
    assert result.values[0] == 1.0
    assert result.certificate.ratio < 4.0
    infimum.verify(infimum.from_json(result.to_json()), result.f)
    with pytest.raises(RangeError, match="no number of bfloat16"):
        minimax.rounded("2**x", 3, (0, 1), dtype="bfloat16", fixed={0: "1/3"})


def test_forged_fixed_parts_are_refused():
    result = minimax.polynomial("exp(x)", 5, (-0.5, 0.5), fixed={0: 1, 1: 1})
    for fixed in (((0, "1"),), ((0, "1"), (1, "2")), ((0, "1"), (1, "x")), ((0, 1), (0, 1)), "01", (0,)):
        with pytest.raises(VerificationError):
            infimum.verify(dataclasses.replace(result, fixed=fixed), "exp(x)")


def test_forged_values_of_what_is_fixed_are_refused():
    result = minimax.rounded("2**x", 3, (0, 1), dtype="bfloat16", fixed={0: 1})
    other = dataclasses.replace(result, values=np.concatenate([[1.0078125], result.values[1:]]))
    with pytest.raises(VerificationError, match="that are fixed"):
        infimum.verify(other, result.f)


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ({-1: 1}, "every power"),
        ({True: 1}, "every power"),
        ({0: "one"}, r"fixed\[0\] must be"),
        ({0: np.nan}, r"fixed\[0\] must be"),
        ({0: "1/0"}, r"fixed\[0\] must be"),
        ({0: 1j}, r"fixed\[0\] must be"),
        ([1, 2], "mapping"),
        ({0: 1, 1: 1, 2: 1}, "leaves no coefficient free"),
    ],
)
def test_words_for_what_cannot_be_fixed(fixed, message):
    with pytest.raises(OptionError, match=message):
        minimax.polynomial("exp", 2, fixed=fixed)


def test_functions_have_no_fixed_powers():
    with pytest.raises(OptionError, match="system of powers"):
        minimax.polynomial("exp", None, (0, 1), system=["1", "sin(x)"], fixed={0: 1})
