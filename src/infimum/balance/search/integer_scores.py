"""Scores as whole numbers: the arithmetic in which shortest paths and ties are exact."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

WIDE = 59  # bits of the largest difference: sums of two, plus biases, still fit in 63
USUAL = 48  # what is used where it holds every score: the bias is then a float64 as well
LEAST = -1074  # every float64 is a multiple of 2**LEAST
CLIP = 2**57  # size to which reduced scores are cut: beyond, no later digit changes a decision
BARRED = -(2**61)  # the score of an expert that a token does not admit: below any path


class Digits(NamedTuple):
    """The leading digits of scores: ``scores = values * 2**exponent + constant + rest``; ``abs(rest) < 2**exponent``.

    The constant is left out: every token has k scores, so it changes nothing but the size of the numbers.
    """

    values: np.ndarray  # int64; BARRED where the score is -inf
    exponent: int
    rest: np.ndarray  # float64

    def round(self, bias: np.ndarray) -> np.ndarray:
        """Return a bias in units of the digits; one that is larger than any difference of scores is cut there."""
        admitted = self.values[self.values != BARRED]
        reach = 1.0 + float(admitted.max() - admitted.min())
        return np.asarray(np.rint(np.clip(np.ldexp(bias, -self.exponent), -reach, reach)), dtype=np.int64)


def leading_digits(scores: np.ndarray, bits: int = WIDE) -> Digits:
    """Return the first `bits` bits of scores, or fewer where fewer hold them all exactly."""
    admitted = scores > -np.inf
    finite = np.where(admitted, scores, 0.0)
    low, high = float(scores.min(where=admitted, initial=np.inf)), float(scores.max())
    exponent = max(math.frexp(high - low)[1] - bits, math.frexp(max(high, -low))[1] - 62, LEAST)
    values, rest = cut_towards_zero(finite, exponent)
    common = int(np.bitwise_or.reduce(values, axis=None))
    zeros = (common & -common).bit_length() - 1 if common else bits
    shift = 0 if rest.any() else max(0, min(zeros, bits - USUAL))
    values >>= shift
    least, most = int(values.min(where=admitted, initial=2**62)), int(values.max(where=admitted, initial=-(2**62)))
    return Digits(np.where(admitted, values - (least + most) // 2, BARRED), exponent + shift, rest)


def cut_towards_zero(numbers: np.ndarray, exponent: int) -> tuple[np.ndarray, np.ndarray]:
    """Return whole multiples of ``2**exponent``, cut towards 0, and what is left over; together they are exact."""
    values = np.trunc(np.ldexp(numbers, -exponent))
    return values.astype(np.int64), numbers - np.ldexp(values, exponent)


def clipped(reduced: np.ndarray, shift: int) -> np.ndarray:
    """Return ``reduced * 2**shift``, cut at `CLIP`."""
    if shift >= CLIP.bit_length():
        return np.asarray(np.sign(reduced) * CLIP)
    return np.asarray(np.clip(reduced, -(CLIP >> shift), CLIP >> shift) << shift)


def as_floats(numbers: Sequence[int], exponent: int) -> np.ndarray:
    """Return ``numbers * 2**exponent`` as sums of float64: rows, of which the first is the nearest number."""
    unit, left = Fraction(2) ** exponent, list(numbers)
    parts: list[list[float]] = []
    while not parts or any(left):
        parts.append([float(number * unit) for number in left])
        left = [number - int(Fraction(part) / unit) for number, part in zip(left, parts[-1], strict=True)]
    return np.array(parts, dtype=np.float64)
