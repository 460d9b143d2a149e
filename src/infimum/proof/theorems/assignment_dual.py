"""Assignment dual: no balanced assignment of m tokens to k of n experts each scores above D(b), whatever the bias b.

``D(b) = sum_i topsum_k(s_i + b) - sum_j low_j max(b_j, 0) + sum_j high_j max(-b_j, 0)``, with one more term of the
last two kinds for every group of experts whose joint load is limited. Statement and proof:
docs/theorems/assignment_dual.md.

A score of -inf says that the token does not admit the expert: no assignment chooses it, and top-k sums leave it out.

Everything here is exact: floating-point numbers are rationals, the k largest of ``s_ij + b_j`` are told apart by
error-free addition, or in integers where two floats do not hold a sum, and sums are taken in integers. Only the
finished number is rounded, outwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from infimum.errors import RangeError, VerificationError
from infimum.proof.evidence import number, whole
from infimum.proof.largest_entries import k_largest

THEOREM = "assignment_dual"

BLOCK = 2**16  # entries handled at once, so that temporaries stay in the cache
CHUNK = 2**25  # entries summed at once: their 27-bit halves add up to less than 2**53
UNSURE = 2.0**-50  # of two sums: what rounding them, and their difference, may have changed, several times over
REACH = 2.0**1020  # of a bias or threshold: sums with scores of up to 2**1000 stay within float64


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
    """A bias as sums of floats, ``parts.sum(axis=0)`` without rounding: an optimum may need more digits than one has.

    `groups` (q, g) is the part of it that the experts of a group share, likewise as sums; None stands for 0.
    """

    parts: np.ndarray
    groups: np.ndarray | None = None

    @property
    def high(self) -> np.ndarray:
        """The first part: for a bias of `balanced_topk` the nearest float64."""
        return np.asarray(self.parts[0])


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
    """Evaluate D(b) exactly; any bias gives a bound, a poor one a weak bound. Hypotheses are asked for (see `ask`).

    `scores` are -inf, or finite and at most 2**1000 in size: see `infimum.proof.real_arrays.float64_matrix`.
    """
    k = whole("k", k, least=1, most=scores.shape[1])
    ask(scores.shape, limits, bias)
    score, loads = Fraction(0), np.zeros(scores.shape[1], dtype=np.int64)
    for rows in blocks(scores):
        if rows.min(initial=0.0) == -np.inf and np.any(np.isfinite(rows).sum(axis=1) < k):
            raise VerificationError(f"every token must admit at least k = {k} experts: scores other than -inf")
        chosen = largest(rows, bias, k)
        score += exact_sum(np.take_along_axis(rows, chosen, axis=1))
        loads += np.bincount(chosen.ravel(), minlength=loads.size)
    # l b+ - u b-  is  l b  where b is positive and  u b  where it is negative
    shared = _shared(limits, bias)
    own = _signs(*bias.parts, *(() if limits.groups is None else -shared[:, limits.groups.of]))
    pinned = np.where(own > 0, limits.low, limits.high)
    bound = score + sum((exact_dot(loads - pinned, part) for part in bias.parts), Fraction(0))
    if limits.groups is not None:
        joint = np.bincount(limits.groups.of, weights=pinned, minlength=limits.groups.low.size).astype(np.int64)
        joint -= np.where(_signs(*shared) > 0, limits.groups.low, limits.groups.high)
        bound += sum((exact_dot(joint, part) for part in shared), Fraction(0))
    return Dual(bound, score, loads)


def ask(shape: tuple[int, int], limits: Limits, bias: Bias) -> None:
    """Refuse windows or a bias for which D(b) is not defined, or would not be exact.

    Windows are whole numbers with ``0 <= low <= high``. Those of an expert end at the number of tokens, which no load
    exceeds, and those of a group at tokens times experts: so no sum of loads can leave 64 bits.
    """
    tokens, experts = shape
    _ask_windows("load", limits.low, limits.high, experts, tokens)
    width = 0
    if limits.groups is not None:
        of, low, high = limits.groups
        width = low.size
        _ask_windows("group_load", low, high, width, tokens * experts)
        if of.dtype != np.int64 or of.shape != (experts,) or not np.all((of >= 0) & (of < width)):
            raise VerificationError(f"groups must name one of {width} groups for each of {experts} experts")
    _ask_sums("bias", bias.parts, experts)
    if bias.groups is not None:
        _ask_sums("bias of groups", bias.groups, width)


def _ask_sums(name: str, parts: np.ndarray, count: int) -> None:
    if parts.dtype != np.float64 or parts.ndim != 2 or not parts.shape[0] or parts.shape[1] != count:
        raise VerificationError(f"the {name} must hold rows of {count} float64 numbers, got shape {parts.shape}")
    if not np.all(np.abs(parts).sum(axis=0) <= REACH):
        raise VerificationError(f"the {name} must hold numbers of at most 2**1020 in size")


def _ask_windows(name: str, low: np.ndarray, high: np.ndarray, count: int, most: int) -> None:
    if not (low.dtype == high.dtype == np.int64 and low.shape == high.shape == (count,)):
        raise VerificationError(f"{name} must hold two rows of {count} whole numbers, int64")
    if not np.all((low >= 0) & (low <= high) & (high <= most)):
        raise VerificationError(f"{name} must be windows 0 <= low <= high <= {most}")


def _shared(limits: Limits, bias: Bias) -> np.ndarray:
    if bias.groups is not None:
        return bias.groups
    return np.zeros((1, 0 if limits.groups is None else limits.groups.low.size))


def _signs(*parts: np.ndarray) -> np.ndarray:
    """Return the signs of sums of vectors; fsum is 0 only where the exact sum is."""
    if len(parts) == 1:
        return np.asarray(np.sign(parts[0]))
    return np.sign([math.fsum(entries) for entries in zip(*(part.tolist() for part in parts), strict=True)])


def threshold_dual(scores: np.ndarray, total: int, limits: Limits, thresholds: np.ndarray, level: float) -> Fraction:
    """Upper bound on the sum of `total` entries, however they are shared among tokens, for any thresholds and level.

    ``sum_ij max(s_ij - t_j, 0) + level * total - sum_j low_j max(level - t_j, 0) + sum_j high_j max(t_j - level, 0)``.
    """
    ask(scores.shape, limits._replace(groups=None), Bias(thresholds[None]))
    total, level = whole("total", total, least=0, most=scores.size), number("level", level, least=-REACH, most=REACH)
    above = scores > thresholds
    pinned = np.where(_signs(np.full(thresholds.size, level), -thresholds) > 0, limits.low, limits.high)
    free = (total - int(pinned.sum())) * Fraction(level)
    return exact_sum(scores[above]) + exact_dot(pinned - above.sum(axis=0), thresholds) + free


def best_entries(scores: np.ndarray, total: int) -> Fraction:
    """Exact sum of the `total` largest entries."""
    split = scores.size - total
    return exact_sum(np.partition(scores, split, axis=None)[split:]) if total else Fraction(0)


def unbalanced(scores: np.ndarray, k: int) -> Fraction:
    """Exact sum of the k largest entries of every row: the score without any limits."""
    found = (np.take_along_axis(rows, k_largest(rows, k).columns, axis=1) for rows in blocks(scores))
    return sum(map(exact_sum, found), Fraction(0))


def largest(rows: np.ndarray, bias: Bias, k: int) -> np.ndarray:
    """Return the columns of the k largest of every row of ``rows + bias``, compared exactly; of equal ones any.

    Every row holds at least k entries that are not -inf. Rounding keeps the order, so only rows in which the rounded
    sums on both sides of the k-th place are nearer than what is left over need more digits.
    """
    columns, threshold, dropped = k_largest(rows, k, bias.high)
    single = not bias.parts[1:].any()
    left = 4.0 * np.abs(bias.parts[1:]).sum(axis=0).max(initial=0.0) + UNSURE * (np.abs(threshold) + np.abs(dropped))
    unclear = np.flatnonzero(threshold - (0.0 if single else left) <= dropped)
    if unclear.size and not (single and _ties_are_exact(rows[unclear], bias.high, threshold[unclear])):
        columns[unclear] = _largest_of_long_sums(rows[unclear], bias, k)
    return np.asarray(columns)


def _ties_are_exact(rows: np.ndarray, bias: np.ndarray, threshold: np.ndarray) -> bool:
    """Tell whether no sum that is equal to the threshold was rounded: such ones are interchangeable."""
    token, expert = np.divmod(np.flatnonzero(rounded_sum(rows, bias) == threshold[:, None]), bias.size)
    return not two_sum(rows[token, expert], bias[expert])[1].any()


def _largest_of_long_sums(rows: np.ndarray, bias: Bias, k: int) -> np.ndarray:
    """Do the work of `largest` where rounded sums do not decide."""
    high, rest, exact = biased(rows, bias)
    order = np.lexsort((rest, high), axis=-1)[:, rows.shape[1] - k :]
    if not exact.all():
        order[~exact] = np.argsort(_in_integers(rows[~exact], bias), axis=1)[:, rows.shape[1] - k :]
    return np.asarray(order)


def biased(rows: np.ndarray, bias: Bias) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ``rows + bias`` as the nearest float64 and what is left over, and the rows in which that is exact."""
    admitted, exact = rows > -np.inf, np.ones(rows.shape[0], dtype=bool)
    high, rest = two_sum(np.where(admitted, rows, 0.0), bias.high)
    for part in bias.parts[1:]:
        rest, lost = two_sum(rest, part)
        exact &= ~lost.any(axis=1)
        high, rest = two_sum(high, rest)
    return np.where(admitted, high, -np.inf), np.where(admitted, rest, 0.0), exact


