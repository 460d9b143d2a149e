"""The linear assignment problem: the permutation, its cost, and the duals that prove it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import axes
from infimum._arrays import Array, to_numpy
from infimum.errors import VerificationError
from infimum.proof import wording
from infimum.proof.certificate import Certificate
from infimum.proof.evidence import indices, number, shown
from infimum.proof.real_arrays import float64_matrix
from infimum.proof.result import Result
from infimum.proof.routing_evidence import part, require_rounded
from infimum.proof.theorems.assignment_dual import THEOREM, Bias, Limits, dual, exact_sum, outward


@dataclass(frozen=True)
class LinearAssignment(Result):
    """One column for every row, the answer of `linear_assignment`.

    Attributes
    ----------
    columns : array (n,) of int64
        Column that each row takes: a permutation.
    row_duals, column_duals : array (n,)
        ``cost[i, j] >= row_duals[i] + column_duals[j]``, with equality for the chosen entries (``<=`` when maximised),
        up to rounding to the dtype of `cost`, or the first wider one that holds them.
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
        values = float64_matrix(cost, "cost")
        size = values.shape[0]
        if values.shape != (size, size):
            raise VerificationError(f"cost must be a square matrix, got shape {values.shape}")
        values = -values if self.maximize else values
        columns = indices("columns", self.columns, size, size)
        dual_high, dual_low = (part(self.certificate.witness, name, (size,)) for name in ("dual", "dual_low"))
        certificate, total = certify_permutation(values, columns, Bias(dual_high, dual_low))
        if number("cost", self.cost) != (-total if self.maximize else total):
            raise VerificationError(f"cost must be {abs(total)!r} in size, got {self.cost!r}")
        for name, wide in zip(
            ("row_duals", "column_duals"), signed_duals(values, dual_high, self.maximize), strict=True
        ):
            require_rounded(name, getattr(self, name), wide, narrow=True)
        return certificate

    def plot(self, ax: Any = None) -> Any:
        """Draw how far every entry is above its duals: the chosen entries are at 0."""
        ax = axes(ax)
        columns = to_numpy(self.columns)
        ax.plot(columns, np.arange(columns.size), "o", ms=max(2.0, 8.0 - columns.size / 16.0), color="C0")
        goal = "largest" if self.maximize else "least"
        rigour, gap = wording.rigour(self.certificate), f"{self.certificate.gap:.1g}"
        title = f"{columns.size} x {columns.size}: {goal} total {self.cost:.6g}, {rigour}, gap {gap}"
        ax.set(xlabel="column", ylabel="row", title=title, aspect="equal")
        ax.invert_yaxis()
        return ax


def certify_permutation(cost: np.ndarray, columns: np.ndarray, column_dual: Bias) -> tuple[Certificate, float]:
    """Return the certificate of a permutation, and its cost."""
    total = exact_sum(cost[np.arange(columns.size), columns])
    one = np.ones(columns.size, dtype=np.int64)
    least: Fraction = -dual(-cost, 1, Limits(one, one), column_dual).bound
    value, bound = outward(total, least)
    witness = {"dual": column_dual.high, "dual_low": column_dual.low}
    return Certificate(value, bound, THEOREM, "exact", witness=witness), float(total)


def signed_duals(cost: np.ndarray, column_dual: np.ndarray, maximize: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return row and column duals in the sign of the caller's costs."""
    rows = (cost - column_dual).min(axis=1)
    return (-rows, -column_dual) if maximize else (rows, column_dual)
