"""Inputs of every kind as operators: arrays, SciPy sparse arrays, linear operators, blocks of rows."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse

from infimum._arrays import Array, as_matrix, require_finite, scale_back, times_power_of_two, widen, working
from infimum._linalg import adjoint, frobenius, residual_norm
from infimum.errors import DTypeError, LibraryError, ShapeError
from infimum.proof.operators.operator import Dense, Operator
from infimum.proof.rounding import energy_allowance

EXPLICIT = 2**22  # entries up to which the residual of a sparse matrix is formed


def as_operator(item: Any, name: str) -> Operator:
    """Return a checked input as an operator in working precision."""
    if isinstance(item, Operator):
        return item
    if scipy.sparse.issparse(item):
        return Sparse(item, name)
    if isinstance(item, scipy.sparse.linalg.LinearOperator):
        # it is looked at along its smaller side
        return Products(item, name) if item.shape[0] <= item.shape[1] else Products(item.adjoint(), name).adjoint()
    return Dense(as_matrix(item, name))


def for_columns(item: Any, name: str) -> Operator:
    """Return a checked input of which columns are to be chosen.

    A sparse matrix of moderate size gets its zeros: in memory there are more methods, and tighter bounds.
    """
    operator = as_operator(item, name)
    if isinstance(operator, Sparse) and math.prod(operator.shape) <= EXPLICIT:
        return Dense(operator.take(np.arange(operator.shape[1]), axis=1))
    return operator


def size(M: Any) -> float:
    """Frobenius norm of an input of any kind."""
    operator = as_operator(M, "M")
    return scale_back(math.sqrt(operator.energy), operator.exponent, toward=0.0)


class Sparse(Operator):
    """A SciPy sparse array or matrix."""

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

    def adjoint(self) -> Operator:
        """Return the conjugate transpose, sparse as well."""
        other = copy.copy(self)
        other.matrix, other.given = self.matrix.conj().T.tocsr(), self.given.conj().T
        other.shape = (self.shape[1], self.shape[0])
        return other

    def times(self, X: Array) -> Array:
        """Multiply from the left."""
        return np.asarray(self.matrix @ X)

    def adjoint_times(self, Y: Array) -> Array:
        """Multiply by the conjugate transpose."""
        return np.asarray(self.matrix.conj().T @ Y)

    def gram(self) -> Array:
        """Multiply the matrix by its own adjoint, as sparse matrices."""
        return np.asarray((self.matrix.conj().T @ self.matrix).toarray())

    def dense(self) -> Array:
        """Return the scaled matrix with its zeros."""
        return np.asarray(self.matrix.toarray())

    def compressed(self) -> Array:
        """Triangular factor of the QR decomposition of a tall matrix, formed from its rows block by block."""
        if self.shape[0] <= self.shape[1]:
            return self.dense()
        step = max(self.shape[1], EXPLICIT // self.shape[1])
        starts = range(0, self.shape[0], step)
        return _triangle((self.matrix[start : start + step, :].toarray() for start in starts), self.shape[1])

    def distance(self, left: Array, right: Array) -> float:
        """Norm of the residual; beyond a few million entries from ``N - 2 Re <M, LR> + norm(LR)**2``.

        Then the zeros are never formed, and what is less than about ``1e-6 * norm(M)`` is lost in the allowance.
        """
        if self.shape[0] * self.shape[1] <= EXPLICIT:
            return residual_norm(self.dense(), left, right, self.eps)
        inner = float(np.sum(left.conj() * self.times(adjoint(right))).real)
        product = float(np.sum((adjoint(left) @ left) * np.conj(right @ adjoint(right))).real)
        sizes = float(np.sum(np.linalg.norm(left, axis=0) * np.linalg.norm(right, axis=1)))
        magnitude = (math.sqrt(self.energy) + sizes) ** 2
        squared = self.energy - 2.0 * inner + product
        return math.sqrt(max(squared, 0.0) + energy_allowance(self.shape, self.eps, left.shape[1], magnitude))


class Blockwise(Operator):
    """Abstract base: a matrix that is seen in blocks of rows, one at a time."""

    name: str

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """Yield the rows and the block, as given: neither scaled nor widened."""
        raise NotImplementedError(f"{type(self).__name__} must yield its rows")

    @cached_property
    def _sizes(self) -> tuple[int, float]:
        """Exponent and energy: one look at all blocks."""
        seen = []
        for _, block in self.blocks():
            require_finite(block, self.name)
            scaled = working(block)
            seen.append((scaled.exponent, frobenius(scaled.array) ** 2))
        exponent = max((exponent for exponent, energy in seen if energy), default=0)
        return exponent, math.fsum(math.ldexp(energy, 2 * (own - exponent)) for own, energy in seen)

    @property
    def exponent(self) -> int:  # type: ignore[override]
        """Power of two by which the original is larger."""
        return self._sizes[0]

    @property
    def energy(self) -> float:
        """Squared Frobenius norm."""
        return self._sizes[1]

    def scaled_blocks(self) -> Iterator[tuple[slice, Array]]:
        """Yield the rows and the block in working precision."""
        for rows, block in self.blocks():
            yield rows, times_power_of_two(widen(block), -self.exponent)

    def distance(self, left: Array, right: Array) -> float:
        """Norm of the residual, formed block by block."""
        squares = (residual_norm(block, left[rows, :], right, self.eps) ** 2 for rows, block in self.scaled_blocks())
        return math.sqrt(math.fsum(squares)) * (1.0 + 4.0 * self.eps)

    def gram(self) -> Array:
        """Sum of the Gram matrices of the blocks, in one pass."""
        return sum(adjoint(block) @ block for _, block in self.scaled_blocks())

    def compressed(self) -> Array:
        """Triangular factor of the QR decomposition, by one pass."""
        return _triangle((block for _, block in self.scaled_blocks()), self.shape[1])

    def take(self, indices: np.ndarray, axis: int) -> Array:
        """Gather rows or columns, by one pass."""
        if axis:
            parts = [block[:, indices] for _, block in self.blocks()]
            return np.concatenate(parts).astype(self.outer.dtype)
        taken = np.empty((indices.size, self.shape[1]), dtype=self.outer.dtype)
        for rows, block in self.blocks():
            inside = (indices >= rows.start) & (indices < rows.stop)
            taken[inside] = block[indices[inside] - rows.start]
        return taken

    def energies(self, axis: int) -> np.ndarray:
        """Squared lengths of columns or rows, by one pass."""
        parts = [np.linalg.norm(block, axis=axis) ** 2 for _, block in self.scaled_blocks()]
        return np.concatenate(parts) if axis else np.sum(parts, axis=0)


def _triangle(blocks: Iterable[np.ndarray], columns: int) -> np.ndarray:
    """Triangular factor of the QR decomposition of a matrix that comes in blocks of rows."""
    triangle: np.ndarray = np.zeros((0, columns))
    for block in blocks:
        triangle = np.asarray(np.linalg.qr(np.concatenate([triangle, block]), mode="r"))
    return triangle


class Products(Blockwise):
    """A SciPy LinearOperator; its rows are what the adjoint makes of unit vectors."""

    def __init__(self, given: Any, name: str, rows: int = 64) -> None:
        if 0 in given.shape:
            raise ShapeError(f"{name} must have at least one row and one column, got shape {given.shape}")
        dtype = np.dtype(given.dtype or np.float64)
        if dtype.kind not in "biufc":
            raise DTypeError(f"{name} must hold real or complex numbers, got dtype {dtype}; convert it first")
        self.given, self.name, self.rows = given, name, rows
        self.shape = (int(given.shape[0]), int(given.shape[1]))
        self.outer = np.empty((0, 0), dtype=dtype if dtype.kind in "fc" else np.float64)
        try:
            product = np.asarray(given.rmatmat(np.zeros((self.shape[0], 1), dtype=self.like.dtype)))
        except (NotImplementedError, TypeError) as error:  # SciPy raises either
            raise LibraryError(f"{name} must multiply from both sides: define rmatvec or rmatmat") from error
        # products are taken to be as accurate as those of a matrix in the precision in which they come
        precision = product.dtype if product.dtype.kind in "fc" else np.dtype(np.float64)
        self.eps = float(np.finfo(precision).eps) * (2 if self.complex else 1)

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """Multiply blocks of unit vectors by the adjoint."""
        for start in range(0, self.shape[0], self.rows):
            rows = slice(start, min(start + self.rows, self.shape[0]))
            units = np.zeros((self.shape[0], rows.stop - rows.start), dtype=self.like.dtype)
            units[np.arange(rows.start, rows.stop), np.arange(units.shape[1])] = 1.0
            yield rows, adjoint(np.asarray(self.given.rmatmat(units)))

    def times(self, X: Array) -> Array:
        """Multiply from the left."""
        return self._scaled(self.given.matmat, X)

    def adjoint_times(self, Y: Array) -> Array:
        """Multiply by the conjugate transpose."""
        return self._scaled(self.given.rmatmat, Y)

    def _scaled(self, multiply: Callable[[Array], Any], X: Array) -> Array:
        # the vectors carry the scale as far as they can, so that products of tiny entries keep their digits
        before = max(-1000, min(-self.exponent, 1000))
        product = widen(np.asarray(multiply(times_power_of_two(X, before))))
        return times_power_of_two(product, -self.exponent - before)
