"""From what the search finds in multiple precision, on half of a symmetric domain, to coefficients that are stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from infimum.minimax.remez.differential_correction import corrected
from infimum.minimax.remez.exact_member import exact_quotient
from infimum.minimax.remez.exchange import alternating, first_reference
from infimum.minimax.remez.extrema import extrema
from infimum.minimax.remez.rational_exchange import Found, quotients_of
from infimum.minimax.remez.rational_search import AS_GOOD, MOST_BELOW, search
from infimum.proof.answers.rational import MOST_PARTS
from infimum.proof.enclosure.approximants import ChebyshevSum
from infimum.proof.enclosure.balls import working
from infimum.proof.enclosure.fixed_part import next_power
from infimum.proof.enclosure.point_values import values_at, weights_at
from infimum.proof.enclosure.spaces import Powers
from infimum.proof.enclosure.task import Task
from infimum.proof.uniform_error.error_bounds import is_enclosable

PARTS_OF_VALUES = 2  # doubles a coefficient, where values of f are doubles
MOST_ROUNDING = 0.05  # of the tolerance: what storing may change an error by


@dataclass(frozen=True, slots=True)
class Stored:
    """Chebyshev coefficients, the sums of rows of doubles, the alternation on the whole domain, and the largest error.

    That is what was seen of it: next to a pole there may be more.
    """

    numerator: np.ndarray
    denominator: np.ndarray
    points: np.ndarray
    largest: float


def best_quotients(task: Task, type_: tuple[int, int], tol: float) -> Iterator[Stored]:
    """Yield the best quotient of a type, and then those that were met besides; nothing if all of them have poles."""
    enclosable = is_enclosable(task)
    member = exact_quotient(task, type_) if enclosable else None
    if member is not None:
        yield Stored(*member, first_reference(task.away_from_zero(task.intervals), sum(type_) + 2), 0.0)
        return
    reduced = _type_in_t(task, type_)
    if min(reduced) < 0:
        met = []
    elif enclosable:
        met = [_few_doubles(task, found, tol) for found in search(task, reduced)]
    else:
        met = _from_values(task, reduced)
    nothing = _nothing(task, type_[0])
    if nothing is not None and (not met or nothing[0] <= met[0].largest * (1.0 + AS_GOOD)):
        yield Stored(np.zeros((1, 1)), np.ones((1, 1)), nothing[1], nothing[0])
    yield from met


def _from_values(task: Task, type_: tuple[int, int]) -> list[Stored]:
    """Find quotients where only values of f are known: those of linear programs in double precision."""
    met = []
    for below in range(min(*type_, MOST_BELOW) + 1):
        quotients = quotients_of(task, (type_[0] - below, type_[1] - below))
        found = corrected(quotients, sum(type_) + 2 - below)
        if found is not None:
            parts = quotients.stored(found.quotient, PARTS_OF_VALUES)
            met.append(Stored(*parts, _on_whole_domain(task, found.points), found.largest))
    return sorted(met, key=lambda stored: stored.largest)


def _type_in_t(task: Task, type_: tuple[int, int]) -> tuple[int, int]:
    """Type in t: of an even function the best quotient is even, of an odd one x times such; m < 0 if there is none."""
    assert isinstance(task.space, Powers)
    start, stride = task.space.start, task.space.stride
    return ((type_[0] + next_power(task.fixed) - start) // stride, type_[1] // stride)


def _on_whole_domain(task: Task, points: np.ndarray) -> np.ndarray:
    """Mirror an alternation, of errors over the power of x that stands before a quotient.

    Where these are even, the two points next to 0 have one sign.
    """
    if not task.mirror:
        return points
    even = task.mirror * (-1) ** next_power(task.fixed) > 0
    return np.concatenate([-points[::-1], points[1:] if even else points])


def _nothing(task: Task, m: int) -> tuple[float, np.ndarray] | None:
    """Largest error of p = 0, and its alternation, if there are the m + 2 points that prove it best."""

    def error(x: np.ndarray) -> np.ndarray:
        return np.asarray(np.sign(x) ** next_power(task.fixed) * task.weights(x) * task.f(x))

    intervals = task.away_from_zero(task.intervals)
    reference = first_reference(intervals, 2 * m + 8)
    x, e = extrema(error, intervals, task.breakpoints, reference) if not task.relative else (reference, reference)
    if task.relative or np.sum(e[:-1] * e[1:] < 0.0) < m + 1:
        return None
    points = alternating(x, e, m + 2, reference, error)
    largest = float(np.max(np.abs(e)))
    return (largest, points) if np.min(np.abs(error(points))) >= largest * (1.0 - AS_GOOD) else None


def _few_doubles(task: Task, found: Found, tol: float) -> Stored:
    """Round to as few doubles a coefficient as leave the errors what they are."""
    x = np.union1d(found.points, found.points[:-1] / 2.0 + found.points[1:] / 2.0)
    x = x[x != 0.0] if found.quotients.start else x  # there errors are limits
    wanted = found.quotients.error(found.quotient)(x)
    for parts in (1, 2, 3, 4, 6, 8, 12, 16, 24, MOST_PARTS):
        quotient = found.quotients.stored(found.quotient, parts)
        errors = _errors(task, quotient, x, found.quotients.bits)
        if found.vanishes:
            enough = parts > 1 or not np.any(errors)
        else:
            enough = bool(np.max(np.abs(errors - wanted)) <= MOST_ROUNDING * tol * found.largest)
        if enough:
            break
    return Stored(*quotient, _on_whole_domain(task, found.points), found.largest)


def _errors(task: Task, quotient: tuple[np.ndarray, np.ndarray], x: np.ndarray, bits: int) -> np.ndarray:
    whole = task.intervals[0][0], task.intervals[-1][1]
    start = next_power(task.fixed)
    p, q = (
        ChebyshevSum(Powers(first, 1, part.shape[1]), whole, part)
        for first, part in zip((start, 0), quotient, strict=True)
    )
    with working(bits) as module:
        points = [module.arb(point) for point in x.tolist()]
        data = zip(points, values_at(task.f, points), weights_at(task, points), strict=True)
        errors = [float((w * (f - p.at(point) / q.at(point))).mid()) for point, f, w in data]
        return np.asarray(np.sign(x) ** start * np.array(errors))
