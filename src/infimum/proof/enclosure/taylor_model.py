"""Taylor models: enclosures of functions on a cell, as a polynomial in ``s in [-1, 1]`` and a bound of the rest.

A cell ``[low, high]`` has a centre c and a radius r, and x = c + r s. The model of a function e says that
``e(x) = sum_i coefficients[i] s^i + rest`` with ``|rest| <= tail * |s|^order``, for every x of the cell; a model of
order 1 (one coefficient) only that ``|rest| <= tail``. A cell on one side of a branch point c, such as that of a square
root, has ``x = c + r s^power`` with s in [0, 1]: there ``sqrt(x - c)`` is a multiple of s. A fraction of two functions
that vanish at the centre, exactly, is that of what is left when a power of s is cancelled.
Statement and proof: docs/theorems/sup_norm.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

from infimum.proof.enclosure.balls import Ball, Series, flint, working

SeriesFunction = Callable[[Series], Series]
BEYOND = 1e150  # units: nothing worth bounding


class Cell(NamedTuple):
    """Numbers ``centre + radius * s**power``: s in [-1, 1], or in [0, 1] for `half` of a cell, with any power.

    Half of a cell lies to the left of its centre where its radius is negative. At a `singular` centre functions may be
    0/0 or have a branch point: they are expanded there part by part.
    """

    centre: Ball
    radius: Ball
    power: int = 1
    half: bool = False
    singular: bool = False

    def flat(self) -> Cell:
        """Return the same numbers as a whole cell."""
        if not self.half:
            return self
        return Cell(self.centre + self.radius / 2, abs(self.radius) / 2)

    def polynomial(self) -> Any:
        """Return x as a polynomial in s (flint.arb_poly)."""
        return flint().arb_poly([self.centre, *[0] * (self.power - 1), self.radius])


class Model(NamedTuple):
    """Coefficients (balls) and a bound on what is left.

    Told by whoever bounds a cell: whether it is `half` of one, whether its centre is `inside` of the domain, and
    whether it was `moved` to another centre.
    """

    coefficients: list[Ball]
    tail: Ball
    half: bool = False
    inside: bool = True
    moved: bool = False

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
            wide = function(module.arb_series([module.arb(*cell.flat()[:2]), cell.radius]))
            thin = function(module.arb_series([cell.centre, cell.radius]))
            model = Model([thin[i] for i in range(terms)], wide[terms].abs_upper())
            if model.is_finite():
                return model
    with working(flint().ctx.prec, 1) as module:
        values = function(module.arb_series([module.arb(*cell.flat()[:2])]))[0]
        return Model([values.mid()], values.rad().upper())


def constant(value: Ball, order: int) -> Model:
    """Model of a number."""
    zero = flint().arb(0)
    return Model([value, *[zero] * (order - 1)], zero)


def of_polynomial(taylor: list[Ball], order: int) -> Model:
    """Model of a polynomial from its complete expansion about the centre, in s."""
    total = sum((c.abs_upper() for c in taylor[order:]), flint().arb(0))
    return Model(taylor[:order], total.upper())


def padded(coefficients: list[Ball], order: int) -> list[Ball]:
    """Coefficients of a polynomial, at least `order` of them."""
    return [*coefficients, *[flint().arb(0)] * (order - len(coefficients))]


def unknown() -> Model:
    """Model of a function of which nothing is known."""
    return Model([flint().arb.nan()], flint().arb.pos_inf())


def shortened(model: Model, order: int) -> Model:
    """Return the same model with fewer coefficients."""
    if len(model.coefficients) <= order:
        return model
    rest = sum((c.abs_upper() for c in model.coefficients[order:]), model.tail)
    return Model(model.coefficients[:order], rest.upper())


def total(a: Model, b: Model) -> Model:
    """Model of the sum of two functions."""
    return difference(a, negative(b))


def negative(model: Model) -> Model:
    """Model of a function with the other sign."""
    return Model([-c for c in model.coefficients], model.tail)


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


def sign_of(model: Model) -> tuple[int, bool]:
    """Tell a sign that a function has on the whole cell, and whether it is nowhere 0; sign 0 where none is certain."""
    if not model.is_finite():
        return 0, False
    rest = _size(model.coefficients[1:]) + model.tail
    for sign in (1, -1):
        least = (sign * model.coefficients[0] - rest).lower()
        if least >= 0:
            return sign, bool(least > 0)
    return 0, False


def either(a: Model, b: Model) -> Model:
    """Model, of order 1, of a function that is one or the other of two."""
    zero = flint().arb(0, 1)
    first, second = (m.coefficients[0] + (_size(m.coefficients[1:]) + m.tail) * zero for m in (a, b))
    hull = first.union(second)
    return Model([hull.mid()], hull.rad().upper())


def zeros_at_centre(model: Model) -> int:
    """Count the first coefficients that are exactly 0."""
    leading = (i for i, c in enumerate(model.coefficients) if not c.is_zero())
    return next(leading, len(model.coefficients))


def divided(model: Model, power: int) -> Model:
    """Model of ``e(s) / s**power`` for a function whose first coefficients are exactly 0, so many of them."""
    if not power:
        return model
    if len(model.coefficients) <= power or zeros_at_centre(model) < power:
        return unknown()
    return Model(model.coefficients[power:], model.tail)


def quotient(a: Model, b: Model) -> Model:
    """Model of a fraction, where a and b may both vanish at the centre."""
    common = zeros_at_centre(b)
    return product(divided(a, common), reciprocal(divided(b, common)))


def composed(function: SeriesFunction, model: Model) -> Model:
    """Model of ``g(u)``: Taylor's expansion of g about the value of u at the centre, with Lagrange's remainder.

    With ``v = u - u_0`` and ``|v| <= R |s|``, what follows the powers of v below the order is at most
    ``|g^(order)| / order! * R^order |s|^order`` over the range of u.
    """
    module, order = flint(), len(model.coefficients)
    first = model.coefficients[0]
    reach = (_size(model.coefficients[1:]) + model.tail).upper()
    if order < 2 or not model.is_finite():
        return unknown()
    with working(module.ctx.prec, order + 1):
        one = module.arb(1)
        thin = function(module.arb_series([first, one]))
        wide = function(module.arb_series([first + reach * module.arb(0, 1), one]))
        inner = [thin[i] for i in range(order)]
        rest = (wide[order].abs_upper() * reach**order).upper()
    if not rest.is_finite():
        return unknown()
    change = Model([module.arb(0), *model.coefficients[1:]], model.tail)
    value = constant(inner[-1], order)
    for c in reversed(inner[:-1]):
        value = product(value, change)
        value = Model([value.coefficients[0] + c, *value.coefficients[1:]], value.tail)
    return Model(value.coefficients, (value.tail + rest).upper())


def power(model: Model, exponent: Fraction, cell: Cell, function: SeriesFunction) -> Model:
    """Model of ``u**exponent``, a `function`, where u may vanish at the centre as a power of s.

    ``(s**k)**exponent`` is a power of s where s is not negative; elsewhere it has to be an even number of k.
    """
    zeros = zeros_at_centre(model)
    raised = zeros * exponent
    whole = exponent.denominator == 1
    if raised.denominator != 1 or raised < 0 or (zeros and cell.power == 1 and not whole):
        return unknown()
    inner = composed(function, divided(model, zeros))
    return Model([*[flint().arb(0)] * int(raised), *inner.coefficients], inner.tail)


def largest(model: Model, unit: Ball) -> float:
    """Upper bound on ``|e| / unit`` over the cell, rounded upwards; infinity where the model says nothing.

    ``|e| <= max over s of |c_0 + c_1 s + c_2 s^2| + (|c_3| + |c_4| + ... + tail) s^2`` (order 2 or more). On half of a
    cell the sign of c_1 counts.
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
    for c0, c1, c2 in (scaled[:3], [-c for c in scaled[:3]]):
        signed = _above(c1.upper()) if model.half else slope
        bounds.append(_parabola(_above(c0.upper()), signed, _up(_above(c2.upper()) + rest)))
    return max(bounds)


def _parabola(constant: float, slope: float, curvature: float) -> float:
    """Upper bound on ``constant + slope s + curvature s^2`` over [0, 1]."""
    if slope <= 0.0:
        return max(constant, _up(math.fsum((constant, slope, curvature))))
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
