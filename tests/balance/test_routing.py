"""Balanced routing against a general linear-programming solver, against brute force, and on hostile input."""

from fractions import Fraction

import numpy as np
import pytest
import torch

import infimum
from infimum import balance
from infimum.balance.brute_force import least_given_up
from infimum.balance.search.load_windows import limits
from infimum.balance.search.subsampled_sweeps import nearly_balancing_bias
from infimum.balance.search.sweeps import aim
from infimum.errors import (
    DTypeError,
    InfeasibleError,
    NonFiniteError,
    OptionError,
    RangeError,
    ShapeError,
    VerificationError,
)
from tests.balance import reference


def total(values, experts):
    """Exact score of an assignment."""
    return sum(map(Fraction, np.take_along_axis(values, experts, axis=1).ravel().tolist()), Fraction(0))


def random_load(tokens, experts, k, rng):
    """Draw the default, exact loads or windows around them."""
    even = tokens * k / experts
    choice = rng.integers(3)
    if choice == 0:
        return None
    if choice == 1:
        draws = np.full(experts, int(even))
        draws[: tokens * k - draws.sum()] += 1
        return rng.permutation(draws)
    width = rng.uniform(0.02, 0.3)
    return (np.floor((1.0 - width) * even), np.ceil((1.0 + width) * even))


