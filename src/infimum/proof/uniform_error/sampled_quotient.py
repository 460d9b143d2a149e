"""The error of a quotient where only values of f are known: its value is the largest that samples show.

The bound, and that there is no pole, are proved: they ask for values of f at the points of the alternation alone.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from infimum.errors import NonFiniteError
from infimum.proof.enclosure import taylor_model
from infimum.proof.enclosure.approximants import ChebyshevSum
from infimum.proof.enclosure.balls import working
from infimum.proof.enclosure.quotients import barycentric, second_formula
from infimum.proof.enclosure.task import Task
from infimum.proof.enclosure.taylor_model import Cell, Model
from infimum.proof.theorems import sup_norm, vallee_poussin
from infimum.proof.theorems.alternation import UNIT, VALUES
from infimum.proof.uniform_error.error_bounds import partition
from infimum.proof.uniform_error.error_certificate import CLAIMED, EPS, WEIGHED
from infimum.proof.uniform_error.quotient_error import ANYTHING, FIRST_BITS, require_one_sign
from infimum.proof.uniform_error.sampled_error import sample

FACTOR = 4.0  # units in the last place that a weight, or a quotient by f, may be off


def bound_from_values(
    task: Task, p: ChebyshevSum, q: ChebyshevSum, points: np.ndarray, needed: int, room: float
) -> tuple[float, list[int]]:
    """Bound by alternation, and the signs of the errors; a value of f may be off by some units in the last place."""
    values, weights = task.f(points).tolist(), task.weights(points).tolist()
    sizes = task.sizes(points).tolist()
    with working(FIRST_BITS) as module:
        errors, below = [], []
        for x, f, size, w in zip(points.tolist(), values, sizes, weights, strict=True):
            below.append(q.at(module.arb(x)))
            if not (math.isfinite(f) and math.isfinite(w) and w > 0.0):
                raise NonFiniteError(f"f or the weight is not finite, or not positive, at x = {x!r}")
            distance = module.arb(f) - p.at(module.arb(x)) / below[-1]
            off = module.arb(0, room * (VALUES * UNIT * size + math.ulp(0.0)))
            errors.append((distance + off) * w * (1 + module.arb(0, room * FACTOR * UNIT)))
        bound = vallee_poussin.lower_bound(points.tolist(), task.intervals, errors, below, needed, p.space.start)
        return bound, [(1 if e > 0 else 0) - (1 if e < 0 else 0) for e in errors]


def require_no_pole(task: Task, q: ChebyshevSum, points: np.ndarray) -> None:
    """Prove that the denominator has no zero on the domain, and one sign."""

    def reciprocal(cell: Cell, order: int) -> Model:
        return taylor_model.reciprocal(q.model(cell, order))

    unit = 1.0 / max(float(np.max(np.abs(q(points)))), np.finfo(float).tiny)
    cells = partition(task.intervals, points, ())
    found = sup_norm.enclose(
        reciprocal, task.intervals, cells, unit=unit, tol=1.0, enough=unit * ANYTHING, bits=FIRST_BITS
    )
    if not math.isfinite(found.upper):
        raise NonFiniteError(f"the denominator has a zero between x = {found.worst[0]!r} and x = {found.worst[1]!r}")
    require_one_sign(q, task.intervals)


def value_from_samples(
    task: Task, p: ChebyshevSum, q: ChebyshevSum, points: np.ndarray, rng: np.random.Generator | None, room: float
) -> float:
    """Largest error of samples; a claim, without a generator, adds what cells between them may hold, and rounding."""
    terms = barycentric((p.coefficients, q.coefficients), task.intervals, points)

    def error(x: np.ndarray) -> np.ndarray:
        return np.asarray(task.weights(x) * (task.f(x) - x**p.space.start * second_formula(terms, x)))

    breaks = np.asarray(task.breakpoints, dtype=np.float64)  # a jump has another value on either side
    known = np.concatenate([points, breaks, np.nextafter(breaks, -np.inf), np.nextafter(breaks, np.inf)])
    intervals = task.away_from_zero(task.intervals) if task.relative else task.intervals
    size = float(np.max(task.weights(points) * task.sizes(points)))
    draw = np.random.default_rng(CLAIMED) if rng is None else rng
    found = sample(error, intervals, known, resolution=2.0 * EPS * size, rng=draw, claim=rng is None)
    order = np.argsort(-np.abs(found.errors), kind="stable")[:WEIGHED]
    x, seen = found.places[order], found.errors[order].tolist()
    f, w = task.f(x).tolist(), task.weights(x).tolist()
    exact = [
        float(Fraction(weight) * (Fraction(value) - p.exact(place) / q.exact(place)))
        for place, value, weight in zip(x.tolist(), f, w, strict=True)
    ]
    largest: float = max(map(abs, exact))
    if rng is not None:
        return largest
    rounding = max(abs(a - b) for a, b in zip(exact, seen, strict=True))
    return float(max(found.expected, largest) + found.noise + room * 2.0 * (rounding + EPS * size))
