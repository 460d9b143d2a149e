"""Designs under constraints: what binds, what cannot be met, long runs, precision, and refusals."""

import dataclasses
import math

import numpy as np
import pytest
import torch

import infimum
from infimum import memory
from infimum.errors import (
    DTypeError,
    InfeasibleError,
    InfimumError,
    LibraryError,
    NonFiniteError,
    OptionError,
    ShapeError,
    VerificationError,
)
from infimum.memory import brute_force
from tests.accepted import accepted
from tests.memory.references import constraints_of, least_loss


@pytest.mark.parametrize("kappa", [1, 3, 10])
def test_warm_up_then_the_rule_is_optimal_in_total_variation(kappa):
    steps, peak = 400, 1e-3
    decay = kappa / (steps * peak)
    schedule = memory.design("uniform", steps, max_lr=peak, weight_decay=decay, warmup=40)
    np.testing.assert_allclose(schedule.lr[:40], peak * np.arange(1, 41) / 40, rtol=1e-15)
    np.testing.assert_allclose(schedule.lr[39:], peak / (1 + decay * peak * np.arange(361)), rtol=1e-13)
    assert schedule.certificate.gap <= 1e-12
    expected = {1: 0.04756, 3: 0.04994, 10: 0.05726}[kappa]
    assert schedule.certificate.value == pytest.approx(expected, abs=5e-6)
    optimum = least_loss(np.ones(steps), *constraints_of(schedule, np.ones(steps)), "tv")
    assert schedule.certificate.value == pytest.approx(optimum, abs=1e-8)
    assert schedule.binding[0] == "warm-up at 40 of 40 steps"


def test_best_ratio_under_a_warm_up():
    """An exact profile would start from 2.5 per cent of the cap; the best ratio at a reasonable share is 42."""
    steps, peak = 400, 1e-3
    decay = 3 / (steps * peak)
    caps = peak * np.minimum(1.0, np.arange(1, steps + 1) / 40)
    exact = memory.design("uniform", steps, max_lr=caps, weight_decay=decay)
    assert exact.lr.max() / peak == pytest.approx(0.025)
    assert exact.initial_share == pytest.approx(0.93, abs=0.005)
    options = {"max_lr": peak, "weight_decay": decay, "warmup": 40, "objective": "ratio"}
    best = memory.design("uniform", steps, max_initial_share=0.25, **options)
    assert best.certificate.value == pytest.approx(42.0, abs=0.05)
    assert best.certificate.gap <= 1e-9
    assert best.initial_share <= 0.25


@pytest.mark.parametrize("objective", ["tv", "ratio"])
def test_a_share_that_cannot_be_reached(objective):
    options = {"max_lr": 1e-3, "weight_decay": 1.0, "objective": objective}
    everything = (1 - 1e-3) ** 400
    with pytest.raises(InfeasibleError, match=r"binding: max_lr.*nearest feasible one: max_initial_share=0\.670") as e:
        memory.design("uniform", 400, max_initial_share=0.5, **options)
    nearest = float(str(e.value).split("nearest feasible one: max_initial_share=")[1].split(";")[0])
    assert everything < nearest < everything * (1 + 2e-5)
    schedule = memory.design("uniform", 400, max_initial_share=everything * (1 + 1e-9), **options)
    np.testing.assert_allclose(schedule.lr, 1e-3, rtol=1e-6)
    assert schedule.certificate.gap <= 1e-9 * schedule.certificate.value
    assert infimum.verify(schedule, "uniform").theorem in ("profile_dual", "capped_filling")


def test_the_suggested_share_is_feasible():
    options = {"max_lr": np.linspace(1e-3, 1e-4, 300), "weight_decay": 2.0, "warmup": 7}
    with pytest.raises(InfeasibleError) as e:
        memory.design("uniform", 300, max_initial_share=1e-3, **options)
    share = float(str(e.value).split("nearest feasible one: max_initial_share=")[1].split(";")[0])
    assert memory.design("uniform", 300, max_initial_share=share, **options).certificate.gap < 1e-9


