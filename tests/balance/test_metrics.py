"""Metrics of balance against their definitions and against simulation."""

import array_api_strict
import numpy as np
import pytest
import torch

from infimum import balance, sample_data
from infimum.errors import DTypeError, NonFiniteError, OptionError, ShapeError


def test_max_violation_is_the_signed_maximum_of_the_paper():
    counts = np.array([0, 3, 3, 3])
    assert balance.max_violation(counts) == pytest.approx(1 / 3)
    assert balance.max_violation(counts, two_sided=True) == 1.0
    assert balance.max_violation(np.array([2, 2, 2])) == 0.0
    assert balance.max_violation(np.zeros(3)) == 0.0
    assert balance.max_violation(np.array([8, 2]), load=np.array([6, 4])) == pytest.approx(1 / 3)
    layers = np.array([[4, 0], [2, 2]])
    for library in (np, torch, array_api_strict):
        assert balance.max_violation(library.asarray(layers)) == 0.5  # mean over the layers


def test_entropy_and_dead_experts():
    assert balance.load_entropy(np.full(7, 3)) == pytest.approx(1.0)
    assert balance.load_entropy(np.array([9, 0, 0])) == 0.0
    assert balance.load_entropy(np.array([5])) == 1.0
    assert balance.load_entropy(np.zeros(4)) == 1.0
    assert balance.load_entropy(np.array([[1, 1, 0, 0], [1, 1, 1, 1]])) == pytest.approx(0.75)
    assert balance.dead_experts(np.array([[0, 5, 0], [1, 1, 1]])) == 2
    assert balance.dead_experts(torch.tensor([1, 50, 49]), below=0.1) == 1
    assert balance.dead_experts(np.zeros(3)) == 0


@pytest.mark.parametrize(("m", "n", "k"), [(2048, 32, 4), (512, 8, 2), (4096, 64, 1)])
def test_noise_floor_is_what_a_perfect_router_shows(m, n, k):
    rng = np.random.default_rng(0)
    loads = np.stack(
        [np.bincount(np.argpartition(rng.random((m, n)), k, axis=1)[:, :k].ravel(), minlength=n) for _ in range(150)]
    )
    floor = balance.sampling_noise(m, n, k)
    assert (loads / (m * k / n)).std() == pytest.approx(floor.deviation, rel=0.05)
    seen = np.mean([balance.max_violation(row) for row in loads])
    assert seen == pytest.approx(floor.max_violation, rel=0.06)


def test_noise_floor_at_the_ends():
    assert balance.sampling_noise(10, 1, 1) == balance.NoiseFloor(0.0, 0.0)
    assert balance.sampling_noise(10, 4, 4) == balance.NoiseFloor(0.0, 0.0)


def test_precision_of_a_bias():
    values = torch.linspace(6.817, 7.063, 238, dtype=torch.float64)
    check = balance.bias_precision(values)
    rounded = values.bfloat16().double()
    assert check.distinct == check.centered_distinct == 238
    assert check.rounded_distinct == len(rounded.unique()) <= 9
    assert check.rounded_error == float((rounded - values).abs().max())
    assert check.centered_error < check.rounded_error / 25
    random = torch.randn(1000, dtype=torch.float64)
    for dtype in ("bfloat16", "float16"):
        error = float((random.to(getattr(torch, dtype)).double() - random).abs().max())
        assert balance.bias_precision(random, dtype).rounded_error == error
    assert balance.bias_precision(np.zeros(3)).rounded_distinct == 1


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: balance.max_violation(np.zeros((3, 0))), ShapeError),
        (lambda: balance.max_violation(np.array([1, -1])), OptionError),
        (lambda: balance.max_violation(np.array([1, np.nan])), NonFiniteError),
        (lambda: balance.max_violation(np.array([1, 2]), load=[0, 3]), OptionError),
        (lambda: balance.load_entropy(np.array(["a"])), DTypeError),
        (lambda: balance.dead_experts(np.array([1, 2]), below=1.0), OptionError),
        (lambda: balance.sampling_noise(10, 4, 5), OptionError),
        (lambda: balance.sampling_noise(0, 4, 1), OptionError),
        (lambda: balance.bias_precision(np.zeros((2, 2))), ShapeError),
        (lambda: balance.bias_precision(np.array([np.inf])), NonFiniteError),
        (lambda: balance.bias_precision(np.zeros(2) * 1j), DTypeError),
        (lambda: balance.bias_precision(np.zeros(2), "float8"), OptionError),
    ],
)
def test_hostile_metrics(call, error):
    with pytest.raises(error):
        call()


def test_real_router_scores_need_balance():
    scores = sample_data.router_scores()
    assert (scores.shape, scores.dtype, scores.flags.writeable) == ((1024, 32), np.float32, False)
    assert 0.0 < scores.min() < scores.max() < 1.0
    counts = np.bincount(np.argsort(-scores, axis=1)[:, :4].ravel(), minlength=32)
    assert balance.max_violation(counts) > 3.0
    assert balance.dead_experts(counts) > 0
