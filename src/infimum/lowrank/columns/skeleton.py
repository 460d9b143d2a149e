"""Chosen columns together with all that an exchange of one of them changes, kept up to date by rank-one updates."""

from __future__ import annotations

import numpy as np

from infimum._linalg import subtract_outer
from infimum.lowrank.columns.reduction import Reduction


class Skeleton:
    """Independent columns S of a reduction M, with the least-squares coefficients of all columns on them.

    Attributes
    ----------
    columns : array (k,)
        The chosen columns S.
    dual : array (rows, k)
        ``dual* @ M[:, S] = I``, in the span of the chosen columns; 1 / length is the distance of a chosen column from
        the span of the others.
    coefficients : array (k, n)
        ``dual* @ M``, the least-squares coefficients.
    residual : array (rows, n)
        What the chosen columns leave of all columns; what lies outside of the reduction counts in `energy` only.
    energy : array (n,)
        Squared lengths of the residual columns.
    """

    def __init__(self, M: Reduction, columns: np.ndarray) -> None:
        self.columns = np.array(columns, dtype=np.int64)
        self.outside = M.outside.copy()
        self._augmented = bool(np.any(M.outside))
        self._rows = M.matrix.shape[0]  # where the rows for what lies outside begin: one for each chosen column
        explicit = M.with_rows_for(self.columns)
        self.outside[self.columns] = 0.0
        Q, R = np.linalg.qr(explicit[:, self.columns])
        image = Q.conj().T @ explicit
        self.dual = np.asfortranarray(Q @ np.linalg.inv(R).conj().T)
        self.coefficients = np.asfortranarray(np.linalg.solve(R, image))
        self.residual = np.asfortranarray(explicit - Q @ image)
        self.energy = np.linalg.norm(self.residual, axis=0) ** 2 + self.outside
        self._original_outside = M.outside

    def exchange(self, i: int, j: int) -> None:
        """Put column `j` of the matrix in the place of the chosen column number `i`."""
        self._drop(i)
        if self._augmented:
            self._reassign_row(i, j)
        self._add(i, j)

    def increases(self) -> np.ndarray:
        """By how much the error grows, root of the squares, when each chosen column is dropped."""
        squares = np.einsum("ij,ij->i", self.coefficients, self.coefficients.conj()).real
        return np.asarray(np.sqrt(squares) / np.linalg.norm(self.dual, axis=0))

    def direction(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the unit vector that dropping chosen column `i` sets free, and its products with all columns."""
        length = np.linalg.norm(self.dual[:, i])
        return self.dual[:, i] / length, self.coefficients[i] / length

    def _drop(self, i: int) -> None:
        unit, products = self.direction(i)
        self.residual = subtract_outer(self.residual, -unit, products)
        self.energy = self.energy + np.abs(products) ** 2
        overlap = unit.conj() @ self.dual
        overlap[i] = 0.0
        self.dual = subtract_outer(self.dual, unit, overlap)
        self.coefficients = subtract_outer(self.coefficients, overlap.conj(), products)

    def _reassign_row(self, i: int, j: int) -> None:
        row, dropped = self._rows + i, self.columns[i]
        # the other chosen columns are zero in this row, so their span is: nothing else lives here
        self.residual[row] = 0.0
        self.dual[row] = 0.0
        self.outside[dropped] = self._original_outside[dropped]
        self.residual[row, j] = np.sqrt(self.outside[j])
        self.outside[j] = 0.0

    def _add(self, i: int, j: int) -> None:
        column = self.residual[:, j].copy()
        square = np.linalg.norm(column) ** 2
        dual = column / square
        products = dual.conj() @ self.residual
        known = self.coefficients[:, j].copy()
        self.residual = subtract_outer(self.residual, column, products)
        known[i] = 0.0
        self.dual = subtract_outer(self.dual, dual, known.conj())
        self.coefficients = subtract_outer(self.coefficients, known, products)
        self.dual[:, i], self.coefficients[i] = dual, products
        self.columns[i] = j
        self.energy = np.maximum(self.energy - np.abs(products) ** 2 * square, 0.0)
