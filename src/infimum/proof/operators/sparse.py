"""A SciPy sparse matrix, whose zeros are never formed where it is large."""

from __future__ import annotations

import copy
import math
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse

from infimum._arrays import (
    Array,
    require_finite,
    working,
)
from infimum._linalg import adjoint, residual_norm
from infimum.errors import DTypeError, ShapeError
from infimum.proof.operators.blockwise import triangle
from infimum.proof.operators.operator import Operator
from infimum.proof.rounding import energy_allowance

EXPLICIT = 2**22  # entries up to which the residual of a sparse matrix is formed


class Sparse(Operator):
    """A SciPy sparse array or matrix."""

    together = 4

    def __init__(self, matrix: Any, name: str) -> None:
        if matrix.ndim != 2 or 0 in matrix.shape:
            raise ShapeError(f"{name} must be a matrix with at least one row and one column, got shape {matrix.shape}")
        if matrix.dtype.kind not in "biufc":
            raise DTypeError(f"{name} must hold real or complex numbers, got dtype {matrix.dtype}; convert it first")
        dtype = matrix.dtype if matrix.dtype.kind in "fc" else np.dtype(np.float64)
        csr = scipy.sparse.csr_array(matrix, dtype=np.promote_types(dtype, np.float64), copy=True)
        csr.sum_duplicates()
        values = csr.data if csr.data.size else np.zeros(1, dtype=csr.dtype)
        require_finite(values, name)
        scaled = working(values)
        csr.data = scaled.array[: csr.data.size]
        self.matrix, self.shape = csr, (int(csr.shape[0]), int(csr.shape[1]))
        self.exponent, self.eps = scaled.exponent, scaled.eps
        self.given, self.outer = matrix, np.empty((0, 0), dtype=dtype)

    @property
    def small(self) -> bool:
        """Whether its zeros may be formed."""
        return self.shape[0] * self.shape[1] <= EXPLICIT

    @cached_property
    def energy(self) -> float:
        """Squared Frobenius norm."""
        return float(np.sum(np.square(np.abs(self.matrix.data))))  # NumPy sums pairwise: a few unit roundoffs

    def take(self, indices: np.ndarray, axis: int) -> Array:
        """Gather rows or columns, with their zeros."""
        rows = scipy.sparse.csr_array(self.given, dtype=self.outer.dtype)
        return np.asarray((rows[:, indices] if axis else rows[indices, :]).toarray())

    def energies(self, axis: int) -> np.ndarray:
        """Squared lengths of columns or rows."""
        return np.asarray(np.square(abs(self.matrix)).sum(axis=axis))

    @property
    def _turned(self) -> Any:
        """The conjugate transpose of the scaled matrix, of the same memory where it is real."""
        return (self.matrix.conj() if self.complex else self.matrix).T

    def adjoint(self) -> Operator:
        """Return the conjugate transpose, sparse as well."""
        other = copy.copy(self)
        other.matrix, other.given = self._turned.tocsr(), self.given.conj().T
        other.shape = (self.shape[1], self.shape[0])
        return other

    def times(self, X: Array) -> Array:
        """Multiply from the left."""
        return np.asarray(self.matrix @ X)

    def adjoint_times(self, Y: Array) -> Array:
        """Multiply by the conjugate transpose."""
        return np.asarray(self._turned @ Y)

    def gram(self) -> Array:
        """Multiply the matrix by its own adjoint, as sparse matrices."""
        return np.asarray((self._turned @ self.matrix).toarray())

    def dense(self) -> Array:
        """Return the scaled matrix with its zeros."""
        return np.asarray(self.matrix.toarray())

    def compressed(self) -> Array:
        """Triangular factor of the QR decomposition of a tall matrix, formed from its rows block by block."""
        if self.shape[0] <= self.shape[1]:
            return self.dense()
        step = max(self.shape[1], EXPLICIT // self.shape[1])
        starts = range(0, self.shape[0], step)
        return triangle((self.matrix[start : start + step, :].toarray() for start in starts), self.shape[1])

    def distance(self, left: Array, right: Array, room: float = 1.0) -> float:
        """Norm of the residual; beyond a few million entries from ``N - 2 Re <M, LR> + norm(LR)**2``.

        Then the zeros are never formed, and what is less than about ``1e-6 * norm(M)`` is lost in the allowance.
        """
        if self.small:
            return residual_norm(self.dense(), left, right, self.eps, room)
        inner = float(np.sum(left.conj() * self.times(adjoint(right))).real)
        product = float(np.sum((adjoint(left) @ left) * np.conj(right @ adjoint(right))).real)
        sizes = float(np.sum(np.linalg.norm(left, axis=0) * np.linalg.norm(right, axis=1)))
        magnitude = (math.sqrt(self.energy) + sizes) ** 2
        squared = self.energy - 2.0 * inner + product
        rounding = energy_allowance(self.shape, self.eps, left.shape[1], magnitude)
        return math.sqrt(max(squared, 0.0) + room * rounding)
