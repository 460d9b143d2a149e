"""The search for an optimal assignment of rows to columns, and for the duals that prove it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse

from infimum._linalg import transposed
from infimum.balance.search.augmenting_paths import places
from infimum.balance.search.exact_paths import exact_routing
from infimum.balance.search.integer_scores import FAR, LARGEST, as_floats, leading_digits
from infimum.errors import InfeasibleError
from infimum.proof.answers.linear_assignment import Judged, judge_assignment
from infimum.proof.theorems.assignment_dual import Bias, Limits

SLACK = 2.0**-40  # of what is chosen: by so much, if ties allow, the duals clear every entry that is not


def best_assignment(cost: np.ndarray) -> tuple[np.ndarray, Judged]:
    """Return the column of every row (-1: none), and what it is worth, with the duals that prove it."""
    upright = cost.shape[0] <= cost.shape[1]
    for taken, dual in _attempts(cost if upright else transposed(cost), "row" if upright else "column"):
        columns = taken
        if not upright:
            columns = np.full(cost.shape[0], -1)
            columns[taken] = np.arange(cost.shape[1])
        judged = judge_assignment(cost, columns, dual)
        if judged.optimal:
            break
    return columns, judged


def _attempts(cost: np.ndarray, side: str) -> Iterator[tuple[np.ndarray, Bias]]:
    """Yield assignments of no more rows than columns, with column duals, from the quickest search to the exact one."""
    from infimum.balance.search import row_paths  # compiled loops: not before they are needed

    square = cost.shape[0] == cost.shape[1]
    columns, dual = row_paths.assign(cost, np.inf, np.inf)
    if columns.min() < 0:
        raise InfeasibleError(_obstacle(np.isfinite(cost), side))
    # whole numbers are not rounded, so that no slack is needed; with columns to spare their duals are at 0, without it
    if square and not row_paths.all_whole(cost):
        dual = row_paths.with_slack(cost, columns, dual, SLACK)
    yield columns, Bias(dual[None])
    # floats are too coarse to prove it, or to find it
    digits = leading_digits(-cost)
    columns, whole = row_paths.assign(-digits.values, FAR, LARGEST)
    if columns.min() >= 0:
        yield columns, Bias(as_floats(whole.tolist(), digits.exponent))
    most = np.ones(cost.shape[1], dtype=np.int64)
    limits = Limits(most if square else np.zeros_like(most), most)
    routing = exact_routing(-cost, 1, limits, dual)
    yield routing.member.argmax(axis=1), routing.bias


def _obstacle(finite: np.ndarray, side: str) -> str:
    """Say which rows have too few columns between them: those that lead to a row that no matching can serve."""
    other = {"row": "column", "column": "row"}[side]
    column_of = scipy.sparse.csgraph.maximum_bipartite_matching(scipy.sparse.csr_array(finite), perm_type="column")
    rows = column_of < 0
    rows[np.flatnonzero(rows)[1:]] = False
    while True:
        columns = finite[rows].any(axis=0)
        reached = rows | (columns[column_of] & (column_of >= 0))
        if np.array_equal(reached, rows):
            break
        rows = reached
    between = f"{other} {places(columns)} alone" if columns.any() else f"no {other} at all"
    return (
        f"no assignment exists: {side} {places(rows)} together need {int(rows.sum())} {other}s of their own, but their "
        f"costs are finite in {between}"
    )