def check_against_highs(seed):
    rng = np.random.default_rng(seed)
    kind = reference.KINDS[seed % len(reference.KINDS)]
    experts = int(rng.choice([4, 6, 8, 16, 32, 64]))
    k = int(rng.integers(1, min(8, experts) + 1))
    tokens = int(rng.integers(max(2, experts // 2), 4 * 64 // int(experts**0.5) + experts))
    values = reference.scores(kind, tokens, experts, rng)
    result = balance.balanced_topk(values, k, load=random_load(tokens, experts, k, rng))
    low, high = result.load
    best = reference.best_score(values, k, low, high)
    assert result.score == pytest.approx(best, rel=1e-9)
    assert result.certificate.gap <= 1e-12 * result.score
    assert result.optimal
    assert np.array_equal(np.bincount(result.experts.ravel(), minlength=experts), result.loads)
    assert np.all((low <= result.loads) & (result.loads <= high))
    infimum.verify(result, values)


@pytest.mark.parametrize("seed", range(16))
def test_same_optimum_as_highs(seed):
    check_against_highs(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(16, 200))
def test_same_optimum_as_highs_many(seed):
    check_against_highs(seed)


def check_against_brute_force(seed, most=6):
    """Any bias handed to `routing_certificate` gives a true certificate, and the solver ends at the optimum."""
    rng = np.random.default_rng(seed)
    tokens, experts = int(rng.integers(1, most + 1)), int(rng.integers(1, 5))
    k = int(rng.integers(1, experts + 1))
    values = rng.standard_normal((tokens, experts))
    kind = seed % 4
    if kind == 1:
        values = np.round(values, 1)
    elif kind == 2:
        values = rng.integers(0, 3, values.shape).astype(float)
    elif kind == 3:
        values *= 10.0 ** rng.integers(-9, 9)
    low = rng.integers(0, tokens + 1, experts)
    high = np.maximum(low, rng.integers(0, tokens + 1, experts))
    feasible = low.sum() <= tokens * k <= high.sum()
    load = (low, high) if rng.random() < 0.5 and feasible else None
    groups = np.array([0, 0, 1, 1])[:experts] if load is None and experts > 2 and rng.random() < 0.3 else None
    bias = rng.standard_normal(experts) * 10.0 ** rng.integers(-3, 3)
    options = {"load": (0, tokens), "groups": groups} if groups is not None else {"load": load}
    anyhow = balance.routing_certificate(values, bias, k, **options)
    solved = balance.balanced_topk(values, k, **options)
    optimum = least_given_up(values, k, solved.load, solved.groups, solved.group_load)
    slack = 1e-12 * np.abs(values).max() * tokens
    for result in (anyhow.assignment, solved):
        certificate = infimum.verify(result, values)
        assert certificate.lower_bound <= optimum + slack
        assert optimum <= certificate.value + slack
    assert solved.optimal
    assert anyhow.bound == pytest.approx(anyhow.score + anyhow.surplus)
    # the same, without any rounding: the bound is no better than the best score, and that is the solver's
    assert Fraction(anyhow.bound) >= total(values, solved.experts)


@pytest.mark.parametrize("block", range(4))
def test_no_false_certificate(block):
    for seed in range(40 * block, 40 * block + 40):
        check_against_brute_force(seed, most=4)


@pytest.mark.slow
def test_no_false_certificate_in_5000():
    for seed in range(5000):
        check_against_brute_force(10_000 + seed)


@pytest.mark.parametrize("kind", reference.KINDS)
@pytest.mark.parametrize("method", ["auto", "exact", "midpoint", "quantile", "sign", "rms", "sgd"])
def test_every_method_is_balanced_and_certified(kind, method):
    values = reference.scores(kind, 130, 12, np.random.default_rng(1))
    result = balance.balanced_topk(values, 3, method=method, steps=50)
    best = balance.balanced_topk(values, 3)
    assert np.all((result.load[0] <= result.loads) & (result.loads <= result.load[1]))
    assert result.certificate.lower_bound <= best.certificate.lower_bound
    assert best.certificate.value <= result.certificate.value
    assert best.optimal
    infimum.verify(result, values)


def test_large_and_skewed_with_candidates():
    """Large enough for the part of the search that looks at a few experts of each token only."""
    values = reference.scores("skewed", 4096, 64, np.random.default_rng(2))
    result = balance.balanced_topk(values, 4)
    assert result.optimal
    assert set(result.loads.tolist()) == {256}


def test_windows_leave_little_to_the_paths():
    """Sweeps also find the constant of the bias, which matters as soon as loads may vary."""
    values = reference.scores("skewed", 2048, 32, np.random.default_rng(8))
    within = limits(np.full(32, 2048), 2048 * 4, (230, 282), 2048)
    bias = nearly_balancing_bias(values, 4, aim(within, 2048 * 4), np.zeros(32))
    chosen = np.argpartition(values + bias, -4, axis=1)[:, -4:]
    assert aim(within, 2048 * 4).missed(np.bincount(chosen.ravel(), minlength=32)) <= 32
    assert balance.balanced_topk(values, 4, load=(230, 282)).optimal


def test_the_bias_routes_by_itself():
    """Without ties, plain top-k of scores plus the returned bias is the balanced assignment, in float32 as well."""
    values = reference.scores("skewed", 512, 16, np.random.default_rng(3))
    result = balance.balanced_topk(values, 2)
    biased = (values + result.bias).astype(np.float32)
    chosen = np.sort(np.argsort(-biased, axis=1)[:, :2], axis=1)
    assert np.array_equal(chosen, np.sort(result.experts, axis=1))


def test_tolerance_stops_early():
    values = reference.scores("skewed", 600, 16, np.random.default_rng(4))
    loose = balance.balanced_topk(values, 3, tol=0.05)
    assert loose.certificate.gap <= 0.05 * (loose.score + loose.certificate.value)
    assert loose.certificate.value >= balance.balanced_topk(values, 3).certificate.value


def test_start_from_a_bias():
    values = reference.scores("continuous", 200, 8, np.random.default_rng(5))
    first = balance.balanced_topk(values, 2)
    again = balance.balanced_topk(values, 2, bias=first.bias)
    far = balance.balanced_topk(values, 2, bias=np.linspace(-1e6, 1e6, 8))
    assert first.score == again.score == far.score


def test_groups_share_their_load():
    values = reference.scores("skewed", 300, 12, np.random.default_rng(6))
    groups = np.repeat([0, 1, 2], 4)
    result = balance.balanced_topk(values, 2, load=(0, 300), groups=groups)
    assert np.bincount(groups, weights=result.loads).tolist() == [200.0, 200.0, 200.0]
    assert result.optimal
    free = balance.balanced_topk(values, 2, load=(0, 300), groups=groups, group_load=(0, 600))
    assert free.certificate.value == 0.0
    infimum.verify(result, values)
    wrong = balance.balanced_topk(values, 2)
    with pytest.raises(VerificationError):
        infimum.verify(type(wrong)(**{**vars(wrong), "groups": groups, "group_load": result.group_load}), values + 1.0)


def test_windows_cost_less_than_equality():
    values = reference.scores("skewed", 400, 8, np.random.default_rng(7))
    costs = [
        balance.balanced_topk(values, 2, load=((1 - d) * 100, (1 + d) * 100)).certificate.value
        for d in (0.0, 0.1, 0.3, 3.0)
    ]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] == balance.balanced_topk(values, 2).certificate.value
    assert costs[-1] == 0.0


def test_sixteen_bit_tensors():
    values = torch.randn(96, 8, dtype=torch.bfloat16, generator=torch.Generator().manual_seed(0))
    result = balance.balanced_topk(values, 2)
    assert result.experts.dtype == torch.int64
    assert result.bias.dtype == torch.float32
    assert result.optimal
    infimum.verify(result, values)


@pytest.mark.parametrize(
    ("tokens", "experts", "k"),
    [(1, 1, 1), (5, 1, 1), (1, 7, 3), (2, 9, 1), (3, 8, 8), (64, 8, 8), (7, 5, 3)],
)
def test_odd_shapes(tokens, experts, k):
    values = np.random.default_rng(0).standard_normal((tokens, experts))
    result = balance.balanced_topk(values, k)
    assert result.optimal
    assert result.loads.sum() == tokens * k
    assert result.loads.max() - result.loads.min() <= 1
    infimum.verify(result, values)


@pytest.mark.parametrize(
    "values",
    [
        np.ones((500, 16)),
        np.zeros((500, 16)),
        np.tile(np.arange(16.0), (500, 1)),
        np.tile(np.random.default_rng(0).standard_normal(16), (501, 1)),
        np.random.default_rng(0).standard_normal((400, 16)) * np.logspace(-12, 12, 400)[:, None],
        np.random.default_rng(0).standard_normal((300, 16)) * 1e-300,
        np.random.default_rng(0).standard_normal((300, 16)) * 1e290,
        np.eye(64, 16),
    ],
    ids=["equal", "zero", "one order", "one row", "25 decades", "tiny", "huge", "identity"],
)
@pytest.mark.parametrize("k", [1, 3])
def test_hostile_scores_end_optimal(values, k):
    result = balance.balanced_topk(values, k)
    assert result.loads.max() - result.loads.min() <= 1
    assert result.certificate.gap <= 1e-12 * np.abs(values).max() * values.shape[0]
    infimum.verify(result, values)


SCORES = np.random.default_rng(0).standard_normal((6, 4))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((SCORES, 5), {}, OptionError, "k must be at most the number of experts, 4"),
        ((SCORES, 0), {}, OptionError, "at least 1"),
        ((SCORES, 1.5), {}, DTypeError, "whole number"),
        ((np.where(SCORES > 1, np.nan, SCORES), 1), {}, NonFiniteError, "scores must be finite"),
        ((SCORES * 1j, 1), {}, DTypeError, "real"),
        ((SCORES * 1e305, 1), {}, RangeError, "scale it down"),
        ((SCORES[0], 1), {}, ShapeError, "scores"),
        ((SCORES, 2), {"load": [3, 3, 3, 4]}, InfeasibleError, "sum to tokens \\* k = 12, got 13"),
        ((SCORES, 2), {"load": [3, 3, 3]}, ShapeError, "shape \\(4,\\)"),
        ((SCORES, 2), {"load": [12, 0, 0, 0]}, InfeasibleError, "index 0"),
        ((SCORES, 2), {"load": (0, 2)}, InfeasibleError, "from 0 to 8"),
        ((SCORES, 2), {"load": (4, 6)}, InfeasibleError, "from 16 to 24"),
        ((SCORES, 2), {"load": (4, 3)}, InfeasibleError, "no number does"),
        ((SCORES, 2), {"load": (1, 2, 3)}, ShapeError, "low, high"),
        ((SCORES, 2), {"load": (1, np.nan)}, NonFiniteError, "load"),
        ((SCORES, 2), {"load": ("many", 3)}, OptionError, "numbers"),
        ((SCORES, 2), {"group_load": [6, 6]}, OptionError, "groups"),
        ((SCORES, 2), {"groups": [0, 0, 1]}, ShapeError, "groups"),
        ((SCORES, 2), {"groups": [0, 0, 1, 0.5]}, OptionError, "whole numbers"),
        ((SCORES, 2), {"groups": [0, 0, 0, 1], "group_load": [6, 6]}, InfeasibleError, "group_load of index 0"),
        ((SCORES, 2), {"tol": -1.0}, OptionError, "tol"),
        ((SCORES, 2), {"method": "sinkhorn"}, OptionError, "method"),
        ((SCORES, 2), {"steps": -1}, OptionError, "steps"),
        ((SCORES, 2), {"bias": np.zeros(3)}, ShapeError, "bias"),
        ((SCORES, 2), {"bias": np.full(4, np.inf)}, NonFiniteError, "bias"),
    ],
)
def test_clear_errors(arguments, options, error, message):
    with pytest.raises(error, match=message):
        balance.balanced_topk(*arguments, **options)


def test_fractional_loads_are_rounded_to_neighbours():
    values = np.random.default_rng(0).standard_normal((10, 4))
    result = balance.balanced_topk(values, 1, load=[2.5, 2.5, 2.5, 2.5])
    assert result.load.tolist() == [[2, 2, 2, 2], [3, 3, 3, 3]]
    assert balance.balanced_topk(values, 1).load.tolist() == result.load.tolist()
