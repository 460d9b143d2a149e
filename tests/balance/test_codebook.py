"""Balanced codebooks: what every answer must satisfy."""

import numpy as np
import pytest
import torch

import infimum
from infimum import balance
from infimum.errors import OptionError, RangeError, ShapeError

POINTS = np.random.default_rng(0).standard_normal((200, 3)) * np.array([1.0, 2.0, 0.5])


def test_balanced_means_and_optimal():
    result = balance.balanced_codebook(POINTS, 8, rng=0)
    assert result.loads.tolist() == [25] * 8
    means = np.stack([POINTS[result.labels == j].mean(axis=0) for j in range(8)])
    assert np.allclose(means, result.codes)
    assert result.certificate.gap <= 1e-12 * result.certificate.value
    distances = np.square(POINTS[:, None] - result.codes).sum(axis=2)
    assert np.array_equal((result.bias - distances).argmax(axis=1), result.labels)
    infimum.verify(result, POINTS)


def test_more_rounds_do_not_hurt_and_start_counts():
    values = [balance.balanced_codebook(POINTS, 5, codes=POINTS[:5], steps=s).certificate.value for s in (0, 1, 3, 30)]
    assert values == sorted(values, reverse=True)
    free = balance.balanced_codebook(POINTS, 5, codes=POINTS[:5], load=(0, 200), steps=0)
    assert free.certificate.value <= values[0]


def test_no_code_dies():
    """Two tight clusters and many codes: k-means leaves codes without points, balance does not."""
    points = np.concatenate([np.zeros((90, 2)), np.ones((10, 2))]) + 1e-3 * POINTS[:100, :2]
    result = balance.balanced_codebook(points, 10, rng=1)
    assert result.loads.tolist() == [10] * 10


def test_tensors_in_half_precision():
    points = torch.asarray(POINTS, dtype=torch.bfloat16)
    result = balance.balanced_codebook(points, 4, rng=0)
    assert result.codes.dtype == torch.bfloat16
    assert result.bias.dtype == torch.float32
    infimum.verify(result, points)


@pytest.mark.parametrize("scale", [1e-150, 1e140])
def test_far_scales(scale):
    result = balance.balanced_codebook(POINTS * scale, 4, rng=0)
    assert result.certificate.ratio < 1.0 + 1e-9
    infimum.verify(result, POINTS * scale)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((POINTS, 201), {}, OptionError, "at most the number of points"),
        ((POINTS, 0), {}, OptionError, "at least 1"),
        ((POINTS, 4), {"codes": POINTS[:3]}, ShapeError, "shape"),
        ((POINTS * 1e200, 4), {}, RangeError, "scale them down"),
    ],
)
def test_clear_errors(arguments, options, error, message):
    with pytest.raises(error, match=message):
        balance.balanced_codebook(*arguments, **options)
