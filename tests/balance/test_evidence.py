"""What a result brings along is asked for kind, shape and range: forged results of the room, and honest extremes."""

import dataclasses
import itertools
from fractions import Fraction
from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch

import infimum
from infimum import balance
from infimum._arrays import to_numpy
from infimum.errors import InfimumError, OptionError, RangeError, VerificationError
from tests.accepted import accepted

RNG = np.random.default_rng(0)
SCORES = RNG.standard_normal((6, 4))
POINTS = RNG.standard_normal((6, 2))
GROUPED = balance.balanced_topk(SCORES, 2, groups=[0, 0, 1, 1])
RESULTS: dict[str, tuple[Any, np.ndarray]] = {
    "topk": (balance.balanced_topk(SCORES, 2), SCORES),
    "grouped": (GROUPED, SCORES),
    "assignment": (balance.linear_assignment(SCORES[:4]), SCORES[:4]),
    "maximised": (balance.linear_assignment(SCORES[:4], maximize=True), SCORES[:4]),
    "threshold": (balance.threshold_routing(SCORES, 1.5), SCORES),
    "codebook": (balance.balanced_codebook(POINTS, 3, rng=0), POINTS),
}


def forge(result, witness=None, claims=None, **answer):
    changed = dict(claims or {})
    if witness:
        changed["witness"] = {**result.certificate.witness, **witness}
    return dataclasses.replace(result, **answer, certificate=dataclasses.replace(result.certificate, **changed))


def refuse(result, *inputs):
    with pytest.raises(VerificationError):
        infimum.verify(result, *inputs)


def test_a_bias_of_too_many_parts_is_refused():
    refuse(forge(RESULTS["topk"][0], witness={"bias": np.zeros((17, 4))}), SCORES)


def test_loads_that_wrap_in_a_sum():
    """Four windows of 2**62 add up to 0 in 64 bits: the worst entries would pass for the best."""
    scores, eps = RNG.random((6, 4)), 2.0**-40
    honest = balance.threshold_routing(scores, 1.0, load=(0, 6))
    order = np.argsort(scores, axis=None)
    for high in (np.full(4, 2**62), np.full(4, 7), np.full(4, 2**63, dtype=np.uint64)):
        chosen = np.zeros(scores.size, dtype=bool)
        chosen[order[:6]] = True
        chosen = chosen.reshape(scores.shape)
        thresholds = np.full(4, -eps)
        given_up = float(np.sort(scores, axis=None)[-6:].sum() - scores[chosen].sum())
        forged = forge(
            honest,
            witness={"thresholds": thresholds, "level": -1.0},
            claims={"value": given_up, "lower_bound": given_up},
            chosen=chosen,
            bias=-thresholds,
            loads=chosen.sum(axis=0),
            score=float(scores[chosen].sum()),
            load=np.stack([np.zeros(4, high.dtype), high]),
        )
        with pytest.raises(VerificationError, match="load must hold whole numbers from 0 to 6"):
            infimum.verify(forged, scores)


def variants(item):
    """Return versions of one field or part that no solver returns."""
    if isinstance(item, np.ndarray):
        flat = item.astype(np.float64).ravel()
        yield "complex", item + 1j * np.where(item == item.flat[0], 1e6, 0.0)
        yield "of zero imaginary part", item.astype(complex)
        yield "one axis more", item[None]
        yield "broadcast", item[..., :1]
        yield "empty", item[..., :0]
        yield "a list", item.tolist()
        yield "a number", float(flat[0])
        yield "nothing", None
        yield "text", np.full(item.shape, "1")
        if item.dtype.kind == "f":
            for number in (np.nan, np.inf, -np.inf):
                yield str(number), np.where(np.arange(item.size).reshape(item.shape) == 0, number, item)
            yield "float16", item.astype(np.float16)
            yield "whole", np.rint(item).astype(np.int64)
            yield "bool", item > 0
        else:
            yield "float", item.astype(np.float64)
            yield "bool", item.astype(bool) if item.dtype.kind != "b" else item.astype(np.int64)
            if item.dtype.kind != "b":
                yield "negative", np.where(np.arange(item.size).reshape(item.shape) == 0, -1, item)
                yield "wrapped", item + 2**62
                yield "unsigned and huge", item.astype(np.uint64) + np.uint64(2**63)
        return
    yield from (("True", True), ("text", str(item)), ("nothing", None), ("a list", [item]), ("NaN", float("nan")))
    yield "complex", complex(item)
    yield "an array", np.array([item])
    if isinstance(item, float):
        yield "infinity", float("inf")


