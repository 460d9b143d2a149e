"""Grids of a rounded matrix: which numbers each entry may become."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Grid(NamedTuple):
    """Entry (i, j) may be ``scales[i, h] * (k - zeros[i, h])`` for k = 0, ..., 2**bits - 1, with h the group of j.

    Groups are equally many neighbouring columns. `scales` and `zeros` are float64 (m, groups) that hold numbers of at
    most 24 significant bits and whole numbers, so that every product is exact.
    """

    bits: int
    scales: np.ndarray
    zeros: np.ndarray

    @property
    def top(self) -> int:
        """The largest integer."""
        return int(2**self.bits - 1)

    def values(self, integers: np.ndarray) -> np.ndarray:
        """Return the matrix of these integers."""
        width = integers.shape[1] // self.scales.shape[1]
        scales, zeros = (np.repeat(part, width, axis=1) for part in (self.scales, self.zeros))
        return np.asarray(scales * (integers - zeros))

    def distances(self, W: np.ndarray) -> np.ndarray:
        """Return how far each entry is from the nearest number that it may become, to half an eps of itself.

        The quotient only says where to look: the neighbours are tried, too.
        """
        width = W.shape[1] // self.scales.shape[1]
        scales, zeros = (np.repeat(part, width, axis=1) for part in (self.scales, self.zeros))
        with np.errstate(over="ignore"):
            near = np.clip(np.rint(W / np.where(scales > 0.0, scales, 1.0)) + zeros, 0.0, self.top)
        tried = (np.clip(near + step, 0.0, self.top) - zeros for step in (-1.0, 0.0, 1.0))
        return np.asarray(np.min([np.abs(W - scales * k) for k in tried], axis=0))
