"""The interpolative decomposition: its loss, and how its certificate is derived."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import RNGLike, axes, whole_numbers
from infimum._arrays import Array, ArrayLike, as_matrix, to_numpy
from infimum._linalg import adjoint
from infimum._tables import labels
from infimum.errors import OptionError, VerificationError
from infimum.proof import evidence, wording
from infimum.proof.answers.chosen_columns import (
    NODES,
    ONLY_ROWS,
    certify_columns,
    check_skeleton,
    chosen_names,
    kind_of,
    nodes_of,
    taken_columns,
)
from infimum.proof.answers.factored import Factored, bound_of_any_matrix, certify_factors, check_names
from infimum.proof.certificate import Certificate
from infimum.proof.operators.inputs import for_columns
from infimum.proof.theorems import column_subset


@dataclass(frozen=True)
class Interpolative(Factored):
    """``M ≈ M[:, columns] @ coefficients`` or ``M ≈ coefficients @ M[rows, :]``, the answer of `interpolative`.

    Attributes
    ----------
    columns : array (rank,) of int64, or None
        Indices of the chosen columns, the first taken first; None when rows were chosen.
    rows : array (rank,) of int64, or None
        Indices of the chosen rows; None when columns were chosen.
    skeleton : array (m, rank) or (rank, n)
        The chosen columns, ``M[:, columns]``, or rows, ``M[rows, :]``.
    coefficients : array (rank, n) or (m, rank)
        The identity on the chosen columns or rows.
    names : tuple of str or None
        Names of the chosen columns or rows, where the input has them.
    certificate : Certificate
        ``lower_bound`` holds for every choice of columns (rows); with the theorems "eckart_young" and "ritz_block" even
        for *every* matrix of that rank.
    """

    problem: ClassVar[str] = "lowrank.interpolative"
    inputs: ClassVar[tuple[str, ...]] = ("M",)
    columns: Array  # or None: said in words, so that a type checker asks nobody who chose columns whether there are any
    rows: Array
    skeleton: Array
    coefficients: Array
    names: tuple[str, ...] | None = None

    @property
    def rank(self) -> int:
        """Number of chosen columns or rows."""
        return int(self.skeleton.shape[1 if self.rows is None else 0])

    def factors(self) -> tuple[Array, Array]:
        """Return `skeleton` and `coefficients`, for rows the other way round."""
        return (self.skeleton, self.coefficients) if self.rows is None else (self.coefficients, self.skeleton)

    def transform(self, rows: ArrayLike) -> Array:
        """Return the chosen columns of new rows (q, n)."""
        return taken_columns(rows, self.columns, self.coefficients)

    def inverse_transform(self, chosen: ArrayLike) -> Array:
        """Return rows (q, n) from their entries in the chosen columns (q, rank)."""
        if self.columns is None:
            raise OptionError(ONLY_ROWS)
        return as_matrix(chosen, "chosen") @ self.coefficients

    def recheck(self, M: Any, *, rng: RNGLike = None) -> Certificate:
        """Derive the certificate of an interpolative decomposition from the input and the answer alone."""
        operator, skeleton, coefficients = for_columns(M, "M"), self.skeleton, self.coefficients
        if (self.columns is None) == (self.rows is None):
            raise VerificationError("either columns or rows must be given, and the other one None")
        name, chosen = ("columns", self.columns) if self.rows is None else ("rows", self.rows)
        known = labels(M, axis=1 if self.rows is None else 0)
        shape = (None, operator.shape[1]) if self.rows is None else (operator.shape[0], None)
        coefficients = evidence.array("coefficients", coefficients, shape, kind_of(operator), like=operator.outer)
        if self.rows is not None:
            operator, coefficients = operator.adjoint(), adjoint(coefficients)
            skeleton = adjoint(evidence.array("skeleton", skeleton, (None, None), kind_of(operator)))
        rank = check_skeleton(operator, name, chosen, skeleton)
        check_names("names", self.names, chosen_names(known, chosen), rank)
        if int(coefficients.shape[0]) != rank:
            raise VerificationError(f"coefficients for {rank} {name} were expected, got {coefficients.shape[0]}")
        theorem, witness = self.certificate.theorem, self.certificate.witness
        if theorem == column_subset.THEOREM:
            return certify_columns(operator, skeleton, coefficients, nodes_of(witness, NODES))
        bound = bound_of_any_matrix(operator, rank, theorem, witness, rng)
        return certify_factors(operator, skeleton, coefficients, theorem, bound)

    def plot(self, ax: Any = None) -> Any:
        """Draw the absolute coefficients: which chosen column (row) serves which column (row) of the matrix."""
        ax = axes(ax)
        image = ax.imshow(np.abs(to_numpy(self.coefficients)), aspect="auto", cmap="viridis", interpolation="nearest")
        ax.figure.colorbar(image, ax=ax, label="|coefficient|")
        whole_numbers(ax.xaxis, ax.yaxis)
        certificate, kind = self.certificate, "column" if self.rows is None else "row"
        labels = (f"{kind} of the matrix", f"chosen {kind}")
        ax.set(
            xlabel=labels[kind == "row"],
            ylabel=labels[kind == "column"],
            title=f"{self.rank} {kind}s: {wording.error_and_floor(certificate)}",
        )
        return ax
