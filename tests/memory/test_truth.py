"""No false certificate: bounds against exact rational optima and against an independent linear program."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

import infimum
from infimum import memory
from infimum.errors import InfeasibleError, NonFiniteError, OptionError, RangeError
from infimum.memory import brute_force
from tests.memory.references import constraints_of, least_loss, random_options


@pytest.mark.parametrize("objective", ["tv", "ratio"])
@pytest.mark.parametrize("seed", range(40))
def test_exact_optimum_lies_in_the_certificate(seed, objective):
    rng = np.random.default_rng(seed)
    steps = int(rng.integers(1, 7))
    target = rng.uniform(0.2, 2.0, steps)
    schedule = memory.design(target, objective=objective, **random_options(rng, steps))
    optimum = brute_force.exact_loss(schedule, target)
    certificate = infimum.verify(schedule, target)
    assert Fraction(certificate.lower_bound) <= optimum <= Fraction(certificate.value)
    assert certificate.gap <= 1e-9 * max(1.0, certificate.value)


def hostile(rng, steps, objective):
    """Targets and caps over hundreds of orders of magnitude, decay up to the last bit below 1 or none at some steps."""
    target = 10.0 ** rng.uniform(-60, 60, steps)
    caps = 10.0 ** rng.uniform(-80, 80) * 10.0 ** rng.uniform(-19, 0, steps if rng.integers(2) else 1)
    lost = [1 - 1e-15, 0.9, 10.0 ** rng.uniform(-30, 0)][rng.integers(3)]
    options = {"max_lr": np.broadcast_to(caps, steps), "weight_decay": np.full(steps, lost / caps.max())}
    if rng.integers(2):
        options["weight_decay"] = options["weight_decay"] * rng.integers(0, 2, steps)
    if rng.integers(2):
        options["max_initial_share"] = 10.0 ** rng.uniform(-18, 0)
    return target, {**options, "warmup": int(rng.integers(0, steps + 1)), "objective": objective}


@pytest.mark.parametrize("objective", ["tv", "ratio"])
@pytest.mark.parametrize("seed", range(60))
def test_hostile_scales(seed, objective):
    """Whatever the scale: a refusal that says why, or a certificate that holds in exact arithmetic."""
    rng = np.random.default_rng(seed)
    dtype = [torch.float64, torch.float64, torch.float32, torch.bfloat16][seed % 4]
    target, options = hostile(rng, int(rng.integers(1, 5)), objective)
    try:
        target = torch.tensor(target).to(dtype)
        schedule = memory.design(target, **options)
    except (InfeasibleError, OptionError, RangeError, NonFiniteError):
        return
    certificate = infimum.verify(schedule, target)
    optimum = brute_force.exact_loss(schedule, target)
    assert Fraction(certificate.lower_bound) <= optimum <= Fraction(certificate.value)


def test_hostile_scales_are_not_all_refused():
    rng = np.random.default_rng(0)
    assert sum(designed(*hostile(rng, 3, "tv")) for _ in range(60)) >= 20


def designed(target, options):
    try:
        return memory.design(target, **options) is not None
    except (InfeasibleError, OptionError, RangeError):
        return False


@pytest.mark.parametrize("objective", ["tv", "ratio"])
@pytest.mark.parametrize("seed", range(100))
def test_independent_linear_program(seed, objective):
    rng = np.random.default_rng(1000 + seed)
    steps = int(rng.integers(10, 60))
    target = rng.uniform(0.2, 2.0, steps)
    schedule = memory.design(target, objective=objective, **random_options(rng, steps))
    certificate = infimum.verify(schedule, target)
    optimum = least_loss(target, *constraints_of(schedule, target), objective)
    slack = 1e-7 * max(1.0, optimum)  # the tolerances of that solver
    assert certificate.lower_bound - slack <= optimum <= certificate.value + slack
    assert certificate.gap <= 1e-9 * max(1.0, certificate.value)


@pytest.mark.parametrize("law", ["proportional", "match_rms"])
@pytest.mark.parametrize("seed", range(20))
def test_no_rival_beats_the_bound_under_a_law(seed, law):
    """Random schedules within the caps, with the decay that the law asks for, and no larger initial share."""
    rng = np.random.default_rng(seed)
    steps = int(rng.integers(3, 12))
    target = rng.uniform(0.2, 2.0, steps)
    options = random_options(rng, steps, law)
    schedule = memory.design(target, objective="ratio", **options)
    bound = infimum.verify(schedule, target).lower_bound
    assert schedule.certificate.gap <= 1e-9 * bound
    caps = constraints_of(schedule, target)[0]
    tried = 0
    for _ in range(300):
        mixed = rng.uniform(0.8, 1.0, steps) * schedule.lr if rng.integers(2) else rng.uniform(0.0, 1.0, steps) * caps
        lr = np.minimum(mixed * rng.uniform(0.9, 1.3), caps)
        rate = schedule.decay_rate
        decay = rate * lr if law == "proportional" else (1 - np.sqrt(1 - (lr / rate) ** 2)) / lr
        measured = memory.report(lr, decay, target=target)
        if measured.initial_share <= schedule.initial_share:
            tried += 1
            assert measured.max_over_min >= bound * (1 - 1e-12)
    assert tried or schedule.initial_share < 1e-3 or math.isclose(bound, 1.0, rel_tol=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_any_multipliers_give_a_true_bound(seed):
    """The bound is right for every witness: random ones prove less, never more than the optimum."""
    from infimum.proof.theorems import profile_dual

    rng = np.random.default_rng(seed)
    target = rng.uniform(0.2, 2.0, 5)
    schedule = memory.design(target, **random_options(rng, 5))
    optimum = brute_force.exact_loss(schedule, target)
    caps, rates, share = constraints_of(schedule, target)
    for scale in (1e-3, 0.3, 1.0, 3.0, 1e3):
        u = rng.exponential(scale, int(rng.integers(1, 6)))
        p, h, rate = (np.asarray(x, dtype=np.longdouble) for x in (target, caps, rates))
        assert Fraction(profile_dual.lower_bound(p, h, rate, share, u)) <= optimum
