"""Optima of tiny problems, slow and obviously right, used by the contract and the tests."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np

from infimum.minimax.compositions import Composition
from infimum.minimax.expressions import as_function
from infimum.minimax.formats import FORMATS
from infimum.minimax.rounding import RoundedPolynomial

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
