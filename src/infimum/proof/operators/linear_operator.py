"""A SciPy LinearOperator: a matrix known by its products with vectors from either side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from infimum._arrays import (
    Array,
    times_power_of_two,
    widen,
)
from infimum._linalg import adjoint
from infimum.errors import DTypeError, LibraryError, ShapeError
from infimum.proof.operators.blockwise import Blockwise


class Products(Blockwise):
    """A SciPy LinearOperator; its rows are what the adjoint makes of unit vectors."""

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
