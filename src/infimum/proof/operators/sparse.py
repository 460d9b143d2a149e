"""Sparse matrices of SciPy and PyTorch, whose zeros are never formed where they are large."""

from __future__ import annotations

import copy
import math
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse

from infimum._arrays import (
    Array,
    is_floating,
    is_sparse_tensor,
    like_array,
    require_finite,
    times_power_of_two,
    to_numpy,
    widen,
    working,
)
from infimum._linalg import adjoint, frobenius, residual_norm
from infimum._threads import no_warnings
from infimum.errors import DTypeError, ShapeError
from infimum.proof.operators.blockwise import triangle
from infimum.proof.operators.operator import Operator
from infimum.proof.rounding import energy_allowance

EXPLICIT = 2**22  # entries up to which the residual of a sparse matrix is formed


def is_sparse(item: Any) -> bool:
    """Tell whether `item` is a sparse matrix of SciPy or a sparse tensor of PyTorch."""
    return bool(scipy.sparse.issparse(item)) or is_sparse_tensor(item)


def with_zeros(item: Any) -> Any:
    """Return a sparse matrix with its zeros, for what makes a dense answer of its size; others as they are."""
    if not is_sparse(item):
        return item
    return item.toarray() if scipy.sparse.issparse(item) else item.detach().to_dense()


def sparse_operator(item: Any, name: str) -> Sparse:
    """Return a checked sparse matrix as an operator."""
    return SparseTensor(item, name) if is_sparse_tensor(item) else Sparse(item, name)


