"""A matrix known by its products: what iterative methods, and the bounds on them, need of an input of any kind.

Everything is in working precision and scaled by a power of two, as in `_arrays.Working`: ``original = this *
2**exponent``.
"""

from __future__ import annotations

from functools import cached_property

import array_api_compat
import numpy as np

from infimum._arrays import (
    Array,
    Namespace,
    is_complex,
    namespace,
    widen,
)
from infimum._linalg import adjoint, gaussian


class Operator:
    """Abstract base: an m x n matrix that multiplies blocks of vectors from either side.

    Attributes
    ----------
    shape : tuple of int
        m and n.
    exponent : int
        Power of two by which the original is larger.
    eps : float
        Spacing of the working precision, doubled for complex numbers (see `Working`).
    outer : array
        Any array of the library, device and dtype in which answers are returned.
    gram_limit : int
        Smaller side up to which the Gram matrix is the first choice.
    together : int
        Number of vectors that a product takes little more time for than for one.
    dear : bool
        Whether a pass over the entries costs more than a few digits are worth.
    """

    gram_limit = 500  # decomposing it whole is quick, and leaves no doubt
    together = 20
    dear = False

    shape: tuple[int, int]
    exponent: int
    eps: float
    outer: Array

    @cached_property
    def like(self) -> Array:
        """Any array of the library, device and dtype in which products are formed."""
        return widen(self.outer[:0, :0])

    @property
    def xp(self) -> Namespace:
        """Array namespace of the products."""
        return namespace(like=self.like)

    @property
    def complex(self) -> bool:
        """Whether the entries are complex."""
        return is_complex(self.like)

    @property
    def energy(self) -> float:
        """Squared Frobenius norm, to a relative error of ``2 * sum(shape) * eps``."""
        raise NotImplementedError(f"{type(self).__name__} must know its energy")

    def times(self, X: Array) -> Array:
        """Multiply an (n, b) block: ``M @ X``."""
        raise NotImplementedError(f"{type(self).__name__} must multiply")

    def adjoint_times(self, Y: Array) -> Array:
        """Multiply an (m, b) block by the conjugate transpose: ``M* @ Y``."""
        raise NotImplementedError(f"{type(self).__name__} must multiply from the other side")

    def distance(self, left: Array, right: Array, room: float = 1.0) -> float:
        """Frobenius norm of ``M - left @ right``, rounded upwards by so many allowances as `room` says."""
        raise NotImplementedError(f"{type(self).__name__} must measure distances")

    def take(self, indices: np.ndarray, axis: int) -> Array:
        """Return the rows (`axis` 0) or columns (1) of these indices as they are in the original."""
        raise NotImplementedError(f"{type(self).__name__} must show its rows and columns")

    def holds(self, part: Array, indices: np.ndarray, axis: int) -> bool:
        """Tell whether the rows or columns of these indices are, in every entry, those of `part`."""
        return bool(namespace(part=part).all(part == self.take(indices, axis)))

    def energies(self, axis: int) -> np.ndarray:
        """Squared lengths, on the host: of the columns, summed over the rows (`axis` 0), or of the rows (1)."""
        raise NotImplementedError(f"{type(self).__name__} must know its energies")

    @property
    def compressible(self) -> bool:
        """Whether `compressed` is small, or in memory anyway."""
        return True

    @property
    def longest_sum(self) -> int:
        """Number of terms of which the entries of `gram` are sums, one after the other at the most."""
        return max(self.shape)

    def anew(self) -> Operator:
        """Return the same matrix without what was found out of it, where that is kept."""
        return self

    def sketch(self, width: int, rng: np.random.Generator) -> Array:
        """Multiply the conjugate transpose by a Gaussian block, so many columns wide."""
        return self.adjoint_times(gaussian(rng, (self.shape[0], width), like=self.like))

    def gram_times(self, X: Array) -> tuple[Array, Array]:
        """Return ``M @ X`` and ``M* @ M @ X``."""
        Y = self.times(X)
        return Y, self.adjoint_times(Y)

    def gram(self) -> Array:
        """Return ``M* @ M``."""
        return self.gram_times(self.identity())[1]

    def dense(self) -> Array:
        """Return the scaled matrix itself."""
        return self.times(self.identity())

    def compressed(self) -> Array:
        """Return a matrix with the same singular values and right singular vectors, the scaled matrix by default."""
        return self.dense()

    def identity(self) -> Array:
        """Return the identity of order n, among the products."""
        return self.xp.eye(self.shape[1], dtype=self.like.dtype, device=array_api_compat.device(self.like))

    def adjoint(self) -> Operator:
        """Return the conjugate transpose as an operator."""
        return Adjoint(self)


class Adjoint(Operator):
    """The conjugate transpose of an operator that has no better form of it."""

    def __init__(self, original: Operator) -> None:
        self.original = original
        self.shape = (original.shape[1], original.shape[0])
        self.exponent, self.eps, self.outer = original.exponent, original.eps, original.outer
        self.together, self.gram_limit, self.dear = original.together, original.gram_limit, original.dear

    @property
    def energy(self) -> float:
        """Squared Frobenius norm of the original."""
        return self.original.energy

    def times(self, X: Array) -> Array:
        """Multiply by the adjoint of the original."""
        return self.original.adjoint_times(X)

    def adjoint_times(self, Y: Array) -> Array:
        """Multiply by the original."""
        return self.original.times(Y)

    def distance(self, left: Array, right: Array, room: float = 1.0) -> float:
        """Distance of the original from the adjoint of the product."""
        return self.original.distance(adjoint(right), adjoint(left), room)

    def take(self, indices: np.ndarray, axis: int) -> Array:
        """Return columns of the original as rows, or rows as columns, conjugated."""
        return adjoint(self.original.take(indices, 1 - axis))

    def energies(self, axis: int) -> np.ndarray:
        """Squared lengths of the rows or columns of the original."""
        return self.original.energies(1 - axis)

    @property
    def compressible(self) -> bool:
        """It is not: the adjoint of what is read row by row is wide, and never formed as a whole."""
        return False

    def adjoint(self) -> Operator:
        """Return the original."""
        return self.original
