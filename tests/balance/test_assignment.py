"""The assignment problem against SciPy, and where nothing but exact arithmetic tells."""

import numpy as np
import pytest
import scipy.optimize

import infimum
from infimum import balance
from infimum.balance.search import row_paths
from infimum.errors import DTypeError, NonFiniteError, ShapeError
from tests.balance.reference import without_numba

PARISI = float(np.sum(1.0 / np.arange(1, 101) ** 2))  # expected optimum for Exp(1) costs, n = 100: 1.63498


def costs(kind, size, rng):
    if kind == "whole numbers":
        return rng.integers(0, 30, (size, size)).astype(float)
    if kind == "two decimals":
        return np.round(rng.standard_normal((size, size)), 2)
    if kind == "distances":
        return ((rng.random((size, 1, 2)) - rng.random((1, size, 2))) ** 2).sum(axis=2)
    return rng.exponential(size=(size, size))


@pytest.mark.parametrize("kind", ["exponential", "whole numbers", "two decimals", "distances"])
@pytest.mark.parametrize("size", [1, 2, 7, 40, 150, 420])
@pytest.mark.parametrize("maximize", [False, True])
def test_same_optimum_as_scipy(kind, size, maximize):
    cost = costs(kind, size, np.random.default_rng(size))
    result = balance.linear_assignment(cost, maximize=maximize)
    rows, columns = scipy.optimize.linear_sum_assignment(cost, maximize=maximize)
    assert result.cost == pytest.approx(cost[rows, columns].sum(), rel=1e-12)
    assert result.certificate.lower_bound >= np.nextafter(result.certificate.value, -np.inf)
    reduced = (cost - result.row_duals[:, None] - result.column_duals) * (-1.0 if maximize else 1.0)
    assert reduced.min() >= -1e-12 * np.abs(cost).max()
    assert abs(reduced[rows, result.columns]).max() <= 1e-12 * max(1.0, np.abs(cost).max())
    infimum.verify(result, cost)


def test_expected_optimum_of_exponential_costs():
    draws = [
        balance.linear_assignment(np.random.default_rng(seed).exponential(size=(100, 100))).cost for seed in range(200)
    ]
    error = np.std(draws, ddof=1) / len(draws) ** 0.5
    assert abs(np.mean(draws) - PARISI) < 3.0 * error
    assert error < 0.03


def cases_of_the_search():
    rng = np.random.default_rng(0)
    for kind in ("exponential", "whole numbers", "two decimals", "distances"):
        for shape in ((1, 1), (1, 4), (6, 6), (25, 25), (12, 30)):
            cost = costs(kind, max(shape), rng)[: shape[0], : shape[1]].copy()
            yield cost
            yield np.where(rng.random(shape) < 0.6, cost, np.inf)


def test_compiled_and_plain_search_give_the_same_bits(monkeypatch):
    plain, matched = without_numba(monkeypatch, row_paths), 0
    for cost in cases_of_the_search():
        found, again = row_paths.assign(cost, np.inf, np.inf), plain.assign(cost, np.inf, np.inf)
        assert [part.tolist() for part in found] == [part.tolist() for part in again]
        assert row_paths.all_whole(cost) == plain.all_whole(cost)
        whole = np.where(cost < np.inf, np.rint(100.0 * np.where(cost < np.inf, cost, 0.0)), 2.0**61).astype(np.int64)
        found, again = row_paths.assign(whole, 2**61, 2**60), plain.assign(whole, 2**61, 2**60)
        assert [part.tolist() for part in found] == [part.tolist() for part in again]
        if found[0].min() >= 0 and cost.shape[0] == cost.shape[1]:
            matched += 1
            columns, dual = row_paths.assign(cost, np.inf, np.inf)
            freed = row_paths.with_slack(cost, columns, dual, 2.0**-40)
            assert freed.tolist() == plain.with_slack(cost, columns, dual, 2.0**-40).tolist()
    assert matched > 12


def test_slack_is_given_where_no_tie_forbids_it():
    rng, share = np.random.default_rng(3), 2.0**-40
    cost = rng.random((40, 40))
    columns, dual = row_paths.assign(cost, np.inf, np.inf)
    chosen, reduced = cost[np.arange(40), columns], cost - row_paths.with_slack(cost, columns, dual, share)
    reduced -= reduced[np.arange(40), columns][:, None]
    assert np.sort(reduced, axis=1)[:, 1].min() > 0.9 * share * max(chosen.max(), np.abs(dual).max())
    ties = np.zeros((3, 3))
    assert row_paths.with_slack(ties, np.arange(3), np.zeros(3), share).tolist() == [0.0, 0.0, 0.0]
    rare = np.ones((200, 200))  # more exchanges that cost next to nothing than are looked at
    assert row_paths.with_slack(rare, np.arange(200), np.zeros(200), share).tolist() == [0.0] * 200


def test_a_dual_beyond_the_limit_is_given_up():
    cost = np.array([[0, 50, 100], [0, 60, 120], [0, 70, 141]], dtype=np.int64)
    columns = row_paths.assign(cost, 2**61, 2**60)[0]
    assert cost[np.arange(3), columns].sum() == 160
    assert row_paths.assign(cost, 2**61, 1)[0].min() == -1


def test_a_permutation_that_is_not_optimal_is_replaced(monkeypatch):
    """Neither the columns nor the duals of the quick searches are believed."""
    cost = np.random.default_rng(1).random((12, 12))
    best = balance.linear_assignment(cost)
    wrong = (np.arange(12), np.zeros(12))
    monkeypatch.setattr(row_paths, "assign", lambda cost, never, limit: (wrong[0], wrong[1].astype(cost.dtype)))
    again = balance.linear_assignment(cost)
    assert again.cost == best.cost
    assert again.certificate.gap == best.certificate.gap


@pytest.mark.parametrize(
    ("cost", "options", "error", "message"),
    [
        (np.ones(3), {}, ShapeError, "matrix"),
        (np.full((3, 3), np.nan), {}, NonFiniteError, "cost"),
        (np.eye(3) * 1j, {}, DTypeError, "real"),
        (np.eye(3), {"maximize": "yes"}, DTypeError, "True or False"),
    ],
)
def test_clear_errors(cost, options, error, message):
    with pytest.raises(error, match=message):
        balance.linear_assignment(cost, **options)
