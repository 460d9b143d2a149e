"""The search for an optimal permutation, and for the duals that prove it."""

from __future__ import annotations

import math

import numpy as np
import scipy.optimize
import scipy.sparse

from infimum.balance.search.augmenting_paths import FAR
from infimum.balance.search.integer_scores import grid
from infimum.balance.search.methods import exact_routing
from infimum.proof.answers.linear_assignment import certify_permutation
from infimum.proof.certificate import Certificate
from infimum.proof.theorems.assignment_dual import Bias, Limits

SPARSE = 400  # rows from which a matching among the cheapest columns of every row is faster than the whole matrix
CHEAPEST = 24  # columns of a row that such a matching looks at
SLACK = 2.0**-40  # of the largest cost: by so much, if ties allow, the duals clear every entry that is not chosen
ROUNDS = 64  # in which such duals are found, or given up


def best_permutation(cost: np.ndarray) -> tuple[np.ndarray, Bias, Certificate, float]:
    """Return an optimal permutation, the column duals that prove it, its certificate and its cost."""
    # whole numbers are not rounded, so that no slack is needed
    slack = 0.0 if np.array_equal(cost, np.rint(cost)) else SLACK * float(np.abs(cost).max())
    found = None
    if cost.shape[0] >= SPARSE:
        near, columns = _sparse_match(cost)
        if columns.size:
            found = _duals(_exchange(cost, columns), Arcs(cost, columns, near), slack, ROUNDS)
    if found is None:  # few rows, or the cheapest columns were not enough
        columns = np.asarray(scipy.optimize.linear_sum_assignment(cost)[1], dtype=np.int64)
        found = _duals(_exchange(cost, columns), None, slack, columns.size + 1)
    if found is not None:
        proof = Bias(found, np.zeros_like(found))
        certificate, total = certify_permutation(cost, columns, proof)
        if certificate.lower_bound >= math.nextafter(certificate.value, -math.inf):
            return columns, proof, certificate, total
    columns, proof = _solve_exactly(cost, columns, found)
    return columns, proof, *certify_permutation(cost, columns, proof)


def _solve_exactly(cost: np.ndarray, columns: np.ndarray, start: np.ndarray | None) -> tuple[np.ndarray, Bias]:
    """Prove a permutation in whole numbers where floats are too coarse, or replace it where it is not optimal."""
    units = grid(cost)
    whole = _duals(_exchange(units.values, columns), None, 1, columns.size + 1)
    if whole is not None:
        return columns, Bias(*units.split(whole))
    one = np.ones(columns.size, dtype=np.int64)
    routing = exact_routing(-cost, 1, Limits(one, one), np.zeros(columns.size) if start is None else start)
    return routing.member.argmax(axis=1), routing.bias


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
    """Return what it costs when the row that has column j takes column l instead: entry (j, l)."""
    row = np.argsort(columns)
    loss = cost[row] - cost[row, np.arange(row.size)][:, None]
    np.fill_diagonal(loss, np.inf if loss.dtype.kind == "f" else FAR)  # to take one's own column is no exchange
    return np.asarray(loss)


def _duals(exchange: np.ndarray, arcs: Arcs | None, slack: float, rounds: int) -> np.ndarray | None:
    """Return column duals: shortest distances along exchanges. None if they are not found in so many `rounds`.

    More than there are columns are needed only if there is a profitable cycle of exchanges. If ties allow, every
    exchange remains a loss of at least `slack`.
    """
    distance = np.zeros(exchange.shape[0], dtype=exchange.dtype)
    best = None
    for least, limit in ((0, rounds), (slack, ROUNDS)) if slack else ((0, rounds),):
        if arcs is not None:
            distance = arcs.lower(distance.copy(), least, exchange.shape[0])
        settled = _shortest(exchange, distance, least, limit)
        if settled is None:
            break
        distance = best = settled
    return best


def _shortest(exchange: np.ndarray, distance: np.ndarray, slack: float, limit: int) -> np.ndarray | None:
    """Lower distances until no arc less `slack` shortens them (Bellman, Ford); None if that takes too many rounds."""
    moved = np.arange(distance.size)
    for _ in range(limit):
        reached = (exchange[moved] + (distance[moved, None] - slack)).min(axis=0)
        moved = np.flatnonzero(reached < distance)
        if not moved.size:
            return distance
        distance = np.minimum(distance, reached)
    return None
