"""The search for best rational functions: an eigenvalue problem on each reference, and good starts.

Nothing here is trusted: what was found is bounded by `rational`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.interpolate
import scipy.linalg

from infimum._threads import no_warnings
from infimum.minimax.remez.exchange import alternating, extrema, first_reference
from infimum.minimax.remez.levelled_error import ErrorFunction
from infimum.proof.enclosure.approximants import clenshaw
from infimum.proof.enclosure.task import Task, points_of

ITERATIONS = 40
CLOSED = 1e-11
UNFINISHED = 1e-7
SAMPLED = 2001  # points for the AAA algorithm


@dataclass(frozen=True, slots=True)
class Found:
    """A quotient as Chebyshev coefficients, its alternation, and the relative distance to the largest error."""

    numerator: np.ndarray
    denominator: np.ndarray
    points: np.ndarray
    distance: float


def search(task: Task, m: int, n: int) -> Found | None:
    """Go from a polynomial (or the reciprocal of one) to the wanted type, one degree more in each part at a time.

    The best function of a smaller type may be that of the wanted one as well (even and odd functions): it is, if its
    error alternates often enough.
    """
    previous: Found | None = None
    best: Found | None = None
    for j in range(min(m, n), -1, -1):
        count = m + n - 2 * j + 2
        starts = [] if previous is None else [_spread(previous.points, task.intervals[0], count)]
        starts += [first_reference(task.intervals, count), *_near_best(task, m - j, n - j, count)]
        for start in starts:
            found = _exchange(task, m - j, n - j, start, m + n + 2 - j)
            if found is not None and found.distance < UNFINISHED:
                break
            previous = found or previous
        previous = found or previous
        if found is not None and (best is None or found.distance <= best.distance):
            best = found
    return best


def _near_best(task: Task, m: int, n: int, count: int) -> list[np.ndarray]:
    """Extrema of the error of the AAA approximation of that degree, if there are enough and it has no poles."""
    if m != n or m == 0:
        return []
    x = points_of(task.intervals, SAMPLED)
    with no_warnings(), np.errstate(all="ignore"):
        near = scipy.interpolate.AAA(x, task.f(x), max_terms=m + 1, rtol=0.0)

        def error(points: np.ndarray) -> np.ndarray:
            return np.asarray(task.weights(points) * (task.f(points) - np.real(near(points))))

        cuts = np.sort(np.real(near.support_points))
        found, e = extrema(error, task.intervals, task.breakpoints, cuts)
        if not np.all(np.isfinite(e)) or e.size < count or np.sum(e[:-1] * e[1:] < 0.0) < count - 1:
            return []
        return [alternating(found, e, count, found[:count], error)]


def _spread(reference: np.ndarray, domain: tuple[float, float], count: int) -> np.ndarray:
    """More points, distributed alike: in the angle of the Chebyshev points."""
    low, high = domain
    angle = np.arccos(np.clip((reference - (low + high) / 2) / ((high - low) / 2), -1.0, 1.0))
    spread = np.interp(np.linspace(0.0, 1.0, count), np.linspace(0.0, 1.0, reference.size), angle)
    return np.clip((low + high) / 2 + (high - low) / 2 * np.cos(spread), low, high)


def _exchange(task: Task, m: int, n: int, reference: np.ndarray, needed: int) -> Found | None:
    """Exchange on m + n + 2 points, until `needed` alternating errors are as large as the largest."""
    best: Found | None = None
    idle = 0
    for _ in range(ITERATIONS):
        level = _levelled(task, m, n, reference)
        if level is None:
            break
        _, p, q, error = level
        x, e = extrema(error, task.intervals, task.breakpoints, reference)
        largest = float(np.max(np.abs(e)))
        if not math.isfinite(largest):
            break
        points = alternating(x, e, m + n + 2, reference, error)
        witness = points if needed == m + n + 2 else alternating(x, e, needed, points, error)
        size = np.abs(error(witness))
        distance = 0.0 if not largest else float(1.0 - np.min(size) / largest) if witness.size >= needed else 1.0
        idle += 1
        if best is None or distance < best.distance:
            best, idle = Found(p, q, witness, distance), 0
        if distance <= CLOSED or idle > 5:
            break
        reference = points
    return best


def _levelled(task: Task, m: int, n: int, x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, ErrorFunction] | None:
    """Rational function whose error alternates with one size h on m + n + 2 points, without sign changes of q.

    ``p(x_k) = (f(x_k) - s_k h) q(x_k)``, s_k alternating over the weight: with Z a basis of what is orthogonal to all p
    on the points, an eigenvalue problem in q.
    """
    low, high = task.intervals[0]

    def scaled(points: np.ndarray) -> np.ndarray:
        return np.asarray((points - (low / 2 + high / 2)) / (high / 2 - low / 2))

    u = scaled(x)
    top, bottom = np.polynomial.chebyshev.chebvander(u, m), np.polynomial.chebyshev.chebvander(u, n)
    f, signs = task.f(x), (-1.0) ** np.arange(x.size) / task.weights(x)
    rest = np.linalg.qr(top, mode="complete")[0][:, m + 1 :]
    h, vectors = scipy.linalg.eig(rest.T @ (f[:, None] * bottom), rest.T @ (signs[:, None] * bottom))
    fine = np.polynomial.chebyshev.chebvander(scaled(points_of(task.intervals, 501)), n)
    candidates = []
    for value, vector in zip(h, vectors.T, strict=True):
        q = vector.real
        if not np.isfinite(value) or abs(value.imag) > 1e-9 * abs(value) or not np.max(np.abs(q)):
            continue
        on_domain = fine @ q
        if np.all(on_domain > 0.0) or np.all(on_domain < 0.0):
            candidates.append((abs(value.real), value.real, q / on_domain[0]))
    if not candidates:
        return None
    _, level, q = min(candidates, key=lambda item: item[0])
    p = np.linalg.lstsq(top, (f - level * signs) * (bottom @ q))[0]

    def error(points: np.ndarray) -> np.ndarray:
        v = scaled(points)
        quotient = clenshaw(p.tolist(), v) / clenshaw(q.tolist(), v)
        return np.asarray(task.weights(points) * (task.f(points) - quotient))

    return level, p, q, error
