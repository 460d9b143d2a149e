"""CUR: its loss, and how its certificate is derived."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import RNGLike, axes, whole_numbers
from infimum._arrays import Array, ArrayLike, as_matrix, namespace, times_power_of_two, to_numpy, widen, working
from infimum._compensated import residual_norm
from infimum._linalg import adjoint
from infimum._scaling import scale_back
from infimum._tables import labels
from infimum.proof import evidence, wording
from infimum.proof.answers.chosen_columns import (
    FEW,
    check_skeleton,
    chosen_names,
    kind_of,
    nodes_of,
    search_tree,
    taken_columns,
)
from infimum.proof.answers.factored import Factored, bound_of_any_matrix, certify_factors, check_names
from infimum.proof.certificate import Certificate
from infimum.proof.operators.dense import Dense
from infimum.proof.operators.inputs import for_columns
from infimum.proof.operators.operator import Operator
from infimum.proof.theorems import column_subset, eckart_young
from infimum.proof.theorems.ritz_block import Bound

SWAMPED = 3e-4  # share of the loss that an allowance for rounding may have before the loss is measured more precisely
CAREFUL = 2**24  # entries times terms up to which that is done


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
    row_names, column_names : tuple of str or None
        Their names, where the input has them.
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
    row_names: tuple[str, ...] | None = None
    column_names: tuple[str, ...] | None = None

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

    def chain(self) -> tuple[Array, ...]:
        """Return `C`, `core` and `R`."""
        return self.C, self.core, self.R

    def transform(self, rows: ArrayLike) -> Array:
        """Return the chosen columns of new rows (q, n)."""
        return taken_columns(rows, self.columns, self.R)

    def inverse_transform(self, chosen: ArrayLike) -> Array:
        """Return rows (q, n) from their entries in the chosen columns (q, c)."""
        return as_matrix(chosen, "chosen") @ self.core @ self.R

    def recheck(self, M: Any, *, rng: RNGLike = None) -> Certificate:
        """Derive the certificate from the input and the answer alone."""
        operator = for_columns(M, "M")
        columns = check_skeleton(operator, "columns", self.columns, self.C)
        R = evidence.array("the matrix of rows", self.R, (None, None), kind_of(operator), like=operator.outer)
        rows = check_skeleton(operator.adjoint(), "rows", self.rows, adjoint(R))
        C = evidence.array("the matrix of columns", self.C, (None, None), kind_of(operator), like=operator.outer)
        check_names("column_names", self.column_names, chosen_names(labels(M, axis=1), self.columns), columns)
        check_names("row_names", self.row_names, chosen_names(labels(M, axis=0), self.rows), rows)
        core = evidence.array("core", self.core, (columns, rows), kind_of(operator), like=operator.outer)
        theorem, witness = self.certificate.theorem, self.certificate.witness
        return certify_cur(operator, C, core, R, theorem, bound_of_cur(operator, rows, columns, theorem, witness, rng))

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


def certify_cur(
    M: Operator, C: Array, core: Array, R: Array, theorem: str, bound: Bound, room: float = 1.0
) -> Certificate:
    """Measure the loss of the product of three, and put it together with a (scaled) bound that a theorem gave."""
    (left, right), whole = _two_factors(C, core, R), M
    if C.shape[1] > R.shape[0]:  # the factor that carries the scale of M comes first
        M, left, right = M.adjoint(), adjoint(right), adjoint(left)
    of_two = certify_factors(M, left, right, theorem, bound, room)
    rounding = core_rounding(C, core, R, M.eps / 2)
    value = of_two.value + room * rounding
    # who claims with more room looks later than who checks, so that a check never stops at the weaker value
    if rounding > SWAMPED * room * of_two.value and isinstance(whole, Dense):
        value = min(value, _careful_value(whole, C, core, R, room))
    return dataclasses.replace(of_two, value=value)


def _careful_value(M: Dense, C: Array, core: Array, R: Array, room: float) -> float:
    """Measure the loss in twice the precision, where it is not too much work; infinity elsewhere."""
    if math.prod(M.shape) * max(core.shape) > CAREFUL:
        return math.inf
    dtype = np.complex128 if M.complex else np.float64
    parts = [working(part) for part in (C, core, R)]
    factors = [to_numpy(part.array).astype(dtype) for part in parts]
    factors[1] = times_power_of_two(factors[1], sum(part.exponent for part in parts) - M.exponent)
    found = residual_norm(to_numpy(M.array).astype(dtype), tuple(factors))
    if found is None:
        return math.inf
    return scale_back(found[0] + room * found[1], M.exponent, toward=math.inf)


def bound_of_cur(
    M: Operator,
    rows: int,
    columns: int,
    theorem: str,
    witness: Mapping[str, Any],
    rng: RNGLike = None,
    room: float = 1.0,
) -> Bound:
    """Bound the error of every choice of so many rows and columns with any core, by the theorem that a result names.

    By "column_subset" the choices of columns, and those of rows, are bounded alone, where there are few: no rows and no
    core can do better than the projection on the columns.
    """
    if theorem != column_subset.THEOREM:
        return bound_of_any_matrix(M, min(rows, columns), theorem, witness, rng, room)
    nodes = nodes_of(witness, FEW)
    of_any = bound_of_any_matrix(M, min(rows, columns), eckart_young.THEOREM, {}, room=room)
    sides = [(side, count) for side, count in ((M, columns), (M.adjoint(), rows)) if side.shape[1] <= FEW]
    bounds = [search_tree(side, count, nodes, room=room).bound for side, count in sides]
    return Bound(max([of_any.value, *bounds]), witness={"nodes": nodes})


def core_rounding(C: Array, core: Array, R: Array, unit: float) -> float:
    """Bound what rounding by `unit` in the core, or in a product with it, changes in ``C @ core @ R``."""
    parts = [working(part) for part in (C, core, R)]
    left, right = (to_numpy(part.xp.linalg.vector_norm(part.array, axis=a)).real for a, part in enumerate(parts[::2]))
    total = float(left @ np.abs(to_numpy(parts[1].array)) @ right)
    return scale_back(total * unit * (sum(core.shape) + 4), sum(part.exponent for part in parts), toward=math.inf)