DECAYS = {"constant": lambda steps: 1.0, "changing": lambda steps: np.linspace(1.2, 0.8, steps)}


@pytest.mark.parametrize("decay", DECAYS.values(), ids=DECAYS)
def test_falling_caps(decay):
    """The filling is not optimal: closed form for constant decay, the linear program for the other."""
    steps = 300
    target = np.random.default_rng(0).uniform(0.5, 2.0, steps)
    caps = 1e-3 * np.minimum(1.0, np.linspace(3.0, 0.02, steps))
    options = {"max_lr": caps, "weight_decay": 10.0 * decay(steps), "warmup": 20, "max_initial_share": 0.2}
    schedule = memory.design(target, **options)
    optimum = least_loss(target, *constraints_of(schedule, target), "tv")
    assert schedule.certificate.value == pytest.approx(optimum, abs=1e-8)
    assert schedule.certificate.gap <= 1e-9
    assert np.all(schedule.lr <= caps)
    filling = memory.design(target, objective="ratio", **options)
    assert memory.report(filling.lr, filling.weight_decay, target=target).total_variation > optimum * 1.001


@pytest.mark.parametrize(("decay", "gap"), list(zip(DECAYS.values(), (1e-10, 0.1), strict=True)), ids=DECAYS)
def test_long_runs_are_certified_for_all_steps(decay, gap):
    steps = 20_000
    caps = 1e-3 * np.minimum(np.minimum(1.0, np.arange(1, steps + 1) / 500), np.linspace(3.0, 0.02, steps))
    schedule = memory.design("uniform", steps, max_lr=caps, weight_decay=0.3 * decay(steps), max_initial_share=0.1)
    certificate = infimum.verify(schedule, "uniform")
    assert certificate.lower_bound > 0.02
    assert certificate.gap < gap * certificate.value
    assert np.all(schedule.lr <= caps)
    assert schedule.initial_share <= 0.1


@pytest.mark.slow
def test_a_million_steps():
    """Closed form, filling and linear program; the certificates hold for all steps."""
    steps = 10**6
    even = memory.design("uniform", steps, max_lr=3e-4, weight_decay=0.1, warmup=2000)
    assert infimum.verify(even, "uniform").gap <= 1e-9
    fall = 3e-4 * np.minimum(np.minimum(1.0, np.arange(1, steps + 1) / 2000), np.linspace(3.0, 0.02, steps))
    fallen = memory.design("uniform", steps, max_lr=fall, weight_decay=0.1, max_initial_share=0.02)
    certificate = infimum.verify(fallen, "uniform")
    assert certificate.theorem == "profile_dual"
    assert certificate.gap <= 1e-9
    assert np.all(fallen.lr <= fall)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("objective", ["tv", "ratio"])
@pytest.mark.parametrize("decay", [2.0, memory.Proportional(2.0), memory.MatchRMS(0.3)], ids=str)
def test_precision(dtype, objective, decay):
    """The schedule has the dtype of the target, stays within its caps, and the certificate is about it as returned."""
    target = torch.linspace(1.0, 2.0, 50).to(dtype)
    options = {"max_lr": 0.1, "weight_decay": decay, "warmup": 4, "objective": objective}
    schedule = memory.design(target, **options)
    assert schedule.lr.dtype == schedule.weight_decay.dtype == dtype
    infimum.verify(schedule, target)
    if objective == "ratio" and dtype in (torch.float64, torch.float32):
        width = 1e-9 if dtype == torch.float64 else 1e-4
        assert schedule.certificate.gap <= width * schedule.certificate.value


def test_caps_are_those_that_the_result_keeps():
    """A vector of caps is rounded to the dtype of the target once, before the warm-up is taken."""
    caps = np.geomspace(0.0123, 0.3, 40)
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        target = torch.ones(40, dtype=dtype)
        schedule = memory.design(target, max_lr=caps, weight_decay=2.0, warmup=7, max_initial_share=0.1)
        accepted(schedule, target)


