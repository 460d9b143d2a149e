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
from infimum.minimax.remez.levelled_error import Barycentric, Collocation, ErrorFunction, Level, MultiplePrecision
from infimum.minimax.remez.linear_program import linear_start
from infimum.proof.enclosure.domain import Intervals
from infimum.proof.enclosure.spaces import Powers, variable
from infimum.proof.enclosure.task import Task

SAMPLES = 24  # of the error on each piece between points of the reference
FINE = 400
ITERATIONS = 60
PATIENCE = 4  # iterations without progress
CLOSED = 1e-11  # relative distance of the levelled from the largest error
UNFINISHED = 1e-3  # at this distance a linear program is asked for another start

NODES = np.cos(np.pi * np.arange(SAMPLES - 1, -1, -1) / (SAMPLES - 1))


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
    least, coefficients = np.inf, np.zeros((parts, level.size))
    idle = iterations = 0
    for iterations in range(1, ITERATIONS + 1):  # noqa: B007
        with np.errstate(all="ignore"):  # points on both sides of a jump may be one in t
            h, error = level(reference)
        if not np.isfinite(h):
            break
        x, e = extrema(error, intervals, breakpoints, reference)
        largest = float(np.max(np.abs(e)))
        idle += 1
        if abs(h) > abs(best_h) * (1.0 + 1e-12):
            best_h, best_points, idle = h, reference, 0
        if largest < least:
            idle = 0 if largest < least * (1.0 - 1e-12) else idle
            least, coefficients = largest, level.coefficients(parts)
        if least - abs(best_h) <= max(CLOSED * least, level.noise) or idle > PATIENCE or not np.isfinite(largest):
            break
        reference = alternating(x, e, level.size + 1, reference, error)
    return Levelled(best_points, best_h, coefficients, interval, least, iterations)


# ------------------------------------------------------------------ extrema


@np.errstate(all="ignore")  # next to a pole errors are infinite
def extrema(
    error: ErrorFunction, intervals: Intervals, breakpoints: tuple[float, ...], reference: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Largest error of each sign on every piece between points of the reference, breakpoints and ends, in order."""
    left, right = _pieces(intervals, np.union1d(reference, np.asarray(breakpoints)))
    x = (left / 2 + right / 2)[:, None] + (right / 2 - left / 2)[:, None] * NODES
    x[:, 0], x[:, -1] = left, right
    e = error(x.ravel()).reshape(x.shape)
    fine = e @ PROXY.T
    # one row for each piece and sign: the largest error of that sign
    sign = np.repeat([1.0, -1.0], left.size)
    signed, fine = np.vstack([e, -e]), np.vstack([fine, -fine])
    left, right, x = np.tile(left, 2), np.tile(right, 2), np.vstack([x, x])
    s = _refined(signed, np.argmax(fine, axis=1))
    points = np.clip((left / 2 + right / 2) + (right / 2 - left / 2) * s, left, right)
    values = sign * error(points)
    rows, best = np.arange(sign.size), np.argmax(signed, axis=1)
    worse = values < signed[rows, best]
    points[worse], values[worse] = x[rows, best][worse], signed[rows, best][worse]
    order = np.argsort(points, kind="stable")
    order = order[values[order] > 0.0]
    return (points[order], (sign * values)[order]) if order.size else (reference, np.zeros_like(reference))


def _pieces(intervals: Intervals, cuts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    left: list[float] = []
    right: list[float] = []
    for low, high in intervals:
        ends = np.unique(np.concatenate([[low, high], cuts[(cuts > low) & (cuts < high)]]))
        left += ends[:-1].tolist()
        right += ends[1:].tolist()
    return np.array(left), np.array(right)


def _proxy(points: np.ndarray) -> np.ndarray:
    """Matrix that takes values at the nodes to those of their interpolating polynomial at other points."""
    weights = np.ones(SAMPLES)
    weights[1::2] = -1.0
    weights[[0, -1]] /= 2.0
    difference = points[..., None] - NODES
    exact = difference == 0.0
    quotient = weights / np.where(exact, 1.0, difference)
    quotient = np.where(np.any(exact, axis=-1, keepdims=True), exact.astype(float), quotient)
    return np.asarray(quotient / np.sum(quotient, axis=-1, keepdims=True))


GRID = np.linspace(-1.0, 1.0, FINE + 1)
PROXY = _proxy(GRID)


def _refined(e: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Maximum of the interpolating polynomial of each row near a point of the grid: parabolas of shrinking width."""
    width = 1.0 / FINE
    s: np.ndarray = GRID[index]
    for _ in range(3):
        s = np.clip(s, -1.0 + width, 1.0 - width)
        low, middle, high = np.einsum("kij,ij->ki", _proxy(s + np.array([[-width], [0.0], [width]])), e)
        bend = low - 2.0 * middle + high
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.clip(0.5 * width * (low - high) / bend, -2.0 / FINE, 2.0 / FINE)
        s = np.where(bend < 0.0, np.clip(s + np.where(bend < 0.0, step, 0.0), -1.0, 1.0), s)
        width /= 8.0
    return s


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
