"""The exact rule: against rational arithmetic, the post's formulas, and the table of what uniform memory costs."""

from fractions import Fraction

import numpy as np
import pytest

from infimum import memory
from infimum.memory import lr_table


def exact_weights(lr, decay):
    """Unroll in rational arithmetic from the floating-point schedule."""
    weights, later = [], Fraction(1)
    for rate, loss in zip(reversed(lr), reversed(decay), strict=True):
        weights.append(Fraction(rate) * later)
        later *= 1 - Fraction(rate) * Fraction(loss)
    return weights[::-1], later


@pytest.mark.parametrize("block", range(10))
def test_random_profiles_and_decays(block):
    """A thousand designs in all; their weights, in exact arithmetic, are proportional to the target."""
    rng = np.random.default_rng(block)
    for _ in range(100):
        steps = int(rng.integers(1, 25))
        target = 10.0 ** rng.uniform(-3, 3, steps)
        max_lr = 10.0 ** rng.uniform(-4, 0)
        rates = rng.uniform(0.0, 0.9, steps) / max_lr
        schedule = memory.design(target, max_lr=max_lr, weight_decay=rates)
        weights, initial = exact_weights(schedule.lr.tolist(), schedule.weight_decay.tolist())
        relative = [w / Fraction(p) for w, p in zip(weights, target.tolist(), strict=True)]
        assert float(max(relative) / min(relative) - 1) <= 1e-13
        assert float(initial + sum(Fraction(r) * w for r, w in zip(rates.tolist(), weights, strict=True))) == 1.0
        assert abs(float(initial) / schedule.initial_share - 1) <= 1e-13
        assert schedule.certificate.value <= 1e-13
        assert schedule.lr.max() <= max_lr


@pytest.mark.parametrize("decay", [0.01, 0.1, 1.0])
def test_first_formula_of_the_post_is_exact(decay):
    lr = memory.design("uniform", 2000, max_lr=0.3, weight_decay=decay).lr
    np.testing.assert_allclose(lr, 0.3 / (1 + decay * 0.3 * np.arange(2000)), rtol=1e-14)


@pytest.mark.parametrize(("product", "error"), [(3e-4, 2.8e-5), (0.03, 7e-3), (0.1, 2.5e-2), (0.5, 0.13)])
def test_second_formula_of_the_post_is_approximate(product, error):
    """Decay proportional to the learning rate: the post's square root is off, the exact recursion is not."""
    peak = 0.1
    step = np.arange(1000)
    lr = peak / np.sqrt(1 + 2 * product * step)
    measured = memory.report(lr, product / peak * lr / peak)
    assert measured.max_over_min - 1 == pytest.approx(error, rel=0.1)
    exact = memory.design("uniform", 1000, max_lr=peak, weight_decay=memory.Proportional(product / peak))
    recursion = [peak]
    for _ in range(999):
        previous = recursion[-1]
        recursion.append(2 * previous / (1 + np.sqrt(1 + 4 * product / peak**2 * previous**2)))
    np.testing.assert_allclose(exact.lr, recursion, rtol=1e-13)
    assert exact.certificate.value < 1e-13


def test_norm_keeping_decay_makes_the_second_formula_exact():
    rms, peak = 0.5, 0.1
    schedule = memory.design("uniform", 2000, max_lr=peak, weight_decay=memory.MatchRMS(rms))
    np.testing.assert_allclose(schedule.lr, peak / np.sqrt(1 + peak**2 / rms**2 * np.arange(2000)), rtol=1e-13)
    measured = memory.report(schedule.lr, schedule.weight_decay, initial_rms=rms)
    assert measured.max_over_min - 1 < 1e-12
    np.testing.assert_allclose(measured.rms, rms, rtol=1e-13)
    doubled = memory.design("uniform", 2000, max_lr=peak / 2, weight_decay=memory.MatchRMS(rms, update_rms=2.0))
    measured = memory.report(doubled.lr, doubled.weight_decay, initial_rms=rms, update_rms=2.0)
    np.testing.assert_allclose(measured.rms, rms, rtol=1e-13)


def test_uniform_memory_keeps_as_much_of_the_initialisation_as_of_the_learning_rate():
    schedule = memory.design("uniform", 1000, max_lr=1e-2, weight_decay=0.3)
    assert schedule.initial_share == pytest.approx((1 - 3e-3) / (1 + 3e-3 * 999), rel=1e-13)
    assert schedule.lr[-1] / 1e-2 == pytest.approx(schedule.initial_share / (1 - 3e-3), rel=1e-13)


def test_share_is_the_least_for_an_exact_profile():
    """Anything less makes the exact profile impossible, and the bound says so."""
    target = np.random.default_rng(0).uniform(0.5, 2.0, 50)
    options = {"max_lr": np.linspace(0.2, 0.05, 50), "weight_decay": 0.5}
    exact = memory.design(target, **options)
    assert exact.certificate.value < 1e-14
    less = memory.design(target, max_initial_share=exact.initial_share * 0.99, **options)
    assert less.certificate.lower_bound > 1e-5
    more = memory.design(target, max_initial_share=0.9, **options)
    np.testing.assert_array_equal(more.lr, exact.lr)


# What each schedule costs, T = 2000, without warm-up: initial share, effective part of the batches, final RMS in units
# of sqrt(max_lr / (2 weight_decay)) from an initialisation at 0. None: not given there.
COSTS = {
    "constant": [(0.368, 0.924, None), (0.050, 0.603, 1.00), (4e-5, 0.199, 1.00)],
    "cosine": [(0.577, 0.821, None), (0.192, 0.893, 0.70), (0.004, 0.734, 0.52)],
    "linear": [(0.606, 0.817, None), (0.223, 0.885, 0.67), (0.007, 0.704, 0.53)],
    "wsd": [(0.406, 0.913, None), (0.067, 0.701, 0.91), (1e-4, 0.334, 0.77)],
    "uniform": [(0.500, 1.0, None), (0.250, 1.0, 0.61), (0.091, 1.0, 0.41)],
    "uniform, proportional": [(0.577, 1.0, None), (0.378, 1.0, 0.93), (0.217, 1.0, 0.98)],
}


@pytest.mark.parametrize("name", COSTS)
@pytest.mark.parametrize(("index", "kappa"), [(0, 1), (1, 3), (2, 10)])
def test_costs(name, index, kappa):
    steps, peak = 2000, 1e-3
    decay = kappa / (peak * steps)
    if name.startswith("uniform"):
        law = memory.Proportional(decay) if "proportional" in name else decay
        schedule = memory.design("uniform", steps, max_lr=peak, weight_decay=law)
        lr, decays = schedule.lr, schedule.weight_decay
    else:
        lr, decays = lr_table(name, steps, peak=peak), decay
    measured = memory.report(lr, decays)
    share, kish, rms = COSTS[name][index]
    digits = 1e-3 / 2 if share > 1e-3 else 0.5 * 10.0 ** np.floor(np.log10(share))
    assert abs(measured.initial_share - share) <= digits * 1.02
    assert abs(measured.effective_batches / steps - kish) <= 1e-3 / 2 * 1.02
    if rms is not None:
        assert abs(measured.rms[-1] / np.sqrt(peak / (2 * decay)) - rms) <= 1e-2 / 2 * 1.02
