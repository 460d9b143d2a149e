"""A matrix that is seen in blocks of rows, one at a time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import cached_property

import numpy as np

from infimum._arrays import (
    Array,
    require_finite,
    times_power_of_two,
    widen,
    working,
)
from infimum._linalg import frobenius, gram, residual_norm, with_rounding
from infimum.proof.operators.operator import Operator


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

    def distance(self, left: Array, right: Array, room: float = 1.0) -> float:
        """Norm of the residual, formed block by block."""
        norms = [residual_norm(block, left[rows, :], right, self.eps, 0.0) for rows, block in self.scaled_blocks()]
        return with_rounding(math.hypot(*norms), math.sqrt(self.energy), left, right, self.eps, room)

    def gram(self) -> Array:
        """Sum of the Gram matrices of the blocks, in one pass."""
        return sum(gram(block) for _, block in self.scaled_blocks())

    def compressed(self) -> Array:
        """Triangular factor of the QR decomposition, by one pass."""
        return triangle((block for _, block in self.scaled_blocks()), self.shape[1])

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


def triangle(blocks: Iterable[np.ndarray], columns: int) -> np.ndarray:
    """Triangular factor of the QR decomposition of a matrix that comes in blocks of rows."""
    triangle: np.ndarray = np.zeros((0, columns))
    for block in blocks:
        triangle = np.asarray(np.linalg.qr(np.concatenate([triangle, block]), mode="r"))
    return triangle
