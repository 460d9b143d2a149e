"""The least error of tiny problems, by maximising the levelled error over all references: slow and obviously right."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from infimum.minimax.expressions import as_function

GRID = 17  # points of the first look
HALVINGS = 60


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
    for _ in range(HALVINGS):
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
