"""Grids of a rounded matrix: which numbers each entry may become."""

from __future__ import annotations

from functools import reduce
from typing import NamedTuple

import numpy as np

ROWS = 1024  # that are measured at a time, for the memory that takes


class Precision(NamedTuple):
    """The numbers of a float dtype: `digits` significant bits, multiples of ``2**least``, at most `largest`."""

    digits: int
    least: int
    largest: float

    def rounded(self, x: np.ndarray) -> np.ndarray:
        """Return the nearest of these numbers, of two the even one; `largest` is not asked for."""
        unit = np.ldexp(1.0, np.maximum(np.frexp(x)[1] - self.digits, self.least))
        return np.asarray(np.rint(x / unit) * unit)


FLOAT16, BFLOAT16 = Precision(11, -24, 65504.0), Precision(8, -133, (2.0 - 2.0**-7) * 2.0**127)
FLOAT32 = Precision(24, -149, (2.0 - 2.0**-23) * 2.0**127)


class Grid(NamedTuple):
    """Entry (i, j) may be ``scales[i, h] * (k - zeros[i, h])`` for k = 0, ..., 2**bits - 1, with h the group of j.

    Groups are equally many neighbouring columns. `scales` and `zeros` are float64 (m, groups) that hold numbers of at
    most 24 significant bits and whole numbers, so that every product is exact. With `precision` the product is then
    rounded to it: so it is where an engine multiplies in a dtype of 16 bits. `offsets`, (m, groups) too, are taken off
    the products and the differences rounded to float32: so it is where an engine computes in float32. They are numbers
    of float32, as the products are, so that float64 gives what float32 would.
    """

    bits: int
    scales: np.ndarray
    zeros: np.ndarray
    precision: Precision | None = None
    offsets: np.ndarray | None = None

    @property
    def top(self) -> int:
        """The largest integer."""
        return int(2**self.bits - 1)

    def values(self, integers: np.ndarray) -> np.ndarray:
        """Return the matrix of these integers."""
        return self._values(self._grouped(integers) - self.zeros[..., None]).reshape(integers.shape)

    def distances(self, W: np.ndarray) -> np.ndarray:
        """Return how far each entry is from the nearest number that it may become, to half an eps of itself.

        The quotient only says where to look: the neighbours are tried, too.
        """
        found = np.empty(W.shape)
        for start in range(0, len(W), ROWS):
            rows = slice(start, start + ROWS)
            found[rows] = self._rows(rows)._distances(W[rows])
        return found

    def _distances(self, W: np.ndarray) -> np.ndarray:
        entries, zeros = self._grouped(W), self.zeros[..., None]
        scales = np.where(self.scales > 0.0, self.scales, 1.0)[..., None]
        with np.errstate(over="ignore"):
            near = np.clip(np.rint((entries + self._offsets) / scales) + zeros, 0.0, self.top)
        tried = (np.clip(near + step, 0.0, self.top) - zeros for step in (-1.0, 0.0, 1.0))
        away = (np.abs(entries - self._values(steps)) for steps in tried)
        return np.asarray(reduce(np.minimum, away)).reshape(W.shape)

    def _rows(self, rows: slice) -> Grid:
        """Return the grid of these rows."""
        offsets = None if self.offsets is None else self.offsets[rows]
        return self._replace(scales=self.scales[rows], zeros=self.zeros[rows], offsets=offsets)

    def _grouped(self, matrix: np.ndarray) -> np.ndarray:
        """Return a matrix as (rows, groups, columns of a group), a view where it can be one."""
        rows, groups = self.scales.shape
        return matrix.reshape(rows, groups, -1)

    @property
    def _offsets(self) -> np.ndarray | float:
        return 0.0 if self.offsets is None else self.offsets[..., None]

    def _values(self, steps: np.ndarray) -> np.ndarray:
        """Return the numbers that are so many steps from zero, by groups."""
        return self._rounded(self.scales[..., None] * steps - self._offsets)

    def _rounded(self, numbers: np.ndarray) -> np.ndarray:
        return np.asarray(numbers) if self.precision is None else self.precision.rounded(numbers)
