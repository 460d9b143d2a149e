"""Quotients for functions that are known by their values only: the value is sampled, the rest is proved."""

import dataclasses

import numpy as np
import pytest
import scipy.special

import infimum
from infimum import minimax
from infimum.errors import NonFiniteError, OptionError, VerificationError

pytest.importorskip("flint")
CASES = {
    "exp": (np.exp, "exp", (2, 2), (-1, 1), {}),
    "even": (np.cos, "cos", (1, 1), (-1, 1), {}),
    "odd": (np.tanh, "tanh", (3, 2), (-1, 1), {}),
    "a kink": (np.abs, "abs", (3, 3), (-1, 1.5), {"breakpoints": [0.0]}),
    "a smaller type": (np.abs, "abs", (3, 3), (-1, 1), {"breakpoints": [0.0]}),
    "a root": (np.sqrt, "sqrt", (3, 3), (0, 1), {}),
    "two intervals": (np.exp, "exp", (1, 1), ((-1, -0.5), (0, 2)), {}),
    "relative": (np.sin, "sin", (3, 2), (0.1, 1), {"relative": True}),
    "a weight": (np.exp, "exp", (1, 1), (0, 1), {"weight": "exp(-x)"}),
    "a pole nearby": (lambda x: x * scipy.special.ndtr(x), "gelu", (6, 6), (-8, 8), {}),
}


@pytest.mark.parametrize("name", CASES)
def test_values_lead_to_the_same_quotient(name):
    f, text, type_, domain, options = CASES[name]
    found = minimax.rational(f, type_, domain, **options)
    proved = minimax.rational(text, type_, domain, **options).certificate
    certificate = found.certificate
    assert certificate.rigour == "sampled"
    assert certificate.lower_bound <= proved.value
    assert certificate.lower_bound == pytest.approx(proved.value, rel=1e-5)
    assert proved.lower_bound <= certificate.value <= proved.value * (1.0 + 1e-3)
    for seed in (0, 1):
        assert infimum.verify(found, f, rng=seed).value <= certificate.value
    infimum.verify(infimum.from_json(found.to_json()), f)


def forged(result, **changes):
    claims = {key: changes.pop(key) for key in ("value", "lower_bound") if key in changes}
    return dataclasses.replace(result, certificate=dataclasses.replace(result.certificate, **claims), **changes)


def test_claims_that_do_not_follow_are_refused():
    result = minimax.rational(np.exp, (2, 2))
    value, bound = result.certificate.value, result.certificate.lower_bound
    for other in (
        forged(result, value=value * (1.0 - 1e-3), lower_bound=bound * (1.0 - 2e-3)),
        forged(result, lower_bound=bound * (1.0 + 1e-9)),
        forged(result, signs=tuple(-s for s in result.signs)),
        forged(result, numerator=result.numerator * 1.01),
    ):
        with pytest.raises(VerificationError):
            infimum.verify(other, np.exp)
    with pytest.raises((VerificationError, NonFiniteError)):
        infimum.verify(forged(result, denominator=np.array([[0.1, 1.0, 0.0]])), np.exp)
    with pytest.raises(VerificationError, match="the result is about"):
        infimum.verify(result, np.cos)
    enclosed = dataclasses.replace(result.certificate, rigour="enclosed")
    with pytest.raises(VerificationError, match="only functions that are known as formulas"):
        infimum.verify(dataclasses.replace(result, certificate=enclosed), np.exp)


def test_a_spike_that_solving_missed_is_refused():
    result = minimax.rational(np.exp, (2, 2))

    def exp(x):
        return np.exp(x) + 1e-3 * np.exp(-(((x - 0.123) / 1e-3) ** 2))

    with pytest.raises(VerificationError):
        infimum.verify(result, exp)


def test_values_that_are_not_numbers_are_refused():
    result = minimax.rational(np.exp, (1, 1))

    def exp(x):
        return np.where(np.abs(x - result.points[1]) < 1e-12, np.nan, np.exp(x))

    with pytest.raises((NonFiniteError, VerificationError)):
        infimum.verify(result, exp)


def test_quotients_are_judged_against_formulas_only():
    with pytest.raises(OptionError, match="f is a Python function"):
        minimax.check(([1.0, 0.5], [1.0, -0.5]), np.exp)


def test_code_says_that_nothing_is_proven_between_samples():
    source = minimax.rational(np.exp, (2, 2)).to_c()
    assert "nothing is proven between them" in source
    assert "Total" not in source
