"""What a schedule brings along is asked for kind, shape and range: forged schedules, and honest ones that travel."""

import dataclasses

import array_api_strict
import numpy as np
import pytest
import torch

import infimum
from infimum import memory
from infimum.errors import InfimumError, OptionError, VerificationError
from tests.accepted import accepted

RNG = np.random.default_rng(0)
TARGET = RNG.uniform(0.5, 2.0, 12)
COMMON = {"max_lr": 0.3, "warmup": 3, "max_initial_share": 0.2}
OPTIONS = {
    "program": {**COMMON, "weight_decay": RNG.uniform(0.5, 1.5, 12)},
    "caps": {**COMMON, "max_lr": RNG.uniform(0.1, 0.3, 12), "weight_decay": 2.0},
    "exact": {"max_lr": 0.3, "weight_decay": 1.0, "warmup": 3},
    "ratio": {**COMMON, "weight_decay": 1.0, "objective": "ratio"},
    "proportional": {**COMMON, "weight_decay": memory.Proportional(1.0), "objective": "ratio"},
    "rms": {**COMMON, "weight_decay": memory.MatchRMS(0.5), "objective": "ratio"},
    "rms, tv": {**COMMON, "weight_decay": memory.MatchRMS(0.5)},
}
SCHEDULES = {name: memory.design(TARGET, **options) for name, options in OPTIONS.items()}
THEOREMS = [
    "profile_dual",
    "profile_dual",
    "profile_dual",
    "capped_filling",
    "capped_filling",
    "capped_filling",
    "unrolling",
]


def forge(result, witness=None, claims=None, **answer):
    changed = dict(claims or {})
    if witness is not None:
        changed["witness"] = {**result.certificate.witness, **witness}
    return dataclasses.replace(result, **answer, certificate=dataclasses.replace(result.certificate, **changed))


def refuse(result, target=TARGET):
    with pytest.raises(VerificationError):
        infimum.verify(result, target)


def test_every_theorem_takes_part():
    assert [result.certificate.theorem for result in SCHEDULES.values()] == THEOREMS


def variants(item):
    """Return versions of one field or part that no solver returns."""
    if isinstance(item, np.ndarray):
        yield "complex", item + 1e6j
        yield "of zero imaginary part", item.astype(complex)
        yield "one axis more", item[None]
        yield "one entry", item[:1]
        yield "too long", np.append(item, item)
        yield "empty", item[:0]
        yield "a list", item.tolist()
        yield "a number", float(item[0]) * 1.5
        yield "nothing", None
        yield "negative", -item - 1e-9
        yield "whole", np.ones(item.shape, dtype=np.int64)
        yield "truth values", item > 0
        for number in (np.nan, np.inf, -np.inf, -1.0):
            yield str(number), np.where(np.arange(item.size) == 0, number, item)
        return
    yield from (("text", f"{item}?"), ("nothing", None), ("NaN", float("nan")), ("infinity", float("inf")))
    yield from (
        ("minus infinity", -float("inf")),
        ("a list", [item]),
        ("negative", -1.0),
        ("an array", np.array([0.7])),
    )
    if not isinstance(item, str):
        yield "complex", complex(item)
        yield "True", True
        yield "False", False
    if isinstance(item, int):
        yield "a float", float(item)
        yield "beyond the run", 13
        yield "wrapped", 2**64 + item


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_field_and_every_part_is_asked_for(name):
    result = SCHEDULES[name]
    infimum.verify(result, TARGET)
    accepted = []
    for field in dataclasses.fields(result):
        item = getattr(result, field.name)
        if field.name == "certificate":
            continue
        for label, other in variants(item):
            try:
                infimum.verify(dataclasses.replace(result, **{field.name: other}), TARGET)
            except VerificationError:
                continue
            accepted.append((field.name, label))
    for part, item in result.certificate.witness.items():
        for label, other in variants(item):
            if label == "one entry" and item.size == 1:
                continue
            try:
                infimum.verify(forge(result, witness={part: other}), TARGET)
            except VerificationError:
                continue
            accepted.append((part, label))
    assert not accepted


def test_the_share_is_the_one_that_the_bound_is_about():
    """A larger share admits more schedules: whoever claims it does not get the bound of a smaller one."""
    for result in SCHEDULES.values():
        for factor in (1.5, 1.0 + 1e-9, 1.0 - 1e-13, 0.5):
            refuse(forge(result, initial_share=min(1.0, result.initial_share * factor)))
        refuse(forge(result, initial_share=1.0))


