"""Scores as whole numbers: the arithmetic in which shortest paths and ties are exact."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

WIDE = 59  # bits of the largest difference: sums of two, plus biases, still fit in 63
USUAL = 48  # what is used where it holds every score: the bias is then a float64 as well


class Grid(NamedTuple):
    """``scores = values * 2**exponent + constant``, up to half a unit where their digits span more than the grid has.

    The constant is left out: every token has k scores, so it changes nothing but the size of the numbers.
    """

    values: np.ndarray  # int64
    exponent: int

    def round(self, bias: np.ndarray) -> np.ndarray:
        """Return a bias in units of the grid; one that is larger than any difference of scores is cut there."""
        reach = 1.0 + float(self.values.max() - self.values.min())
        return np.asarray(np.rint(np.clip(np.ldexp(bias, -self.exponent), -reach, reach)), dtype=np.int64)

    def split(self, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return units as scores, in two floats: the nearest one and what is left over, exactly."""
        high = units.astype(np.float64)
        return np.ldexp(high, self.exponent), np.ldexp((units - high.astype(np.int64)).astype(float), self.exponent)


def grid(scores: np.ndarray, bits: int = WIDE) -> Grid:
    """Put scores on a grid of `bits` bits, or of fewer where fewer hold them all exactly."""
    low, high = float(scores.min()), float(scores.max())
    exponent = max(math.frexp(high - low)[1] - bits, math.frexp(max(high, -low))[1] - 62)
    values = np.rint(np.ldexp(scores, -exponent)).astype(np.int64)
    common = int(np.bitwise_or.reduce(values, axis=None))
    zeros = (common & -common).bit_length() - 1 if common else bits
    values >>= max(0, min(zeros, bits - USUAL))
    values -= (int(values.min()) + int(values.max())) // 2
    return Grid(values, exponent + max(0, min(zeros, bits - USUAL)))
