"""What a report says, against direct computation."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from infimum import memory
from infimum.errors import InfeasibleError, InfimumError, NonFiniteError, OptionError, ShapeError
from infimum.memory import lr_table

RNG = np.random.default_rng(0)
LR = RNG.uniform(0.0, 0.3, 60)
DECAY = RNG.uniform(0.0, 1.0, 60)


@pytest.mark.parametrize("convention", ["coupled", "independent", "corrected"])
def test_weights_are_those_of_a_simulated_run(convention):
    """Run a linear optimizer with one-hot updates: every weight can be read off the final parameters."""
    lost = {"coupled": LR * DECAY, "independent": 0.3 * DECAY, "corrected": DECAY * LR**2 / LR.max()}[convention]
    state = np.zeros(61)
    state[0] = 1.0
    for step in range(60):
        state *= 1.0 - lost[step]
        state[step + 1] += LR[step]
    written = 0.3 * DECAY if convention == "independent" else DECAY
    measured = memory.report(LR, written, convention=convention)
    np.testing.assert_allclose(measured.weights, state[1:], rtol=1e-13)
    assert measured.initial_share == pytest.approx(state[0], rel=1e-13)
    np.testing.assert_allclose(measured.decay, lost, rtol=1e-15)


def test_shares_add_to_one():
    measured = memory.report(LR, DECAY)
    assert abs(measured.initial_share + np.sum(DECAY * measured.weights) - 1.0) < 1e-14


def simulated(beta):
    """Run the weight over one-hot inputs of a bias-corrected moving average, each step counted with its weight."""
    mean, weights = np.zeros(60), np.zeros(60)
    for step in range(60):
        mean *= beta
        mean[step] += 1.0 - beta
        weights = (1.0 - LR[step] * DECAY[step]) * weights + LR[step] * mean / (1.0 - beta ** (step + 1))
    return weights


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.99])
def test_momentum_spreads_a_gradient(beta):
    """Simulate SGD with a bias-corrected moving average of one-hot gradients."""
    measured = memory.report(LR, DECAY, beta1=beta)
    np.testing.assert_allclose(measured.gradient_weights, simulated(beta), rtol=1e-12)
    assert measured.gradient_weights.sum() == pytest.approx(measured.weights.sum(), rel=1e-12)


def test_uniform_memory_leaves_the_last_gradients_low():
    """With momentum, even weights of the updates leave 21 (44) of the last gradients below 90 per cent."""
    schedule = memory.design("uniform", 2000, max_lr=1e-3, weight_decay=1.5)
    for beta, count, last in ((0.9, 21, 0.10), (0.95, 44, 0.05)):
        spread = memory.report(schedule.lr, schedule.weight_decay, beta1=beta).gradient_weights / schedule.lr[-1]
        assert np.sum(spread < 0.9) == count
        assert spread[-1] == pytest.approx(last, rel=1e-9)


@pytest.mark.parametrize("beta", [0.5, 0.9, 0.99])
def test_with_momentum_all_figures_are_those_of_the_gradients(beta):
    """They were those of the updates, whatever beta1 was."""
    ids = np.arange(60) % 7
    plain = memory.report(LR, DECAY, batch_ids=ids)
    measured = memory.report(LR, DECAY, beta1=beta, batch_ids=ids)
    weights = np.array(measured.gradient_weights)
    share = weights / weights.sum()
    assert measured.total_variation == pytest.approx(0.5 * np.abs(share - 1.0 / 60).sum(), rel=1e-9)
    assert measured.max_over_min == pytest.approx(weights.max() / weights.min(), rel=1e-12)
    assert measured.effective_batches == pytest.approx(weights.sum() ** 2 / (weights**2).sum(), rel=1e-12)
    assert measured.period(0.5) == np.sum(weights >= 0.5 * weights.max())
    np.testing.assert_allclose(measured.sample_weights, np.bincount(ids, weights=weights), rtol=1e-12)
    assert measured.batch_weights is measured.gradient_weights
    assert plain.batch_weights is plain.weights
    for name in ("total_variation", "max_over_min", "effective_batches"):
        assert getattr(plain, name) != getattr(measured, name)
    assert (measured.initial_share, measured.decay_total) == (plain.initial_share, plain.decay_total)


def test_the_distance_of_the_gradients_is_rounded_upwards():
    """Against the same sums in rational numbers: the allowance covers the recursion."""
    for steps, beta in ((40, 0.9), (25, 0.999), (3, 0.0)):
        lr, decay = LR[:steps], np.full(steps, 0.25)
        measured = memory.report(lr, decay, beta1=beta)
        b, gradients = Fraction(beta), [Fraction(0)] * steps
        for i in range(steps):
            weight = Fraction(float(lr[i]))
            for later in range(i + 1, steps):
                weight *= 1 - Fraction(float(lr[later])) / 4
            for j in range(i + 1):
                gradients[j] += weight * (1 - b) * b ** (i - j) / (1 - b ** (i + 1))
        share = [g / sum(gradients) for g in gradients]
        truth = sum(abs(s - Fraction(1, steps)) for s in share) / 2
        assert truth <= Fraction(measured.total_variation) <= truth + Fraction(1, 10**11)


def test_second_moment_weights():
    """The squared gradients that the denominators of the updates hold, each update counted with its weight."""
    measured = memory.report(LR, DECAY, beta2=0.95)
    np.testing.assert_allclose(measured.square_weights, simulated(0.95), rtol=1e-12)
    assert measured.gradient_weights is None
    assert measured.total_variation == memory.report(LR, DECAY).total_variation


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.95])
def test_a_target_of_the_gradients_is_met_through_momentum(beta):
    wanted = memory.forgetting(300, 200.0) if beta else np.linspace(1.0, 2.0, 300)
    target = memory.gradient_target(wanted, beta1=beta)
    schedule = memory.design(target, max_lr=0.2, weight_decay=0.5)
    measured = memory.report(schedule.lr, schedule.weight_decay, beta1=beta, target=wanted)
    assert measured.max_over_min == pytest.approx(1.0, abs=1e-9)
    assert measured.total_variation < 1e-9


def test_gradients_are_at_least_as_near_as_the_updates():
    """Where caps bind, the certificate of the updates bounds the distance of the gradients from above."""
    target = memory.gradient_target("uniform", 200, beta1=0.9)
    schedule = memory.design(target, max_lr=0.05, weight_decay=0.5, warmup=40, max_initial_share=0.3)
    measured = memory.report(schedule.lr, schedule.weight_decay, beta1=0.9)
    assert 0.0 < measured.total_variation <= schedule.certificate.value


def test_targets_that_momentum_cannot_give():
    with pytest.raises(InfeasibleError, match="grows by 2 after step 3"):
        memory.gradient_target([1.0, 1.0, 1.0, 2.0], beta1=0.6)
    memory.gradient_target([1.0, 1.0, 1.0, 2.0], beta1=0.4)
    for beta in (1.0, -0.1, True, "0.9"):
        with pytest.raises(OptionError, match="beta1"):
            memory.gradient_target("uniform", 5, beta1=beta)
    with pytest.raises(OptionError, match="beta2"):
        memory.report(LR, DECAY, beta2=1.0)


def test_figures():
    constant = memory.report(np.full(1000, 0.01), 0.3)
    keep = 1 - 0.003
    assert constant.period(0.5) == int(np.floor(np.log(0.5) / np.log(keep))) + 1
    weights = keep ** np.arange(1000)
    assert constant.effective_batches == pytest.approx(weights.sum() ** 2 / (weights**2).sum(), rel=1e-12)
    assert constant.max_over_min == pytest.approx(weights[0] / weights[-1], rel=1e-12)
    assert constant.total_variation == pytest.approx(np.abs(weights / weights.sum() - 1e-3).sum() / 2, rel=1e-12)
    assert constant.decay_total == pytest.approx(3.0)
    even = memory.report(np.full(1000, 0.01), 0.0)
    assert even.period() == even.steps == 1000
    assert even.effective_batches == pytest.approx(1000)
    assert even.initial_share == 1.0
    assert set(constant.summary()) == set(even.summary())


def test_rms_follows_a_random_walk():
    """Unit updates in random directions of a large space: the prediction holds to the accuracy of the simulation."""
    rng = np.random.default_rng(0)
    lr, decay = np.full(200, 0.05), np.linspace(0.2, 1.0, 200)
    theta = 0.3 * rng.standard_normal(20_000)
    for rate, loss in zip(lr, decay, strict=True):
        theta = (1 - rate * loss) * theta - rate * 2.0 * rng.standard_normal(theta.size)
    predicted = memory.report(lr, decay, initial_rms=0.3, update_rms=2.0).rms
    assert predicted.shape == (200,)
    assert predicted[0] == pytest.approx(np.hypot(0.99 * 0.3, 0.1), rel=1e-14)
    assert predicted[-1] == pytest.approx(np.sqrt(np.mean(theta**2)), rel=0.02)
    steady = memory.report(np.full(20_000, 0.01), 0.1).rms[-1]
    assert steady == pytest.approx(np.sqrt(0.01 / 0.2), rel=1e-3)


def test_epochs():
    """Same order every epoch, constant learning rate: the unevenness over samples does not depend on the epochs."""
    for epochs in (1, 2, 5):
        ids = np.tile(np.arange(200), epochs)
        measured = memory.report(np.full(ids.size, 0.01), 0.3, batch_ids=ids)
        sums = measured.sample_weights
        assert sums.shape == (200,)
        assert sums.max() / sums.min() == pytest.approx((1 - 0.003) ** -199, rel=1e-10)
    uneven = RNG.integers(0, 50, 300)
    uneven[:50] = np.arange(50)
    wanted = RNG.uniform(1.0, 4.0, 50)
    schedule = memory.design(memory.per_sample(uneven, wanted), max_lr=0.1, weight_decay=0.2)
    sums = memory.report(schedule.lr, schedule.weight_decay, batch_ids=uneven).sample_weights
    np.testing.assert_allclose(sums / sums[0], wanted / wanted[0], rtol=1e-12)


def test_targets():
    recent = memory.forgetting(100, 20.0)
    assert recent[-1] == 1.0
    assert recent[-21] == pytest.approx(np.exp(-1))
    schedule = memory.design(recent, max_lr=0.1, weight_decay=0.2)
    assert schedule.certificate.value < 1e-13
    quality = np.linspace(1.0, 4.0, 2000)
    falls = memory.design(quality, max_lr=1e-3, weight_decay=1.5).lr
    assert falls[-1] / falls.max() == pytest.approx(0.47, abs=0.005)


def test_tensors_stay_tensors():
    lr = torch.tensor(LR, dtype=torch.float32)
    measured = memory.report(lr, 0.5, beta1=0.9, beta2=0.95, batch_ids=torch.arange(60) % 7)
    for name in (
        "weights",
        "decay",
        "weight_decay",
        "target",
        "rms",
        "gradient_weights",
        "square_weights",
        "sample_weights",
    ):
        item = getattr(measured, name)
        assert isinstance(item, torch.Tensor), name
        assert item.dtype == torch.float32, name


def test_warnings():
    assert memory.report(np.full(10, 0.5), 0.5).warnings == ()
    erased = memory.report(np.full(10, 0.5), np.append(np.full(9, 0.5), 2.5))
    assert "reaches 1 at 1 steps (first: step 10)" in erased.warnings[0]
    assert erased.total_variation == np.inf
    apart = memory.report(np.ones(4), [1e-2, 1e-3, 1e-4, 1e-9]).warnings
    assert [text.partition(": ")[0] for text in apart] == [
        f"parameters kept in {dtype} do not decay at {count} of 4 steps"
        for dtype, count in (("bfloat16", 3), ("float16", 2), ("float32", 1))
    ]
    (together,) = memory.report(np.ones(3), [1e-2, 1e-4, 1e-4]).warnings
    assert "bfloat16 or float16 do not decay at 2 of 3 steps" in together
    assert memory.report(np.full(10, 1e-4), 0.0).warnings == ()


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        (([], 0.1), {}, ShapeError, "at least one entry"),
        (([[0.1]], 0.1), {}, ShapeError, "vector"),
        (([0.1, np.nan], 0.1), {}, NonFiniteError, "lr"),
        (([-0.1, 0.1], 0.1), {}, OptionError, "at least 0"),
        (([0.0, 0.0], 0.1), {}, OptionError, "above 0 somewhere"),
        (([0.1, 0.1], -0.1), {}, OptionError, "weight_decay"),
        (([0.1, 0.1], [0.1]), {}, OptionError, "weight_decay"),
        (([0.1, 0.1], [0.1, np.inf]), {}, NonFiniteError, "weight_decay"),
        (([0.1], 0.1), {"convention": "other"}, OptionError, "convention"),
        (([0.1], 0.1), {"beta1": 1.0}, OptionError, "beta1"),
        (([0.1], 0.1), {"target": [0.0]}, OptionError, "positive at every step"),
        (([0.1], 0.1), {"target": [1.0, 2.0]}, ShapeError, "agree"),
        (([0.1], 0.1), {"batch_ids": [0, 1]}, ShapeError, "batch_ids"),
        (([0.1], 0.1), {"batch_ids": [0.5]}, OptionError, "whole numbers"),
        (([0.1], 0.1), {"batch_ids": [-1]}, OptionError, "whole numbers"),
        (([0.1], 0.1), {"initial_rms": -1.0}, OptionError, "initial_rms"),
        (([0.1], 0.1), {"update_rms": 0.0}, OptionError, "update_rms"),
    ],
)
def test_refusals(arguments, options, error, words):
    with pytest.raises(error, match=words):
        memory.report(*arguments, **options)


@pytest.mark.parametrize("shape", ["constant", "cosine", "linear", "wsd"])
@pytest.mark.parametrize(("warmup", "cooldown"), [(0, 0.2), (5, 0.8), (5, 1.0), (9, 0.5), (10, 0.3), (1, 1.0)])
def test_every_shape_reaches_its_peak_and_never_passes_it(shape, warmup, cooldown):
    table = lr_table(shape, 10, peak=0.1, warmup=warmup, cooldown=cooldown)
    assert table.max() == table[max(warmup - 1, 0)] == 0.1
    assert np.all(np.diff(table[: max(warmup, 1)]) > 0.0)
    assert np.all(np.diff(table[max(warmup - 1, 0) :]) <= 0.0)


def test_a_cooldown_that_has_room_lasts_as_long_as_asked():
    table = lr_table("wsd", 100, peak=1.0, warmup=10, cooldown=0.3)
    assert np.count_nonzero(table[10:] == 1.0) == 61
    np.testing.assert_allclose(table[70:], np.arange(30, 0, -1) / 30.0)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: memory.report([0.1], 0.1).period(0.0),
        lambda: memory.forgetting(10, 0.0),
        lambda: memory.forgetting(10_000, 1.0),
        lambda: memory.per_sample([0, 1], [1.0]),
        lambda: memory.per_sample([0, 1], [1.0, -1.0]),
        lambda: lr_table("triangle", 10, peak=1.0),
        lambda: lr_table("cosine", 10, peak=0.0),
        lambda: lr_table("cosine", 0, peak=1.0),
        lambda: lr_table("cosine", 10, peak=1.0, warmup=11),
        lambda: lr_table("cosine", 10, peak=1.0, final=2.0),
    ],
)
def test_more_refusals(wrong):
    with pytest.raises(InfimumError):
        wrong()


def test_plots():
    measured = memory.report(lr_table("cosine", 100, peak=1e-2, warmup=5), 0.3)
    for draw in (measured.plot, measured.plot_cumulative, measured.plot_schedule, measured.plot_rms):
        assert draw().get_xlabel()
