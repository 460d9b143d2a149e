"""A matrix known as a product of a few, which behaves as libraries of arrays and of operators expect of a matrix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

import scipy.sparse.linalg

from infimum._arrays import Array, is_complex, namespace, to_numpy


class Multiplies:
    """Mixin of what is a product of matrices, a vector among them standing for a diagonal one."""

    __array_ufunc__ = None  # NumPy leaves ``array @ product`` to the product

    def chain(self) -> tuple[Array, ...]:
        """Return the matrices whose product it is, in the stored dtype; a vector stands for a diagonal matrix."""
        raise NotImplementedError(f"{type(self).__name__} must know its factors")

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        parts = self.chain()
        return int(parts[0].shape[0]), int(parts[-1].shape[-1])

    @property
    def dtype(self) -> Any:
        """Type of the entries."""
        return self.chain()[-1].dtype

    @property
    def T(self) -> ThinProduct:  # noqa: N802 - the name of the array standard
        """The transpose, as a product without a certificate."""
        return ThinProduct(tuple(_transposed(part) for part in reversed(self.chain())))

    @property
    def H(self) -> ThinProduct:  # noqa: N802
        """The conjugate transpose, as a product without a certificate."""
        return ThinProduct(tuple(_conjugate(_transposed(part)) for part in reversed(self.chain())))

    def __matmul__(self, other: Array) -> Array:
        """Multiply by a vector or a matrix without forming the product."""
        return reduce(lambda image, part: _times(part, image), reversed(self.chain()), other)

    def __rmatmul__(self, other: Array) -> Array:
        """Multiply a vector or a matrix by the product without forming it."""
        return reduce(lambda image, part: image @ part if part.ndim == 2 else image * part, self.chain(), other)

    def matvec(self, x: Array) -> Array:
        """Multiply by a vector, as operators of SciPy do."""
        return self @ x

    def rmatvec(self, x: Array) -> Array:
        """Multiply the conjugate transpose by a vector, as operators of SciPy do."""
        return self.H @ x

    def as_linear_operator(self) -> scipy.sparse.linalg.LinearOperator:
        """Return a SciPy LinearOperator on the host, for solvers that ask for products alone."""
        here = ThinProduct(tuple(to_numpy(part) for part in self.chain()))
        there = here.H
        return scipy.sparse.linalg.LinearOperator(
            here.shape,
            matvec=lambda x: here @ x,
            rmatvec=lambda x: there @ x,
            matmat=lambda X: here @ X,
            rmatmat=lambda X: there @ X,
            dtype=here.dtype,
        )

    def __iter__(self) -> Iterator[Array]:
        """Unpack into the factors, as in ``U, s, Vh = result``."""
        return iter(self.chain())


@dataclass(frozen=True, eq=False)
class ThinProduct(Multiplies):
    """A product of matrices that is not multiplied out, such as the transpose of a low-rank approximation."""

    parts: tuple[Array, ...]

    def chain(self) -> tuple[Array, ...]:
        """Return the factors."""
        return self.parts

    def to_dense(self) -> Array:
        """Multiply the factors out."""
        return reduce(lambda image, part: image @ part if part.ndim == 2 else image * part, self.parts)

    def __repr__(self) -> str:
        return f"ThinProduct(shape={self.shape}, dtype={self.dtype})"


def _times(part: Array, image: Array) -> Array:
    if part.ndim == 2:
        return part @ image
    return part[:, None] * image if image.ndim > 1 else part * image


def _transposed(part: Array) -> Array:
    return namespace(part=part).matrix_transpose(part) if part.ndim == 2 else part


def _conjugate(part: Array) -> Array:
    return namespace(part=part).conj(part) if is_complex(part) else part
