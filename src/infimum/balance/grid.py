"""Scores as whole numbers: the arithmetic in which shortest paths and ties are exact."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

WIDE = 59  # bits of the largest number: a difference of two, plus a bias, still fits in 63
USUAL = 48  # what is used where it holds every score: the bias is then a float64 as well


class Grid(NamedTuple):
    """``scores = values * 2**exponent``, up to half a unit where their digits span more than the grid has."""

    values: np.ndarray  # int64
    exponent: int

    def round(self, bias: np.ndarray) -> np.ndarray:
        """Return a bias in units of the grid; one that is larger than any difference of scores is cut there."""
        reach = 4.0 * max(1.0, float(np.abs(self.values).max()))
        return np.asarray(np.rint(np.clip(np.ldexp(bias, -self.exponent), -reach, reach)), dtype=np.int64)

    def split(self, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return units as scores, in two floats: the nearest one and what is left over, exactly."""
        high = units.astype(np.float64)
        return np.ldexp(high, self.exponent), np.ldexp((units - high.astype(np.int64)).astype(float), self.exponent)


def grid(scores: np.ndarray, bits: int = WIDE) -> Grid:
    """Put scores on a grid of `bits` bits, or of fewer where fewer hold them all exactly."""
    exponent = int(np.frexp(np.abs(scores).max())[1]) - bits
    values = np.rint(np.ldexp(scores, -exponent)).astype(np.int64)
    common = int(np.bitwise_or.reduce(values, axis=None))
    zeros = (common & -common).bit_length() - 1 if common else bits
    spare = max(0, min(zeros, bits - USUAL))
    return Grid(values >> spare, exponent + spare)
