"""The linear assignment problem: the column of every row, the cost, and the duals that prove it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from infimum._arguments import axes
from infimum._arrays import Array, as_matrix, to_numpy
from infimum._linalg import transposed
from infimum.errors import VerificationError
from infimum.proof import wording
from infimum.proof.certificate import Certificate
from infimum.proof.complementary_slackness import slackness_holds
from infimum.proof.evidence import array, indices, number, shown
from infimum.proof.real_arrays import float64_values
from infimum.proof.result import Result
from infimum.proof.routing_evidence import require_rounded, sums
from infimum.proof.theorems.assignment_dual import (
    REACH,
    THEOREM,
    Bias,
    Limits,
    blocks,
    dual,
    exact_sum,
    outward,
)


@dataclass(frozen=True)
class LinearAssignment(Result):
    """A column for every row, the answer of `linear_assignment`.

    Attributes
    ----------
    columns : array (m,) of int64
        Column that each row takes, all different; -1 for the rows that go without where there are more rows than
        columns.
    row_duals, column_duals : array (m,), (n,)
        ``cost[i, j] >= row_duals[i] + column_duals[j]``, with equality for the chosen entries (``<=`` when maximised),
        up to rounding to the dtype of `cost`, or the first wider one that holds them. On the longer side none is above
        0 (below 0 when maximised), and what nobody takes has 0.
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
        if type(self.maximize) is not bool:
            raise VerificationError(f"maximize must be True or False, got {shown(self.maximize)}")
        values = costs_to_minimise(as_matrix(cost, "cost", besides=forbidden(self.maximize)), self.maximize)
        rows, columns = values.shape
        taken = np.asarray(to_numpy(array("columns", self.columns, (rows,), "integer")))
        indices("columns", taken[taken != -1], columns, min(rows, columns))
        witness = sums(self.certificate.witness, "dual", max(rows, columns))
        certificate, total, _, duals = judge_assignment(values, taken.astype(np.int64), Bias(witness))
        if number("cost", self.cost) != (-total if self.maximize else total):
            raise VerificationError(f"cost must be {abs(total)!r} in size, got {self.cost!r}")
        for name, wide in zip(("row_duals", "column_duals"), signed(duals, self.maximize), strict=True):
            require_rounded(name, getattr(self, name), wide, narrow=True)
        return certificate

    def plot(self, ax: Any = None) -> Any:
        """Draw how far every entry is above its duals: the chosen entries are at 0."""
        ax = axes(ax)
        columns = to_numpy(self.columns)
        rows, size = np.flatnonzero(columns >= 0), max(columns.size, int(self.column_duals.shape[0]))
        ax.plot(columns[rows], rows, "o", ms=max(2.0, 8.0 - size / 16.0), color="C0")
        goal = "largest" if self.maximize else "least"
        rigour, gap = wording.rigour(self.certificate), f"{self.certificate.gap:.1g}"
        title = f"{columns.size} x {self.column_duals.shape[0]}: {goal} total {self.cost:.6g}, {rigour}, gap {gap}"
        ax.set(xlabel="column", ylabel="row", title=title, aspect="equal")
        ax.invert_yaxis()
        return ax


def forbidden(maximize: bool) -> float:
    """Return what stands for a column that a row must not take."""
    return -math.inf if maximize else math.inf


def costs_to_minimise(cost: Array, maximize: bool) -> np.ndarray:
    """Return a checked matrix of costs as float64 on the host, negated when they are maximised."""
    values = float64_values(cost, "cost", besides=forbidden(maximize))
    return -values if maximize else values


class Judged(NamedTuple):
    """What an assignment and duals are worth together; the duals in the order rows, columns, of costs to minimise."""

    certificate: Certificate
    total: float
    optimal: bool
    duals: tuple[np.ndarray, np.ndarray]


def judge_assignment(cost: np.ndarray, columns: np.ndarray, longer_dual: Bias) -> Judged:
    """Return the certificate of an assignment, its cost, whether it is an optimum, and the duals of both sides.

    The theorem gives every row a column. With more rows than columns the sides change places.
    """
    rows = np.flatnonzero(columns >= 0)
    upright, taken = cost.shape[0] <= cost.shape[1], columns[rows]
    chosen = cost[rows, taken]
    total = math.fsum(chosen.tolist()) + 0.0
    if not math.isfinite(total):
        raise VerificationError("the chosen entries must not be infinite: those are forbidden")
    wide = cost if upright else transposed(cost)
    if not upright:
        order = np.argsort(taken)
        chosen, taken = chosen[order], rows[order]
    high = longer_dual.high
    optimal = _slackness_holds(wide, taken, longer_dual)
    if optimal:  # the dual is worth what the assignment costs
        shorter = chosen - high[taken]
        value, bound = _outward_sum(chosen.tolist(), total)
    else:
        shorter = np.concatenate([(part - high).min(axis=1) for part in blocks(wide)])
        most = np.ones(wide.shape[1], dtype=np.int64)
        least = most if wide.shape[0] == wide.shape[1] else np.zeros_like(most)
        exact, best = exact_sum(chosen), -dual(-wide, 1, Limits(least, most), longer_dual).bound
        value, bound = outward(exact, best)
        optimal = exact == best
    certificate = Certificate(value, bound, THEOREM, "exact", witness={"dual": longer_dual.parts})
    return Judged(certificate, total, optimal, (shorter, high) if upright else (high, shorter))


def _slackness_holds(wide: np.ndarray, taken: np.ndarray, longer_dual: Bias) -> bool:
    """Tell whether an assignment of all rows and a dual of single floats prove each other."""
    parts = longer_dual.parts
    single = parts.dtype == np.float64 and parts.shape == (1, wide.shape[1]) and taken.size == wide.shape[0]
    return single and slackness_holds(wide, taken, longer_dual.high, REACH)


def _outward_sum(values: list[float], nearest: float) -> tuple[float, float]:
    """Return a sum rounded up, and rounded down; fsum is 0 only where the exact sum is."""
    rest = math.fsum([*values, -nearest])
    above = nearest if rest <= 0.0 else math.nextafter(nearest, math.inf)
    return above, nearest if rest >= 0.0 else math.nextafter(nearest, -math.inf)


def signed(duals: tuple[np.ndarray, np.ndarray], maximize: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return row and column duals in the sign of the caller's costs."""
    return (-duals[0], -duals[1]) if maximize else duals
