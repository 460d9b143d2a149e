"""Threshold routing: by definition, and on awkward input."""

import numpy as np
import pytest

import infimum
from infimum import balance
from infimum.errors import InfeasibleError, OptionError


@pytest.mark.parametrize("kind", ["continuous", "ties", "equal"])
@pytest.mark.parametrize("k", [0.5, 1, 2.25, 7])
@pytest.mark.parametrize("load", [None, (2, 40), (0, 40)])
def test_optimal_and_by_threshold(kind, k, load):
    rng = np.random.default_rng(3)
    scores = rng.standard_normal((40, 7)) + np.arange(7) / 5.0
    if kind == "ties":
        scores = np.round(scores)
    elif kind == "equal":
        scores = np.ones((40, 7))
    result = balance.threshold_routing(scores, k, load=load)
    assert result.loads.sum() == round(40 * k)
    assert result.certificate.lower_bound >= np.nextafter(result.certificate.value, -np.inf)
    if kind == "continuous":
        assert np.array_equal(scores + result.bias > 0, result.chosen)
    infimum.verify(result, scores)


def test_free_loads_take_the_best_entries():
    scores = np.random.default_rng(4).standard_normal((30, 5))
    result = balance.threshold_routing(scores, 2, load=(0, 30))
    assert np.array_equal(result.chosen, scores >= np.sort(scores, axis=None)[-60])
    assert result.certificate.value == 0.0


@pytest.mark.parametrize("k", [0, -1, 6, float("nan"), "2", True])
def test_refuses_k(k):
    with pytest.raises(OptionError, match="k must be"):
        balance.threshold_routing(np.ones((4, 5)), k)


def test_refuses_loads():
    with pytest.raises(InfeasibleError):
        balance.threshold_routing(np.ones((4, 5)), 2, load=(0, 1))
