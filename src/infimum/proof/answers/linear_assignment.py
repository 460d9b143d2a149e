"""The linear assignment problem: the column of every row, the cost, and the duals that prove it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import axes
from infimum._arrays import Array, to_numpy
from infimum.errors import VerificationError
from infimum.proof import wording
from infimum.proof.certificate import Certificate
from infimum.proof.evidence import array, indices, number, shown
from infimum.proof.real_arrays import float64_matrix
from infimum.proof.result import Result
from infimum.proof.routing_evidence import require_rounded, sums
from infimum.proof.theorems.assignment_dual import THEOREM, Bias, Limits, blocks, dual, exact_sum, outward


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
        values = costs_to_minimise(cost, self.maximize)
        rows, columns = values.shape
        taken = np.asarray(to_numpy(array("columns", self.columns, (rows,), "integer")))
        indices("columns", taken[taken != -1], columns, min(rows, columns))
        witness = sums(self.certificate.witness, "dual", max(rows, columns))
        certificate, total, _ = certify_assignment(values, taken.astype(np.int64), Bias(witness))
        if number("cost", self.cost) != (-total if self.maximize else total):
            raise VerificationError(f"cost must be {abs(total)!r} in size, got {self.cost!r}")
        for name, wide in zip(
            ("row_duals", "column_duals"), signed_duals(values, witness[0], self.maximize), strict=True
        ):
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


def costs_to_minimise(cost: Array, maximize: bool) -> np.ndarray:
    """Return the costs as float64 on the host, negated when they are maximised: forbidden entries are infinite."""
    values = float64_matrix(cost, "cost", besides=-np.inf if maximize else np.inf)
    return -values if maximize else values


def certify_assignment(cost: np.ndarray, columns: np.ndarray, longer_dual: Bias) -> tuple[Certificate, float, bool]:
    """Return the certificate of an assignment, its cost, and whether it is an optimum.

    The theorem gives every row a column. With more rows than columns the sides change places.
    """
    rows = np.flatnonzero(columns >= 0)
    chosen = cost[rows, columns[rows]]
    if not np.all(np.isfinite(chosen)):
        raise VerificationError("the chosen entries must not be infinite: those are forbidden")
    total = exact_sum(chosen)
    wide = cost if cost.shape[0] <= cost.shape[1] else cost.T
    most = np.ones(wide.shape[1], dtype=np.int64)
    least = most if wide.shape[0] == wide.shape[1] else np.zeros_like(most)
    best = -dual(-wide, 1, Limits(least, most), longer_dual).bound
    value, bound = outward(total, best)
    certificate = Certificate(value, bound, THEOREM, "exact", witness={"dual": longer_dual.parts})
    return certificate, float(total), total == best


def signed_duals(cost: np.ndarray, longer_dual: np.ndarray, maximize: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return row and column duals in the sign of the caller's costs, from those of the longer side."""
    upright = cost.shape[0] <= cost.shape[1]
    shorter = np.concatenate([(part - longer_dual).min(axis=1) for part in blocks(cost if upright else cost.T)])
    rows, columns = (shorter, longer_dual) if upright else (longer_dual, shorter)
    return (-rows, -columns) if maximize else (rows, columns)
