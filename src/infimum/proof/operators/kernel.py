"""A positive semidefinite matrix known by its entries: all of them in memory, or a kernel between points."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from infimum._arrays import (
    UNSCALED,
    Array,
    as_matrix,
    like_array,
    namespace,
    require_finite,
    times_power_of_two,
    to_numpy,
)
from infimum._linalg import frobenius
from infimum._scaling import scale_back
from infimum.errors import NotSemidefiniteError, ShapeError
from infimum.proof.operators.sparse import is_sparse, sparse_operator, with_zeros
from infimum.proof.rounding import rounding_allowance

BLOCK = 128  # points at a time when only the diagonal is wanted
EPS = 2.0 * float(np.finfo(np.float64).eps)  # spacing, doubled for complex numbers as everywhere
HUGE = 1e90  # beyond it, relative to the diagonal, an entry is no rounding, and its square might overflow
KEPT = 2  # sets of columns that are kept: those of the answer and of the bound
SPECTRUM = 2000  # order up to which an array in memory is decomposed, for its sign and its best approximations


class KernelMatrix:
    """The matrix ``K[i, j] = kernel(points[i], points[j])``, whose entries are computed when they are needed.

    Parameters
    ----------
    points : array (n, d)
        One point a row, of any library of the array API standard.
    kernel : callable
        ``kernel(X, Y)`` returns the (a, b) block between (a, d) and (b, d) points; positive semidefinite.

    Examples
    --------
    >>> import numpy as np, infimum
    >>> points = np.linspace(0, 1, 50)[:, None]
    >>> K = infimum.lowrank.KernelMatrix(points, lambda X, Y: np.exp(-((X - Y.T) ** 2)))
    >>> infimum.lowrank.nystrom(K, rank=5, rng=0).landmarks.shape
    (5,)
    """

    def __init__(self, points: Array, kernel: Callable[[Array, Array], Array]) -> None:
        self.points, self.kernel = as_matrix(points, "points"), kernel
        self.shape = (int(self.points.shape[0]), int(self.points.shape[0]))

    def columns(self, indices: np.ndarray) -> Array:
        """Return ``K[:, indices]``."""
        if not indices.size:  # some kernels take no empty blocks
            return self.columns(np.arange(1))[:, :0]
        block = self.kernel(self.points, self._take(indices))
        if tuple(block.shape) != (self.shape[0], indices.size):
            raise ShapeError(f"kernel must return a {(self.shape[0], indices.size)} block, got {tuple(block.shape)}")
        require_finite(block, "K")
        return block

    def block(self, indices: np.ndarray) -> np.ndarray:
        """Return the rows and columns of these indices, on the host."""
        if not indices.size:
            return self.block(np.arange(1))[:0, :0]
        some = self._take(indices)
        block = to_numpy(self.kernel(some, some))
        require_finite(block, "K")
        return block

    def diagonal(self) -> np.ndarray:
        """Return the diagonal, computed block by block, on the host."""
        starts = range(0, self.shape[0], BLOCK)
        blocks = (self.block(np.arange(start, min(start + BLOCK, self.shape[0]))) for start in starts)
        return np.concatenate([np.diagonal(block) for block in blocks])

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

    def block(self, indices: np.ndarray) -> np.ndarray:
        """Return the rows and columns of these indices."""
        return np.asarray(self.matrix[:, indices].tocsr()[indices, :].toarray())

    def diagonal(self) -> np.ndarray:
        """Return the diagonal."""
        return np.asarray(self.matrix.diagonal())


class Entries:
    """Columns and diagonal of a checked input, in double precision on the host, scaled by a power of four.

    Of an array in memory they are those of its Hermitian part.

    Attributes
    ----------
    exponent : int
        Even power of two by which the original is larger.
    outer : array
        Array of the library, device and dtype in which answers are returned.
    diagonal : array (n,)
        Real; what is negative through rounding stays so.
    skew : float
        Bound on the trace norm of what an array in memory differs by from its Hermitian part.
    """

    def __init__(self, K: Any) -> None:
        if is_sparse(K):
            K = SparseKernel(K) if max(K.shape) > SPECTRUM else with_zeros(K)
        self.kernel = K if isinstance(K, KernelMatrix) else None
        self.array = np.empty((0, 0))
        if self.kernel is not None:
            self.shape, self.outer = self.kernel.shape, self.kernel.columns(np.arange(1))
        else:
            self.outer = as_matrix(K, "K")
            self.shape = (int(self.outer.shape[0]), int(self.outer.shape[1]))
            if self.shape[0] != self.shape[1]:
                raise ShapeError(f"K must be square, got shape {self.shape}")
            self.array = to_numpy(self.outer)
        diagonal = self.kernel.diagonal() if self.kernel is not None else np.diagonal(self.array)
        largest = float(np.max(np.abs(diagonal)))
        exponent = 2 * ((math.frexp(largest)[1] + 1) // 2) if largest else 0
        self.exponent = exponent if abs(exponent) > UNSCALED else 0
        self.seen: dict[bytes, np.ndarray] = {}  # of a kernel, which may be dear: the columns that were asked for last
        self.diagonal = self._scaled(diagonal).real.astype(np.float64)
        lowest = float(np.min(self.diagonal))
        if lowest < -self.floor:
            held = scale_back(lowest, self.exponent, toward=0.0)
            raise NotSemidefiniteError(f"K must be positive semidefinite, its diagonal holds {held:.3g}")
        if np.iscomplexobj(diagonal) and float(np.max(np.abs(self._scaled(diagonal).imag))) > self.doubt:
            raise NotSemidefiniteError("K must be Hermitian, but its diagonal is not real")
        self.skew = 0.0 if self.kernel is not None else self._asymmetry()

    @property
    def doubt(self) -> float:
        """Half the digits of the precision in which the entries came: what they may be off by, relative to their size.

        The size of an entry is the root of the product of the diagonal entries beside it.
        """
        half = "16" in str(self.outer.dtype)  # bfloat16, too
        dtype = np.dtype(np.float16) if half else to_numpy(self.outer[:0, :0]).real.dtype
        return math.sqrt(float(np.finfo(dtype).eps))

    @property
    def floor(self) -> float:
        """What an entry may be off by whatever its size: 64 spacings of the largest one on the diagonal."""
        return 64.0 * self.doubt**2 * float(np.max(np.abs(self.diagonal)))

    def columns(self, indices: np.ndarray) -> np.ndarray:
        """Return ``K[:, indices]``."""
        if self.kernel is not None:
            key = indices.tobytes()
            if key not in self.seen:
                before = list(self.seen.items())[1 - KEPT :]
                self.seen = dict([*before, (key, self._bounded(to_numpy(self.kernel.columns(indices))))])
            return self.seen[key]
        columns, rows = self._scaled(self.array[:, indices]), self._scaled(self.array[indices, :])
        return np.asarray((columns + rows.conj().T) / 2.0)

    def block(self, indices: np.ndarray) -> np.ndarray:
        """Return ``K[indices, indices]``."""
        if self.kernel is not None:
            return self._bounded(self.kernel.block(indices))
        return self._scaled(self.array[np.ix_(indices, indices)])

    def _scaled(self, block: np.ndarray) -> np.ndarray:
        wide = block.astype(np.complex128 if np.iscomplexobj(block) else np.float64, copy=False)
        return np.asarray(times_power_of_two(wide, -self.exponent))

    def _bounded(self, block: np.ndarray) -> np.ndarray:
        """Scale entries that are seen for the first time, and refuse those that the diagonal rules out by far."""
        scaled = self._scaled(block)
        if scaled.size and not float(np.max(np.abs(scaled))) <= HUGE:
            raise NotSemidefiniteError(
                f"K must be positive semidefinite, but an entry is more than {HUGE:.0e} times as large as its diagonal"
            )
        return scaled

    @cached_property
    def spectrum(self) -> np.ndarray | None:
        """Eigenvalues, descending, of the Hermitian part of an array of moderate size."""
        if self.kernel is not None or self.shape[0] > SPECTRUM:
            return None
        return np.linalg.eigvalsh(self.columns(np.arange(self.shape[0])))[::-1]

    def negative_part(self, room: float = 1.0) -> tuple[float, float]:
        """Bounds on the sum and on the size of the negative eigenvalues, which rounding makes.

        The computed spectrum of an array is that of a matrix that differs by `each` in the Frobenius norm, so the sizes
        of n eigenvalues move by ``sqrt(n) * each`` together. Where there is no spectrum to tell, entries that are off
        by twice their spacing at random would have eigenvalues of about this size: that is taken on trust.
        """
        n = self.shape[0]
        if self.spectrum is None:
            off = 2.0 * self.doubt**2 * float(np.sum(np.abs(self.diagonal)))
            return off * math.sqrt(n), off / math.sqrt(n)
        each = room * spectrum_allowance(self.spectrum)
        lowest = max(each - float(self.spectrum[-1]), 0.0)
        total = float(np.sum(np.maximum(-self.spectrum, 0.0))) + math.sqrt(n) * each
        return (total, lowest) if lowest > 0.0 else (0.0, 0.0)

    def _asymmetry(self) -> float:
        """Check an array for symmetry and sign; what differs from the Hermitian part is at most the difference here."""
        whole = self._bounded(self.array)
        difference, total = frobenius(whole - whole.conj().T), frobenius(whole)
        if not difference <= 1e-6 * total:
            raise NotSemidefiniteError(
                f"K must be symmetric (Hermitian), but K and its transpose differ by {difference / total:.3g} of its "
                "norm; symmetrise it first, or use interpolative for a matrix that is not"
            )
        n = self.shape[0]
        if self.spectrum is not None:
            beyond = 64.0 * n * self.doubt**2 * float(self.spectrum[0])
            if float(self.spectrum[-1]) < -beyond:
                raise NotSemidefiniteError(
                    "K must be positive semidefinite, it has a negative eigenvalue beyond rounding"
                )
        else:
            refuse_large_entries(self, whole, np.arange(n), np.arange(n))
        return difference * math.sqrt(n)


def spectrum_allowance(spectrum: np.ndarray) -> float:
    """How far the computed spectrum may lie from the true one, in the Euclidean norm of all eigenvalues."""
    n = int(spectrum.size)
    return rounding_allowance((n, n), EPS, float(np.linalg.norm(spectrum)))


def refuse_large_entries(K: Entries, block: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> None:
    """Refuse a matrix with ``abs(K[i, j])**2 > K[i, i] * K[j, j]`` beyond rounding: it has a negative eigenvalue."""
    roots = np.sqrt(np.maximum(K.diagonal, 0.0))
    excess = np.abs(block)
    excess -= np.outer(roots[rows], roots[columns] * (1.0 + K.doubt))
    if block.size and float(np.max(excess)) > K.floor:
        at = np.unravel_index(int(np.argmax(excess)), excess.shape)
        i, j = int(rows[at[0]]), int(columns[at[1]])
        raise NotSemidefiniteError(
            f"K must be positive semidefinite, but K[{i}, {j}] is larger than sqrt(K[{i}, {i}] * K[{j}, {j}])"
        )
