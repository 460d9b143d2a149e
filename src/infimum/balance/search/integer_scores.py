"""Scores as whole numbers: the arithmetic in which shortest paths and ties are exact."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from infimum._arrays import times_power_of_two
from infimum.proof.theorems.assignment_dual import BLOCK

WIDE = 59  # bits of the largest difference: sums of two, plus biases, still fit in 63
USUAL = 48  # what is used where it holds every score: the bias is then a float64 as well
LEAST = -1074  # every float64 is a multiple of 2**LEAST
CLIP = 2**57  # size to which reduced scores are cut: beyond, no later digit changes a decision
BARRED = -(2**61)  # the score of an expert that a token does not admit: below any path
NONE = 2**62  # cost of an arc that does not exist
FAR = 2**61  # distance of a node that cannot be reached
LARGEST = 2**60  # of a potential, and of a path: beyond, a sum could overflow


class Digits(NamedTuple):
    """The leading digits of scores: ``scores = values * 2**exponent + constant + rest``; ``abs(rest) < 2**exponent``.

    The constant is left out: every token has k scores, so it changes nothing but the size of the numbers.
    """

    values: np.ndarray  # int64; BARRED where the score is -inf
    exponent: int
    rest: np.ndarray  # float64

    def round(self, bias: np.ndarray) -> np.ndarray:
        """Return a bias in units of the digits; one that is larger than any difference of scores is cut there."""
        low = int(self.values.min())
        if low == BARRED:
            low = int(self.values.min(where=self.values != BARRED, initial=NONE))
        reach = 1.0 + float(int(self.values.max()) - low)
        return np.asarray(np.rint(np.clip(np.ldexp(bias, -self.exponent), -reach, reach)), dtype=np.int64)


def leading_digits(scores: np.ndarray, bits: int = WIDE) -> Digits:
    """Return the first `bits` bits of scores, or fewer where fewer hold them all exactly."""
    low, high = float(scores.min()), float(scores.max())
    admitted = np.True_ if low > -np.inf else scores > -np.inf
    if low == -np.inf:
        low = float(scores.min(where=admitted, initial=np.inf))
    exponent = max(math.frexp(high - low)[1] - bits, math.frexp(max(high, -low))[1] - 62, LEAST)
    values, rest = cut_towards_zero(np.where(admitted, scores, 0.0) if admitted.ndim else scores, exponent)
    common = int(np.bitwise_or.reduce(values, axis=None))
    zeros = (common & -common).bit_length() - 1 if common else bits
    shift = 0 if rest.any() else max(0, min(zeros, bits - USUAL))
    # cutting keeps the order
    least, most = (int(cut_towards_zero(np.array([end]), exponent)[0][0]) >> shift for end in (low, high))
    values >>= shift
    values -= (least + most) // 2
    return Digits(np.where(admitted, values, BARRED) if admitted.ndim else values, exponent + shift, rest)


def cut_towards_zero(numbers: np.ndarray, exponent: int) -> tuple[np.ndarray, np.ndarray]:
    """Return whole multiples of ``2**exponent``, cut towards 0, and what is left over; together they are exact."""
    values, rest = np.empty(numbers.shape, np.int64), np.empty(numbers.shape)
    for start in range(0, len(numbers), rows := max(1, BLOCK // max(1, numbers[:1].size))):
        part = slice(start, start + rows)
        whole = np.trunc(times_power_of_two(numbers[part], -exponent))
        values[part], rest[part] = whole, numbers[part] - times_power_of_two(whole, exponent)
    return values, rest


def clipped(reduced: np.ndarray, shift: int) -> np.ndarray:
    """Return ``reduced * 2**shift``, cut at `CLIP`."""
    if shift >= CLIP.bit_length():
        return np.asarray(np.sign(reduced) * CLIP)
    return np.asarray(np.clip(reduced, -(CLIP >> shift), CLIP >> shift) << shift)


def as_floats(numbers: Sequence[int], exponent: int) -> np.ndarray:
    """Return ``numbers * 2**exponent`` as sums of float64: rows, of which the first is the nearest number."""
    left = list(numbers)
    parts: list[list[float]] = []
    while not parts or any(left):
        nearest = [_rounded_multiple(number, exponent) for number in left]
        parts.append([part for part, _ in nearest])
        left = [number - whole for number, (_, whole) in zip(left, nearest, strict=True)]
    return np.array(parts, dtype=np.float64)


def _rounded_multiple(number: int, exponent: int) -> tuple[float, int]:
    """Return the float64 nearest to ``number * 2**exponent``, and that in units of ``2**exponent``."""
    if abs(number) < NONE:
        whole = float(number)  # what is scaled by a power of two loses nothing: no exponent is below that of 5e-324
        return math.ldexp(whole, exponent), int(whole)
    unit = Fraction(2) ** exponent
    part = float(number * unit)
    return part, int(Fraction(part) / unit)
