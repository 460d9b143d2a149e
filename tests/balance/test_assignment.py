"""The assignment problem against SciPy, and where nothing but exact arithmetic tells."""

import numpy as np
import pytest
import scipy.optimize

import infimum
from infimum import balance
from infimum.balance.search import optimal_assignment
from infimum.errors import DTypeError, NonFiniteError, ShapeError

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
@pytest.mark.parametrize("size", [1, 2, 7, 40, 150, optimal_assignment.SPARSE + 20])
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


def test_sparse_matching_may_fail():
    """The cheapest columns of all rows are the same few: no permutation among them."""
    size = optimal_assignment.SPARSE
    cost = np.random.default_rng(0).random((size, size)) + 10.0 * (np.arange(size) >= optimal_assignment.CHEAPEST)
    cost -= cost.min(axis=0) * (np.arange(size) >= optimal_assignment.CHEAPEST)
    cost[:, optimal_assignment.CHEAPEST :] += 5.0
    result = balance.linear_assignment(cost)
    rows, columns = scipy.optimize.linear_sum_assignment(cost)
    assert result.cost == pytest.approx(cost[rows, columns].sum(), rel=1e-12)


def test_sparse_matching_may_fall_short(monkeypatch):
    """Too few columns of each row are looked at: the whole matrix has the last word."""
    monkeypatch.setattr(optimal_assignment, "CHEAPEST", 6)
    cost = costs("distances", optimal_assignment.SPARSE, np.random.default_rng(3))
    result = balance.linear_assignment(cost)
    rows, columns = scipy.optimize.linear_sum_assignment(cost)
    assert result.cost == pytest.approx(cost[rows, columns].sum(), rel=1e-12)
    assert result.certificate.gap <= 1e-15


def test_a_permutation_that_is_not_optimal_is_replaced(monkeypatch):
    cost = np.random.default_rng(1).random((12, 12))
    best = balance.linear_assignment(cost)
    wrong = (np.arange(12), np.arange(12))
    monkeypatch.setattr(scipy.optimize, "linear_sum_assignment", lambda cost: wrong)
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
