"""The rows of a tall matrix in memory less one vector, formed a few at a time, while they are in the cache."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property

import numpy as np

from infimum._arrays import Array, is_ordinary
from infimum._linalg import adjoint, row_chunks, short_runs
from infimum.proof.operators.dense import Dense
from infimum.proof.operators.energies import distance_from_energies

CHUNK = 1024  # rows at a time, or fewer where they are long: with their differences they stay in the cache
NEAR = 64.0  # times the squared distance of a vector from the mean that is at most the mean square of the differences


class Differences(Dense):
    """Rows less their mean, of a matrix of NumPy. They are formed as a whole only for who asks for `array`.

    One pass finds the mean and the Gram matrix: with D the rows less any vector b, and ``r = mean - b``, that is
    ``D* D - (s* r + r* s - m r* r)``, s the sum of the rows of D. With b near the mean the correction is small.

    Attributes
    ----------
    mean : array (n,)
        What was taken off.
    mean_left : array (n,)
        The mean of the differences, to as many roundings as there are rows.
    ordinary : bool
        Whether the differences are finite, and of a size at which nothing has to be scaled, and b was near the mean.
    """

    def __init__(self, given: Dense, near: Array) -> None:
        self.outer, self._given = given.outer, given
        self.shape, self.exponent, self.eps = given.shape, given.exponent, given.eps
        self._last: tuple[Array, Array] | None = None  # an image, and what was multiplied
        count = self.shape[0]
        with np.errstate(over="ignore", invalid="ignore"):
            sums, product = self._sums(near)
            self.mean = near + sums / count
            rest = self.mean - near
            correction = np.outer(sums.conj(), rest)
            correction += correction.conj().T - count * np.outer(rest.conj(), rest)
            self._product = product - correction
            self._energy = float(np.sum(np.diagonal(self._product).real))
            taken = count * float(np.vdot(rest, rest).real)
            self.mean_left = sums / count - rest
        self.ordinary = is_ordinary(self._energy, math.prod(self.shape)) and NEAR * taken <= self._energy

    def _sums(self, vector: Array) -> tuple[Array, Array]:
        """Return the sum of the rows less a vector, and their Gram matrix."""
        width = self.shape[1]
        sums, product = np.zeros((1, width), dtype=self.like.dtype), np.zeros((width, width), dtype=self.like.dtype)
        ones = np.ones((1, CHUNK))
        for run in self._runs(vector):
            parts = [(ones[:, : len(part)] @ part, adjoint(part) @ part) for _, part in run]
            sums += sum(part[0] for part in parts)
            product += sum(part[1] for part in parts)
        return sums[0], product

    @cached_property
    def array(self) -> Array:
        """All differences."""
        return self._given.array - self.mean[None, :]

    @cached_property
    def like(self) -> Array:
        """The given matrix."""
        return self._given.array

    def gram_times(self, X: Array) -> tuple[Array, Array]:
        """Multiply by the differences, and by their Gram matrix, which is known."""
        return self.times(X), self._product @ X

    def times(self, X: Array) -> Array:
        """Multiply from the left, and remember by what."""
        image = np.empty((self.shape[0], X.shape[1]), dtype=np.result_type(self.like, X))
        for run in self._runs(self.mean):
            for rows, part in run:
                np.matmul(part, X, out=image[rows])
        self._last = image, X
        return image

    def adjoint_times(self, Y: Array) -> Array:
        """Multiply by the conjugate transpose."""
        return adjoint(self._seen_from(Y))

    def gram(self) -> Array:
        """Return what was found when the differences were looked at first."""
        return self._product

    @property
    def longest_sum(self) -> int:
        """That of one block, and what the correction of its Gram matrix may lose."""
        return -(-4 * super().longest_sum // 3) + 8

    def distance(self, left: Array, right: Array, room: float = 1.0) -> float:
        """Norm of the residual, from energies where that is accurate enough, else formed explicitly."""
        if 16 * self.longest_sum < self.shape[0]:
            for product, off in self._products_with(left):
                found = distance_from_energies(self.energy, product, left, right, self.longest_sum, self.eps, room, off)
                if found is not None:
                    return found
        return super().distance(left, right, room)

    def _products_with(self, left: Array) -> Iterator[tuple[Array, np.ndarray]]:
        """Yield ``left* @ M``, and how far its rows may be off besides; what is known at once comes first.

        An image ``L = M X + E`` has ``L* M = X* M* M + E* M``. The Gram matrix is off by `longest_sum` roundoffs of the
        energy, E by n of the norm of M, and the small product by n, all times the length of a column of X.
        """
        if self._last is not None and left is self._last[0]:
            X = self._last[1]
            lengths = np.sqrt(np.vecdot(X.T, X.T).real)
            roundoffs = self.longest_sum + 2 * self.shape[1] + 8
            yield adjoint(X) @ self._product, roundoffs * self.eps / 2 * self.energy * lengths
        yield self._seen_from(left), np.zeros(left.shape[1])

    def _seen_from(self, left: Array) -> Array:
        """Return ``left* @ M``."""
        total = np.zeros((left.shape[1], self.shape[1]), dtype=np.result_type(self.like, left))
        for run in self._runs(self.mean):
            total += sum((adjoint(left[rows, :]) @ part for rows, part in run), start=0.0)
        return total

    def _runs(self, vector: Array) -> Iterator[Iterator[tuple[slice, Array]]]:
        """Yield runs of rows; each yields a few rows less a vector, which the next ones overwrite.

        A run is no longer a sum than its rows one by one.
        """
        few = row_chunks(self.like)[0].stop
        buffer = np.empty((min(CHUNK, few, self.shape[0]), self.shape[1]), dtype=self.like.dtype)
        # numbers that lie as the differences do are taken off in much less time than a row again and again
        means = np.tile(vector, (len(buffer), 1))
        for run in short_runs(self.shape[0]):
            yield self._pieces(run, buffer, means)

    def _pieces(self, run: slice, buffer: Array, means: Array) -> Iterator[tuple[slice, Array]]:
        for start in range(run.start, run.stop, len(buffer)):
            rows = slice(start, min(start + len(buffer), run.stop))
            count = rows.stop - rows.start
            yield rows, np.subtract(self.like[rows], means[:count], out=buffer[:count])
