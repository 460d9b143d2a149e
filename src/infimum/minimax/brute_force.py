"""Optima of tiny problems, slow and obviously right, used by the contract and the tests."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np
import scipy.optimize

from infimum.proof.answers.composition import Composition
from infimum.proof.answers.rounded import RoundedPolynomial
from infimum.proof.enclosure.functions import as_function
from infimum.proof.enclosure.machine_formats import FORMATS

GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
GRID = 17  # points of a reference, at the first look


def best_two_cubics(result: Composition, lower: float) -> float:
    """Least ``max(abs(1 - p2(p1(x))))`` on [lower, upper] over all pairs of odd cubics: a search over both.

    The last scale is free, so that what counts is the ratio of the least and the largest value; a cubic is then
    ``x - b x**3``, and so the search is over two numbers b.
    """
    if result.steps != 2 or result.terms.tolist() != [2, 2] or result.power != 2 or result.numerator != 1:
        raise ValueError("the brute force knows two odd cubics only")

    def loss(first: float) -> float:
        low, high = _range(first, lower, result.upper)
        if low <= 0.0:
            return 1.0
        return _least(lambda second: _spread(*_range(second, low, high)), 1.0 / high**2)

    return _least(loss, 1.0 / result.upper**2)


def _range(b: float, low: float, high: float) -> tuple[float, float]:
    """Least and largest ``x - b x**3`` on an interval."""
    ends = [x - b * x**3 for x in (low, high)]
    turn = 1.0 / math.sqrt(3.0 * b) if b > 0.0 else 0.0
    return min(ends), max(*ends, turn - b * turn**3) if low < turn < high else max(ends)


def _spread(low: float, high: float) -> float:
    return (high - low) / (high + low) if low > 0.0 else 1.0


def _least(function: Callable[[float], float], largest: float) -> float:
    """Least value on [0, largest]: a grid, then golden section around its best points."""
    grid = [largest * k / 60 for k in range(61)]
    values = [function(b) for b in grid]
    k = min(range(61), key=values.__getitem__)
    left, right = grid[max(k - 1, 0)], grid[min(k + 1, 60)]
    best = values[k]
    for _ in range(75):
        one, two = right - GOLDEN * (right - left), left + GOLDEN * (right - left)
        at_one, at_two = function(one), function(two)
        best = min(best, at_one, at_two)
        left, right = (left, two) if at_one < at_two else (one, right)
    return best


def least_error(f: Any, degree: int, low: float, high: float) -> float:
    """Return the least ``max |f - p|`` over polynomials of the degree on one interval.

    It is the largest levelled error over all references of degree + 2 points: the best one of a coarse grid, then each
    point moved by shorter and shorter steps while the levelled error grows.
    """
    function = as_function(f)
    grid = np.linspace(low, high, GRID)
    x = np.array(max(combinations(grid, degree + 2), key=lambda points: _levelled(function, np.array(points))))
    step = (high - low) / (GRID - 1)
    best = _levelled(function, x)
    for _ in range(60):
        moved = True
        while moved:
            moved = False
            for k in range(x.size):
                for direction in (step, -step):
                    trial = x.copy()
                    trial[k] = min(max(trial[k] + direction, low), high)
                    error = _levelled(function, trial) if np.all(np.diff(trial) > 0.0) else 0.0
                    if error > best:
                        x, best, moved = trial, error, True
        step /= 2.0
        if step < 1e-9 * (high - low):
            break
    return best


def _levelled(function: Any, x: np.ndarray) -> float:
    """Error h that alternates on the points: ``p(x_k) + (-1)^k h = f(x_k)``."""
    matrix = np.column_stack([np.vander(x, x.size - 1), (-1.0) ** np.arange(x.size)])
    return abs(float(np.linalg.solve(matrix, function(x))[-1]))


def least_error_of_quotients(f: Any, low: float, high: float) -> float:
    """Return the least ``max |f - (a + b u) / (1 + c u)|`` over a, b and c, u from -1 to 1 on the interval.

    For a given c the quotients are a linear space: its least error is the largest levelled error over all references of
    three points. A search over c remains.
    """
    function = as_function(f)
    triples = np.array(list(combinations(np.linspace(-1.0, 1.0, 21), 3)))

    def levelled(u: np.ndarray, c: float) -> np.ndarray:
        # weights that annihilate (a + b u) / (1 + c u) on three points
        one, two, three = u[..., 0], u[..., 1], u[..., 2]
        gaps = np.stack([(one - two) * (one - three), (two - one) * (two - three), (three - one) * (three - two)], -1)
        weights = (1.0 + c * u) / gaps
        values = function(low + (high - low) * (u + 1.0) / 2.0)
        return np.asarray(np.abs(np.sum(weights * values, -1)) / np.sum(np.abs(weights), -1))

    def refined(u: np.ndarray, c: float) -> float:
        step = 0.05
        while step > 1e-9:
            moves = np.clip(u + step * np.vstack([np.eye(3), -np.eye(3), np.zeros((1, 3))]), -1.0, 1.0)
            moves = moves[np.all(np.diff(moves, axis=1) > 1e-6, axis=1)]
            better = moves[int(np.argmax(levelled(moves, c)))]
            step, u = (step / 2.0, u) if np.array_equal(better, u) else (step, better)
        return float(levelled(u, c))

    def with_end(c: float, end: int) -> float:
        kind = triples[triples[:, end] == (1.0 if end else -1.0)]
        return refined(kind[int(np.argmax(levelled(kind, c)))], c)

    def least(c: float) -> float:
        inner = refined(triples[int(np.argmax(levelled(triples, c)))], c)
        return max(inner, with_end(c, 0), with_end(c, 2))

    # The error is largest of several smooth functions of c: look for the least, then for the kink next to it.
    search = scipy.optimize.minimize_scalar(least, bounds=(-0.99, 0.99), method="bounded", options={"xatol": 1e-6})
    near = [search.x - 1e-4, search.x + 1e-4]
    kink = scipy.optimize.brentq(lambda c: with_end(c, 0) - with_end(c, 2), *near, xtol=1e-15)
    return min(float(search.fun), least(kink))


def best_rounded_line(result: RoundedPolynomial, f: str) -> float:
    """Least ``max |f - p|`` on a fine grid over all lines with machine numbers near the best real line."""
    ((low, high),) = result.domain
    x = np.linspace(low, high, 501)
    values = as_function(f)(x)
    slope, constant = np.polynomial.Polynomial.fit(x, values, 1).convert().coef[::-1]
    machine = FORMATS[result.formats[0]]
    steps = np.arange(-40, 41)
    slopes, constants = (
        float(machine.round(Fraction(c))) + steps * float(machine.spacing(Fraction(c))) for c in (slope, constant)
    )
    return float(min(np.abs(values - a * x - constants[:, None]).max(axis=1).min() for a in slopes))
