"""Assignment dual: no balanced assignment of m tokens to k of n experts each scores above D(b), whatever the bias b.

``D(b) = sum_i topsum_k(s_i + b) - sum_j low_j max(b_j, 0) + sum_j high_j max(-b_j, 0)``, with one more term of the
last two kinds for every group of experts whose joint load is limited. Statement and proof:
docs/theorems/assignment_dual.md.

Everything here is exact: floating-point numbers are rationals, the k largest of ``s_ij + b_j`` are told apart by
error-free addition, and sums are taken in integers. Only the finished number is rounded, outwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from infimum.errors import RangeError

BLOCK = 2**18  # entries handled at once, so that temporaries stay in the cache
CHUNK = 2**25  # entries summed at once: their 27-bit halves add up to less than 2**53


class Groups(NamedTuple):
    """Windows for the joint load of groups of experts; all int64. Expert j belongs to group ``of[j]``."""

    of: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Limits(NamedTuple):
    """Windows for the loads: ``low[j] <= load of expert j <= high[j]``, int64, and those of groups if there are any."""

    low: np.ndarray
    high: np.ndarray
    groups: Groups | None = None

    def admit(self, loads: np.ndarray) -> bool:
        """Tell whether these loads lie within every window."""
        inside = bool(np.all((loads >= self.low) & (loads <= self.high)))
        if self.groups is None:
            return inside
        joint = np.bincount(self.groups.of, weights=loads, minlength=self.groups.low.size)
        return inside and bool(np.all((joint >= self.groups.low) & (joint <= self.groups.high)))


class Bias(NamedTuple):
    """A bias in two floats, ``high + low``, because an optimum of a nearly tied problem may need more digits than one.

    `groups` (2, g) is the part of it that the experts of a group share, likewise in two floats; None stands for 0.
    """

    high: np.ndarray
    low: np.ndarray
    groups: np.ndarray | None = None


class Dual(NamedTuple):
    """D(b) and what it is made of: ``bound = score + surplus``, all exact."""

    bound: Fraction  # no assignment within the limits has a higher score
    score: Fraction  # of the k largest entries of every row of s + b, which need not be balanced
    loads: np.ndarray  # how often each expert is among them; ties go to either

    @property
    def surplus(self) -> Fraction:
        """``<loads - target, b>``: what the imbalance of the routing by `b` is worth."""
        return self.bound - self.score


def dual(scores: np.ndarray, k: int, limits: Limits, bias: Bias) -> Dual:
    """Evaluate D(b) exactly; any finite bias gives a bound, a poor one a weak bound."""
    score, loads = Fraction(0), np.zeros(scores.shape[1], dtype=np.int64)
    for rows in _blocks(scores):
        chosen = largest(*biased(rows, bias), k)
        score += exact_sum(rows[chosen])
        loads += chosen.sum(axis=0)
    total = _fractions(bias.high, bias.low)
    lifted = sum((count * b for count, b in zip(loads.tolist(), total, strict=True)), Fraction(0))
    return Dual(score + lifted + _window_terms(limits, total, bias), score, loads)


def _fractions(high: np.ndarray, low: np.ndarray) -> list[Fraction]:
    return [Fraction(a) + Fraction(b) for a, b in zip(high.tolist(), low.tolist(), strict=True)]


def _window_terms(limits: Limits, total: list[Fraction], bias: Bias) -> Fraction:
    """``-sum low max(b, 0) + sum high max(-b, 0)`` over experts, whose b is without their group's, and groups."""
    if limits.groups is None:
        return _terms(total, limits.low, limits.high)
    shared = [Fraction(0)] * limits.groups.low.size if bias.groups is None else _fractions(*bias.groups)
    own = [b - shared[g] for b, g in zip(total, limits.groups.of.tolist(), strict=True)]
    return _terms(own, limits.low, limits.high) + _terms(shared, limits.groups.low, limits.groups.high)