@pytest.mark.parametrize("name", RESULTS)
def test_every_field_and_every_part_is_asked_for(name):
    result, data = RESULTS[name]
    infimum.verify(result, data)
    accepted = []
    for field in dataclasses.fields(result):
        item = getattr(result, field.name)
        if field.name == "certificate" or (item is None and field.name in ("groups", "group_load")):
            continue
        for label, other in variants(item):
            if other is item or (field.name.endswith("_duals") and label == "float16"):
                continue  # the same answer; duals in the 16 bits of the costs
            try:
                infimum.verify(dataclasses.replace(result, **{field.name: other}), data)
            except VerificationError:
                continue
            accepted.append((field.name, label))
    for part, item in result.certificate.witness.items():
        for label, other in variants(item):
            try:
                infimum.verify(forge(result, witness={part: other}), data)
            except VerificationError:
                continue
            accepted.append((part, label))
    assert not accepted


@pytest.mark.parametrize("name", RESULTS)
def test_a_witness_without_a_part_is_refused(name):
    result, data = RESULTS[name]
    for part in result.certificate.witness:
        if part == "group_bias":
            continue  # 0 stands for it
        witness = {key: item for key, item in result.certificate.witness.items() if key != part}
        refuse(forge(result, claims={"witness": witness}), data)


def test_windows_belong_to_the_experts_and_groups_to_their_windows():
    result = GROUPED
    refuse(forge(result, group_load=None), SCORES)
    refuse(forge(result, groups=None), SCORES)
    refuse(forge(result, groups=np.array([0, 0, 1, 4])), SCORES)
    refuse(forge(result, groups=np.array([0, 0, 1, 2])), SCORES)
    refuse(forge(result, load=result.load[::-1] + np.array([[1], [0]])), SCORES)
    refuse(forge(result, load=np.concatenate([result.load, result.load])), SCORES)
    refuse(forge(result, group_load=result.group_load + 2**62), SCORES)
    plain = RESULTS["topk"][0]
    refuse(forge(plain, load=plain.load + 1), SCORES)  # the loads are below it
    refuse(forge(plain, load=np.stack([plain.load[0], np.full(4, 7)])), SCORES)  # more than there are tokens


def test_experts_are_distinct_in_range_and_in_order():
    result = RESULTS["topk"][0]
    twice = np.repeat(result.experts[:, :1], 2, axis=1)
    refuse(forge(result, experts=twice, loads=np.bincount(twice.ravel(), minlength=4)), SCORES)
    refuse(forge(result, experts=result.experts[:, ::-1].copy()), SCORES)
    refuse(forge(result, experts=result.experts[:, :0]), SCORES)
    refuse(forge(result, experts=result.experts + 4), SCORES)


def test_a_permutation_needs_a_square_matrix():
    result, cost = RESULTS["assignment"]
    refuse(result, np.concatenate([cost, cost], axis=1))
    refuse(forge(result, columns=np.array([0, 1, 2, 2])), cost)
    refuse(forge(result, columns=np.array([0, 1, 2, 4])), cost)


def test_a_bias_of_zero_is_a_bias():
    result, scores = RESULTS["topk"]
    zero = np.zeros(4)
    weak = forge(result, witness={"bias": zero[None]}, claims={"lower_bound": 0.0}, bias=zero, optimal=False)
    assert infimum.verify(weak, scores).lower_bound == 0.0


# ------------------------------------------------------------------ honest extremes


@pytest.mark.parametrize("scale", [1e35, 1e30, 1e-30, 1e-37, 1e19, 1e-19])
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_codebooks_of_single_precision_at_the_ends_of_their_range(scale, library):
    points = (RNG.standard_normal((12, 3)) * scale).astype(np.float32)
    data = points if library == "numpy" else torch.asarray(points)
    result = balance.balanced_codebook(data, 3, rng=0)
    bias = to_numpy(result.bias)
    assert np.all(np.isfinite(bias))
    assert np.unique(bias).size == 3
    infimum.verify(result, data)
    again = infimum.from_json(result.to_json())
    infimum.verify(again, data)
    distances = np.square(points[:, None].astype(float) - to_numpy(result.codes).astype(float)).sum(axis=2)
    chosen = (bias - distances)[np.arange(12), to_numpy(result.labels)]
    assert np.all(chosen >= (bias - distances).max(axis=1) - 1e-6 * distances.max())


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("scale", [1.0, 0.9, 1e-3])
def test_duals_that_the_dtype_of_the_costs_cannot_hold(dtype, scale):
    largest = 2.0**1000 if dtype == "float64" else float(np.finfo(dtype).max)
    cost = (RNG.choice([-1.0, 1.0, 0.3], (5, 5)) * largest * scale).astype(dtype)
    for maximize in (False, True):
        result = balance.linear_assignment(cost, maximize=maximize)
        assert np.all(np.isfinite(result.row_duals))
        infimum.verify(infimum.from_json(result.to_json()), cost)


