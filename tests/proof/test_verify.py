"""A claim is accepted if it follows from what is derived, and by no bit more."""

import dataclasses
import json

import numpy as np
import pytest
import torch

import infimum
from infimum.errors import FalseCertificateError, FileFormatError, OptionError, VerificationError
from infimum.proof.certificate import Certificate
from tests.accepted import accepted

M = np.random.default_rng(0).standard_normal((12, 9))
HONEST = infimum.lowrank.svd(M, 3)
DERIVED = infimum.verify(HONEST, M)


def claiming(**changes):
    return dataclasses.replace(HONEST, certificate=dataclasses.replace(HONEST.certificate, **changes))


def test_solvers_leave_room_on_the_safe_side():
    claimed = HONEST.certificate
    assert claimed.lower_bound <= DERIVED.lower_bound <= DERIVED.value <= claimed.value
    assert claimed.value <= DERIVED.value * (1.0 + 1e-12)


def test_what_was_derived_is_accepted_to_the_last_bit():
    accepted(claiming(value=DERIVED.value, lower_bound=DERIVED.lower_bound), M)
    accepted(claiming(value=2.0 * DERIVED.value, lower_bound=0.0), M)


def test_a_value_one_bit_too_small_is_refused():
    less = float(np.nextafter(DERIVED.value, 0.0))
    with pytest.raises(VerificationError, match="value: claimed"):
        infimum.verify(claiming(value=less, lower_bound=0.0), M)


def test_a_bound_one_bit_too_large_is_refused():
    with pytest.raises(VerificationError, match="lower_bound: claimed"):
        infimum.verify(claiming(lower_bound=float(np.nextafter(DERIVED.lower_bound, np.inf)), value=99.0), M)


def test_exact_claims_are_equal():
    honest = infimum.integers.product_plus_remainder(10_007)
    for change in (-1, 1):
        claims = dataclasses.replace(
            honest.certificate,
            value=honest.certificate.value + max(change, 0),
            lower_bound=honest.certificate.lower_bound + min(change, 0),
        )
        with pytest.raises(VerificationError, match="does not follow"):
            infimum.verify(dataclasses.replace(honest, certificate=claims), 10_007)


@pytest.mark.parametrize("name", ["value", "lower_bound", "confidence"])
@pytest.mark.parametrize("item", [True, "1", 1j, None, np.float32(1.0)], ids=repr)
def test_a_certificate_holds_numbers(name, item):
    parts = {"value": 2.0, "lower_bound": 1.0, "theorem": "eckart_young", "rigour": "rounded", name: item}
    with pytest.raises(OptionError, match=name):
        Certificate(**parts)


@pytest.mark.parametrize(("value", "bound"), [(1.0, 2.0), (float("nan"), 0.0), (float("inf"), 0.0)])
def test_a_certificate_that_contradicts_itself_is_a_bug(value, bound):
    with pytest.raises(FalseCertificateError, match="bug in infimum"):
        Certificate(value, bound, "eckart_young", "rounded")


@pytest.mark.parametrize("result", [None, DERIVED, "result", 3])
def test_what_is_no_result_is_refused(result):
    with pytest.raises(VerificationError, match="result of infimum was expected"):
        infimum.verify(result, M)


def test_a_certificate_that_is_none_is_refused():
    with pytest.raises(VerificationError, match="must bring a Certificate"):
        infimum.verify(dataclasses.replace(HONEST, certificate=None), M)


def test_evidence_that_breaks_the_check_is_the_evidence_s_fault():
    with pytest.raises(VerificationError):
        infimum.verify(dataclasses.replace(HONEST, U=None), M)


@pytest.mark.parametrize("scores", [torch.full((4, 2), 10.0), torch.arange(8.0).reshape(4, 2)])
@pytest.mark.parametrize(
    "solve", [infimum.balance.balanced_topk, infimum.balance.threshold_routing, infimum.balance.balanced_codebook]
)
def test_a_file_keeps_the_dtypes_of_a_bfloat16_answer(solve, scores):
    scores = scores.to(torch.bfloat16)
    result = solve(scores, 1)
    again = infimum.from_json(result.to_json()).brought_to((scores,))
    for field in dataclasses.fields(result):
        item = getattr(result, field.name)
        if isinstance(item, torch.Tensor):
            assert getattr(again, field.name).dtype == item.dtype
    infimum.verify(again, scores)


def test_claims_that_no_float_holds_are_no_claims():
    document = json.loads(HONEST.to_json())
    document["certificate"].update(value=10**400, lower_bound=-(10**400))
    with pytest.raises(FileFormatError, match="must be floats"):
        infimum.from_json(json.dumps(document))
