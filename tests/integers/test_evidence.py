"""Forged results of the room: what a result brings along is asked for its kind, range and size."""

import dataclasses
import json

import numpy as np
import pytest
import torch

import infimum
from infimum.errors import FileFormatError, LibraryError, OptionError, RangeError, VerificationError
from infimum.integers import product_plus_remainder, product_plus_remainder_many
from infimum.proof.evidence import shown
from infimum.proof.theorems import product_plus_remainder as theorem
from tests.accepted import accepted

COSTLY = (10**9 + 7, 10**9 + 9, 1)


def forge(result, *, witness=None, **claims):
    if witness is not None:
        claims["witness"] = {**result.certificate.witness, **witness}
    return dataclasses.replace(result, certificate=dataclasses.replace(result.certificate, **claims))


def refuse(result, *inputs, match=None):
    with pytest.raises(VerificationError, match=match):
        infimum.verify(result, *inputs)


@pytest.mark.parametrize(
    ("n", "cost"),
    [
        (10**12, COSTLY),
        (10**12, (1, 1, 1)),
        (10**40, (1, 1, 1)),
        (10**90, (3, 5, 2)),
        (10**300, (1, 1, 1)),
        (7, (1, 1, 1)),
    ],
    ids=str,
)
def test_verifications_end(n, cost):
    result = product_plus_remainder(n, cost=cost, max_steps=1000)
    infimum.verify(result, n)
    for stop in (10**30, 10**100, 10**1000, result.certificate.witness["stop"] + 10**8 + 1):
        witness = {"first": 1 if stop == 10**30 else result.certificate.witness["first"], "stop": stop}
        refuse(forge(result, witness=witness), n, match="lines|stop")
    refuse(forge(result, witness={"first": 10**200, "stop": 10**200 + 10**7}), n, match="first|lower_bound")


def test_the_budget_of_a_search_is_that_of_a_proof():
    with pytest.raises(OptionError, match="max_steps must be at most 100000000"):
        product_plus_remainder(130, max_steps=theorem.LINES + 1)
    infimum.verify(product_plus_remainder(130, max_steps=theorem.LINES), 130)


KINDS = [True, False, 10.0, "10", None, [10], 10 + 0j, np.float64(10), np.array([10]), -1, 2**64 + 10, 10**5000]


@pytest.mark.parametrize("bad", KINDS, ids=shown)
def test_every_number_of_a_triple_is_whole(bad):
    result = product_plus_remainder(130, all=True)
    for field in "abc":
        refuse(dataclasses.replace(result, **{field: bad}), 130)
    for place in range(3):
        cost = tuple(bad if i == place else 1 for i in range(3))
        if place != 2 or type(bad) is not int:  # of a remainder of 0 any cost is true
            refuse(dataclasses.replace(result, cost=cost), 130)
        optimum = tuple(bad if i == place else item for i, item in enumerate(result.optima[0]))
        refuse(dataclasses.replace(result, optima=(optimum, *result.optima[1:])), 130)
    for name in ("first", "stop"):
        if bad != 10 or type(bad) is not int:
            refuse(forge(result, witness={name: bad}), 130)


def test_truth_values_are_no_numbers_of_an_optimum():
    n = 7
    result = product_plus_remainder(n, all=True)
    assert any(1 in triple for triple in result.optima)
    truths = tuple(tuple(True if item == 1 else item for item in triple) for triple in result.optima)
    refuse(dataclasses.replace(result, optima=truths), n)
    for optima in (result.optima[0], "all", 5, (), ((1, 2),), ((1, 2, 3, 4),)):
        refuse(dataclasses.replace(result, optima=optima), n)
    refuse(dataclasses.replace(result, cost=(1, 1)), n)
    refuse(dataclasses.replace(result, cost=(True, True, True)), n)


def test_factors_that_cost_the_same_are_in_order():
    result = product_plus_remainder(130)
    refuse(dataclasses.replace(result, a=result.b, b=result.a), 130, match="a <= b")
    uneven = product_plus_remainder(130, cost=(1, 2, 3))
    assert uneven.a > uneven.b
    infimum.verify(uneven, 130)


def test_a_witness_without_a_part():
    result = product_plus_remainder(130)
    for witness in ({}, {"first": 1}, {"stop": 50}):
        refuse(dataclasses.replace(result, certificate=dataclasses.replace(result.certificate, witness=witness)), 130)


def test_numbers_of_4000_digits():
    for n, cost in [(10**4000, (1, 1, 1)), (5, (10**4000, 1, 1)), (5, (1, 1, 10**4000)), (10**999, (1, 1, 11))]:
        with pytest.raises(RangeError, match=r"below 10\*\*1000"):
            product_plus_remainder(n, cost=cost)
    result = product_plus_remainder(130)
    refuse(result, 10**4000)
    text = json.loads(result.to_json())
    for place, name in [("answer", "a"), ("answer", "c"), ("certificate", "value")]:
        changed = json.loads(json.dumps(text))
        changed[place][name] = "LONG"
        long = json.dumps(changed).replace('"LONG"', "9" * 4000)
        with pytest.raises(FileFormatError):
            infimum.from_json(long)


def test_the_largest_that_is_solved_is_written_and_read():
    n = 10**1000 - 1
    result = product_plus_remainder(n, max_steps=3)
    accepted(infimum.from_json(result.to_json()), n)


# ------------------------------------------------------------------ many


def test_sums_that_wrap_are_no_small_sums():
    """a = 0, b = 2**63 - 1, c = n: the sum of one number leaves 64 bits, and another makes up for it."""
    values = np.array([130, 10**18], dtype=np.int64)
    honest = product_plus_remainder_many(values)
    total = honest.certificate.value
    a, b, c = np.array([0, 0]), np.array([2**63 - 1, 0]), np.array([130, 10**18])
    for rest in (total - (2**63 - 1 + 130 - 2**64) - 10**18, 0):
        forged = dataclasses.replace(honest, a=a, b=np.array([b[0], rest % 2**62]), c=c)
        refuse(forged, values)
    wide = dataclasses.replace(honest, a=np.array([0, 0]), b=np.array([2**63 - 1, 2**63 - 1]), c=values)
    derived = wide.recheck(values)
    assert derived.value == 2 * (2**63 - 1) + 130 + 10**18
    refuse(wide, values)


def variants(part):
    yield from (part.astype(float), part.astype(complex), part.astype(np.int32), part.astype(np.uint64), part > 0)
    yield from (part[None], part[:1], part.reshape(-1, 1), part.tolist(), None, "abc", -part, part.astype(object))


def test_every_part_is_asked_for():
    values = np.array([130, 30522, 77])
    result = product_plus_remainder_many(values)
    for name in "abc":
        for bad in variants(getattr(result, name)):
            refuse(dataclasses.replace(result, **{name: bad}), values)
    refuse(dataclasses.replace(result, a=result.b, b=result.a), values)


def test_results_travel_between_libraries():
    values = np.array([[130, 30522], [77, 2**62]])
    result = product_plus_remainder_many(torch.asarray(values))
    accepted(infimum.from_json(result.to_json()), torch.asarray(values))
    accepted(infimum.from_json(result.to_json()), values)
    accepted(product_plus_remainder_many(values), torch.asarray(values))


def test_masks_are_refused():
    values = np.array([130, 77])
    masked = np.ma.masked_array(values, mask=[True, False])
    with pytest.raises(LibraryError, match="without a mask"):
        product_plus_remainder_many(masked)
    refuse(product_plus_remainder_many(values), masked, match="mask")
