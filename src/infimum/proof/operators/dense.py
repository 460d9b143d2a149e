"""A matrix in memory, of any array library."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from infimum._arrays import (
    Array,
    Working,
    like_array,
    real_part,
    to_numpy,
    working,
)
from infimum._linalg import adjoint, frobenius, gram, longest_sum, residual_norm
from infimum.proof.operators.operator import Operator


class Dense(Operator):
    """A matrix in memory; `outer` is the original."""

    def __init__(self, M: Array, scaled: Working | None = None) -> None:
        scaled = scaled or working(M)
        self.outer, self.array = M, scaled.array
        self.shape = (scaled.array.shape[0], scaled.array.shape[1])
        self.exponent, self.eps = scaled.exponent, scaled.eps
        self._energy: float | None = None

    @classmethod
    def of(cls, array: Array, scale: Operator) -> Dense:
        """Wrap an array that is scaled already, as another operator is; it has no original of its own."""
        return cls(scale.outer, Working(array, scale.exponent, scale.eps, scale.xp))

    @cached_property
    def like(self) -> Array:
        """The scaled matrix."""
        return self.array

    @property
    def working(self) -> Working:
        """The scaled matrix as `Working`."""
        return Working(self.array, self.exponent, self.eps, self.xp)

    @property
    def energy(self) -> float:
        """Squared Frobenius norm: the trace of the Gram matrix where that was formed, else by a look at all entries."""
        if self._energy is None:
            self._energy = frobenius(self.array) ** 2
        return self._energy

    def times(self, X: Array) -> Array:
        """Multiply from the left."""
        return self.array @ X

    def adjoint_times(self, Y: Array) -> Array:
        """Multiply by the conjugate transpose."""
        return adjoint(self.array) @ Y

    def distance(self, left: Array, right: Array, room: float = 1.0) -> float:
        """Norm of the residual, formed explicitly."""
        return residual_norm(self.array, left, right, self.eps, room, math.sqrt(self.energy))

    def take(self, indices: np.ndarray, axis: int) -> Array:
        """Gather rows or columns."""
        return self.xp.take(self.outer, like_array(indices, self.outer), axis=axis)

    def energies(self, axis: int) -> np.ndarray:
        """Squared lengths of columns or rows."""
        return np.asarray(to_numpy(self.xp.linalg.vector_norm(self.array, axis=axis)).real ** 2)

    def gram(self) -> Array:
        """Multiply the matrix by its own adjoint."""
        product = gram(self.array)
        if self._energy is None:
            self._energy = float(self.xp.sum(real_part(self.xp.linalg.diagonal(product))))
        return product

    @property
    def longest_sum(self) -> int:
        """That of one block."""
        return longest_sum(self.shape[0])

    def dense(self) -> Array:
        """Return the scaled matrix."""
        return self.array

    def adjoint(self) -> Operator:
        """Return the conjugate transpose, a view where the library has views."""
        turned = Dense(adjoint(self.outer), Working(adjoint(self.array), self.exponent, self.eps, self.xp))
        turned._energy = self._energy
        return turned