def _in_integers(rows: np.ndarray, bias: Bias) -> np.ndarray:
    """Return ``rows + bias`` as Python's integers in one unit; -inf is below all others of its rows."""
    admitted = rows > -np.inf
    arrays = (np.where(admitted, rows, 0.0), *bias.parts)
    scaled = [_integers(array) for array in arrays]
    unit = min(least for _, _, least in scaled)
    total = sum(number.astype(object) << (place + (least - unit)) for number, place, least in scaled)
    return np.asarray(np.where(admitted, total, np.min(total) - 1))


def rounded_sum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the nearest float64 of ``a + b``; refuse what is beyond their range, but for an `a` of -inf."""
    with np.errstate(over="ignore"):
        total = a + b
    finite = np.isfinite(total)
    if not finite.all() and not np.all(finite | (a == -np.inf)):
        raise RangeError("scores + bias is beyond the range of float64; scale both down first")
    return np.asarray(total)


def two_sum(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rounded sum and its rounding error: together they are exactly ``a + b`` (Knuth)."""
    total = rounded_sum(a, b)
    part = total - a
    return total, (a - (total - part)) + (b - part)


def exact_sum(values: np.ndarray) -> Fraction:
    """Sum of finite floating-point numbers, without any rounding."""
    flat = np.ravel(values)
    return sum((_exact_sum(flat[i : i + CHUNK]) for i in range(0, flat.size, CHUNK)), Fraction(0))


