"""A positive semidefinite matrix known by its entries: all of them in memory, or a kernel between points."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from infimum._arrays import Array, as_matrix, like_array, namespace, require_finite, times_power_of_two, to_numpy
from infimum.errors import NotSemidefiniteError, ShapeError

BLOCK = 128  # points at a time when only the diagonal is wanted
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
        block = self.kernel(self.points, self._take(indices))
        if tuple(block.shape) != (self.shape[0], indices.size):
            raise ShapeError(f"kernel must return a {(self.shape[0], indices.size)} block, got {tuple(block.shape)}")
        require_finite(block, "K")
        return block

    def diagonal(self) -> np.ndarray:
        """Return the diagonal, computed block by block, on the host."""
        parts = []
        for start in range(0, self.shape[0], BLOCK):
            some = self._take(np.arange(start, min(start + BLOCK, self.shape[0])))
            parts.append(np.diagonal(to_numpy(self.kernel(some, some))).real)
        values = np.concatenate(parts).astype(np.float64)
        require_finite(values, "K")
        return values

    def _take(self, indices: np.ndarray) -> Array:
        return namespace(points=self.points).take(self.points, like_array(indices, self.points), axis=0)


class Entries:
    """Columns and diagonal of a checked input, in double precision on the host, scaled by a power of four.

    Attributes
    ----------
    exponent : int
        Even power of two by which the original is larger.
    outer : array
        Array of the library, device and dtype in which answers are returned.
    defect : float
        Bound on the trace norm of what an array in memory differs by from a Hermitian positive semidefinite one.
    """

    def __init__(self, K: Any) -> None:
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
        diagonal = self._diagonal()
        largest = float(np.max(np.abs(diagonal)))
        self.exponent = 2 * ((math.frexp(largest)[1] + 1) // 2) if largest else 0
        self.diagonal = times_power_of_two(diagonal, -self.exponent)
        if np.min(self.diagonal) < 0.0:
            raise NotSemidefiniteError(f"K must be positive semidefinite, its diagonal holds {np.min(diagonal):.3g}")
        self.defect = 0.0 if self.kernel is not None else self._defect()

    def columns(self, indices: np.ndarray) -> np.ndarray:
        """Return ``K[:, indices]``."""
        block = self.array[:, indices] if self.kernel is None else to_numpy(self.kernel.columns(indices))
        wide = block.astype(np.complex128 if np.iscomplexobj(block) else np.float64)
        return np.asarray(times_power_of_two(wide, -self.exponent))

    def _diagonal(self) -> np.ndarray:
        diagonal = self.kernel.diagonal() if self.kernel is not None else np.diagonal(self.array).real
        return diagonal.astype(np.float64)

    @cached_property
    def spectrum(self) -> np.ndarray | None:
        """Eigenvalues, descending, of an array of moderate size."""
        if self.kernel is not None or self.shape[0] > SPECTRUM:
            return None
        whole = self.columns(np.arange(self.shape[0]))
        return np.linalg.eigvalsh((whole + whole.conj().T) / 2)[::-1]

    def _defect(self) -> float:
        whole = self.columns(np.arange(self.shape[0]))
        difference, total = float(np.linalg.norm(whole - whole.conj().T)), float(np.linalg.norm(whole))
        if not difference <= 1e-6 * total:
            raise NotSemidefiniteError(
                f"K must be symmetric (Hermitian), but K and its transpose differ by {difference / total:.3g} of its "
                "norm; symmetrise it first, or use interpolative for a matrix that is not"
            )
        n, lowest = self.shape[0], 0.0
        if self.spectrum is not None:
            lowest = -min(float(self.spectrum[-1]), 0.0)
            excess = lowest > 64.0 * n * float(np.finfo(self.outer_precision).eps) * float(self.spectrum[0])
        else:
            roots = np.sqrt(self.diagonal)
            excess = bool(np.any(np.abs(whole) > roots[:, None] * roots[None, :] * (1.0 + 1e-6) + 1e-12))
        if excess:
            raise NotSemidefiniteError("K must be positive semidefinite, it has a negative eigenvalue beyond rounding")
        return float(difference * n**0.5 + n * lowest)

    @property
    def outer_precision(self) -> np.dtype:
        """Real dtype of the precision in which an array in memory came (bfloat16 counts as half)."""
        half = "16" in str(self.outer.dtype)
        return np.dtype(np.float16) if half else np.empty(0, dtype=self.array.dtype).real.dtype
