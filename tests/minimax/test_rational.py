"""Best rational functions: known optima, degenerate types, refusals."""

import dataclasses
import math

import numpy as np
import pytest

import infimum
from infimum import minimax
from infimum.errors import InfimumError, OptionError, VerificationError
from tests.minimax.agreement import follows


@pytest.mark.parametrize(
    ("f", "type_", "domain", "optimum", "digits"),
    [
        ("abs", (2, 2), (-1, 1), 0.043689, 1e-5),  # tests of Chebfun
        ("sqrt", (1, 1), (0, 1), 0.043689, 1e-5),
        ("abs", (3, 3), (-1, 1), 0.043689, 1e-5),
        ("exp", (2, 2), (-1, 1), 8.69e-5, 1e-4),
        ("exp", (5, 0), (-1, 1), 4.52055119261158258609e-5, 1e-6),
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
    certificate = minimax.rational("1/(1 + 25*x**2)", (1, 3)).certificate
    assert certificate.lower_bound == 0.0
    assert certificate.value < 1e-13


def test_a_quotient_that_does_not_converge_is_honest():
    certificate = minimax.rational("gelu", (6, 6), (-8, 8)).certificate
    assert 0.0 < certificate.lower_bound < certificate.value


def test_corrupted_results_are_refused():
    result = minimax.rational("exp", (2, 2))
    numerator = result.numerator.copy()
    numerator[1] *= 1.0 + 1e-9
    pole = dataclasses.replace(result, denominator=np.array([0.1, 1.0, 0.0]))
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
        (np.exp, (2, 2), (-1, 1), {}),
        ("exp", (-1, 2), (-1, 1), {}),
        ("exp", (2, 2, 2), (-1, 1), {}),
        ("exp", 3, (-1, 1), {}),
        ("exp", (99, 0), (-1, 1), {}),
        ("exp", (1, 1), (1, -1), {}),
        ("exp", (1, 1), [(0, 1), (2, 3)], {}),
        ("1/x", (1, 1), (-1, 1), {}),
        ("exp", (1, 1), (-1, 1), {"weight": "x"}),
    ],
)
def test_hostile_input(f, type_, domain, options):
    with pytest.raises(InfimumError):
        minimax.rational(f, type_, domain, **options)
    with pytest.raises(OptionError):
        minimax.rational("exp", "22")