def _exact_sum(values: np.ndarray) -> Fraction:
    whole, place, least = _integers(values)
    upper = whole >> 27
    # per exponent, the halves of the mantissas are added as floats: less than 2**53, so every sum is exact
    uppers, lowers = (np.bincount(place, weights=half).astype(np.int64) for half in (upper, whole - (upper << 27)))
    halves = enumerate(zip(uppers.tolist(), lowers.tolist(), strict=True))
    return _scaled(sum(((up << 27) + low) << shift for shift, (up, low) in halves), least)


def exact_dot(weights: np.ndarray, values: np.ndarray) -> Fraction:
    """Inner product of whole numbers with finite floating-point numbers, without any rounding."""
    whole, place, least = _integers(values)
    terms = zip(weights.tolist(), whole.tolist(), place.tolist(), strict=True)
    return _scaled(sum(weight * number << shift for weight, number, shift in terms), least)


def _integers(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Return integers, places of at least 0 and e, such that ``values = integers * 2**(places + e)``."""
    mantissa, exponent = np.frexp(values)
    least = int(exponent.min(initial=0))
    return np.ldexp(mantissa, 53).astype(np.int64), exponent - least, least - 53


def _scaled(number: int, exponent: int) -> Fraction:
    """Return ``number * 2**exponent`` for a negative exponent."""
    return Fraction(number, 1 << -exponent)


def outward(value: Fraction, bound: Fraction) -> tuple[float, float]:
    """Round a value up and a lower bound down; neither moves where it is a float64 already."""
    try:
        above, below = float(value), float(bound)
    except OverflowError:
        raise RangeError("the score is beyond the range of float64; scale the scores down first") from None
    above = above if Fraction(above) >= value else math.nextafter(above, math.inf)
    return above, below if Fraction(below) <= bound else math.nextafter(below, -math.inf)


def blocks(scores: np.ndarray) -> Iterator[np.ndarray]:
    """Cut a matrix into rows that stay in the cache."""
    rows = max(1, BLOCK // scores.shape[1])
    return (scores[start : start + rows] for start in range(0, scores.shape[0], rows))
