"""The search for an optimal assignment of rows to columns, and for the duals that prove it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.optimize
import scipy.sparse

from infimum.balance.search.augmenting_paths import FAR, places
from infimum.balance.search.exact_paths import exact_routing
from infimum.balance.search.integer_scores import as_floats, leading_digits
from infimum.errors import InfeasibleError
from infimum.proof.answers.linear_assignment import certify_assignment
from infimum.proof.certificate import Certificate
from infimum.proof.theorems.assignment_dual import Bias, Limits

SPARSE = 400  # rows from which a matching among the cheapest columns of every row is faster than the whole matrix
CHEAPEST = 24  # columns of a row that such a matching looks at
SLACK = 2.0**-40  # of the largest cost: by so much, if ties allow, the duals clear every entry that is not chosen
ROUNDS = 64  # in which duals of a sparse matching are found, or given up; four times as many for the slack


def best_assignment(cost: np.ndarray) -> tuple[np.ndarray, Bias, Certificate, float]:
    """Return the column of every row (-1: none), the duals that prove it, its certificate and its cost."""
    upright = cost.shape[0] <= cost.shape[1]
    for taken, dual in _attempts(cost if upright else np.ascontiguousarray(cost.T), "row" if upright else "column"):
        columns = taken
        if not upright:
            columns = np.full(cost.shape[0], -1)
            columns[taken] = np.arange(cost.shape[1])
        certificate, total, optimal = certify_assignment(cost, columns, dual)
        if optimal:
            break
    return columns, dual, certificate, total


def _attempts(cost: np.ndarray, side: str) -> Iterator[tuple[np.ndarray, Bias]]:
    """Yield assignments of no more rows than columns, with column duals, from the quickest search to the exact one."""
    finite, square = np.isfinite(cost), cost.shape[0] == cost.shape[1]
    size = float(np.abs(np.where(finite, cost, 0.0)).max())
    # whole numbers are not rounded, so that no slack is needed; with columns to spare their duals are at 0, without it
    slack = 0.0 if not square or np.array_equal(cost, np.rint(cost)) else SLACK * size
    found = None
    if cost.shape[0] >= SPARSE and square and finite.all():
        near, columns = _sparse_match(cost)
        if columns.size:
            found = _duals(_exchange(cost, columns), columns, Arcs(cost, columns, near), slack, ROUNDS)
    if found is None:  # few rows, or the cheapest columns were not enough
        try:
            columns = np.asarray(scipy.optimize.linear_sum_assignment(cost)[1], dtype=np.int64)
        except ValueError:
            raise InfeasibleError(_obstacle(finite, side)) from None
        found = _duals(_exchange(cost, columns), columns, None, slack, columns.size + 1)
    if found is not None:
        yield columns, Bias(found[None])
    # floats are too coarse to prove it, or to find it
    digits = leading_digits(-cost)
    whole = None
    if not digits.rest.any():
        whole = _duals(_exchange(-digits.values, columns), columns, None, int(square), columns.size + 1)
    if whole is not None:
        yield columns, Bias(as_floats(whole.tolist(), digits.exponent))
    most = np.ones(cost.shape[1], dtype=np.int64)
    limits = Limits(most if square else np.zeros_like(most), most)
    routing = exact_routing(-cost, 1, limits, np.zeros(most.size) if found is None else found)
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


def _sparse_match(cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cheapest columns of every row, and the best permutation among them (empty if there is none)."""
    above = cost - cost.min(axis=0)
    near = np.argpartition(above, CHEAPEST - 1, axis=1)[:, :CHEAPEST]
    weights = np.take_along_axis(above, near, axis=1)
    weights += max(float(weights.max()), 1e-300)  # an entry of 0 would not count as an edge
    graph = scipy.sparse.csr_array((weights.ravel(), near.ravel(), np.arange(0, near.size + 1, CHEAPEST)), cost.shape)
    try:
        columns = scipy.sparse.csgraph.min_weight_full_bipartite_matching(graph)[1]
    except ValueError:
        columns = []
    return near, np.asarray(columns, dtype=np.int64)


class Arcs:
    """Exchanges among the cheapest columns of every row, sorted by the column that is taken."""

    def __init__(self, cost: np.ndarray, columns: np.ndarray, near: np.ndarray) -> None:
        loss = np.take_along_axis(cost, near, axis=1) - np.take_along_axis(cost, columns[:, None], axis=1)
        order = np.argsort(near.ravel(), kind="stable")
        self.tail = np.repeat(columns, near.shape[1])[order]
        self.loss = np.where(near == columns[:, None], np.inf, loss).ravel()[order]
        self.heads, self.starts = np.unique(near.ravel()[order], return_index=True)

    def lower(self, distance: np.ndarray, slack: float, limit: int) -> np.ndarray:
        """Lower distances along these arcs until none is shortened, or for `limit` rounds."""
        for _ in range(limit):
            reached = np.minimum.reduceat(self.loss + distance[self.tail], self.starts) - slack
            if not (reached < distance[self.heads]).any():
                break
            distance[self.heads] = np.minimum(distance[self.heads], reached)
        return distance


def _exchange(cost: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return what it costs when row i takes column l instead of its own: entry (i, l)."""
    index = np.arange(columns.size)
    loss = cost - cost[index, columns][:, None]
    loss[index, columns] = np.inf if loss.dtype.kind == "f" else FAR  # to take one's own column is no exchange
    return np.asarray(loss)


def _duals(
    exchange: np.ndarray, columns: np.ndarray, arcs: Arcs | None, slack: float, rounds: int
) -> np.ndarray | None:
    """Return column duals: shortest distances along exchanges. None if they are not found in so many `rounds`.

    More than there are rows are needed only if there is a profitable cycle of exchanges. If ties allow, every
    exchange remains a loss of at least `slack`.
    """
    distance = np.zeros(exchange.shape[1], dtype=exchange.dtype)
    best = None
    for least, limit in ((0, rounds), (slack, 4 * ROUNDS)) if slack else ((0, rounds),):
        if arcs is not None:
            distance = arcs.lower(distance.copy(), least, columns.size)
        settled = _shortest(exchange, columns, distance, least, limit)
        if settled is None:
            break
        distance = best = settled
    return best


def _shortest(
    exchange: np.ndarray, columns: np.ndarray, distance: np.ndarray, slack: float, limit: int
) -> np.ndarray | None:
    """Lower distances until no arc less `slack` shortens them (Bellman, Ford); None if that takes too many rounds."""
    moved = np.arange(columns.size)
    for _ in range(limit):
        reached = (exchange[moved] + (distance[columns[moved], None] - slack)).min(axis=0)
        lower = reached < distance
        distance = np.asarray(np.minimum(distance, reached))
        moved = np.flatnonzero(lower[columns])
        if not moved.size:  # a column that nobody has leads nowhere
            return distance
    return None
