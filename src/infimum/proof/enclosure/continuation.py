"""Formulas that are 0/0 at a point and have a limit there, such as sin(x)/x: the limit counts.

Near such a point a formula cancels in double precision. There its values are those of its Taylor polynomial, which has
been bounded: nothing that is proved depends on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from infimum.proof.enclosure.balls import Ball, available, flint, working
from infimum.proof.enclosure.domain import Intervals, zeros_of
from infimum.proof.enclosure.expressions import Expression
from infimum.proof.enclosure.taylor_model import Cell, Model

BITS, ORDER = 256, 20
HALVINGS = 80  # of the width of the domain, until a Taylor polynomial is as good as doubles
EXACT = 2.0**-54
BESIDE = 1e-2  # of an interval: how far beside it a point is that spoils values
NEAR = 1e-9  # of the domain: how far a zero that was found may be from a number that is one
MOST_SINGULAR = 100
MOST_ROOTS = 12  # the largest power of a variable in which roots are made analytic


class Patch(NamedTuple):
    """Taylor polynomial in s about `centre`, where ``x = centre + radius * s**power``."""

    centre: float
    radius: float
    power: int
    coefficients: tuple[float, ...]

    def place(self, x: np.ndarray) -> np.ndarray:
        """Variable s at points, NaN where they are not on the side of a root."""
        with np.errstate(invalid="ignore"):
            s = (x - self.centre) / self.radius
            return np.asarray(s if self.power == 1 else np.where(s >= 0.0, s, np.nan) ** (1.0 / self.power))


@dataclass(frozen=True, slots=True)
class Continued(Expression):
    """An expression and, about the points where it is 0/0, Taylor polynomials for its values in double precision."""

    patches: tuple[Patch, ...] = ()

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Evaluate in double precision; NaN where neither the function nor a limit is defined."""
        values = Expression.__call__(self, x).copy()
        for patch in self.patches:
            s = patch.place(x)
            near = np.abs(s) <= 1.0
            values[near] = np.polynomial.polynomial.polyval(s[near], patch.coefficients)
        return values

    def limit(self, point: Ball, sides: tuple[int, ...] = (1, -1)) -> Ball:
        """Value where the formula is 0/0: the limit from within the domain."""
        inside = tuple(1 if patch.radius > 0.0 else -1 for patch in self.patches if point == patch.centre)
        return Expression.limit(self, point, inside or sides)


def singular_points(function: Expression, intervals: Intervals) -> tuple[float, ...]:
    """Points of a domain, or beside it, where a formula may be 0/0 or have a branch point: those that are doubles."""
    width = max(high - low for low, high in intervals)
    found: set[float] = set()
    for part in function.singular():
        near = [*zeros_of(part, intervals), 0.0]
        if available():
            found.update(_exact_zeros(part, near, NEAR * width))
    near_by = sorted(z for z in found if _home(z, intervals) is not None)
    return tuple(near_by) if len(near_by) <= MOST_SINGULAR else ()


def _home(z: float, intervals: Intervals) -> tuple[float, float] | None:
    """Return the interval that a point belongs to, or is beside."""
    beside = (
        (low, high)
        for low, high in intervals
        if low <= z <= high or min(abs(z - low), abs(z - high)) <= BESIDE * (high - low)
    )
    return next(beside, None)


def continued(function: Expression, points: set[float], cancels: tuple[float, ...], intervals: Intervals) -> Expression:
    """Return a formula with Taylor polynomials about those points where its values are not finite, or cancel."""
    if not available():
        return function
    bad = {z for z in points if z in cancels or not np.isfinite(function(np.asarray([z]))[0])}
    patches = tuple(patch for z in sorted(bad) for patch in _patches(function, z, intervals))
    return Continued(function.operation, function.operands, function.number, patches=patches) if patches else function


def _exact_zeros(part: Expression, near: list[float], distance: float) -> list[float]:
    """Doubles at which a formula is exactly 0: those given, or round numbers beside them."""
    exact = []
    with working(BITS) as module:
        for z in near:
            rounded = (z, *(float(f"{z:.{digits}g}") for digits in (12, 6)), 0.0)
            close = (candidate for candidate in rounded if abs(candidate - z) <= distance)
            exact += [c for c in close if part.series(module.arb_series([c]))[0].is_zero()][:1]
    return exact


def _patches(function: Expression, z: float, intervals: Intervals) -> list[Patch]:
    power = function.roots()
    home = _home(z, intervals)
    if power > MOST_ROOTS or home is None:
        return []
    low, high = home
    sides = [1] if power == 1 else [side for side, there in ((1, z < high), (-1, low < z)) if there]
    patches = (_patch(function, z, side, power, high - low) for side in sides)
    return [patch for patch in patches if patch is not None]


def _patch(function: Expression, z: float, side: int, power: int, width: float) -> Patch | None:
    """Halve the cell until its Taylor polynomial is as good as doubles; its radius is a power of 2**power."""
    first = int(np.floor(np.log2(width) / power)) * power
    with working(BITS) as module:
        for exponent in range(first, first - HALVINGS * power, -power):
            radius = side * module.arb(2) ** exponent
            model: Model = function.model(Cell(module.arb(z), radius, power, power > 1, singular=True), ORDER)
            size = (
                max((float(c.abs_upper()) for c in model.coefficients[:3]), default=0.0) if model.is_finite() else 0.0
            )
            if model.is_finite() and model.tail <= flint().arb(size * EXACT):
                return Patch(z, float(radius), power, tuple(float(c.mid()) for c in model.coefficients))
    return None
