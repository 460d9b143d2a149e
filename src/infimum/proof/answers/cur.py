"""CUR: its loss, and how its certificate is derived."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import axes, whole_numbers
from infimum._arrays import (
    Array,
    namespace,
    scale_back,
    to_numpy,
    widen,
    working,
)
from infimum._linalg import adjoint
from infimum.errors import ShapeError
from infimum.proof import wording
from infimum.proof.answers.chosen_columns import FEW, check_skeleton, search_tree
from infimum.proof.answers.factored import Factored, certify_factors
from infimum.proof.certificate import Certificate
from infimum.proof.operators.inputs import for_columns
from infimum.proof.operators.operator import Operator


@dataclass(frozen=True)
class CUR(Factored):
    """``M ≈ C @ core @ R`` with ``C = M[:, columns]`` and ``R = M[rows, :]``, the answer of `cur`.

    Attributes
    ----------
    rows, columns : array (r,), array (c,) of int64
        Indices of the chosen rows and columns, the first taken first.
    core : array (c, r)
        The matrix between them.
    C, R : array (m, c), array (r, n)
        The chosen columns and rows.
    certificate : Certificate
        ``lower_bound`` holds for every choice of as many rows and columns and every core; with the theorems
        "eckart_young" and "ritz_block" for every matrix of rank ``min(c, r)``.
    """

    problem: ClassVar[str] = "lowrank.cur"
    inputs: ClassVar[tuple[str, ...]] = ("M",)
    rows: Array
    columns: Array
    core: Array
    C: Array
    R: Array

    @property
    def rank(self) -> int:
        """Largest rank that the approximation can have."""
        return int(min(self.core.shape))

    def factors(self) -> tuple[Array, Array]:
        """Return `C` and ``core @ R``, or ``C @ core`` and `R` where there are fewer rows; in working precision."""
        return _two_factors(self.C, self.core, self.R)

    def to_dense(self) -> Array:
        """Multiply the factors out: an (m, n) array, computed in working precision and rounded to the stored dtype."""
        left, right = self.factors()
        return namespace(left=left).astype(left @ right, self.core.dtype)

    def __matmul__(self, other: Array) -> Array:
        """Multiply the approximation by a vector or a matrix without forming it."""
        return self.C @ (self.core @ (self.R @ other))

    def recheck(self, M: Any) -> Certificate:
        """Derive the certificate from the input and the answer alone."""
        operator = for_columns(M, "M")
        check_skeleton(operator, self.columns, self.C)
        check_skeleton(operator.adjoint(), self.rows, adjoint(self.R))
        if tuple(self.core.shape) != (self.C.shape[1], self.R.shape[0]):
            expected = (self.C.shape[1], self.R.shape[0])
            raise ShapeError(f"a core of shape {expected} was expected, got {tuple(self.core.shape)}")
        return certify_cur(operator, self.C, self.core, self.R, self.certificate.theorem, self.certificate.witness)

    def plot(self, ax: Any = None) -> Any:
        """Draw where the chosen rows and columns lie."""
        ax = axes(ax)
        ax.vlines(to_numpy(self.columns), -0.5, self.C.shape[0] - 0.5, lw=1, color="C0", label="columns")
        ax.hlines(to_numpy(self.rows), -0.5, self.R.shape[1] - 0.5, lw=1, color="C1", label="rows")
        whole_numbers(ax.xaxis, ax.yaxis)
        certificate = self.certificate
        ax.set(
            xlabel="column",
            ylabel="row",
            xlim=(-0.5, self.R.shape[1] - 0.5),
            ylim=(self.C.shape[0] - 0.5, -0.5),
            title=f"{self.C.shape[1]} columns, {self.R.shape[0]} rows: " + wording.error_and_floor(certificate),
        )
        ax.legend(loc="upper right")
        return ax


def _two_factors(C: Array, core: Array, R: Array) -> tuple[Array, Array]:
    C, core, R = widen(C), widen(core), widen(R)
    return (C, core @ R) if C.shape[1] <= R.shape[0] else (C @ core, R)


def certify_cur(M: Operator, C: Array, core: Array, R: Array, theorem: str, witness: Mapping[str, Any]) -> Certificate:
    """Measure the loss of the product of three, and bound every choice of as many rows and columns from below."""
    left, right = _two_factors(C, core, R)
    if C.shape[1] > R.shape[0]:  # the factor that carries the scale of M comes first
        M, left, right = M.adjoint(), adjoint(right), adjoint(left)
    of_any = certify_factors(M, left, right, "eckart_young" if theorem == "column_subset" else theorem, witness)
    value = of_any.value + core_rounding(C, core, R, M.eps / 2)
    bound = of_any.lower_bound
    if theorem == "column_subset":
        counts = (left.shape[1], max(core.shape))
        for side, count in zip((M, M.adjoint()), counts, strict=True):
            bound = max(bound, _side_bound(side, count, int(witness["nodes"])))
    kept = {"nodes": int(witness["nodes"])} if theorem == "column_subset" else of_any.witness
    return dataclasses.replace(of_any, value=value, lower_bound=bound, theorem=theorem, witness=kept)


def _side_bound(M: Operator, count: int, nodes: int) -> float:
    """Bound the error of the best choice of `count` columns: no rows and no core can do better than its projection."""
    if M.shape[1] > FEW:
        return 0.0
    return scale_back(search_tree(M, count, nodes).bound, M.exponent, toward=0.0)


def core_rounding(C: Array, core: Array, R: Array, unit: float) -> float:
    """Bound what rounding by `unit` in the core, or in a product with it, changes in ``C @ core @ R``."""
    parts = [working(part) for part in (C, core, R)]
    left, middle, right = (np.abs(to_numpy(part.array)) for part in parts)
    total = float(np.linalg.norm(left, axis=0) @ middle @ np.linalg.norm(right, axis=1))
    return scale_back(total * unit * (sum(middle.shape) + 4), sum(part.exponent for part in parts), toward=math.inf)