class Sparse(Operator):
    """A SciPy sparse array or matrix."""

    together = 1

    def __init__(self, matrix: Any, name: str) -> None:
        _check_shape(matrix, name)
        if matrix.dtype.kind not in "biufc":
            raise DTypeError(f"{name} must hold real or complex numbers, got dtype {matrix.dtype}; convert it first")
        dtype = matrix.dtype if matrix.dtype.kind in "fc" else np.dtype(np.float64)
        wide = np.promote_types(dtype, np.float64)
        csr = scipy.sparse.csr_array(matrix, copy=True)
        csr.sum_duplicates()  # in their own dtype, whatever the format, so that rows and columns fit it
        if max(csr.nnz, *csr.shape) <= np.iinfo(np.int32).max:  # shorter indices are read in less time
            csr.indices, csr.indptr = csr.indices.astype(np.int32), csr.indptr.astype(np.int32)
        values = csr.data.astype(wide, copy=False) if csr.nnz else np.zeros(1, dtype=wide)
        require_finite(values, name)
        scaled = working(values)
        self.given, self.outer = csr, np.empty((0, 0), dtype=dtype)
        self.matrix = scipy.sparse.csr_array((scaled.array[: csr.nnz], csr.indices, csr.indptr), shape=csr.shape)
        self.turned, self.stored = self.matrix.conj(copy=False).T, self.matrix.data
        self.shape = (int(csr.shape[0]), int(csr.shape[1]))
        self.exponent, self.eps = scaled.exponent, scaled.eps

    @property
    def small(self) -> bool:
        """Whether its zeros may be formed."""
        return self.shape[0] * self.shape[1] <= EXPLICIT

    @cached_property
    def energy(self) -> float:
        """Squared Frobenius norm."""
        return frobenius(self.stored[:, None]) ** 2  # as a column, so that no sum is long

    def take(self, indices: np.ndarray, axis: int) -> Array:
        """Gather rows or columns, with their zeros."""
        rows = scipy.sparse.csr_array(self.given, dtype=self.outer.dtype)
        return np.asarray((rows[:, indices] if axis else rows[indices, :]).toarray())

    def on_host(self) -> Any:
        """Return the original as a SciPy array of compressed columns, in a precision that holds it."""
        return scipy.sparse.csc_array(self.given, dtype=self.outer.dtype)

    def energies(self, axis: int) -> np.ndarray:
        """Squared lengths of columns or rows."""
        return np.asarray(np.square(abs(self.matrix)).sum(axis=axis))

    def adjoint(self) -> Operator:
        """Return the conjugate transpose, sparse as well."""
        other = copy.copy(self)
        other.matrix, other.turned, other.given = self.turned.tocsr(), self.matrix, self.given.conj().T
        other.shape = (self.shape[1], self.shape[0])
        return other

    def times(self, X: Array) -> Array:
        """Multiply from the left."""
        return self.matrix @ X

    def adjoint_times(self, Y: Array) -> Array:
        """Multiply by the conjugate transpose."""
        return self.turned @ Y

    def gram(self) -> Array:
        """Multiply the matrix by its own adjoint, as sparse matrices."""
        return np.asarray((self.turned @ self.matrix).toarray())

    def dense(self) -> Array:
        """Return the scaled matrix with its zeros."""
        return np.asarray(self.matrix.toarray())

    def _rows(self, start: int, stop: int) -> np.ndarray:
        """Return scaled rows with their zeros, on the host."""
        return np.asarray(self.matrix[start:stop, :].toarray())

    def compressed(self) -> Array:
        """Triangular factor of the QR decomposition of a tall matrix, formed from its rows block by block."""
        if self.shape[0] <= self.shape[1]:
            return self.dense()
        step = max(self.shape[1], EXPLICIT // self.shape[1])
        starts = range(0, self.shape[0], step)
        blocks = (self._rows(start, min(start + step, self.shape[0])) for start in starts)
        return like_array(triangle(blocks, self.shape[1]), self.outer)

    def distance(self, left: Array, right: Array, room: float = 1.0) -> float:
        """Norm of the residual; beyond a few million entries from ``N - 2 Re <M, LR> + norm(LR)**2``.

        Then the zeros are never formed, and what is less than about ``1e-6 * norm(M)`` is lost in the allowance.
        """
        if self.small:
            return residual_norm(self.dense(), left, right, self.eps, room)
        inner = complex((left.conj() * self.times(adjoint(right))).sum()).real
        product = complex(((adjoint(left) @ left) * (right @ adjoint(right)).conj()).sum()).real
        lengths = (self.xp.linalg.vector_norm(part, axis=axis) for axis, part in enumerate((left, right)))
        sizes = float(np.prod([to_numpy(part) for part in lengths], axis=0).sum())
        magnitude = (math.sqrt(self.energy) + sizes) ** 2
        squared = self.energy - 2.0 * inner + product
        rounding = energy_allowance(self.shape, self.eps, left.shape[1], magnitude)
        return math.sqrt(max(squared, 0.0) + room * rounding)


class SparseTensor(Sparse):
    """A sparse tensor of PyTorch, of any layout: products are formed where it lies."""

    def __init__(self, matrix: Any, name: str) -> None:
        _check_shape(matrix, name)
        with no_warnings():  # that compressed rows are new
            given = matrix.detach().to_sparse_coo().coalesce()
            values = given.values()
            values = values if is_floating(values) else values * 1.0
            require_finite(values, name)
            scaled = working(values) if values.shape[0] else working(values.new_zeros(1))
            wide = times_power_of_two(given.to(scaled.array.dtype), -scaled.exponent)
            self.given, self.outer = given.to(values.dtype), values.new_empty((0, 0))
            self.matrix, self.turned = wide.to_sparse_csr(), wide.conj().T.coalesce().to_sparse_csr()
        self.stored, self.shape = to_numpy(self.matrix.values()), (int(matrix.shape[0]), int(matrix.shape[1]))
        self.exponent, self.eps = scaled.exponent, scaled.eps

    def take(self, indices: np.ndarray, axis: int) -> Array:
        """Gather rows or columns, with their zeros."""
        return self.given.index_select(axis, like_array(indices, self.outer)).to_dense()

    def on_host(self) -> Any:
        """Return the original as a SciPy array of compressed columns, in a precision that holds it."""
        entries = to_numpy(widen(self.given.values())), tuple(to_numpy(self.given.indices()))
        return scipy.sparse.csc_array(entries, shape=self.shape)

    def energies(self, axis: int) -> np.ndarray:
        """Squared lengths of columns or rows."""
        squares = (self.matrix.abs() * self.matrix.abs()).to_sparse_coo()
        return to_numpy(squares.sum(axis).to_dense())

    def adjoint(self) -> Operator:
        """Return the conjugate transpose, sparse as well."""
        other = copy.copy(self)
        other.matrix, other.turned, other.given = self.turned, self.matrix, self.given.conj().T.coalesce()
        other.shape = (self.shape[1], self.shape[0])
        return other

    def gram(self) -> Array:
        """Multiply the matrix by its own adjoint."""
        return (self.turned @ self.matrix).to_dense()

    def dense(self) -> Array:
        """Return the scaled matrix with its zeros."""
        return self.matrix.to_dense()

    def _rows(self, start: int, stop: int) -> np.ndarray:
        return to_numpy(times_power_of_two(widen(self.take(np.arange(start, stop), axis=0)), -self.exponent))


def _check_shape(matrix: Any, name: str) -> None:
    if matrix.ndim != 2 or 0 in matrix.shape:
        shape = tuple(matrix.shape)
        raise ShapeError(f"{name} must be a matrix with at least one row and one column, got shape {shape}")
