"""The exchange algorithm: points on which the levelled error is as large as the error anywhere.

`solve(task)` is what other modules call: ``solve(systems.as_task("1", 5, (1e-3, 1.0), system="odd"))`` is the quintic
step of the matrix sign. It returns the best reference and the best coefficients that were met. How good they are is
for `enclosure.dual_bound(task, levelled.points)` and `enclosure.enclose_error` to say; `approximants.stored` gives the
exact polynomial that the coefficients stand for, and `approximants.Monomials` that of any others.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from infimum.errors import RangeError
from infimum.minimax.remez.extrema import extrema
from infimum.minimax.remez.levelled_error import Barycentric, Collocation, ErrorFunction, Level, MultiplePrecision
from infimum.minimax.remez.linear_program import linear_start
from infimum.proof.enclosure.domain import Intervals
from infimum.proof.enclosure.spaces import Powers, variable
from infimum.proof.enclosure.task import Task

LARGEST = 1e300
ITERATIONS = 60
PATIENCE = 4  # iterations without progress
CLOSED = 1e-11  # relative distance of the levelled from the largest error
UNFINISHED = 1e-3  # at this distance a linear program is asked for another start


@dataclass(frozen=True, slots=True)
class Levelled:
    """What the exchange algorithm found.

    Attributes
    ----------
    points : array (m + 1,)
        The reference with the largest levelled error, increasing.
    error : float
        That levelled error, with the sign of ``f - p`` at the first point.
    coefficients : array (parts, m)
        Of the approximation with the smallest largest error (from another iteration, perhaps), as sums of doubles:
        in Chebyshev polynomials of ``t = x**stride`` on `interval`, or of the functions of the space.
    interval : (float, float)
        Range of t.
    largest : float
        Largest error seen, in the arithmetic of the solver.
    iterations : int
        Exchanges.
    """

    points: np.ndarray
    error: float
    coefficients: np.ndarray
    interval: tuple[float, float]
    largest: float
    iterations: int

    @property
    def distance(self) -> float:
        """Relative distance of the levelled error from the largest: 0 at the optimum."""
        return (self.largest - abs(self.error)) / self.largest if self.largest else 0.0


def solve(task: Task, *, bits: int | None = None, start: np.ndarray | None = None, parts: int = 1) -> Levelled:
    """Run the exchange algorithm: in double precision, or with so many `bits` (python-flint), from a reference."""
    interval = variable(task.space, task.half) if isinstance(task.space, Powers) else (0.0, 0.0)
    level: Level
    if not isinstance(task.space, Powers):
        level = Collocation(task)
    elif bits is None:
        level = Barycentric(task, interval)
    else:
        level = MultiplePrecision(task, interval, bits)
    intervals = task.away_from_zero(task.half)  # errors at 0 are limits
    first = first_reference(intervals, level.size + 1, _stride(task)) if start is None else start
    found = _exchange(level, intervals, task.breakpoints, first, interval, parts)
    if found.distance > UNFINISHED and start is None:
        again = linear_start(task, intervals, level.size + 1)
        if again is not None:
            second = _exchange(level, intervals, task.breakpoints, again, interval, parts)
            return second if second.distance < found.distance else found
    return found


def _stride(task: Task) -> int:
    return task.space.stride if isinstance(task.space, Powers) else 1


def first_reference(intervals: Intervals, count: int, stride: int = 1) -> np.ndarray:
    """Chebyshev points in ``t = x**stride``, spread over the intervals by their length in t."""
    ends = [(abs(low) ** stride * np.sign(low), abs(high) ** stride * np.sign(high)) for low, high in intervals]
    lengths = np.array([abs(high - low) for low, high in ends])
    shares = _apportion(lengths / lengths.sum(), count)
    parts = []
    for (low, high), (x_low, x_high), share in zip(ends, intervals, shares, strict=True):
        nodes = np.cos(np.pi * np.arange(share - 1, -1, -1) / (share - 1)) if share > 1 else np.zeros(share)
        t = (low / 2 + high / 2) + (high / 2 - low / 2) * nodes
        x = np.sign(t) * np.abs(t) ** (1.0 / stride)
        parts.append(np.clip(x, x_low, x_high))
    points = np.concatenate(parts)
    if not np.all(np.diff(points) > 0.0):
        low, high = intervals[0][0], intervals[-1][1]
        raise RangeError(
            f"the domain from {low!r} to {high!r} has too few doubles for the {count} different points that a proof "
            f"needs: write f in t = x - ({low!r}), on an interval that begins at 0"
        )
    return points


def _apportion(shares: np.ndarray, count: int) -> list[int]:
    """Whole numbers near ``shares * count`` that add up to `count`; at least one each while there are enough."""
    whole = np.maximum(np.floor(shares * count).astype(int), 1 if count >= shares.size else 0)
    while whole.sum() > count:
        whole[np.argmax(whole)] -= 1
    while whole.sum() < count:
        whole[np.argmax(shares * count - whole)] += 1
    return [int(number) for number in whole]


def _exchange(
    level: Level,
    intervals: Intervals,
    breakpoints: tuple[float, ...],
    reference: np.ndarray,
    interval: tuple[float, float],
    parts: int,
) -> Levelled:
    best_h, best_points = 0.0, reference
    least, of_least, last = LARGEST, None, None
    idle = iterations = 0
    for iterations in range(1, ITERATIONS + 1):  # noqa: B007
        with np.errstate(all="ignore"):  # points on both sides of a jump may be one in t
            h, error = level(reference)
        last = reference
        if not np.isfinite(h):
            break
        gap = least - abs(best_h)  # what follows is about its square
        x, e = extrema(error, intervals, breakpoints, reference, max(level.noise, gap * (gap / least)))
        largest = float(np.max(np.abs(e)))
        idle += 1
        if abs(h) > abs(best_h) * (1.0 + 1e-12):
            best_h, best_points, idle = h, reference, 0
        if largest < least:
            idle = 0 if largest < least * (1.0 - 1e-12) else idle
            least, of_least = largest, reference
        if least - abs(best_h) <= max(CLOSED * least, level.noise) or idle > PATIENCE or not np.isfinite(largest):
            break
        reference = alternating(x, e, level.size + 1, reference, error)
    if of_least is None:
        return Levelled(best_points, best_h, np.zeros((parts, level.size)), interval, least, iterations)
    if of_least is not last:
        level(of_least)
    return Levelled(best_points, best_h, level.coefficients(parts), interval, least, iterations)


# ------------------------------------------------------------------ exchange


def alternating(x: np.ndarray, e: np.ndarray, count: int, reference: np.ndarray, error: ErrorFunction) -> np.ndarray:
    """Choose `count` points of alternating sign among candidates: large errors, the largest of all included."""
    chosen: list[tuple[float, float]] = []
    for point, value in zip(x.tolist(), e.tolist(), strict=True):
        if chosen and (chosen[-1][1] > 0.0) == (value > 0.0):
            if abs(value) > abs(chosen[-1][1]):
                chosen[-1] = point, value
        else:
            chosen.append((point, value))
    if len(chosen) < count:
        return one_point(x, e, reference, error)
    while len(chosen) > count:
        sizes = [abs(value) for _, value in chosen]
        if len(chosen) == count + 1:
            chosen.pop(0 if sizes[0] < sizes[-1] else -1)
            continue
        inner = [max(pair) for pair in pairwise(sizes)]
        weakest = int(np.argmin(inner))
        ends = min(sizes[0], sizes[-1])
        if ends <= inner[weakest]:
            chosen.pop(0 if sizes[0] < sizes[-1] else -1)
        else:
            del chosen[weakest : weakest + 2]
    return np.array([point for point, _ in chosen])


def one_point(x: np.ndarray, e: np.ndarray, reference: np.ndarray, error: ErrorFunction) -> np.ndarray:
    """Bring the point of the largest error into the reference, so that signs go on alternating."""
    worst = int(np.argmax(np.abs(e)))
    point, sign = x[worst], np.sign(e[worst])
    if np.any(reference == point):
        return reference
    signs = np.sign(error(reference))
    if not np.all(signs[:-1] * signs[1:] < 0.0):  # the levelled error is lost in rounding
        signs = np.sign(signs[0] or 1.0) * (-1.0) ** np.arange(reference.size)
    position = int(np.searchsorted(reference, point))
    result = reference.copy()
    if position == 0:
        return np.concatenate([[point], result[1:]]) if signs[0] == sign else np.concatenate([[point], result[:-1]])
    if position == reference.size:
        return np.concatenate([result[:-1], [point]]) if signs[-1] == sign else np.concatenate([result[1:], [point]])
    result[position - 1 if signs[position - 1] == sign else position] = point
    return result
