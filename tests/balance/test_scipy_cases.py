"""What `scipy.optimize.linear_sum_assignment` promises, asked of `linear_assignment`; and SciPy's own cases of it.

Two things differ by intent: a matrix without entries is refused, as everywhere in infimum, and of several optima
another one may be found.
"""

import math

import numpy as np
import pytest
import scipy.optimize

import infimum
from infimum import balance
from infimum.errors import DTypeError, InfeasibleError, NonFiniteError, ShapeError

matching = pytest.importorskip("scipy.sparse.csgraph.tests.test_matching")
SMALL = list(matching.linear_sum_assignment_test_cases) or pytest.skip("used up", allow_module_level=True)
INF = math.inf


def like_scipy(cost, maximize=False):
    """Solve with infimum, verify it, and answer as SciPy does."""
    result = balance.linear_assignment(cost, maximize=maximize)
    infimum.verify(result, cost)
    assert result.certificate.gap == 0.0
    rows = np.flatnonzero(result.columns >= 0)
    return rows, result.columns[rows]


@pytest.mark.parametrize(("sign", "case"), SMALL)
def test_small_cases_of_scipy(sign, case):
    matching.linear_sum_assignment_assertions(like_scipy, np.array, sign, case)


CASES = {
    "square": ([[5, 9, 1], [10, 3, 2], [8, 7, 4]], 1 + 3 + 8),
    "wide": ([[7, 3, 9, 2], [4, 2, 8, 6], [3, 6, 5, 1]], 3 + 2 + 2),
    "tall": ([[7, 4, 3], [3, 2, 6], [9, 8, 5], [2, 6, 1]], 2 + 2 + 3),
    "one row": ([[4, 2, 3]], 2),
    "one column": ([[4], [2], [3]], 2),
    "one entry": ([[-7]], -7),
    "negative": ([[-3, -1], [-2, -5]], -8),
    "mixed signs": ([[0, -4, 2], [3, 1, -1], [-6, 5, 4]], -11),
    "constant": (np.ones((8, 8)), 8),
    "nothing": (np.zeros((3, 5)), 0),
    "equal rows": ([[1, 2, 3], [1, 2, 3], [1, 2, 3]], 6),
    "forbidden": ([[INF, 4, INF], [2, INF, INF], [1, 1, 7]], 13),
    "forbidden row of many": ([[INF, INF, 9, INF], [1, 2, 3, 4]], 10),
    "a column that nobody may take": ([[1, INF, 5], [2, INF, 3]], 4),
    "row that goes without": ([[INF, INF], [1, INF], [2, 8]], 9),
    "huge beside small": ([[1e300, 1.0], [1.0, 1e-300]], 2),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("maximize", [False, True])
def test_known_optima(name, maximize):
    cost, best = CASES[name]
    cost = (-1.0 if maximize else 1.0) * np.asarray(cost, dtype=float)
    result = balance.linear_assignment(cost, maximize=maximize)
    assert result.cost == (-best if maximize else best)
    assert np.unique(result.columns[result.columns >= 0]).size == min(cost.shape)
    assert np.count_nonzero(result.columns < 0) == max(0, cost.shape[0] - cost.shape[1])
    infimum.verify(result, cost)
    assert cost[scipy.optimize.linear_sum_assignment(cost, maximize=maximize)].sum() == result.cost


@pytest.mark.parametrize("given", [np.eye(3, dtype=bool), np.eye(3, dtype=np.int8), np.eye(3).tolist()])
def test_truth_values_whole_numbers_and_lists(given):
    rows, columns = like_scipy(given)
    assert rows.tolist() == [0, 1, 2]
    assert np.eye(3)[rows, columns].sum() == 0.0


@pytest.mark.parametrize(
    ("cost", "error"),
    [
        ([1.0, 2.0, 3.0], ShapeError),
        (np.ones((2, 2, 2)), ShapeError),
        (np.ones((0, 0)), ShapeError),
        (np.ones((0, 3)), ShapeError),
        (np.ones((2, 0)), ShapeError),
        (np.eye(3).astype(str), DTypeError),
        (np.diag([math.nan, 1.0, 1.0]), NonFiniteError),
        (np.diag([1.0, -INF, 1.0]), NonFiniteError),
        ([[INF, 1.0, 0.0], [INF, 0.0, 1.0], [INF, 0.0, 0.0]], InfeasibleError),
        ([[1.0, 2.0], [INF, INF]], InfeasibleError),
        ([[1.0, INF, INF], [2.0, INF, INF], [1.0, 1.0, 1.0]], InfeasibleError),
        ([[1.0, INF, INF, INF], [2.0, INF, INF, INF]], InfeasibleError),
    ],
)
def test_what_scipy_refuses(cost, error):
    with pytest.raises(error, match="cost"):
        balance.linear_assignment(cost)


def test_sparse_costs_many_of_them_infeasible():
    """Ten costs for every hundred pairs: both find an optimum, or both say that there is none."""
    rng, found = np.random.default_rng(20), 0
    for _ in range(60):
        cost = np.where(rng.random((40, 40)) < 0.1, rng.integers(1, 100, (40, 40)), INF)
        try:
            best = cost[scipy.optimize.linear_sum_assignment(cost)].sum()
        except ValueError:
            with pytest.raises(InfeasibleError):
                balance.linear_assignment(cost)
        else:
            assert balance.linear_assignment(cost).cost == best
            found += 1
    assert 10 < found < 50
