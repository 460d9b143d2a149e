"""The rows of a tall matrix in memory less one vector, formed a few at a time, while they are in the cache."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from infimum._arrays import Array
from infimum._linalg import adjoint, row_chunks, short_runs
from infimum.proof.operators.dense import Dense
from infimum.proof.operators.energies import distance_from_energies


class Differences(Dense):
    """Rows less one vector, of a matrix of NumPy. They are formed as a whole only for who asks for `array`.

    Attributes
    ----------
    mean_left : array (n,)
        The mean of the differences, to as many roundings as there are rows.
    """

    def __init__(self, given: Dense, mean: Array) -> None:
        self.outer, self._given, self._mean = given.outer, given, mean
        self.shape, self.exponent, self.eps = given.shape, given.exponent, given.eps
        self._last: tuple[Array, Array] | tuple[None, None] = (None, None)
        sums = np.zeros((1, self.shape[1]), dtype=given.array.dtype)
        ones = np.ones((1, self.shape[0]))

        def look(rows: slice, part: Array) -> Array:
            sums[...] += ones[:, rows] @ part
            return adjoint(part) @ part

        with np.errstate(over="ignore", invalid="ignore"):
            self._product = self._added_up(look)
        self._energy = float(np.sum(np.diagonal(self._product).real))
        self.mean_left = sums[0] / self.shape[0]

    @cached_property
    def array(self) -> Array:
        """All differences."""
        return self._given.array - self._mean[None, :]

    @cached_property
    def like(self) -> Array:
        """The given matrix."""
        return self._given.array

    def gram_times(self, X: Array) -> tuple[Array, Array]:
        """Multiply by the differences and their adjoint in one pass, and remember both products."""
        image = np.empty((self.shape[0], X.shape[1]), dtype=np.result_type(self.like, X))

        def look(rows: slice, part: Array) -> Array:
            np.matmul(part, X, out=image[rows])
            return adjoint(image[rows]) @ part

        self._last = image, self._added_up(look)
        return image, adjoint(self._last[1])

    def times(self, X: Array) -> Array:
        """Multiply from the left."""
        return self.gram_times(X)[0]

    def gram(self) -> Array:
        """Return what was found when the differences were looked at first."""
        return self._product

    def _seen_from(self, left: Array) -> Array:
        """Return ``left* @ M``."""
        if left is self._last[0]:
            return self._last[1]
        return self._added_up(lambda rows, part: adjoint(left[rows, :]) @ part)

    def distance(self, left: Array, right: Array, room: float = 1.0) -> float:
        """Norm of the residual, from energies where that is accurate enough, else formed explicitly."""
        if 16 * self.longest_sum < self.shape[0]:
            product = self._seen_from(left)
            found = distance_from_energies(self.energy, product, left, right, self.longest_sum, self.eps, room)
            if found is not None:
                return found
        return super().distance(left, right, room)

    def _added_up(self, product: Callable[[slice, Array], Array]) -> Array:
        """Add up products of a few differences, run by run: a run is no longer a sum than its rows one by one."""
        total = 0.0
        for run in short_runs(self.shape[0]):
            part = self.like[run]
            chunks = (slice(run.start + rows.start, run.start + rows.stop) for rows in row_chunks(part))
            total = total + sum((product(rows, self.like[rows] - self._mean) for rows in chunks), start=0.0)
        return total
