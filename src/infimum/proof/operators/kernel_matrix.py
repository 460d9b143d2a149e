"""A matrix whose entries are evaluated when they are needed: a kernel between points, or a large sparse matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from infimum._arrays import Array, ArrayLike, as_array, as_matrix, like_array, namespace, require_finite, to_numpy
from infimum.errors import NotSemidefiniteError, OptionError, ShapeError
from infimum.proof.operators.sparse import sparse_operator

BLOCK = 128  # points at a time when only the diagonal is wanted


class KernelMatrix:
    """The matrix ``K[i, j] = kernel(points[i], points[j])``, whose entries are computed when they are needed.

    Parameters
    ----------
    points : array (n, d)
        One point a row, of any library of the array API standard.
    kernel : callable
        ``kernel(X, Y)`` returns the (a, b) block between (a, d) and (b, d) points; positive semidefinite.
    diagonal : float or array (n,), optional
        ``kernel(x, x)`` of every point where that is known, such as 1 of a Gaussian kernel: it takes blocks of the
        kernel else. Refused wherever the kernel itself is seen to differ in more than half its digits.

    Examples
    --------
    >>> import numpy as np, infimum
    >>> points = np.linspace(0, 1, 50)[:, None]
    >>> K = infimum.lowrank.KernelMatrix(points, lambda X, Y: np.exp(-((X - Y.T) ** 2)))
    >>> infimum.lowrank.nystrom(K, rank=5, rng=0).landmarks.shape
    (5,)
    """

    known: np.ndarray | None = None

    def __init__(
        self, points: Array, kernel: Callable[[Array, Array], Array], diagonal: float | ArrayLike | None = None
    ) -> None:
        self.points, self.kernel = as_matrix(points, "points"), kernel
        self.shape = (int(self.points.shape[0]), int(self.points.shape[0]))
        if diagonal is not None:
            self.known = _known(diagonal, self.shape[0])

    def columns(self, indices: np.ndarray) -> Array:
        """Return ``K[:, indices]``."""
        if not indices.size:  # some kernels take no empty blocks
            return self.columns(np.arange(1))[:, :0]
        return self._between(self.points, self._take(indices))

    def part(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return ``K[rows, columns]``, on the host."""
        if not rows.size or not columns.size:
            return self.part(np.arange(1), np.arange(1))[:0, :0]
        return to_numpy(self._between(self._take(rows), self._take(columns)))

    def diagonal(self) -> np.ndarray:
        """Return the diagonal, computed block by block where it is not known, on the host."""
        if self.known is not None:
            return self.known
        starts = range(0, self.shape[0], BLOCK)
        places = (np.arange(start, min(start + BLOCK, self.shape[0])) for start in starts)
        return np.concatenate([np.diagonal(self.part(some, some)) for some in places])

    def _between(self, rows: Array, columns: Array) -> Array:
        block, shape = self.kernel(rows, columns), (int(rows.shape[0]), int(columns.shape[0]))
        if tuple(block.shape) != shape:
            raise ShapeError(f"kernel must return a {shape} block, got {tuple(block.shape)}")
        require_finite(block, "K")
        return block

    def _take(self, indices: np.ndarray) -> Array:
        return namespace(points=self.points).take(self.points, like_array(indices, self.points), axis=0)


class SparseKernel(KernelMatrix):
    """A large sparse matrix in the place of a kernel: its zeros are formed for the columns that are wanted."""

    def __init__(self, given: Any) -> None:
        operator = sparse_operator(given, "K")
        if operator.shape[0] != operator.shape[1]:
            raise ShapeError(f"K must be square, got shape {operator.shape}")
        matrix = operator.on_host()
        self.matrix, self.like, self.shape = matrix, operator.outer, operator.shape
        if (self.matrix != self.matrix.conj().T).nnz:
            raise NotSemidefiniteError("K must be Hermitian, but it differs from its conjugate transpose")

    def columns(self, indices: np.ndarray) -> Array:
        """Return ``K[:, indices]``."""
        columns = like_array(self.matrix[:, indices].toarray(), self.like)
        return namespace(like=self.like).astype(columns, self.like.dtype, copy=False)

    def part(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return ``K[rows, columns]``."""
        return np.asarray(self.matrix[:, columns].tocsr()[rows, :].toarray())

    def diagonal(self) -> np.ndarray:
        """Return the diagonal."""
        return np.asarray(self.matrix.diagonal())


def _known(diagonal: float | ArrayLike, n: int) -> np.ndarray:
    values = to_numpy(as_array(diagonal, "diagonal"))
    if values.shape not in ((), (n,)) or values.dtype.kind not in "fiu" or not np.all(np.isfinite(values)):
        raise OptionError(f"diagonal must be one real number or {n} of them, got shape {values.shape}")
    return np.broadcast_to(values.astype(np.float64), (n,))
