"""Pairs that are not admitted, and scores of very different sizes: exact against rational brute force, or refused."""

from fractions import Fraction

import numpy as np
import pytest
import torch

import infimum
from infimum import balance
from infimum.errors import InfeasibleError, NonFiniteError, VerificationError
from tests.balance import reference
from tests.balance.test_evidence import forge

NOT = -np.inf
MASK = [[0.9, 0.8, -1e30], [0.8, 0.2, 0.3], [0.7, 0.1, 0.6]]  # the optimum is 0.8 + 0.8 + 0.6


def numbers(kind, shape, rng):
    """Draw scores whose digits span more than 64 bits, or few enough for many ties."""
    if kind == 0:
        return rng.standard_normal(shape)
    if kind == 1:
        return rng.integers(0, 3, shape) / 4.0 - np.where(rng.random(shape) < 0.3, 10.0 ** rng.integers(9, 301), 0.0)
    if kind == 2:
        return np.ldexp(rng.integers(-4, 5, shape) / 4.0, rng.integers(-1074, 1000, shape))
    return np.array([1.0, 2.0**-60, -(2.0**70), 1.0 + 2.0**-52, 0.1, 1e300, 5e-324])[rng.integers(0, 7, shape)]


def check(seed):
    """One case: the solver finds the rational optimum and says so, or there is none and it says that."""
    rng = np.random.default_rng(seed)
    tokens, experts = int(rng.integers(1, 6)), int(rng.integers(1, 5))
    k = int(rng.integers(1, experts + 1))
    values = numbers(seed % 4, (tokens, experts), rng)
    values[rng.random(values.shape) < rng.choice([0.0, 0.1, 0.4])] = NOT
    if rng.random() < 0.1:
        values[:, 0] = NOT
    low = rng.integers(0, max(2, tokens * k // experts + 1), experts)
    high = low + rng.integers(0, tokens + 1, experts)
    load = None if rng.random() < 0.3 else (low, high)
    if load is None:
        live = (values > NOT).any(axis=0)
        even = np.where(live, tokens * k / max(1, live.sum()), 0.0)
        low, high = np.floor(even + 1e-9).astype(int), np.ceil(even - 1e-9).astype(int)
    best = reference.exact_best_score(values, k, low, high)
    if best is None:
        with pytest.raises(InfeasibleError, match=r"-inf|load must allow|load of index"):
            balance.balanced_topk(values, k, load=load)
        return
    result = balance.balanced_topk(values, k, load=load)
    score = sum(map(Fraction, np.take_along_axis(values, result.experts, axis=1).ravel().tolist()), Fraction(0))
    assert score == best
    assert result.optimal
    infimum.verify(result, values)
    start = balance.routing_certificate(values, rng.standard_normal(experts), k, load)
    assert Fraction(start.bound) >= best
    assert start.assignment.optimal <= (start.assignment.score == result.score)
    infimum.verify(start.assignment, values)


@pytest.mark.parametrize("block", range(4))
def test_masks_and_spans(block):
    for seed in range(100 * block, 100 * block + 100):
        check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_masks_and_spans_many(block):
    for seed in range(1000 * block, 1000 * block + 1000):
        check(100_000 + seed)


def check_assignment(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 6, 2))
    cost = numbers(seed % 4, shape, rng)
    cost[rng.random(shape) < rng.choice([0.0, 0.2, 0.5])] = np.inf
    maximize = bool(rng.integers(2))
    best, given = reference.exact_least_cost(cost), -cost if maximize else cost
    if best is None:
        with pytest.raises(InfeasibleError, match="no assignment exists"):
            balance.linear_assignment(given, maximize=maximize)
        return
    result = balance.linear_assignment(given, maximize=maximize)
    rows = np.flatnonzero(result.columns >= 0)
    assert rows.size == min(shape)
    assert sum(map(Fraction, cost[rows, result.columns[rows]].tolist()), Fraction(0)) == best
    assert Fraction(result.certificate.lower_bound) <= best <= Fraction(result.certificate.value)
    assert result.certificate.lower_bound >= np.nextafter(result.certificate.value, -np.inf)
    infimum.verify(infimum.from_json(result.to_json()), given)


@pytest.mark.parametrize("block", range(4))
def test_assignments_with_forbidden_pairs(block):
    for seed in range(100 * block, 100 * block + 100):
        check_assignment(seed)


@pytest.mark.slow
def test_assignments_with_forbidden_pairs_many():
    for seed in range(10_000):
        check_assignment(10_000 + seed)


@pytest.mark.parametrize("depth", [1e12, 1e18, 1e30, 1e100, 1e300, np.inf])
def test_a_mask_is_a_mask_however_deep(depth):
    values = np.array(MASK)
    values[0, 2] = -depth
    result = balance.balanced_topk(values, 1)
    assert result.experts.ravel().tolist() == [1, 0, 2]
    assert result.score == pytest.approx(2.2)
    assert result.optimal


@pytest.mark.parametrize("depth", [1e20, 1e300, np.inf])
def test_many_tokens_with_a_mask(depth):
    """Attention-like masks of a third of the pairs: the same optimum, with a proof, whatever stands for "not"."""
    rng = np.random.default_rng(0)
    values = reference.scores("skewed", 600, 12, rng)
    masked = rng.random(values.shape) < 0.3
    best = balance.balanced_topk(np.where(masked, NOT, values), 2)
    other = balance.balanced_topk(np.where(masked, -depth, values), 2)
    assert best.optimal
    assert other.optimal
    assert not masked[np.arange(600)[:, None], best.experts].any()
    assert best.score == other.score


@pytest.mark.parametrize("method", ["auto", "exact", "midpoint", "quantile", "sign", "rms", "sgd"])
def test_no_method_takes_what_is_not_admitted(method):
    rng = np.random.default_rng(1)
    values = reference.scores("skewed", 200, 8, rng)
    values[rng.random(values.shape) < 0.3] = NOT
    result = balance.balanced_topk(values, 2, method=method, steps=30)
    assert np.isfinite(result.score)
    assert result.certificate.lower_bound <= balance.balanced_topk(values, 2).certificate.lower_bound
    infimum.verify(result, values)
    assert balance.compare_rules(values, 2, steps=20)[-1].gap <= 1e-16


def test_groups_with_a_mask():
    rng = np.random.default_rng(2)
    values = reference.scores("two decimals", 60, 6, rng)
    values[rng.random(values.shape) < 0.2] = NOT
    result = balance.balanced_topk(values, 2, load=(0, 60), groups=[0, 0, 1, 1, 2, 2])
    assert np.bincount([0, 0, 1, 1, 2, 2], weights=result.loads).tolist() == [40.0] * 3
    assert result.optimal
    values[:, 0] = -1e40
    assert balance.balanced_topk(values, 2, load=(0, 60), groups=[0, 0, 1, 1, 2, 2]).optimal


def test_an_expert_that_nobody_admits_takes_nobody():
    values = np.random.default_rng(3).random((9, 4))
    values[:, 1] = NOT
    assert balance.balanced_topk(values, 1).loads.tolist() == [3, 0, 3, 3]


def test_codes_far_apart():
    points = np.array([[0.0], [1e-7], [2e-7], [5e9], [5e9 + 1.0], [5e9 + 2.0]])
    result = balance.balanced_codebook(points, 3, rng=0)
    assert result.loads.tolist() == [2, 2, 2]
    assert result.certificate.ratio < 1.0 + 1e-12
    infimum.verify(result, points)


@pytest.mark.parametrize(
    ("values", "k", "load", "message"),
    [
        ([[1.0, NOT, NOT], [1.0, 2.0, 3.0]], 2, None, "token 0 admits 1"),
        ([[1.0, NOT], [1.0, NOT]], 1, (1, 1), "load of index 1 must lie from 1 to 0 .*-inf not admitted"),
        ([[1.0, NOT, NOT], [1.0, NOT, NOT], [1.0, 2.0, 3.0]], 1, None, "experts 0 would have to take 2 tokens"),
        (
            [[1.0, 2.0, NOT, NOT]] * 2 + [[1.0, NOT, NOT, NOT]] + [[1.0, 2.0, 3.0, 4.0]] * 2,
            1,
            ([0, 0, 0, 0], [1, 1, 4, 4]),
            "experts 0, 1 would have to take 3 tokens",
        ),
        (
            [[1.0, 2.0, NOT, NOT], [1.0, 2.0, NOT, NOT], [1.0, 2.0, 3.0, 4.0]],
            1,
            ([0, 0, 1, 1], [3, 3, 3, 3]),
            "experts 2, 3 need more tokens than the 1",
        ),
    ],
)
def test_what_cannot_be_met_is_told_by_name(values, k, load, message):
    with pytest.raises(InfeasibleError, match=message):
        balance.balanced_topk(values, k, load=load)


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        (
            [[1.0, np.inf, 2.0], [np.inf, 1.0, np.inf], [np.inf, 2.0, np.inf]],
            "row 1, 2 together need 2 columns .* 1 alone",
        ),
        ([[1.0, 2.0], [np.inf, np.inf]], "row 1 together need 1 columns .* no column at all"),
        ([[1.0, np.inf], [3.0, np.inf], [2.0, np.inf]], "column 1 together need 1 rows .* no row at all"),
    ],
)
def test_assignments_that_do_not_exist_are_told_by_name(cost, message):
    with pytest.raises(InfeasibleError, match=message):
        balance.linear_assignment(cost)