def test_verification_refuses_what_breaks_the_constraints():
    schedule = memory.design("uniform", 30, max_lr=0.1, weight_decay=2.0, warmup=4)
    faster = dataclasses.replace(schedule, lr=schedule.lr * 1.01)
    with pytest.raises(VerificationError, match="its cap"):
        infimum.verify(faster, "uniform")
    lawless = memory.design("uniform", 30, max_lr=0.1, weight_decay=memory.Proportional(2.0), warmup=4)
    with pytest.raises(VerificationError, match="law"):
        infimum.verify(dataclasses.replace(lawless, weight_decay=lawless.weight_decay * (1 + 1e-12)), "uniform")
    with pytest.raises(VerificationError, match="decay_law"):
        infimum.verify(dataclasses.replace(schedule, decay_law="other"), "uniform")
    with pytest.raises(VerificationError):
        infimum.verify(schedule, np.arange(1.0, 31.0))
    with pytest.raises(VerificationError):
        infimum.verify(schedule, np.ones(29))


def test_no_decay_at_all():
    schedule = memory.design([1.0, 2.0, 3.0], max_lr=0.3, weight_decay=0.0)
    np.testing.assert_allclose(schedule.lr, [0.1, 0.2, 0.3])
    assert schedule.initial_share == 1.0
    with pytest.raises(InfeasibleError, match="leaves 1 to the initialisation"):
        memory.design([1.0, 2.0, 3.0], max_lr=0.3, weight_decay=0.0, max_initial_share=0.9)


@pytest.mark.parametrize(
    ("target", "options", "error", "words"),
    [
        (([1.0, 0.0],), {}, OptionError, "got 0 at step 2"),
        (([1.0, -2.0],), {}, OptionError, "got -2 at step 2"),
        (([1.0, math.nan],), {}, NonFiniteError, "target"),
        (([],), {}, ShapeError, "target"),
        (([[1.0]],), {}, ShapeError, "target"),
        (([1j],), {}, DTypeError, "real"),
        ((object(),), {}, LibraryError, "target"),
        (("even", 10), {}, OptionError, "'uniform' or a vector"),
        (("uniform",), {}, OptionError, "give steps"),
        (("uniform", 0), {}, OptionError, "steps"),
        (("uniform", 2.5), {}, OptionError, "steps"),
        (([1.0, 1.0], 3), {}, ShapeError, "agree"),
        (("uniform", 10), {"max_lr": 0.0}, OptionError, "max_lr"),
        (("uniform", 10), {"max_lr": math.nan}, OptionError, "max_lr"),
        (("uniform", 10), {"max_lr": [0.1]}, ShapeError, "max_lr"),
        (("uniform", 2), {"max_lr": [0.1, 0.0]}, ShapeError, "max_lr"),
        (("uniform", 2), {"max_lr": 1e-200}, OptionError, "max_lr must be from 1e-100 to"),
        (("uniform", 2), {"max_lr": [0.1, 1e200]}, OptionError, "max_lr must be from 1e-100 to"),
        (("uniform", 10), {"weight_decay": -0.1}, OptionError, "weight_decay"),
        (("uniform", 10), {"weight_decay": math.inf}, OptionError, "weight_decay"),
        (("uniform", 10), {"weight_decay": 10.0}, InfeasibleError, "below 1, got 1 at step 1"),
        (("uniform", 10), {"weight_decay": memory.Proportional(11.0)}, InfeasibleError, "below 1"),
        (("uniform", 10), {"weight_decay": memory.MatchRMS(0.1)}, InfeasibleError, "rms / update_rms"),
        (("uniform", 10), {"warmup": 11}, OptionError, "warmup must be a whole number of steps from 0 to the 10"),
        (("uniform", 10), {"warmup": -1}, OptionError, "warmup"),
        (("uniform", 10), {"max_initial_share": 0.0}, OptionError, "max_initial_share"),
        (("uniform", 10), {"max_initial_share": 1.5}, OptionError, "max_initial_share"),
        (("uniform", 10), {"objective": "kl"}, OptionError, "objective"),
    ],
)
def test_refusals(target, options, error, words):
    with pytest.raises(error, match=words) as caught:
        memory.design(*target, **{"max_lr": 0.1, "weight_decay": 0.5, **options})
    assert isinstance(caught.value, InfimumError)


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.inf, "much"])
def test_laws_refuse_what_is_not_positive(wrong):
    with pytest.raises(OptionError):
        memory.Proportional(wrong)
    with pytest.raises(OptionError):
        memory.MatchRMS(wrong)
    with pytest.raises(OptionError):
        memory.MatchRMS(1.0, update_rms=wrong)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_the_scale_of_the_target_does_not_matter(scale):
    target = np.random.default_rng(0).uniform(0.5, 2.0, 40)
    options = {"max_lr": 0.1, "weight_decay": 1.0, "warmup": 5, "max_initial_share": 0.3}
    one, other = memory.design(target, **options), memory.design(target * scale, **options)
    np.testing.assert_allclose(one.lr, other.lr, rtol=1e-12)


