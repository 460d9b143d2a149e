"""Certified bounds for one task: the dual bound from points, and the supremum norm of a stored error."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from infimum.errors import OptionError
from infimum.proof.enclosure import taylor_model
from infimum.proof.enclosure.approximants import Approximant
from infimum.proof.enclosure.balls import Ball, available, flint, float_below, hull, working
from infimum.proof.enclosure.continuation import MOST_ROOTS
from infimum.proof.enclosure.domain import Intervals
from infimum.proof.enclosure.expressions import Expression
from infimum.proof.enclosure.functions import BlackBox
from infimum.proof.enclosure.point_values import formula, values_at, weights_at
from infimum.proof.enclosure.rational_form import polynomial_form
from infimum.proof.enclosure.spaces import Powers
from infimum.proof.enclosure.task import Task
from infimum.proof.enclosure.taylor_model import Cell, Model
from infimum.proof.theorems import alternation, sup_norm
from infimum.proof.theorems.sup_norm import Modelled, SupNorm

BITS = sup_norm.BITS
MOST_BITS = 1 << 12  # doubles lie within 2100 bits of each other, and so does a bound that is not 0
SHARP = 2.0**-60  # relative radius of a dual bound that is sharp enough: its lower end is then the double next to it
BITS_A_TERM = 8  # of a Taylor model: so many bits below the size of f ask for one term more
VISIBLE = 2.0**-30  # relative radius of errors that are shown
SPARE = 40  # bits of the working precision that ball arithmetic may lose
ROOT_BITS = 24  # of the root of a radius about a branch point: its powers are exact
BESIDE = 1.01  # radii of a cell from its centre: points so near are expanded about
MORE_TERMS = 6  # of a model about a singular point: a division loses some
NEAR = 0.35  # of the distance to the next point: radius of the cells about points of the reference


def is_enclosable(task: Task) -> bool:
    """Tell whether everything about the task is known as a formula, or f and the weight as piecewise polynomials."""
    functions = [task.whole, *([] if task.weight is None else [task.weight])]
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
        inverse = [i * abs(value) for i, value in zip(inverse, values_at(task.whole, x), strict=True)]
    return inverse


# ------------------------------------------------------------------ upper bound


def error_model(task: Task, approximant: Approximant) -> Modelled:
    """Taylor models of the error ``w (p - f)``, divided by the given function where the task is relative."""

    def model(cell: Cell, order: int) -> Model:
        error = taylor_model.difference(approximant.model(cell, order), formula(task.f).model(cell, order))
        if task.relative:
            error = taylor_model.quotient(error, formula(task.whole).model(cell, order))
        if task.weight is not None:
            error = taylor_model.product(error, formula(task.weight).model(cell, order))
        return error

    return about_singular_points(task, model)


def about_singular_points(task: Task, model: Modelled) -> Modelled:
    """Expand about the singular points of a task, on cells that touch them, where that bounds more than nothing."""
    if not task.singular:
        return model
    functions = [f for f in (task.f, task.whole, task.weight) if isinstance(f, Expression)]
    power = math.lcm(*(f.roots() for f in functions))

    def expanded(cell: Cell, order: int) -> Model:
        touched = [z for z in task.singular if abs(cell.centre - z) <= cell.radius * BESIDE]
        about = _about(touched[0], cell, power) if len(touched) == 1 and power <= MOST_ROOTS else None
        if about is not None:
            found = model(about, order + MORE_TERMS)
            if found.is_finite():
                inside = any(low <= touched[0] <= high for low, high in task.intervals)
                return found._replace(half=about.half, inside=inside, moved=True)
        return model(cell, order)

    return expanded


def _about(z: float, cell: Cell, power: int) -> Cell | None:
    """Return a cell about a point of a cell, which it covers: half of one, to the side where all of it is.

    The radius is the power of a number of few bits, so that its root is exact.
    """
    centre = flint().arb(z)
    reach = (abs(cell.centre - centre) + cell.radius).upper()
    side = 1 if cell.centre > centre else -1
    half = bool(side * (cell.centre - centre) >= cell.radius)
    if power == 1:
        return Cell(centre, side * reach if half else reach, half=half, singular=True)
    mantissa, exponent = (int(part) for part in reach.root(power).upper().man_exp())
    surplus = max(mantissa.bit_length() - ROOT_BITS, 0)
    root = flint().arb((mantissa >> surplus) + 1) * flint().arb(2) ** (exponent + surplus)
    return Cell(centre, side * root**power, power, half=True, singular=True) if half else None


def is_mirrored(task: Task) -> bool:
    """Tell whether the formulas show what the mirror says: then the error is the same at x and -x."""
    weight = 1 if task.weight is None else task.weight.parity()
    divisor = task.whole.parity() if task.relative else 1
    return task.f.parity() == task.mirror and weight == 1 and divisor != 0


def error_vanishes(task: Task, approximant: Approximant) -> bool:
    """Tell whether the formulas show function and approximation to be the same polynomial."""
    with working(BITS):
        function = polynomial_of(task)
        same = None if function is None else approximant.polynomial()
        return same is not None and bool(function == same)


def polynomial_of(task: Task) -> Any:
    """Return f as a polynomial (flint.fmpq_poly) of the degree of the space; None where the formula shows no such."""
    function = formula(task.f)
    if isinstance(function, Expression):
        found = polynomial_form(function.on(Cell(*hull(task.intervals[0][0], task.intervals[-1][1]))))
    else:
        found = function.polynomial()
    return None if found is None or found.degree() > max(task.space.powers, default=-1) else found


def values_of_error(task: Task, approximant: Approximant, x: np.ndarray) -> np.ndarray:
    """Evaluate ``w (f - p)`` at an array of points, in balls where that is possible, else in double precision."""
    if not (is_enclosable(task) and available()):
        return np.asarray(task.weights(x) * (task.f(x) - approximant(x)))
    errors, rest, bits = np.zeros(x.size), np.arange(x.size), 2 * BITS
    while rest.size:
        with working(bits) as module:
            points = [module.arb(p) for p in x[rest].tolist()]
            data = zip(points, values_at(task.f, points), weights_at(task, points), strict=True)
            found = [w * (f - approximant.at(p)) for p, f, w in data]
            errors[rest] = [float(e.mid()) for e in found]
            blurred = [e.is_finite() and e.rad() > abs(e.mid()) * VISIBLE for e in found]
        rest, bits = rest[blurred], 2 * bits
        if bits > MOST_BITS:
            break
    return errors


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
    halved = task.mirror and is_mirrored(task) and approximant.is_like(task.mirror)
    if task.mirror and not halved:
        centres = np.union1d(centres, -centres)
    domain = task.half if halved else task.intervals
    cells = partition(domain, centres, (*task.breakpoints, *task.singular))
    bits = BITS + lost_bits(size, unit)
    resolved = size * 2.0 ** (SPARE - bits)  # below it f and p are the same to working precision
    goal = max(enough, resolved)
    return sup_norm.enclose(
        error_model(task, approximant),
        domain,
        cells,
        unit=unit,
        tol=tol,
        enough=goal,
        bits=bits,
        order=order_of_models(size, unit),
    )


def order_of_models(size: float, error: float) -> int:
    """Terms of the models of a function that leaves an error after subtraction: more of them make cells wider."""
    return sup_norm.ORDER + lost_bits(size, error) // BITS_A_TERM


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
