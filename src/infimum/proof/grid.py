"""Grids of a rounded matrix: which numbers each entry may become."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


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
        scales, zeros, offsets = self._columns(integers.shape[1])
        return self._rounded(scales * (integers - zeros) - offsets)

    def distances(self, W: np.ndarray) -> np.ndarray:
        """Return how far each entry is from the nearest number that it may become, to half an eps of itself.

        The quotient only says where to look: the neighbours are tried, too.
        """
        scales, zeros, offsets = self._columns(W.shape[1])
        with np.errstate(over="ignore"):
            near = np.clip(np.rint((W + offsets) / np.where(scales > 0.0, scales, 1.0)) + zeros, 0.0, self.top)
        tried = (np.clip(near + step, 0.0, self.top) - zeros for step in (-1.0, 0.0, 1.0))
        return np.asarray(np.min([np.abs(W - self._rounded(scales * k - offsets)) for k in tried], axis=0))

    def _columns(self, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | float]:
        """Return scale, zero and offset of each column."""
        width = columns // self.scales.shape[1]
        scales, zeros = (np.repeat(part, width, axis=1) for part in (self.scales, self.zeros))
        return scales, zeros, 0.0 if self.offsets is None else np.repeat(self.offsets, width, axis=1)

    def _rounded(self, numbers: np.ndarray) -> np.ndarray:
        return np.asarray(numbers) if self.precision is None else self.precision.rounded(numbers)
