"""Grids of a rounded matrix: which numbers each entry may become."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SINGLE = 2.0**-24 + 2.0**-50  # what rounding to float32 changes of a number, and an allowance for float64 beside it


class Grid(NamedTuple):
    """Entry (i, j) may be ``scales[i, h] * (k - zeros[i, h])`` for k = 0, ..., 2**bits - 1, with h the group of j.

    Groups are equally many neighbouring columns. `scales` and `zeros` are float64 (m, groups) that hold numbers of at
    most 24 significant bits and whole numbers, so that every product is exact. With `offsets`, numbers of float32, each
    entry is less by that of its group, rounded to float32: so it is where engines compute in float32, in which the
    products are exact.
    """

    bits: int
    scales: np.ndarray
    zeros: np.ndarray
    offsets: np.ndarray | None = None

    @property
    def top(self) -> int:
        """The largest integer."""
        return int(2**self.bits - 1)

    def values(self, integers: np.ndarray) -> np.ndarray:
        """Return the matrix of these integers."""
        scales, zeros, offsets = self._columns(integers.shape[1])
        products = np.asarray(scales * (integers - zeros))
        if self.offsets is None:
            return products
        return np.asarray((products.astype(np.float32) - offsets.astype(np.float32)).astype(np.float64))

    def distances(self, W: np.ndarray) -> np.ndarray:
        """Return how far each entry at least is from every number that it may become, to half an eps of itself.

        Without offsets it is the distance from the nearest. With them it is that before the rounding to float32, less
        what this may change. The quotient only says where to look: the neighbours are tried, too.
        """
        scales, zeros, offsets = self._columns(W.shape[1])
        changed = 0.0 if self.offsets is None else SINGLE
        with np.errstate(over="ignore"):
            near = np.clip(np.rint((W + offsets) / np.where(scales > 0.0, scales, 1.0)) + zeros, 0.0, self.top)
        tried = (scales * (np.clip(near + step, 0.0, self.top) - zeros) - offsets for step in (-1.0, 0.0, 1.0))
        least = np.min([np.abs(W - number) - changed * np.abs(number) for number in tried], axis=0)
        return np.asarray(np.maximum(0.0, least))

    def _columns(self, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return scale, zero and offset of each column."""
        offsets = np.zeros(()) if self.offsets is None else self.offsets
        width = columns // self.scales.shape[1]
        scales, zeros = (np.repeat(part, width, axis=1) for part in (self.scales, self.zeros))
        return scales, zeros, np.repeat(offsets, width, axis=1) if offsets.ndim else offsets
