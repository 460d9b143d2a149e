"""A SciPy LinearOperator: a matrix known by its products with vectors from either side."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from infimum._arrays import (
    Array,
    times_power_of_two,
    widen,
)
from infimum._linalg import adjoint, gaussian
from infimum.errors import AdjointError, DTypeError, LibraryError, ShapeError
from infimum.proof.operators.blockwise import Blockwise

PAIRS = 4  # random vectors of either side by which the adjoint is tried


class Products(Blockwise):
    """A SciPy LinearOperator; its rows are what the adjoint makes of unit vectors."""

    together = 1

    def __init__(self, given: Any, name: str, rows: int = 64) -> None:
        if 0 in given.shape:
            raise ShapeError(f"{name} must have at least one row and one column, got shape {given.shape}")
        dtype = np.dtype(given.dtype or np.float64)
        if dtype.kind not in "biufc":
            raise DTypeError(f"{name} must hold real or complex numbers, got dtype {dtype}; convert it first")
        self.given, self.name, self.rows = given, name, rows
        self.shape = (int(given.shape[0]), int(given.shape[1]))
        self.outer = np.empty((0, 0), dtype=dtype if dtype.kind in "fc" else np.float64)
        try:
            product = np.asarray(given.rmatmat(np.zeros((self.shape[0], 1), dtype=self.like.dtype)))
        except (NotImplementedError, TypeError) as error:  # SciPy raises either
            raise LibraryError(f"{name} must multiply from both sides: define rmatvec or rmatmat") from error
        # products are taken to be as accurate as those of a matrix in the precision in which they come
        precision = product.dtype if product.dtype.kind in "fc" else np.dtype(np.float64)
        self.eps = float(np.finfo(precision).eps) * (2 if self.complex else 1)
        self._check_adjoint()

    def _check_adjoint(self) -> None:
        """Raise `AdjointError` unless ``<M x, y> = <x, M* y>`` for a few random x and y, but for rounding."""
        draw = np.random.default_rng(0)
        x, y = (gaussian(draw, (length, PAIRS), like=self.like) for length in (self.shape[1], self.shape[0]))
        image, back, largest = self._images(x, y)
        if 0.0 < largest < float(np.finfo(np.float64).smallest_normal) / self.eps:  # products that lose digits
            larger = (times_power_of_two(part, min(-math.frexp(largest)[1], 1000)) for part in (x, y))
            image, back, largest = self._images(*larger)
        if not 0.0 < largest < np.inf:  # zero, or what is not finite, which is asked for elsewhere
            return
        image, back = (times_power_of_two(part, -math.frexp(largest)[1]) for part in (image, back))
        difference = np.abs(adjoint(y) @ image - adjoint(back) @ x)
        lengths = [np.linalg.norm(part, axis=0) for part in (x, y, image, back)]
        scale = np.outer(lengths[1], lengths[2]) + np.outer(lengths[3], lengths[0])
        worst = float(np.max(difference / scale))
        allowed = 64.0 * math.sqrt(max(self.shape)) * self.eps
        if worst > allowed:
            raise AdjointError(
                f"the adjoint of {self.name} must be its conjugate transpose, but <M x, y> and <x, M* y> differ by "
                f"{worst:.1e} of their size for random x and y ({allowed:.1e} is rounding): mend rmatvec or rmatmat"
            )

    def _images(self, x: Array, y: Array) -> tuple[Array, Array, float]:
        """Multiply from both sides; return the products and the size of their largest entry."""
        image, back = (widen(np.asarray(part)) for part in (self.given.matmat(x), self.given.rmatmat(y)))
        return image, back, max(float(np.max(np.abs(part))) for part in (image, back))

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """Multiply blocks of unit vectors by the adjoint."""
        for start in range(0, self.shape[0], self.rows):
            rows = slice(start, min(start + self.rows, self.shape[0]))
            units = np.zeros((self.shape[0], rows.stop - rows.start), dtype=self.like.dtype)
            units[np.arange(rows.start, rows.stop), np.arange(units.shape[1])] = 1.0
            yield rows, adjoint(np.asarray(self.given.rmatmat(units)))

    def times(self, X: Array) -> Array:
        """Multiply from the left."""
        return self._scaled(self.given.matmat, X)

    def adjoint_times(self, Y: Array) -> Array:
        """Multiply by the conjugate transpose."""
        return self._scaled(self.given.rmatmat, Y)

    def _scaled(self, multiply: Callable[[Array], Any], X: Array) -> Array:
        # the vectors carry the scale as far as they can, so that products of tiny entries keep their digits
        before = max(-1000, min(-self.exponent, 1000))
        product = widen(np.asarray(multiply(times_power_of_two(X, before))))
        return times_power_of_two(product, -self.exponent - before)
