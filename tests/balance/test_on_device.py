"""Scores on another device: what looks for a bias stays there, and finds the same one."""

import array_api_compat
import array_api_strict
import numpy as np
import pytest
import torch

import infimum
from infimum import balance
from infimum._spread import on_device
from infimum.balance.search import methods
from infimum.balance.search.subsampled_sweeps import nearly_balancing_bias, roughly_balancing_bias
from infimum.balance.search.sweeps import Aim
from infimum.proof.largest_entries import k_largest
from tests.balance import reference

DEVICE = array_api_strict.Device("device1")  # refuses to become a NumPy array unless it is moved first
METHODS = ["auto", "exact", "midpoint", "quantile", "sign", "rms", "sgd"]


def elsewhere(values):
    return array_api_strict.asarray(values, device=DEVICE)


def scores(kind, tokens=520, experts=8, seed=0):
    rng = np.random.default_rng(seed)
    values = reference.scores("skewed", tokens, experts, rng)
    if kind == "ties":
        return np.round(values, 1)
    if kind == "not admitted":
        admitted = rng.random(values.shape) < 0.8
        admitted[:, :3] = True
        return np.where(admitted, values, -np.inf)
    return values.astype(np.float32) if kind == "float32" else values


def as_host(array):
    return array_api_compat.to_device(array, array_api_strict.Device("CPU_DEVICE")) if on_device(array) else array


def same_answers(found, expected):
    for name in ("experts", "bias", "loads", "load", "groups", "group_load"):
        one, other = getattr(found, name), getattr(expected, name)
        assert (one is None and other is None) or np.array_equal(np.asarray(as_host(one)), other)
    assert (found.score, found.optimal, found.certificate) == (
        expected.score,
        expected.optimal,
        expected.certificate,
    )


def test_what_is_on_a_device():
    assert on_device(elsewhere(np.eye(2)))
    assert on_device(torch.empty(2, device="meta"))
    for array in (np.eye(2), torch.eye(2), array_api_strict.asarray(np.eye(2))):
        assert not on_device(array)


@pytest.mark.parametrize("kind", ["floats", "ties", "float32", "not admitted"])
@pytest.mark.parametrize("k", [1, 3, 8])
def test_k_largest_of_other_libraries(kind, k):
    rows = scores(kind, 60).astype(np.float64)
    for bias in (None, np.linspace(0.0, 0.7, 8)):
        expected = k_largest(rows, k, bias)
        for move in (torch.tensor, elsewhere):
            found = k_largest(move(rows), k, None if bias is None else move(bias))
            for one, other in zip(found, expected, strict=True):
                assert type(one) is type(move(rows))
                assert np.array_equal(np.asarray(as_host(one)), other)


@pytest.mark.parametrize("kind", ["floats", "ties", "float32", "not admitted"])
@pytest.mark.parametrize("method", METHODS)
def test_same_answer_as_on_the_host(kind, method, monkeypatch):
    values = scores(kind)
    options = {"k": 2, "method": method, "steps": None if method in ("auto", "exact") else 12}
    expected = balance.balanced_topk(values, **options)
    same_answers(balance.balanced_topk(elsewhere(values), **options), expected)
    monkeypatch.setattr(methods, "on_device", lambda array: True)
    found = balance.balanced_topk(torch.tensor(values), **options)
    same_answers(found, expected)
    infimum.verify(found, torch.tensor(values))


@pytest.mark.parametrize(
    "options",
    [
        {"tol": 1e-2},
        {"load": (100, 160)},
        {"load": (0, 520), "groups": np.array([0, 0, 0, 1, 1, 1, 2, 2])},
        {"load": (0, 520), "groups": np.array([0, 0, 0, 1, 1, 1, 2, 2]), "tol": 1e-2},
        {"bias": np.linspace(-5.0, 5.0, 8)},
    ],
    ids=["tol", "windows", "groups", "groups and tol", "bias"],
)
def test_same_answer_within_other_limits(options):
    values = scores("floats")
    found = balance.balanced_topk(elsewhere(values), 2, **options)
    same_answers(found, balance.balanced_topk(values, 2, **options))
    infimum.verify(found, elsewhere(values))


@pytest.mark.parametrize("move", [torch.tensor, elsewhere], ids=["PyTorch", "strict"])
@pytest.mark.parametrize("kind", ["floats", "ties"])
def test_same_bias_from_parts_and_candidates(move, kind):
    """Many tokens and experts, so that sweeps begin with a part of the tokens and go on with candidates."""
    values = scores(kind, 4096, 32)
    for low, high in ((256.0, 256.0), (240.0, 280.0)):
        goal = Aim(np.full(32, low), np.full(32, high), 8192, exact=low == high)
        expected = found = np.zeros(32)
        for improved in (roughly_balancing_bias, nearly_balancing_bias):
            expected, found = improved(values, 2, goal, expected), improved(move(values), 2, goal, found)
            assert isinstance(found, np.ndarray)
            assert np.array_equal(found, expected)
        assert np.any(found != 0.0)


@pytest.mark.parametrize("method", METHODS)
def test_scores_are_brought_to_the_host_once(method, monkeypatch):
    values, sizes = elsewhere(scores("floats", 4096, 32)), []

    def move(array, device, original=array_api_compat.to_device):
        sizes.append(array.size)
        return original(array, device)

    monkeypatch.setattr(array_api_compat, "to_device", move)
    result = balance.balanced_topk(values, 2, method=method, steps=None if method in ("auto", "exact") else 5)
    assert array_api_compat.device(result.experts) == array_api_compat.device(result.bias) == DEVICE
    assert sizes[0] == values.size
    assert len(sizes) >= 5  # sweeps and updates went there and back
    assert max(sizes[1:]) <= 2 * 32 + 1  # a load, or two thresholds, for every expert


def test_a_device_without_float64_leaves_all_to_the_host(monkeypatch):
    values = scores("float32")
    monkeypatch.setattr(methods, "widen", lambda array: array)
    swept = []
    monkeypatch.setattr(
        methods,
        "with_far_scores",
        lambda array, original=methods.with_far_scores: swept.append(array) or original(array),
    )
    same_answers(balance.balanced_topk(elsewhere(values), 2), balance.balanced_topk(values, 2))
    assert all(isinstance(array, np.ndarray) for array in swept)
    assert len(swept) == 2
