"""The certificate of a stored approximation: enclosed where all is known as a formula, else rounded and sampled."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

from infimum.errors import NonFiniteError, OptionError
from infimum.proof.certificate import Certificate
from infimum.proof.enclosure.approximants import Approximant
from infimum.proof.enclosure.error_bounds import dual_bound, enclose_error
from infimum.proof.enclosure.task import Functions, Powers, Task, points_of
from infimum.proof.theorems.alternation import THEOREM

EPS = float(np.finfo(float).eps)
SAMPLES = 64  # of the error on each piece between points of the reference, where it is only sampled

Path = Literal["enclosed", "rounded"]


class Certified(NamedTuple):
    """A certificate, and the signs that the error ``f - p`` of an optimal p has at the points of its witness."""

    certificate: Certificate
    signs: tuple[int, ...]


def certify_error(task: Task, approximant: Approximant, points: np.ndarray, tol: float, path: Path) -> Certified:
    """Bound the error of the approximation from above and that of all approximations from below."""
    if path == "rounded":
        return _rounded(task, approximant, points)
    bound, signs = dual_bound(task, points.tolist())
    size = scale(task)
    # half the tolerance is left to the distance between the two optima, the exchange algorithm's and the stored one
    enclosed = enclose_error(
        task,
        approximant,
        points,
        unit=bound or size or 1.0,
        tol=tol / 4,
        enough=bound * (1 + tol / 2),
        size=size,
    )
    if not math.isfinite(enclosed.upper):
        low, high = enclosed.worst
        raise NonFiniteError(
            f"the error cannot be bounded between x = {low!r} and x = {high!r}: f or the weight has a pole there, or "
            "is not defined; leave that point out of the domain"
        )
    certificate = Certificate(enclosed.upper, bound, THEOREM, "enclosed", witness={"points": points})
    return Certified(certificate, tuple(signs))


def scale(task: Task) -> float:
    """Largest ``w |f|`` seen: the natural size of the error."""
    x = points_of(task.half, 1001)
    if task.contains_zero():
        x = x[x != 0.0]
    return float(np.max(np.abs(task.weights(x) * task.f(x))))


def _rounded(task: Task, approximant: Approximant, points: np.ndarray) -> Certified:
    """Bound by duality in double precision, less what rounding may add; the value is the largest of many samples."""
    bound, signs = _rounded_bound(task, points)
    ends = np.unique(np.concatenate([points, *task.half, task.breakpoints]))
    x = np.unique(np.concatenate([np.linspace(a, b, SAMPLES) for a, b in pairwise(ends)]))
    inside = np.zeros(x.shape, dtype=bool)
    for low, high in task.half:
        inside |= (x >= low) & (x <= high)
    x = x[inside]
    if task.mirror:
        x = np.union1d(x, -x)
    if task.contains_zero() and task.relative:
        x = x[x != 0.0]
    error = task.weights(x) * (task.f(x) - approximant(x))
    if not np.all(np.isfinite(error)):
        raise NonFiniteError(f"the error is not finite at x = {x[~np.isfinite(error)][0]!r}")
    value = max(float(np.max(np.abs(error))), bound)
    return Certified(Certificate(value, bound, THEOREM, "rounded", witness={"points": points}), signs)


def _rounded_bound(task: Task, x: np.ndarray) -> tuple[float, tuple[int, ...]]:
    inside = np.zeros(x.shape, dtype=bool)
    for low, high in task.half:
        inside |= (x >= low) & (x <= high)
    if x.shape != (task.space.size + 1,) or not np.all(inside) or not np.all(x[:-1] < x[1:]):
        raise OptionError(f"the reference must be {task.space.size + 1} increasing points of the domain")
    weights, slack = _annihilator(task.space, x)
    f, inverse = task.f(x), 1.0 / task.weights(x)
    if task.mirror:
        f = (f + task.mirror * task.f(-x)) / 2.0
        inverse = (inverse + 1.0 / task.weights(-x)) / 2.0
    price = float(np.sum(np.abs(weights) * inverse))
    h = float(np.sum(weights * f)) / price
    # values of f are taken to be right to a few units in the last place
    allowance = (slack + 16.0 * EPS * x.size) * float(np.sum(np.abs(weights * f))) / price
    signs = tuple(int(s) for s in np.sign(weights) * (np.sign(h) or 1.0))
    return max(abs(h) - allowance, 0.0), signs


def _annihilator(space: Powers | Functions, x: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights on the points that annihilate the space, and their relative error."""
    if isinstance(space, Functions):
        matrix = np.stack([function(x) for function in space.functions], axis=1)
        matrix = matrix / np.max(np.abs(matrix), axis=0)
        weights = np.linalg.qr(matrix, mode="complete")[0][:, -1]
        # the residue times the coefficients of an optimal approximation, whose values are at most twice those of f
        return weights, 64.0 * EPS * x.size * float(np.linalg.cond(matrix))
    t = x**space.stride
    difference = t[:, None] - t[None, :]
    np.fill_diagonal(difference, 1.0)
    logarithms = np.log2(np.abs(difference))
    totals = np.sum(logarithms, axis=1) + (space.start * np.log2(np.abs(x)) if space.start else 0.0)
    signs = np.where(np.sum(difference < 0.0, axis=1) % 2, -1.0, 1.0) * np.sign(x) ** space.start
    # rounding of t moves the differences; those of x itself are right to the last place
    moved = (np.abs(t)[:, None] + np.abs(t)) / np.abs(difference) if space.stride > 1 else np.zeros((1, 1))
    lost = x.size * (8.0 + float(np.max(np.abs(logarithms)))) + space.stride * float(np.max(np.sum(moved, axis=1)))
    return signs * np.exp2(totals.min() - totals), EPS * lost