def _terms(bias: list[Fraction], low: np.ndarray, high: np.ndarray) -> Fraction:
    # l b+ - u b-  is  l b  where b is positive and  u b  where it is negative
    pairs = zip(bias, low.tolist(), high.tolist(), strict=True)
    return -sum((b * (least if b > 0 else most) for b, least, most in pairs), Fraction(0))


def unbalanced(scores: np.ndarray, k: int) -> Fraction:
    """Exact sum of the k largest entries of every row: the score without any limits."""
    split = scores.shape[1] - k
    return sum((exact_sum(np.partition(rows, split, axis=1)[:, split:]) for rows in _blocks(scores)), Fraction(0))


def biased(scores: np.ndarray, bias: Bias) -> tuple[np.ndarray, np.ndarray]:
    """Return ``scores + bias`` exactly, as the nearest float64 and what is left over; refuse what needs a third."""
    high, rest = two_sum(scores, bias.high)
    if bias.low.any():
        rest, lost = two_sum(rest, bias.low)
        if lost.any():
            raise RangeError("the bias has more digits than scores + bias can keep; round it to float64 first")
        high, rest = two_sum(high, rest)
    if not np.isfinite(high).all():
        raise RangeError("scores + bias is beyond the range of float64; scale both down first")
    return high, rest


def two_sum(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rounded sum and its rounding error: together they are exactly ``a + b`` (Knuth)."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = a + b
        part = total - a
        return total, (a - (total - part)) + (b - part)


def largest(high: np.ndarray, rest: np.ndarray, k: int) -> np.ndarray:
    """Mark the k largest of every row of ``high + rest``, compared exactly; equal ones are interchangeable."""
    split = high.shape[1] - k
    threshold = np.partition(high, split, axis=1)[:, split, None]
    chosen, tied = high > threshold, high == threshold
    unclear = np.flatnonzero(tied.sum(axis=1) > k - chosen.sum(axis=1))
    chosen |= tied
    # equal sums round alike, so only entries whose rounded sums are equal need the rest to be told apart
    order = np.lexsort((rest[unclear], high[unclear]), axis=-1)[:, split:]
    chosen[unclear] = False
    chosen[unclear[:, None], order] = True
    return chosen


def exact_sum(values: np.ndarray) -> Fraction:
    """Sum of finite floating-point numbers, without any rounding."""
    flat = np.ravel(values)
    return sum((_exact_sum(flat[i : i + CHUNK]) for i in range(0, flat.size, CHUNK)), Fraction(0))


def _exact_sum(values: np.ndarray) -> Fraction:
    mantissa, exponent = np.frexp(values)
    whole = np.ldexp(mantissa, 53).astype(np.int64)
    upper = whole >> 27
    least = int(exponent.min(initial=0))
    bins = exponent - least
    # per exponent, the halves of the mantissas are added as floats: less than 2**53, so every sum is exact
    uppers, lowers = (np.bincount(bins, weights=half) for half in (upper, whole - (upper << 27)))
    total = sum(
        ((int(up) << 27) + int(low)) << place for place, (up, low) in enumerate(zip(uppers, lowers, strict=True))
    )
    shift = least - 53
    return Fraction(total << shift) if shift >= 0 else Fraction(total, 1 << -shift)


def outward(value: Fraction, bound: Fraction) -> tuple[float, float]:
    """Round a value up and a lower bound down; neither moves where it is a float64 already."""
    try:
        above, below = float(value), float(bound)
    except OverflowError:
        raise RangeError("the score is beyond the range of float64; scale the scores down first") from None
    above = above if Fraction(above) >= value else math.nextafter(above, math.inf)
    return above, below if Fraction(below) <= bound else math.nextafter(below, -math.inf)


def _blocks(scores: np.ndarray) -> Iterator[np.ndarray]:
    rows = max(1, BLOCK // scores.shape[1])
    return (scores[start : start + rows] for start in range(0, scores.shape[0], rows))
