"""Functions of power series over balls (flint.arb_series): every coefficient encloses the true one.

A series keeps to `flint.ctx.cap` terms. What cannot be enclosed is NaN, never a guess: a division by a ball that
contains 0, a logarithm of one. Roots and real powers are those of the part of the ball where they are defined.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from infimum.proof.enclosure.balls import Ball, Series, flint


def series_of(coefficients: list[Ball]) -> Series:
    """Return a series with these coefficients."""
    return flint().arb_series(coefficients)


def constant(ball: Ball) -> Series:
    """Return a number as a series."""
    return series_of([ball])


def constant_series(number: Fraction) -> Series:
    """Return a rational number as a series."""
    module = flint()
    return constant(module.arb(module.fmpq(number.numerator, number.denominator)))


def unknown(*leading: Ball) -> Series:
    """Return a series with these first coefficients and nothing known of the others."""
    module = flint()
    cap = module.ctx.cap
    return series_of([*leading, *[module.arb.nan()] * cap][:cap])


def _first(u: Series) -> Ball:
    return u[0]


def divide(u: Series, v: Series) -> Series:
    """Quotient; nothing is known where the divisor may be 0."""
    if _first(v).contains(0):
        return unknown()
    return u / v


def _positive_only(inside: Callable[[Series], Series], at_zero: Callable[[Ball], Ball]) -> Callable[[Series], Series]:
    """Apply a function of positive numbers; where the ball reaches 0, only its range over the rest is known."""

    def apply(u: Series) -> Series:
        first = _first(u)
        return inside(u) if first > 0 else unknown(at_zero(first))

    return apply


def _sqrt_range(ball: Ball) -> Ball:
    return ball.nonnegative_part().sqrt() if ball >= 0 or ball.contains(0) else flint().arb.nan()


def _log_range(ball: Ball) -> Ball:
    return flint().arb.nan()


root = _positive_only(lambda u: u.sqrt(), _sqrt_range)
log = _positive_only(lambda u: u.log(), _log_range)


def power_series(u: Series, exponent: Fraction) -> Series:
    """Raise to a constant power."""
    if exponent.denominator == 1:
        return whole_power(u, int(exponent))
    if exponent.denominator == 2:  # exact where the root is
        return whole_power(root(u), int(2 * exponent))
    module = flint()
    power = module.arb(module.fmpq(exponent.numerator, exponent.denominator))

    def at_zero(ball: Ball) -> Ball:
        if exponent < 0 or not ball.contains(0):
            return module.arb.nan()
        top = ball.upper()
        return module.arb(0).union(top**power if top > 0 else module.arb(0))

    return _positive_only(lambda v: (v.log() * constant(power)).exp(), at_zero)(u)


def whole_power(u: Series, exponent: int) -> Series:
    """Raise to a whole power."""
    if exponent < 0:
        return divide(constant_series(Fraction(1)), whole_power(u, -exponent))
    result = constant_series(Fraction(1))
    for bit in bin(exponent)[2:]:
        result = result * result
        if bit == "1":
            result = result * u
    return result


def modulus(u: Series) -> Series:
    """Absolute value; at a kink only the range and the slopes are known."""
    first = _first(u)
    if first > 0 or u.length() == 0:
        return u
    if first < 0:
        return -u
    slope = u[1] if u.length() > 1 else flint().arb(0)
    return unknown(abs(first), slope.union(-slope))


def sign(u: Series) -> Series:
    """Return -1 or 1, or what lies between."""
    first = _first(u)
    if first > 0 or first < 0:
        return constant_series(Fraction(1 if first > 0 else -1))
    low, high = (0 if first >= 0 else -1), (0 if first <= 0 else 1)
    return unknown(flint().arb(low).union(flint().arb(high)))


def maximum(u: Series, v: Series) -> Series:
    """Larger of two."""
    difference = u - v
    if _first(difference) > 0:
        return u
    if _first(difference) < 0:
        return v
    return (u + v + modulus(difference)) / 2


def minimum(u: Series, v: Series) -> Series:
    """Smaller of two."""
    return -maximum(-u, -v)


def one() -> Series:
    """Return the number 1."""
    return constant_series(Fraction(1))


def tanh(u: Series) -> Series:
    """Hyperbolic tangent."""
    if flint().ctx.cap == 1:
        return constant(_first(u).tanh())
    return one() - divide(constant_series(Fraction(2)), (2 * u).exp() + one())


def sinh(u: Series) -> Series:
    """Hyperbolic sine."""
    if flint().ctx.cap == 1:
        return constant(_first(u).sinh())
    return (u.exp() - (-u).exp()) / 2


def cosh(u: Series) -> Series:
    """Hyperbolic cosine."""
    return (u.exp() + (-u).exp()) / 2


def expm1(u: Series) -> Series:
    """``exp(u) - 1``."""
    return constant(_first(u).expm1()) if flint().ctx.cap == 1 else u.exp() - one()


def log1p(u: Series) -> Series:
    """``log(1 + u)``."""
    return constant(_first(u).log1p()) if flint().ctx.cap == 1 else log(u + one())


def sigmoid(u: Series) -> Series:
    """``1 / (1 + exp(-u))``."""
    return divide(one(), one() + (-u).exp())


def softplus(u: Series) -> Series:
    """``log(1 + exp(u))``."""
    return log(one() + u.exp())


def asin(u: Series) -> Series:
    """Arc sine; at the ends of its range, where it is steep, only values are known."""
    if abs(_first(u)) < 1:
        return u.asin()
    below = root(constant(1 - _first(u) ** 2))[0]
    return unknown(2 * (_first(u) / (1 + below)).atan())


def acos(u: Series) -> Series:
    """Arc cosine."""
    return constant(flint().arb.pi() / 2) - asin(u)


def asinh(u: Series) -> Series:
    """Inverse of sinh, by the form that does not cancel."""
    if _first(u) < 0:
        return -asinh(-u)
    return log(u + root(u * u + one()))


def acosh(u: Series) -> Series:
    """Inverse of cosh."""
    return log(u + root(u - one()) * root(u + one()))


def atanh(u: Series) -> Series:
    """Inverse of tanh."""
    return log(divide(one() + u, one() - u)) / 2


def cbrt(u: Series) -> Series:
    """Cube root, that of a negative number negative."""
    if _first(u) < 0:
        return -cbrt(-u)
    third = Fraction(1, 3)
    if _first(u) >= 0:
        return power_series(u, third)
    size = power_series(constant(abs(_first(u)).upper()), third)[0]
    return unknown(size.union(-size))


def erfinv(u: Series) -> Series:
    """Inverse of erf: ``y' = sqrt(pi) / 2 exp(y^2) u'``, one more coefficient of y for each of the right side."""
    module = flint()
    cap, half = module.ctx.cap, module.arb.pi().sqrt() / 2
    y, slope = [_first(u).erfinv()], [(k + 1) * u[k + 1] for k in range(cap - 1)]
    for k in range(cap - 1):
        known = series_of(y)
        factor = (known * known).exp()
        y.append(half * sum((factor[j] * slope[k - j] for j in range(k + 1)), module.arb(0)) / (k + 1))
    return series_of(y)


def where(u: Series, below: Series, otherwise: Series) -> Series:
    """`below` where u is negative, elsewhere the other; both values where that is not certain."""
    if _first(u) < 0:
        return below
    return otherwise if _first(u) >= 0 else unknown(_first(below).union(_first(otherwise)))