def test_an_infinity_of_the_other_sign_is_no_mask():
    with pytest.raises(NonFiniteError, match="scores"):
        balance.balanced_topk([[1.0, np.inf], [1.0, 2.0]], 1)
    with pytest.raises(NonFiniteError, match="cost"):
        balance.linear_assignment([[1.0, -np.inf], [1.0, 2.0]])
    with pytest.raises(NonFiniteError, match="cost"):
        balance.linear_assignment([[1.0, np.inf], [1.0, 2.0]], maximize=True)


def test_a_forged_choice_of_what_is_not_admitted():
    values = np.array([[1.0, 2.0, NOT], [2.0, 1.0, NOT], [3.0, 1.0, 1.0]])
    result = balance.balanced_topk(values, 1)
    infimum.verify(result, values)
    for change in ({"experts": result.experts[[0, 2, 1]]}, {"optimal": False}, {"optimal": 1}):
        with pytest.raises(VerificationError):
            infimum.verify(forge(result, **change), values)
    cost = np.array([[1.0, np.inf, 3.0], [np.inf, 2.0, 1.0]])
    taken = balance.linear_assignment(cost)
    for columns in ([1, 2], [0, 0], [-1, 1], [0, 3]):
        with pytest.raises(VerificationError):
            infimum.verify(forge(taken, columns=np.array(columns)), cost)


def test_an_answer_that_is_not_optimal_does_not_say_so():
    values = np.array([[1.0, 1.0 - 2.0**-53, 0.0], [1.0, 1.0, 0.0], [0.5, 0.25, 0.125]])
    sound = balance.balanced_topk(values, 1)
    zero = np.zeros((1, 3))
    with pytest.raises(VerificationError, match="optimal"):
        infimum.verify(forge(sound, witness={"bias": zero}, claims={"lower_bound": 0.0}, bias=zero[0]), values)


def test_masks_of_other_libraries():
    values = torch.tensor(MASK, dtype=torch.bfloat16)
    values[0, 2] = NOT
    result = balance.balanced_topk(values, 1)
    assert result.experts.ravel().tolist() == [1, 0, 2]
    infimum.verify(result, values)
    cost = torch.tensor([[1.0, torch.inf, 3.0], [torch.inf, torch.inf, 1.0]])
    taken = balance.linear_assignment(cost)
    assert taken.columns.tolist() == [0, 2]
    assert (taken.row_duals.shape, taken.column_duals.shape) == ((2,), (3,))
    infimum.verify(taken, cost)
