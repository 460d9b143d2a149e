"""The linear assignment problem: every row takes one column, every column is taken once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import scipy.optimize
import scipy.sparse

from infimum._arguments import axes
from infimum._arrays import Array, as_matrix, like_array, namespace, to_numpy
from infimum.balance.grid import grid
from infimum.balance.host import host
from infimum.balance.paths import FAR
from infimum.balance.solver import exact
from infimum.errors import DTypeError, ShapeError, VerificationError
from infimum.proof.certificate import Certificate
from infimum.proof.result import Result
from infimum.proof.theorems.assignment_dual import Bias, Limits, dual, exact_sum, outward

SPARSE = 400  # rows from which a matching among the cheapest columns of every row is faster than the whole matrix
CHEAPEST = 24  # columns of a row that such a matching looks at
SLACK = 2.0**-40  # of the largest cost: by so much, if ties allow, the duals clear every entry that is not chosen
ROUNDS = 64  # in which such duals are found, or given up


@dataclass(frozen=True)
class LinearAssignment(Result):
    """One column for every row, the answer of `linear_assignment`.

    Attributes
    ----------
    columns : array (n,) of int64
        Column that each row takes: a permutation.
    row_duals, column_duals : array (n,)
        ``cost[i, j] >= row_duals[i] + column_duals[j]``, with equality for the chosen entries (``<=`` when maximised).
    cost : float
        Sum of the chosen entries.
    maximize : bool
        Whether the sum was maximised.
    certificate : Certificate
        Of the sum, negated when it is maximised.
    """

    problem: ClassVar[str] = "balance.linear_assignment"
    inputs: ClassVar[tuple[str, ...]] = ("cost",)
    columns: Array
    row_duals: Array
    column_duals: Array
    cost: float
    maximize: bool = False

    def recheck(self, cost: Array) -> Certificate:
        """Derive the certificate of an assignment from the costs, the answer and the witness duals alone."""
        xp = namespace(cost=as_matrix(cost, "cost"), columns=self.columns)
        values = -host(cost, "cost") if self.maximize else host(cost, "cost")
        columns = to_numpy(self.columns)
        size = values.shape[0]
        if columns.shape != (size,) or not np.array_equal(np.sort(columns), np.arange(size)):
            raise VerificationError(f"columns must be a permutation of 0 to {size - 1}")
        parts = [np.asarray(to_numpy(self.certificate.witness[name]), dtype=float) for name in ("dual", "dual_low")]
        if any(part.shape != (size,) or not np.isfinite(part).all() for part in parts):
            raise VerificationError(f"the dual of the witness must hold {size} finite numbers, twice")
        certificate, total = certify(values, columns, Bias(*parts))
        if self.cost != (-total if self.maximize else total):
            raise VerificationError(f"cost must be {abs(total)!r} in size, got {self.cost!r}")
        for name, wide in zip(("row_duals", "column_duals"), duals(values, parts[0], self.maximize), strict=True):
            stored = getattr(self, name)
            if not bool(xp.all(xp.astype(like_array(wide, stored), stored.dtype) == stored)):
                raise VerificationError(f"{name} must be those of the witness, rounded")
        return certificate

    def plot(self, ax: Any = None) -> Any:
        """Draw how far every entry is above its duals: the chosen entries are at 0."""
        ax = axes(ax)
        columns = to_numpy(self.columns)
        ax.plot(columns, np.arange(columns.size), "o", ms=max(2.0, 8.0 - columns.size / 16.0), color="C0")
        goal = "largest" if self.maximize else "least"
        title = f"{columns.size} x {columns.size}: {goal} total {self.cost:.6g}, gap {self.certificate.gap:.1g}"
        ax.set(xlabel="column", ylabel="row", title=title, aspect="equal")
        ax.invert_yaxis()
        return ax


def linear_assignment(cost: Array, *, maximize: bool = False) -> LinearAssignment:
    """Give every row a column of its own, at the least total cost.

    Minimises the sum of the chosen entries over all permutations (maximises it with `maximize`). The duals that prove
    the answer come with it.

    Parameters
    ----------
    cost : array (n, n)
        Real, finite. For more rows than columns, or fewer, see `balanced_topk` with ``k=1`` and ``load=(0, 1)``.
    maximize : bool
        Look for the largest total instead.

    Returns
    -------
    LinearAssignment
        `columns` (n,) int64, `row_duals` and `column_duals` (n,): library, dtype and device of `cost`; `cost`, the
        total.

    Raises
    ------
    ShapeError, NonFiniteError, DTypeError, LibraryError
        Each says what was expected, what came, and what to do.
    RangeError
        The costs are too large for sums in float64.

    References
    ----------
    .. [1] Su Jianlin, Scientific Spaces 10757, https://kexue.fm/archives/10757, on the assignment problem.
    .. [2] D. F. Crouse, "On implementing 2D rectangular assignment algorithms", IEEE Trans. Aerosp. Electron. Syst. 52
       (2016), 1679-1696: what SciPy runs.
    .. [3] R. Jonker, A. Volgenant, "A shortest augmenting path algorithm for dense and sparse linear assignment
       problems", Computing 38 (1987), 325-340.

    Examples
    --------
    >>> import numpy as np, infimum
    >>> result = infimum.balance.linear_assignment(np.array([[4.0, 1.0], [2.0, 2.0]]))
    >>> result.columns, result.cost, result.certificate.gap
    (array([1, 0]), 3.0, 0.0)
    """
    if not isinstance(maximize, bool):
        raise DTypeError(f"maximize must be True or False, got {maximize!r}")
    cost = as_matrix(cost, "cost")
    if cost.shape[0] != cost.shape[1]:
        raise ShapeError(
            f"cost must be a square matrix, got shape {tuple(cost.shape)}; for others use balanced_topk with k=1"
        )
    values = -host(cost, "cost") if maximize else host(cost, "cost")
    columns, proof, certificate, total = solve(values)
    xp = namespace(cost=cost)
    rows, cols = duals(values, proof.high, maximize)
    return LinearAssignment(
        columns=like_array(columns, cost),
        row_duals=xp.astype(like_array(rows, cost), cost.dtype),
        column_duals=xp.astype(like_array(cols, cost), cost.dtype),
        cost=-total if maximize else total,
        maximize=maximize,
        certificate=certificate,
    )


def solve(cost: np.ndarray) -> tuple[np.ndarray, Bias, Certificate, float]:
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
        certificate, total = certify(cost, columns, proof)
        if certificate.lower_bound >= math.nextafter(certificate.value, -math.inf):
            return columns, proof, certificate, total
    columns, proof = _solve_exactly(cost, columns, found)
    return columns, proof, *certify(cost, columns, proof)


def _solve_exactly(cost: np.ndarray, columns: np.ndarray, start: np.ndarray | None) -> tuple[np.ndarray, Bias]:
    """Prove a permutation in whole numbers where floats are too coarse, or replace it where it is not optimal."""
    units = grid(cost)
    whole = _duals(_exchange(units.values, columns), None, 1, columns.size + 1)
    if whole is not None:
        return columns, Bias(*units.split(whole))
    one = np.ones(columns.size, dtype=np.int64)
    routing = exact(-cost, 1, Limits(one, one), np.zeros(columns.size) if start is None else start)
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


def certify(cost: np.ndarray, columns: np.ndarray, column_dual: Bias) -> tuple[Certificate, float]:
    """Return the certificate of a permutation, and its cost."""
    total = exact_sum(cost[np.arange(columns.size), columns])
    one = np.ones(columns.size, dtype=np.int64)
    least: Fraction = -dual(-cost, 1, Limits(one, one), column_dual).bound
    value, bound = outward(total, least)
    witness = {"dual": column_dual.high, "dual_low": column_dual.low}
    return Certificate(value, bound, "assignment_dual", "exact", witness=witness), float(total)


def duals(cost: np.ndarray, column_dual: np.ndarray, maximize: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return row and column duals in the sign of the caller's costs."""
    rows = (cost - column_dual).min(axis=1)
    return (-rows, -column_dual) if maximize else (rows, column_dual)
