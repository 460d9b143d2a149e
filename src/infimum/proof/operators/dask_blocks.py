"""A Dask array: products, Gram matrices and norms are formed where its chunks are, and only thin results travel."""

from __future__ import annotations

import math
import sys
from functools import cached_property
from typing import Any

import numpy as np

from infimum._arrays import Array, require_finite, times_power_of_two, widen, working
from infimum._linalg import adjoint, frobenius, with_rounding
from infimum.proof.operators.row_blocks import RowBlocks


class DaskBlocks(RowBlocks):
    """A tall Dask array. Every pass is one graph, run by whatever scheduler the user has chosen, such as a cluster.

    Dask adds partial sums in an order of its own, and the allowances hold for any.
    """

    source: Any

    @property
    def _dask(self) -> Any:
        return sys.modules["dask"]  # whoever has a Dask array has loaded it

    def _lifted(self, array: np.ndarray, axis: int) -> Any:
        """Cut a thin array along the chunks of one axis of the source."""
        return sys.modules["dask.array"].from_array(array, chunks=(self.source.chunks[axis], array.shape[1]))

    @cached_property
    def _sizes(self) -> tuple[int, float]:
        """Exponent and energy: one pass, of which two numbers a chunk come back."""
        rows, columns = self.source.chunks
        shape = ((1,) * len(rows), (2,) * len(columns))
        seen = self.source.map_blocks(_measured, dtype=np.float64, chunks=shape, meta=np.empty((0, 0))).compute()
        require_finite(seen, self.name)
        exponents, energies = seen[:, ::2].ravel(), seen[:, 1::2].ravel()
        exponent = int(np.max(exponents[energies > 0.0], initial=-5000)) if np.any(energies > 0.0) else 0
        scaled = (math.ldexp(e, 2 * (int(own) - exponent)) for own, e in zip(exponents, energies, strict=True))
        return exponent, math.fsum(scaled)

    @cached_property
    def _scaled(self) -> Any:
        """The array in working precision, not computed."""
        return self.source.map_blocks(_widened, -self.exponent, dtype=self.like.dtype)

    def times(self, X: Array) -> Array:
        """Multiply from the left."""
        return np.asarray((self._scaled @ self._lifted(X, 1)).compute())

    def adjoint_times(self, Y: Array) -> Array:
        """Multiply by the conjugate transpose."""
        return np.asarray((self._scaled.conj().T @ self._lifted(Y, 0)).compute())

    def gram_times(self, X: Array) -> tuple[Array, Array]:
        """Multiply by the matrix and its adjoint in one pass."""
        image = self._scaled @ self._lifted(X, 1)
        both = self._dask.compute(image, self._scaled.conj().T @ image)
        return np.asarray(both[0]), np.asarray(both[1])

    def gram(self) -> Array:
        """Multiply the matrix by its own adjoint."""
        return np.asarray((self._scaled.conj().T @ self._scaled).compute())

    def distance(self, left: Array, right: Array, room: float = 1.0) -> float:
        """Norm of the residual, which stays where the chunks are."""
        rest = self._scaled - self._lifted(left, 0) @ self._lifted(adjoint(right), 1).conj().T
        computed = math.sqrt(float(_squares(rest).sum(axis=1).sum().compute()))
        return with_rounding(computed, math.sqrt(self.energy), left, right, self.eps, room)

    def compressed(self) -> Array:
        """Triangular factor of the QR decomposition, by a tree of those of the chunks."""
        whole = self._scaled.rechunk({1: -1})
        return np.asarray(sys.modules["dask.array"].linalg.qr(whole)[1].compute())

    def take(self, indices: np.ndarray, axis: int) -> Array:
        """Gather rows or columns."""
        part = self.source[:, indices] if axis else self.source[indices]
        return np.asarray(part.compute()).astype(self.outer.dtype)

    def energies(self, axis: int) -> np.ndarray:
        """Squared lengths of columns or rows."""
        return np.asarray(_squares(self._scaled).sum(axis=axis).compute())


def _measured(block: np.ndarray) -> np.ndarray:
    """Return exponent and energy of a chunk; NaN where an entry is not finite."""
    if not block.size:
        return np.array([[0.0, 0.0]])
    if not np.all(np.isfinite(block)):
        return np.array([[np.nan, np.nan]])
    scaled = working(block if block.dtype.kind in "fc" else block.astype(np.float64))
    return np.array([[float(scaled.exponent), frobenius(scaled.array) ** 2]])


def _widened(block: np.ndarray, exponent: int) -> Array:
    return times_power_of_two(widen(block if block.dtype.kind in "fc" else block.astype(np.float64)), exponent)


def _squares(array: Any) -> Any:
    return array.real**2 + array.imag**2 if array.dtype.kind == "c" else array**2
