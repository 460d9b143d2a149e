"""Updates of the bias against the posts' formulas, auxiliary losses and their gradients, starting values."""

import math

import array_api_strict
import numpy as np
import pytest
import torch

from infimum import balance
from infimum.errors import DTypeError, LibraryError, NonFiniteError, OptionError, ShapeError

COUNTS = np.array([40, 30, 20, 6, 4, 0])
F, Q = COUNTS / 100, np.full(6, 1 / 6)
BIAS = np.array([0.3, -0.2, 0.0, 0.1, -0.1, -0.1])
RATE = 1e-3
FORMULAS = {
    "sgd": F - Q,
    "sign": np.sign(F - Q),
    "rms": (F - Q) / np.sqrt(np.mean((F - Q) ** 2)),
    "relative": F / Q - 1,
    "tanh": np.tanh(2 * (F / Q - 1)),
}


@pytest.mark.parametrize("rule", FORMULAS)
def test_rules_are_the_formulas_of_the_posts(rule):
    plain = balance.update_bias(BIAS, COUNTS, rule, RATE, center=False)
    np.testing.assert_allclose(plain, BIAS - RATE * FORMULAS[rule], rtol=1e-14, atol=1e-16)
    centered = balance.update_bias(BIAS, COUNTS, rule, RATE)
    np.testing.assert_allclose(centered, plain - (plain - BIAS).mean(), rtol=1e-13, atol=1e-16)


def test_dynamic_rules():
    def updated(rule, load, center=True):
        return balance.update_bias(BIAS, COUNTS, rule, RATE, load=load, center=center)

    sign = np.sign(F - Q)
    even = sign - sign.mean()
    np.testing.assert_allclose(updated("budget", 10.0), BIAS - RATE * (even + 1), rtol=1e-14)  # 100 > 60: fewer
    np.testing.assert_allclose(updated("budget", 30.0), BIAS - RATE * (even - 1), rtol=1e-14)
    np.testing.assert_allclose(updated("at-most", 10.0), BIAS - RATE * (even + 1), rtol=1e-14)
    np.testing.assert_allclose(updated("at-most", 30.0), BIAS - RATE * even, rtol=1e-14)
    # 11626: b += rate sign(m k / n - counts)
    np.testing.assert_allclose(updated("sign", 5.0, center=False), BIAS + RATE * np.sign(5.0 - COUNTS), rtol=1e-14)


def test_uneven_load():
    load = np.array([50, 10, 10, 10, 10, 10])
    got = balance.update_bias(BIAS, COUNTS, "sgd", RATE, load=load, center=False)
    np.testing.assert_allclose(got, BIAS - RATE * (COUNTS - load) / 100, rtol=1e-14)


@pytest.mark.parametrize("rule", ["sign", "rms", "sgd", "relative", "tanh"])
def test_a_balanced_or_empty_batch_moves_nothing(rule):
    for counts in (np.full(6, 7), np.zeros(6, dtype=int)):
        assert np.array_equal(balance.update_bias(BIAS, counts, rule, 0.1), BIAS)


@pytest.mark.parametrize("rule", ["sign", "rms", "sgd", "relative", "tanh", "budget", "at-most"])
def test_layers_are_independent_and_libraries_agree(rule):
    counts = np.stack([COUNTS, COUNTS[::-1], np.zeros(6, dtype=int)])
    bias = np.stack([BIAS, BIAS[::-1], BIAS])
    expected = balance.update_bias(bias, counts, rule, RATE, load=20.0)
    np.testing.assert_allclose(expected[1], expected[0][::-1], rtol=1e-14)
    assert np.array_equal(expected[2], BIAS)
    for library in (torch, array_api_strict):
        got = balance.update_bias(library.asarray(bias), library.asarray(counts), rule, RATE, load=20.0)
        np.testing.assert_allclose(np.asarray(got), expected, rtol=1e-15, atol=1e-18)
    single = balance.update_bias(torch.tensor(bias, dtype=torch.float32), torch.tensor(counts), rule, RATE, load=20.0)
    assert single.dtype == torch.float32


def test_large_counts_are_not_rounded():
    counts = np.array([2**24 + 1, 2**24])  # equal in float32
    assert balance.update_bias(np.zeros(2, dtype=np.float32), counts, "sign", 0.5).tolist() == [-0.5, 0.5]


