"""A matrix in memory, of any array library."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from infimum._arrays import (
    Array,
    Working,
    like_array,
    to_numpy,
    working,
)
from infimum._linalg import adjoint, frobenius, residual_norm
from infimum.proof.operators.operator import Operator


class Dense(Operator):
    """A matrix in memory; `outer` is the original."""

    def __init__(self, M: Array, scaled: Working | None = None) -> None:
        scaled = scaled or working(M)
        self.outer, self.array = M, scaled.array
        self.shape = (scaled.array.shape[0], scaled.array.shape[1])
        self.exponent, self.eps = scaled.exponent, scaled.eps

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

    @cached_property
    def energy(self) -> float:
        """Squared Frobenius norm."""
        return frobenius(self.array) ** 2

    def times(self, X: Array) -> Array:
        """Multiply from the left."""
        return self.array @ X

    def adjoint_times(self, Y: Array) -> Array:
        """Multiply by the conjugate transpose."""
        return adjoint(self.array) @ Y

    def distance(self, left: Array, right: Array, room: float = 1.0) -> float:
        """Norm of the residual, formed explicitly."""
        return residual_norm(self.array, left, right, self.eps, room)

    def take(self, indices: np.ndarray, axis: int) -> Array:
        """Gather rows or columns."""
        return self.xp.take(self.outer, like_array(indices, self.outer), axis=axis)

    def energies(self, axis: int) -> np.ndarray:
        """Squared lengths of columns or rows."""
        return np.asarray(to_numpy(self.xp.linalg.vector_norm(self.array, axis=axis)).real ** 2)

    def gram(self) -> Array:
        """Multiply the matrix by its own adjoint."""
        return adjoint(self.array) @ self.array

    def dense(self) -> Array:
        """Return the scaled matrix."""
        return self.array

    def adjoint(self) -> Operator:
        """Return the conjugate transpose, a view where the library has views."""
        return Dense(adjoint(self.outer), Working(adjoint(self.array), self.exponent, self.eps, self.xp))
