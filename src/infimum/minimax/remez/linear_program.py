"""A start for the exchange algorithm where it does not close by itself: the problem on a grid, as a linear program."""

from __future__ import annotations

import numpy as np
import scipy.optimize

from infimum.proof.enclosure.domain import Intervals, points_of
from infimum.proof.enclosure.spaces import Powers
from infimum.proof.enclosure.task import Task

PER_COEFFICIENT, LEAST = 12, 200  # points of the grid


def linear_start(task: Task, intervals: Intervals, count: int) -> np.ndarray | None:
    """Return a reference of `count` points from the binding rows of the problem on a grid; None if there are fewer."""
    x = points_of(intervals, (PER_COEFFICIENT * count + LEAST) // len(intervals) + 2)
    x = np.union1d(x, [p for p in task.breakpoints if any(low <= p <= high for low, high in intervals)])
    basis = _basis(task, x)
    w, f = task.weights(x), task.f(x)
    scale = float(np.max(np.abs(w * f))) or 1.0
    rows, right = w[:, None] * basis, w * f / scale
    matrix = np.block([[rows, -np.ones((x.size, 1))], [-rows, -np.ones((x.size, 1))]])
    cost = np.zeros(basis.shape[1] + 1)
    cost[-1] = 1.0
    solution = scipy.optimize.linprog(
        cost, A_ub=matrix, b_ub=np.concatenate([right, -right]), bounds=(None, None), method="highs"
    )
    if solution.x is None:
        return None
    duals = np.abs(solution.ineqlin.marginals)
    weights = duals[: x.size] + duals[x.size :]
    chosen = np.sort(np.argsort(weights)[-count:])
    return x[chosen] if np.all(weights[chosen] > 0.0) else None


def _basis(task: Task, x: np.ndarray) -> np.ndarray:
    if not isinstance(task.space, Powers):
        return np.stack([function(x) for function in task.space.functions], axis=1)
    t = x**task.space.stride
    low, high = t.min(), t.max()
    u = (t - (low / 2 + high / 2)) / (high / 2 - low / 2)
    basis = np.polynomial.chebyshev.chebvander(u, task.space.size - 1) * (x**task.space.start)[:, None]
    return np.asarray(basis / np.max(np.abs(basis)))