def test_every_rule_reaches_balance_on_a_fixed_batch():
    scores = 1 / (1 + np.exp(-np.random.default_rng(0).standard_normal((256, 8)) - np.linspace(0, 1, 8)))

    def loads(bias):
        return np.bincount(np.argsort(-(scores + bias), axis=1)[:, :2].ravel(), minlength=8)

    assert balance.max_violation(loads(np.zeros(8))) > 0.5
    for rule, rate, least in (("sign", 2e-3, 0.15), ("rms", 2e-3, 0.15), ("sgd", 0.5, 0.1), ("tanh", 4e-3, 0.1)):
        bias, seen = np.zeros(8), []
        for _ in range(250):
            seen.append(balance.max_violation(loads(bias)))
            bias = balance.update_bias(bias, loads(bias), rule, rate)
        assert np.mean(seen[-20:]) < least, rule
        assert abs(bias.mean()) < 1e-12


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        ((BIAS, COUNTS[:5]), {}, ShapeError),
        ((BIAS, COUNTS, "adam"), {}, OptionError),
        ((BIAS, COUNTS, "sign", -1.0), {}, OptionError),
        ((BIAS, COUNTS, "sign", math.nan), {}, OptionError),
        ((BIAS, COUNTS, "sign", "fast"), {}, OptionError),
        ((BIAS, COUNTS, "budget"), {}, OptionError),
        ((BIAS, COUNTS, "tanh"), {"load": [0, 0, 0, 0, 50, 50]}, OptionError),
        ((BIAS, COUNTS), {"load": [1, 2]}, ShapeError),
        ((BIAS, COUNTS), {"load": -1.0}, OptionError),
        ((BIAS, COUNTS), {"load": 0.0}, OptionError),
        ((BIAS, COUNTS), {"load": math.nan}, NonFiniteError),
        ((BIAS * np.nan, COUNTS), {}, NonFiniteError),
        ((BIAS, -COUNTS), {}, OptionError),
        ((BIAS, COUNTS + np.inf), {}, NonFiniteError),
        ((BIAS, COUNTS > 3), {}, DTypeError),
        ((BIAS, COUNTS * 1j), {}, DTypeError),
        ((BIAS.astype(np.float16), COUNTS), {}, DTypeError),
        ((torch.zeros(6, dtype=torch.bfloat16), torch.tensor(COUNTS)), {}, DTypeError),
        ((COUNTS, COUNTS), {}, DTypeError),
        ((BIAS, torch.tensor(COUNTS)), {}, LibraryError),
        ((np.float64(1.0), np.int64(1)), {}, ShapeError),
        ((np.zeros((2, 0)), np.zeros((2, 0))), {}, ShapeError),
        (("bias", COUNTS), {}, LibraryError),
    ],
)
def test_hostile_updates(arguments, options, error):
    with np.errstate(invalid="ignore"), pytest.raises(error):
        balance.update_bias(*arguments, **options)


def gradient(form, load=None):
    torch.manual_seed(0)
    probs = torch.softmax(torch.randn(50, 6, dtype=torch.float64), dim=-1).requires_grad_()
    value = balance.aux_loss(probs, torch.tensor(COUNTS), form, load=load)
    value.backward()
    assert torch.equal(probs.grad, probs.grad[:1].expand(50, 6)), "every token has the same gradient"
    return value.item(), (probs.grad[0] * 50).numpy(), probs.detach().numpy().mean(axis=0)


def test_aux_losses_have_the_stated_values_and_gradients():
    value, slope, _ = gradient("ste")
    assert value == pytest.approx(((F - Q) ** 2).sum() / 2, rel=1e-14)
    np.testing.assert_allclose(slope, F - Q, rtol=1e-13)
    value, slope, P = gradient("product")
    assert value == pytest.approx(F @ P, rel=1e-14)
    np.testing.assert_allclose(slope, F, rtol=1e-13)
    value, slope, P = gradient("switch")
    assert value == pytest.approx(6 * F @ P, rel=1e-14)
    np.testing.assert_allclose(slope, 6 * F, rtol=1e-13)
    load = [50, 10, 10, 10, 10, 10]
    value, slope, _ = gradient("entropy", load)
    used, target = F > 0, np.array(load) / 100
    assert value == pytest.approx((F[used] * np.log(F[used] / target[used])).sum(), rel=1e-13)
    half = np.where(used, F, 0.5 / 100)
    np.testing.assert_allclose(slope, 1 + np.log(half / target), rtol=1e-12)