def test_weight_decay_is_not_negative():
    """Weights that grow by themselves are no decay: all memory could be had with hardly a step."""
    steps = 6
    result = memory.design("uniform", steps, max_lr=0.5, weight_decay=1.0)
    decay = np.full(steps, -0.5)
    lr = np.full(steps, 0.5)
    for objective in ("tv", "ratio"):
        forged = forge(
            result,
            claims={"value": 10.0, "lower_bound": 0.0 if objective == "tv" else 1.0},
            lr=lr,
            weight_decay=decay,
            initial_share=1.0,
            objective=objective,
        )
        with pytest.raises(VerificationError, match="weight_decay"):
            infimum.verify(forged, "uniform")


def test_claims_hold_without_slack():
    for name, result in SCHEDULES.items():
        value, bound = result.certificate.value, result.certificate.lower_bound
        derived = infimum.verify(result, TARGET)
        assert derived.value <= value
        assert derived.lower_bound >= bound
        down = np.nextafter(np.nextafter(derived.value, -1.0), -1.0)
        refuse(forge(result, claims={"value": float(down), "lower_bound": min(bound, float(down))}))
        if name != "exact":
            up = float(np.nextafter(derived.lower_bound, 9.0))
            refuse(forge(result, claims={"lower_bound": up, "value": max(value, up)}))


def test_steps_beyond_the_target():
    result = SCHEDULES["exact"]
    refuse(result, TARGET[:-1])
    refuse(result, np.append(TARGET, 1.0))
    refuse(forge(result, lr=result.lr[:-1], weight_decay=result.weight_decay[:-1]), TARGET)
    refuse(forge(result, lr=result.lr[:-1], weight_decay=result.weight_decay[:-1]), "uniform")


# ------------------------------------------------------------------ honest schedules


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("convert", [torch.asarray, array_api_strict.asarray], ids=["torch", "array_api_strict"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_schedules_travel_between_libraries(name, convert, dtype):
    target = TARGET.astype(dtype)
    foreign = convert(target.copy())
    result = memory.design(foreign, **OPTIONS[name])
    for one in (result, infimum.from_json(result.to_json())):
        accepted(one, foreign)
        accepted(one, target)
    accepted(memory.design(target, **OPTIONS[name]), foreign)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", SCHEDULES)
def test_sixteen_bits_travel(name, dtype):
    target = torch.asarray(TARGET).to(dtype)
    result = memory.design(target, **OPTIONS[name])
    accepted(infimum.from_json(result.to_json()), target)


@pytest.mark.parametrize("seed", range(40))
def test_what_is_designed_is_verified(seed):
    """Random and extreme problems: designed and verified, or refused in one clear line."""
    rng = np.random.default_rng(seed)
    steps = int(rng.integers(1, 40))
    target = 10.0 ** rng.uniform(-3, 3, steps) if seed % 2 else rng.uniform(0.5, 1.0, steps)
    peak = 10.0 ** rng.uniform(-30, 30) if seed % 4 == 3 else 10.0 ** rng.uniform(-4, 0)
    laws = (
        0.9 / peak,
        rng.uniform(0.0, 1.0, steps) / peak,
        memory.Proportional(0.5 / peak),
        memory.MatchRMS(2.0 * peak),
    )
    dtype = ("float64", "float32", "float16")[seed % 3]
    options = {"max_lr": peak, "weight_decay": laws[seed % 4], "warmup": int(rng.integers(0, steps + 1))}
    if seed % 5:
        options["max_initial_share"] = float(rng.uniform(0.05, 1.0))
    for objective in ("tv", "ratio"):
        try:
            result = memory.design(target.astype(dtype), objective=objective, **options)
        except VerificationError:
            raise
        except InfimumError:
            continue
        accepted(infimum.from_json(result.to_json()), target.astype(dtype))


@pytest.mark.parametrize("change", [{"max_lr": True}, {"weight_decay": True}, {"max_initial_share": True}], ids=str)
def test_truth_values_are_no_options(change):
    with pytest.raises(OptionError):
        memory.design(TARGET, **{**COMMON, "weight_decay": 1.0, **change})


def test_masks_are_refused():
    masked = np.ma.masked_array(TARGET, mask=[True] + [False] * 11)
    for change in ({"target": masked}, {"max_lr": masked}, {"weight_decay": masked}):
        options = {"target": TARGET, "max_lr": 0.1, "weight_decay": 1.0, **change}
        with pytest.raises(InfimumError, match="without a mask"):
            memory.design(**options)
    refuse(SCHEDULES["exact"], masked)