def test_plot():
    schedule = memory.design("uniform", 30, max_lr=0.1, weight_decay=2.0, warmup=4)
    assert "total variation" in schedule.plot().get_title()


# ------------------------------------------------------------------ gradients


def test_gradients_are_remembered_evenly():
    schedule = memory.design("uniform", 200, max_lr=0.1, weight_decay=0.2, beta1=0.9)
    assert schedule.certificate.value < 1e-12
    assert memory.report(schedule.lr, 0.2, beta1=0.9).max_over_min < 1.0 + 1e-9
    assert (
        memory.report(memory.design("uniform", 200, max_lr=0.1, weight_decay=0.2).lr, 0.2, beta1=0.9).total_variation
        > 0.04
    )
    assert infimum.verify(schedule, "uniform").value <= schedule.certificate.value


@pytest.mark.parametrize("decay", DECAYS.values(), ids=DECAYS)
def test_gradients_under_caps_are_certified(decay):
    options = {"max_lr": 0.1, "weight_decay": 0.15 * decay(300), "warmup": 30, "max_initial_share": 0.2}
    schedule = memory.design("uniform", 300, beta1=0.95, **options)
    assert schedule.certificate.theorem == "profile_dual"
    assert schedule.certificate.gap <= 1e-8
    report = memory.report(schedule.lr, schedule.weight_decay, beta1=0.95)
    assert report.total_variation == pytest.approx(schedule.certificate.value, rel=1e-9)
    plain = memory.design("uniform", 300, **options)
    assert memory.report(plain.lr, plain.weight_decay, beta1=0.95).total_variation > 1.1 * report.total_variation
    again = infimum.from_json(schedule.to_json())
    assert infimum.verify(again, "uniform").lower_bound >= schedule.certificate.lower_bound


@pytest.mark.parametrize("seed", range(6))
def test_gradients_against_the_exact_program(seed):
    rng = np.random.default_rng(seed)
    target = rng.uniform(0.9, 1.1, 5)
    options = {"max_lr": 0.5, "weight_decay": 0.6, "warmup": seed % 3, "max_initial_share": 0.5}
    options["objective"] = "ratio" if seed == 5 else "tv"
    schedule = memory.design(target, beta1=0.5, **options)
    optimum = brute_force.best_profile(schedule, target)
    certificate = schedule.certificate
    assert certificate.lower_bound <= optimum <= certificate.value
    assert seed == 5 or certificate.gap < 1e-9


@pytest.mark.parametrize("beta1", [1.0, -0.1, True, "0.9"])
def test_momentum_is_asked(beta1):
    with pytest.raises(OptionError, match="beta1"):
        memory.design("uniform", 10, max_lr=0.1, weight_decay=0.1, beta1=beta1)


def test_long_runs_and_laws_keep_the_trivial_bound_for_gradients():
    law = memory.design(
        "uniform", 100, max_lr=0.1, weight_decay=memory.Proportional(0.4), max_initial_share=0.3, beta1=0.9
    )
    assert law.certificate.lower_bound == 0.0 < law.certificate.value
    infimum.verify(law, "uniform")