def test_product_and_ste_push_logits_alike():
    """The surrogate F . P of the post has the gradient of the quadratic loss when the rows of P sum to 1."""
    logits = torch.randn(50, 6, dtype=torch.float64)
    gradients = []
    for form in ("product", "ste"):
        leaf = logits.clone().requires_grad_()
        balance.aux_loss(torch.softmax(leaf, dim=-1), torch.tensor(COUNTS), form).backward()
        gradients.append(leaf.grad)
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-10, atol=1e-16)


def test_aux_loss_averages_sequences_and_keeps_its_library():
    rng = np.random.default_rng(0)
    probs, counts = rng.random((3, 20, 6)), rng.integers(0, 9, (3, 6))
    for form in ("ste", "product", "switch", "entropy"):
        each = [float(balance.aux_loss(p, c, form)) for p, c in zip(probs, counts, strict=True)]
        assert float(balance.aux_loss(probs, counts, form)) == pytest.approx(np.mean(each), rel=1e-13)
        strict = balance.aux_loss(array_api_strict.asarray(probs), array_api_strict.asarray(counts), form)
        assert float(strict) == pytest.approx(np.mean(each), rel=1e-13)
        half = balance.aux_loss(torch.tensor(probs).bfloat16(), torch.tensor(counts), form)
        assert half.dtype == torch.float32


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        ((np.ones((5, 6)), COUNTS[:4]), {}, ShapeError),
        ((np.ones(6), COUNTS), {}, ShapeError),
        ((np.ones((0, 6)), COUNTS), {}, ShapeError),
        ((np.ones((5, 6)), COUNTS, "gshard"), {}, OptionError),
        ((np.ones((5, 6)), COUNTS, "switch"), {"load": 3.0}, OptionError),
        ((np.ones((5, 6)), torch.tensor(COUNTS)), {}, LibraryError),
    ],
)
def test_hostile_losses(arguments, options, error):
    with pytest.raises(error):
        balance.aux_loss(*arguments, **options)


@pytest.mark.parametrize(
    ("numbers", "score", "normalize", "expected", "tolerance"),
    [
        ((160, 6, 2), "softmax", False, 16.0, 0.35),  # the post says "about 16"; DeepSeek-V2 uses 16
        ((256, 8, 1), "sigmoid", True, 2.83, 0.005),
        ((62, 6, 2), "sigmoid", True, 3.4595, 0.003),
    ],
)
def test_scale_factors_of_post_10945(numbers, score, normalize, expected, tolerance):
    scale = balance.shared_expert_scale(*numbers, score=score, normalize=normalize)
    assert abs(scale - expected) <= tolerance
    other = balance.shared_expert_scale(*numbers, score=score, normalize=normalize, rng=1)
    assert other != scale
    assert other == pytest.approx(scale, rel=0.01)


def test_scale_of_equal_gates_is_exact():
    assert balance.shared_expert_scale(1, 1, 4, normalize=True, samples=3) == 2.0


@pytest.mark.parametrize("numbers", [(4, 5, 1), (0, 0, 1), (4, 2, 0), (4.0, 2, 1)])
def test_hostile_scales(numbers):
    with pytest.raises((OptionError, DTypeError)):
        balance.shared_expert_scale(*numbers)


@pytest.mark.parametrize("score", ["sigmoid", "softmax"])
def test_threshold_starts_at_its_budget(score):
    logits = 0.7 * np.random.default_rng(0).standard_normal((20_000, 64))
    scores = 1 / (1 + np.exp(-logits))
    if score == "softmax":
        scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    bias = balance.initial_threshold_bias(64, 6, std=0.7, score=score)
    active = (scores + bias > 0).sum(axis=1).mean()
    # the formula of the post replaces the normalising sum of softmax by its typical value
    assert active == pytest.approx(6.0, rel=0.01 if score == "sigmoid" else 0.1)


@pytest.mark.parametrize(("n", "k", "std"), [(8, 0, 1.0), (8, 8, 1.0), (8, 2, 0.0), (8, 2, math.nan), (2.5, 1, 1.0)])
def test_hostile_thresholds(n, k, std):
    with pytest.raises((OptionError, DTypeError)):
        balance.initial_threshold_bias(n, k, std=std)
