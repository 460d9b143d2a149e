"""The linear assignment problem: the permutation, its cost, and the duals that prove it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import axes
from infimum._arrays import Array, as_matrix, like_array, namespace, to_numpy
from infimum.errors import VerificationError
from infimum.proof.certificate import Certificate
from infimum.proof.real_arrays import host
from infimum.proof.result import Result
from infimum.proof.theorems.assignment_dual import Bias, Limits, dual, exact_sum, outward


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
        certificate, total = certify_permutation(values, columns, Bias(*parts))
        if self.cost != (-total if self.maximize else total):
            raise VerificationError(f"cost must be {abs(total)!r} in size, got {self.cost!r}")
        for name, wide in zip(
            ("row_duals", "column_duals"), signed_duals(values, parts[0], self.maximize), strict=True
        ):
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


def certify_permutation(cost: np.ndarray, columns: np.ndarray, column_dual: Bias) -> tuple[Certificate, float]:
    """Return the certificate of a permutation, and its cost."""
    total = exact_sum(cost[np.arange(columns.size), columns])
    one = np.ones(columns.size, dtype=np.int64)
    least: Fraction = -dual(-cost, 1, Limits(one, one), column_dual).bound
    value, bound = outward(total, least)
    witness = {"dual": column_dual.high, "dual_low": column_dual.low}
    return Certificate(value, bound, "assignment_dual", "exact", witness=witness), float(total)


def signed_duals(cost: np.ndarray, column_dual: np.ndarray, maximize: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return row and column duals in the sign of the caller's costs."""
    rows = (cost - column_dual).min(axis=1)
    return (-rows, -column_dual) if maximize else (rows, column_dual)