@pytest.mark.parametrize("exponents", [(-1074, -1074), (999, 999), (-1074, 999), (0, 52), (-537, 100)])
@pytest.mark.parametrize("seed", range(3))
def test_exact_claims_over_all_exponents(exponents, seed):
    """Subnormal, huge and mixed scores: what is solved is verified, and an optimum is the best of all permutations."""
    rng = np.random.default_rng(seed)
    scores = np.ldexp(rng.integers(-4, 5, (4, 3)) / 4.0, rng.integers(exponents[0], exponents[1] + 1, (4, 3)))
    for result in (
        balance.balanced_topk(scores, 1, load=(0, 2)),
        balance.threshold_routing(scores, 1.0, load=(0, 2)),
        balance.linear_assignment(scores[:3]),
    ):
        data = scores[:3] if isinstance(result, balance.LinearAssignment) else scores
        infimum.verify(infimum.from_json(result.to_json()), data)
    result = balance.linear_assignment(scores[:3])
    best = min(sum(Fraction(scores[i, j]) for i, j in enumerate(order)) for order in itertools.permutations(range(3)))
    assert Fraction(result.certificate.lower_bound) <= best <= Fraction(result.certificate.value)


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("convert", [torch.asarray, array_api_strict.asarray], ids=["torch", "array_api_strict"])
def test_results_travel_between_libraries(name, convert):
    solvers: dict[str, Any] = {
        "topk": lambda a: balance.balanced_topk(a, 2),
        "grouped": lambda a: balance.balanced_topk(a, 2, groups=[0, 0, 1, 1]),
        "assignment": balance.linear_assignment,
        "maximised": lambda a: balance.linear_assignment(a, maximize=True),
        "threshold": lambda a: balance.threshold_routing(a, 1.5),
        "codebook": lambda a: balance.balanced_codebook(a, 3, rng=0),
    }
    for dtype in (np.float64, np.float32):
        data = RESULTS[name][1].astype(dtype)
        foreign = convert(data.copy())
        result = solvers[name](foreign)
        for one in (result, infimum.from_json(result.to_json())):
            accepted(one, foreign)
            accepted(one, data)
        accepted(solvers[name](data), foreign)


# ------------------------------------------------------------------ bad options


@pytest.mark.parametrize(
    "load",
    [np.full(4, 3.0 + 1j), np.full(4, True), True, "3", ["a"] * 4, (np.inf, np.inf), (0, -np.inf), (-np.inf, -1)],
    ids=str,
)
def test_loads_that_are_none(load):
    for solver, k in ((balance.balanced_topk, 2), (balance.threshold_routing, 2.0)):
        with pytest.raises(InfimumError) as caught:
            solver(SCORES, k, load=load)
        assert not isinstance(caught.value, VerificationError)
        assert "load" in str(caught.value)


WIDE_WINDOWS = [(0, np.inf), (0, 2**62), (-(2**62), 2**63), (np.zeros(4), np.full(4, 1e300))]


@pytest.mark.parametrize("load", WIDE_WINDOWS, ids=str)
def test_loads_beyond_the_tokens_are_those_of_the_tokens(load):
    result = balance.balanced_topk(SCORES, 2, load=load)
    assert result.load.tolist() == [[0] * 4, [6] * 4]
    infimum.verify(result, SCORES)


def test_a_bias_that_no_sum_can_hold():
    with pytest.raises(RangeError, match="bias"):
        balance.balanced_topk(SCORES, 2, bias=np.full(4, 1e305))
    with pytest.raises(InfimumError, match="bias"):
        balance.balanced_topk(SCORES, 2, bias=np.full(4, 1.0 + 1j))
    with pytest.raises(RangeError, match="bias"):
        balance.balanced_topk(SCORES, 2, method="sign", rate=1e302, steps=3)
    with pytest.raises(OptionError, match="groups"):
        balance.balanced_topk(SCORES, 2, groups=np.array([True, True, False, False]))


MASK = np.eye(6, 4, dtype=bool)
MASKED = np.ma.masked_array(SCORES, mask=MASK)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("scores", lambda: balance.balanced_topk(MASKED, 2)),
        ("scores", lambda: balance.threshold_routing(MASKED, 2)),
        ("cost", lambda: balance.linear_assignment(MASKED[:4])),
        ("points", lambda: balance.balanced_codebook(MASKED, 2)),
        ("codes", lambda: balance.balanced_codebook(SCORES, 2, codes=MASKED[:2])),
        ("bias", lambda: balance.balanced_topk(SCORES, 2, bias=MASKED[0])),
        ("bias", lambda: balance.routing_certificate(SCORES, MASKED[0], 2)),
        ("load", lambda: balance.balanced_topk(SCORES, 2, load=np.ma.masked_array([3] * 4))),
        (
            "groups",
            lambda: balance.balanced_topk(SCORES, 2, groups=np.ma.masked_array([0, 0, 1, 1])),
        ),
    ],
)
def test_masks_are_refused(name, call):
    with pytest.raises(InfimumError, match=f"{name} must be an array without a mask"):
        call()


@pytest.mark.parametrize("name", RESULTS)
def test_masks_are_refused_in_verification(name):
    result, data = RESULTS[name]
    with pytest.raises(VerificationError, match="mask"):
        infimum.verify(result, np.ma.masked_array(data, mask=np.zeros(data.shape, dtype=bool)))
