"""Best quotients on a grid by differential correction: a sequence of linear programs, in double precision.

It converges from any start to the best quotient whose denominator is positive on the grid (Barrodale, Powell, Roberts,
SIAM J. Numer. Anal. 9, 1972). Points where the error is larger than on the grid are added to it until there are none.
What is found is a start for the exchange in more digits: nothing here is trusted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.optimize

from infimum.minimax.remez.exchange import alternating
from infimum.minimax.remez.extrema import extrema
from infimum.minimax.remez.levelled_error import ErrorFunction
from infimum.minimax.remez.quotients import Quotient, Quotients
from infimum.proof.enclosure.domain import points_of

chebyshev = np.polynomial.chebyshev

PER_COEFFICIENT = 20  # points of the first grid
LOOKS, TURNS = 12, 60  # at grids, and linear programs on each
CONVERGED = 1e-9  # relative: what a turn gains no longer
SEEN = 1e-7  # relative: by so much an error between points of the grid may be larger
LARGE = 0.7  # of the largest error: local maxima that join the grid
Pair = tuple[np.ndarray, np.ndarray]


class Corrected(NamedTuple):
    """A nearly best quotient, the points of its alternation, and its largest error."""

    quotient: Quotient
    points: np.ndarray
    largest: float


@np.errstate(all="ignore")  # next to a pole errors are infinite, and rows of a program too large
def corrected(quotients: Quotients, wanted: int = 0) -> Corrected | None:
    """Find a quotient that alternates as often as is `wanted`, if it can; None where doubles do not suffice."""
    intervals = quotients.intervals
    count = quotients.m + quotients.n + 2
    x = points_of(intervals, PER_COEFFICIENT * count // len(intervals) + 2)
    x = np.union1d(x, [p for p in quotients.task.breakpoints if any(low <= p <= high for low, high in intervals)])
    best = np.zeros(quotients.m + 1), np.eye(1, quotients.n + 1)[0]
    for _ in range(LOOKS):
        best, on_grid = _on_grid(quotients, x, best)
        error = _error_of_pair(quotients, best)
        places, e = extrema(error, intervals, quotients.task.breakpoints, x)
        sizes = np.abs(e)
        if not np.all(np.isfinite(sizes)):
            return None
        if np.max(sizes) <= on_grid * (1.0 + SEEN):
            break
        x = np.union1d(x, places[sizes > LARGE * np.max(sizes)])
    changes = int(np.sum(e[:-1] * e[1:] < 0.0))
    if changes < count - 1:
        return None
    count = wanted if count < wanted <= changes + 1 else count
    return Corrected(quotients.of_chebyshev(*best), alternating(places, e, count, x, error), float(np.max(sizes)))


def _on_grid(quotients: Quotients, x: np.ndarray, start: Pair) -> tuple[Pair, float]:
    """Correct until the largest error on the grid falls no longer; the last pair and that error."""
    task, u = quotients.task, quotients.scaled(x)
    factor = task.weights(x)
    p_basis = chebyshev.chebvander(u, quotients.m) * (factor * x**quotients.start)[:, None]
    q_basis = chebyshev.chebvander(u, quotients.n)
    wf = factor * task.f(x)
    best, least, (p, q) = start, np.inf, start
    for _ in range(TURNS):
        below = q_basis @ q
        if not np.min(below) > 0.0:
            break
        largest = float(np.max(np.abs(wf - p_basis @ p / below)))
        if not largest < least * (1.0 - CONVERGED):
            break
        best, least = (p, q), largest
        found = _turn(p_basis / below[:, None], q_basis / below[:, None], wf, largest) if largest else None
        if found is None:
            break
        p, q = found
    return best, least


def _turn(p_basis: np.ndarray, q_basis: np.ndarray, wf: np.ndarray, largest: float) -> Pair | None:
    """Minimise the largest ``|wf q - p| - largest q``, the coefficients of q within [-1, 1]; None if not < 0."""
    sides = [
        np.hstack([-sign * p_basis, sign * wf[:, None] * q_basis - largest * q_basis]) / largest for sign in (1.0, -1.0)
    ]
    matrix = np.hstack([np.vstack(sides), -np.ones((2 * wf.size, 1))])
    size, free = p_basis.shape[1], (None, None)
    cost = np.eye(1, matrix.shape[1], matrix.shape[1] - 1)[0]
    bounds = [*[free] * size, *[(-1.0, 1.0)] * q_basis.shape[1], free]
    if not np.all(np.isfinite(matrix)):
        return None
    found = scipy.optimize.linprog(cost, A_ub=matrix, b_ub=np.zeros(2 * wf.size), bounds=bounds, method="highs").x
    if found is None or not found[-1] < 0.0:
        return None
    p, q = found[:size], found[size:-1]
    scale = np.max(np.abs(q))
    return (p / scale, q / scale) if scale else None


def _error_of_pair(quotients: Quotients, pair: Pair) -> ErrorFunction:
    def error(x: np.ndarray) -> np.ndarray:
        u = quotients.scaled(x)
        value = x**quotients.start * chebyshev.chebval(u, pair[0]) / chebyshev.chebval(u, pair[1])
        error = quotients.task.weights(x) * (quotients.task.f(x) - value)
        return np.asarray(np.sign(x) ** quotients.start * error)

    return error
