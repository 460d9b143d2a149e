"""Certified bounds for one task: the dual bound from points, and the supremum norm of a stored error."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from infimum.errors import OptionError
from infimum.proof.enclosure import taylor_model
from infimum.proof.enclosure.approximants import Approximant
from infimum.proof.enclosure.balls import Ball, available, flint, float_below, working
from infimum.proof.enclosure.expressions import BlackBox, Expression
from infimum.proof.enclosure.point_values import formula, values_at, weights_at
from infimum.proof.enclosure.spaces import Powers
from infimum.proof.enclosure.task import Intervals, Task
from infimum.proof.enclosure.taylor_model import Cell, Model
from infimum.proof.theorems import alternation, sup_norm
from infimum.proof.theorems.sup_norm import Modelled, SupNorm

MOST_BITS = 1 << 12  # doubles lie within 2100 bits of each other, and so does a bound that is not 0
SHARP = 2.0**-60  # relative radius of a dual bound that is sharp enough: its lower end is then the double next to it
SPARE = 40  # bits of the working precision that ball arithmetic may lose
NEAR = 0.35  # of the distance to the next point: radius of the cells about points of the reference


def is_enclosable(task: Task) -> bool:
    """Tell whether everything about the task is known as a formula, or f and the weight as piecewise polynomials."""
    functions = [task.f, *([] if task.weight is None else [task.weight])]
    spanning = [] if isinstance(task.space, Powers) else task.space.functions
    return not any(isinstance(function, BlackBox) for function in functions) and all(
        isinstance(function, Expression) for function in spanning
    )


# ------------------------------------------------------------------ lower bound


def dual_bound(task: Task, points: Sequence[float]) -> tuple[float, list[int]]:
    """Bound the error of every approximation from below by its values at `points`; 0 where nothing is proved.

    Also returns the signs of ``f - p`` that an optimal p would have there. The points are doubles in the half domain
    on which the task works.
    """
    x = [float(point) for point in points]
    inside = all(any(low <= p <= high for low, high in task.half) for p in x)
    if not inside or any(a >= b for a, b in pairwise(x)) or len(x) != task.space.size + 1:
        raise OptionError(
            f"the reference must be {task.space.size + 1} increasing points of the domain, got {points!r}"
        )
    bits = 128
    while True:
        with working(bits) as module:
            balls = [module.arb(p) for p in x]
            annihilator = _annihilator(task, balls)
            bound = alternation.duality(annihilator, *_data(task, balls))
            sharp = bound.is_finite() and bound.rad() <= abs(bound.mid()) * SHARP
            if sharp or bits >= MOST_BITS or (bound.is_finite() and bound.contains(0) and bits >= 1024):
                signs = [_sign(a) * (_sign(bound) or 1) for a in annihilator]
                return (max(float_below(bound.abs_lower()), 0.0) if bound.is_finite() else 0.0), signs
        bits *= 2


def _sign(ball: Ball) -> int:
    return 1 if ball > 0 else (-1 if ball < 0 else 0)


def _annihilator(task: Task, x: list[Ball]) -> list[Ball]:
    if isinstance(task.space, Powers):
        space = task.space
        weights = alternation.divided_difference([p**space.stride for p in x])
        return [w / p**space.start for w, p in zip(weights, x, strict=True)]
    columns = [values_at(function, x) for function in task.space.functions]
    return alternation.null_vector(list(zip(*columns, strict=True)))


def _data(task: Task, x: list[Ball]) -> tuple[list[Ball], list[Ball]]:
    """Values of f and inverse weights; on a mirrored task, means over x and -x.

    With f split into its even and odd part, weights at x and -x that are halves of each other's annihilate the parity
    that the reduced space does not have.
    """
    values, inverse = values_at(task.f, x), _inverse_weights(task, x)
    if not task.mirror:
        return values, inverse
    mirrored = [-p for p in x]
    pairs = zip(values, values_at(task.f, mirrored), strict=True)
    prices = zip(inverse, _inverse_weights(task, mirrored), strict=True)
    return [(a + task.mirror * b) / 2 for a, b in pairs], [(a + b) / 2 for a, b in prices]


def _inverse_weights(task: Task, x: list[Ball]) -> list[Ball]:
    one = flint().arb(1)
    inverse = [one] * len(x)
    if task.weight is not None:
        inverse = [1 / w if w > 0 else one.nan() for w in values_at(task.weight, x)]
    if task.relative:
        inverse = [i * abs(value) for i, value in zip(inverse, values_at(task.f, x), strict=True)]
    return inverse


# ------------------------------------------------------------------ upper bound


def error_model(task: Task, approximant: Approximant) -> Modelled:
    """Taylor models of the error ``w (p - f)``, divided by f where the task is relative."""

    def model(cell: Cell, order: int) -> Model:
        extra = 0
        if task.relative and task.contains_zero() and abs(cell.centre) <= cell.radius:
            zero = cell.centre * 0
            cell = Cell(zero, (abs(cell.centre) + cell.radius).upper())
            extra = 1
        f = formula(task.f).model(cell, order + extra)
        error = taylor_model.difference(approximant.model(cell, order + extra), f)
        if task.relative:
            if extra:
                error, f = taylor_model.divided_by_s(error), taylor_model.divided_by_s(f)
            error = taylor_model.product(error, taylor_model.reciprocal(f))
        if task.weight is not None:
            weight = formula(task.weight).model(cell, order)
            error = taylor_model.product(error, weight)
        return error

    return model


def is_mirrored(task: Task) -> bool:
    """Tell whether the formulas show what the mirror says: then the error is the same at x and -x."""
    weight = 1 if task.weight is None else task.weight.parity()
    return task.f.parity() == task.mirror and weight == 1


def values_of_error(task: Task, approximant: Approximant, x: np.ndarray) -> np.ndarray:
    """Evaluate ``w (f - p)`` at an array of points, in balls where that is possible, else in double precision."""
    if not (is_enclosable(task) and available()):
        return np.asarray(task.weights(x) * (task.f(x) - approximant(x)))
    with working(256) as module:
        points = [module.arb(p) for p in x.tolist()]
        data = zip(points, values_at(task.f, points), weights_at(task, points), strict=True)
        return np.array([float((w * (f - approximant.at(p))).mid()) for p, f, w in data])


def enclose_error(
    task: Task,
    approximant: Approximant,
    points: Iterable[float],
    *,
    unit: float,
    tol: float,
    enough: float = 0.0,
    size: float,
) -> SupNorm:
    """Enclose the largest error of an approximation over the whole domain; `points` are where it is expected.

    `size` is that of f, from whose digits those of the error are left after subtraction.
    """
    centres = np.asarray(sorted(points), dtype=np.float64)
    halved = task.mirror and is_mirrored(task)
    if task.mirror and not halved:
        centres = np.union1d(centres, -centres)
    domain = task.half if halved else task.intervals
    cells = partition(domain, centres, task.breakpoints)
    bits = sup_norm.BITS + lost_bits(size, unit)
    resolved = size * 2.0 ** (SPARE - bits)  # below it f and p are the same to working precision
    goal = max(enough, resolved)
    return sup_norm.enclose(error_model(task, approximant), domain, cells, unit=unit, tol=tol, enough=goal, bits=bits)


def lost_bits(size: float, error: float) -> int:
    """Bits that are lost when numbers of a size are subtracted and leave an error; 0 where there is none."""
    return max(math.ceil(math.log2(size) - math.log2(error)), 0) if size and error else 0


def partition(intervals: Intervals, centres: np.ndarray, breakpoints: Sequence[float]) -> list[tuple[float, float]]:
    """Cut intervals at breakpoints and about the points where the error is largest, so that these are centres."""
    cells = []
    for low, high in intervals:
        inner = np.unique(centres[(centres >= low) & (centres <= high)])
        cuts = [low, high, *(b for b in breakpoints if low < b < high)]
        fixed = np.unique([low, *inner, high])
        for x in inner:
            others = fixed[fixed != x]
            radius = NEAR * float(np.min(np.abs(others - x)))
            cuts += [x - radius, x + radius]
        ends = np.unique(np.clip(np.asarray(cuts, dtype=np.float64), low, high))
        cells += list(zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True))
    return cells
