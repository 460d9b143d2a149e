"""Taylor models: enclosures of functions on a cell, as a polynomial in ``s in [-1, 1]`` and a bound of the rest.

A cell ``[low, high]`` has a centre c and a radius r, and x = c + r s. The model of a function e says that
``e(x) = sum_i coefficients[i] s^i + rest`` with ``|rest| <= tail * |s|^order``, for every x of the cell; a model of
order 1 (one coefficient) only that ``|rest| <= tail``.
Statement and proof: docs/theorems/sup_norm.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from infimum.proof.enclosure.balls import Ball, Series, flint, working

SeriesFunction = Callable[[Series], Series]
BEYOND = 1e150  # units: nothing worth bounding


class Cell(NamedTuple):
    """Centre and radius of an interval, as exact numbers."""

    centre: Ball
    radius: Ball


class Model(NamedTuple):
    """Coefficients (balls) and a bound on what is left."""

    coefficients: list[Ball]
    tail: Ball

    def is_finite(self) -> bool:
        """Tell whether the model bounds anything."""
        return bool(self.tail.is_finite()) and all(c.is_finite() for c in self.coefficients)


def of_function(function: SeriesFunction, cell: Cell, order: int) -> Model:
    """Model of a function: Lagrange's remainder; of order 1 where the function is not smooth on the cell.

    There the second coefficient of the series encloses all difference quotients or, failing that, the first one
    encloses all values.
    """
    for terms in sorted({order, 1}, reverse=True):
        with working(flint().ctx.prec, terms + 1) as module:
            wide = function(module.arb_series([module.arb(cell.centre, cell.radius), cell.radius]))
            thin = function(module.arb_series([cell.centre, cell.radius]))
            model = Model([thin[i] for i in range(terms)], wide[terms].abs_upper())
            if model.is_finite():
                return model
    with working(flint().ctx.prec, 1) as module:
        values = function(module.arb_series([module.arb(cell.centre, cell.radius)]))[0]
        return Model([values.mid()], values.rad().upper())


def of_polynomial(taylor: list[Ball], order: int) -> Model:
    """Model of a polynomial from its complete expansion about the centre, in s."""
    total = sum((c.abs_upper() for c in taylor[order:]), flint().arb(0))
    return Model(taylor[:order], total.upper())


def shortened(model: Model, order: int) -> Model:
    """Return the same model with fewer coefficients."""
    if len(model.coefficients) <= order:
        return model
    rest = sum((c.abs_upper() for c in model.coefficients[order:]), model.tail)
    return Model(model.coefficients[:order], rest.upper())


def difference(a: Model, b: Model) -> Model:
    """Model of the difference of two functions."""
    order = min(len(a.coefficients), len(b.coefficients))
    a, b = shortened(a, order), shortened(b, order)
    pairs = zip(a.coefficients, b.coefficients, strict=True)
    return Model([x - y for x, y in pairs], (a.tail + b.tail).upper())


def product(a: Model, b: Model) -> Model:
    """Model of the product of two functions."""
    order = min(len(a.coefficients), len(b.coefficients))
    a, b = shortened(a, order), shortened(b, order)
    module = flint()
    full = (module.arb_poly(a.coefficients) * module.arb_poly(b.coefficients)).coeffs()
    full += [module.arb(0)] * (order - len(full))
    size_a, size_b = _size(a.coefficients), _size(b.coefficients)
    tail = _size(full[order:]) + a.tail * size_b + b.tail * size_a + a.tail * b.tail
    return Model(full[:order], tail.upper())


def reciprocal(model: Model) -> Model:
    """Model of one over a function; not finite where the model reaches 0.

    With h the reciprocal series of the coefficients g, cut off: ``1/e - h = (1 - e h) / e``, where ``e h - 1`` starts
    at the order of the model, and ``|e| >= |g_0| - sum_{i>=1} |g_i| - tail``.
    """
    module = flint()
    g = model.coefficients
    order = len(g)
    if not order:
        return Model([], module.arb.pos_inf())
    least = (g[0].abs_lower() - _size(g[1:]) - model.tail).lower()
    if not least > 0:
        return Model([module.arb.nan()] * order, module.arb.pos_inf())
    h: list[Any] = [1 / g[0]]
    for k in range(1, order):
        h.append(-sum((g[i] * h[k - i] for i in range(1, k + 1)), module.arb(0)) * h[0])
    excess = product(Model(g, model.tail), Model(h, module.arb(0))).tail
    return Model(h, (excess / least).upper())


def divided_by_s(model: Model) -> Model:
    """Model of ``e(s) / s`` for a function that vanishes at the centre (its first coefficient must be exactly 0)."""
    if len(model.coefficients) < 2 or not model.coefficients[0].is_zero():
        return Model([], flint().arb.pos_inf())
    return Model(model.coefficients[1:], model.tail)


def largest(model: Model, unit: Ball) -> float:
    """Upper bound on ``|e| / unit`` over the cell, rounded upwards; infinity where the model says nothing.

    ``|e| <= max over s of |c_0 + c_1 s + c_2 s^2| + (|c_3| + |c_4| + ... + tail) s^2`` (order 2 or more).
    """
    if not model.is_finite():
        return math.inf
    if model.tail.is_zero() and all(c.is_zero() for c in model.coefficients):
        return 0.0
    scaled = [c / unit for c in model.coefficients]
    tail = _above((model.tail / unit).upper())
    if len(scaled) < 3:
        return _up(sum((_above(c.abs_upper()) for c in scaled), tail))
    rest = _up(sum((_above(c.abs_upper()) for c in scaled[3:]), tail))
    slope = _above(scaled[1].abs_upper())
    if max(rest, slope, *(_above(c.abs_upper()) for c in scaled[:3])) > BEYOND:
        return math.inf  # near a pole; sums of such numbers could overflow
    bounds = []
    for c0, c2 in ((scaled[0], scaled[2]), (-scaled[0], -scaled[2])):
        bounds.append(_parabola(_above(c0.upper()), slope, _up(_above(c2.upper()) + rest)))
    return max(bounds)


def _parabola(constant: float, slope: float, curvature: float) -> float:
    """Upper bound on ``constant + slope s + curvature s^2`` over [-1, 1], with ``slope >= 0``."""
    if slope <= -2.0 * curvature:
        return _up(constant + (_up(slope * slope / (-4.0 * curvature)) if slope else 0.0))
    return _up(math.fsum((constant, slope, curvature)))


def _size(coefficients: list[Ball]) -> Ball:
    return sum((c.abs_upper() for c in coefficients), flint().arb(0)).upper()


def _above(exact: Ball) -> float:
    """Float above an exact number; the conversion itself rounds to nearest."""
    return _up(float(exact))


def _up(value: float) -> float:
    """More than any number that a few roundings to nearest turn into `value`."""
    return value + abs(value) * 4e-15 + 1e-290
