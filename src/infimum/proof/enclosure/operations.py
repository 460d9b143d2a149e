"""The operations of which expressions are made: each in double precision and on power series over balls.

A series keeps to `flint.ctx.cap` terms. What cannot be enclosed is NaN, never a guess: a division by a ball that
contains 0, a logarithm of one. ``sqrt`` and real powers are those of the part of the ball where they are defined.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import scipy.special

from infimum.proof.enclosure.balls import Ball, Series, flint


class Operation(NamedTuple):
    """One operation: number of operands, evaluation by NumPy and on series, and whether an expression may name it."""

    arity: int
    numpy: Callable[..., Any]
    series: Callable[..., Series]
    public: bool = True


# ------------------------------------------------------------------ series


def _series(coefficients: list[Ball]) -> Series:
    return flint().arb_series(coefficients)


def _constant(ball: Ball) -> Series:
    return _series([ball])


def constant_series(number: Fraction) -> Series:
    """Return a rational number as a series."""
    module = flint()
    return _constant(module.arb(module.fmpq(number.numerator, number.denominator)))


def _unknown(*leading: Ball) -> Series:
    """Return a series with these first coefficients and nothing known of the others."""
    module = flint()
    cap = module.ctx.cap
    return _series([*leading, *[module.arb.nan()] * cap][:cap])


def _first(u: Series) -> Ball:
    return u[0]


def _divide(u: Series, v: Series) -> Series:
    if _first(v).contains(0):
        return _unknown()
    return u / v


def _positive_only(inside: Callable[[Series], Series], at_zero: Callable[[Ball], Ball]) -> Callable[[Series], Series]:
    """Apply a function of positive numbers; where the ball reaches 0, only its range over the rest is known."""

    def apply(u: Series) -> Series:
        first = _first(u)
        return inside(u) if first > 0 else _unknown(at_zero(first))

    return apply


def _sqrt_range(ball: Ball) -> Ball:
    return ball.nonnegative_part().sqrt() if ball >= 0 or ball.contains(0) else flint().arb.nan()


def _log_range(ball: Ball) -> Ball:
    return flint().arb.nan()


_sqrt = _positive_only(lambda u: u.sqrt(), _sqrt_range)
_log = _positive_only(lambda u: u.log(), _log_range)


def power_series(u: Series, exponent: Fraction) -> Series:
    """Raise to a constant power."""
    if exponent.denominator == 1:
        return _whole_power(u, int(exponent))
    if exponent == Fraction(1, 2):
        return _sqrt(u)
    module = flint()
    power = module.arb(module.fmpq(exponent.numerator, exponent.denominator))

    def at_zero(ball: Ball) -> Ball:
        if exponent < 0 or not ball.contains(0):
            return module.arb.nan()
        top = ball.upper()
        return module.arb(0).union(top**power if top > 0 else module.arb(0))

    return _positive_only(lambda v: (v.log() * _constant(power)).exp(), at_zero)(u)


def _whole_power(u: Series, exponent: int) -> Series:
    if exponent < 0:
        return _divide(constant_series(Fraction(1)), _whole_power(u, -exponent))
    result = constant_series(Fraction(1))
    for bit in bin(exponent)[2:]:
        result = result * result
        if bit == "1":
            result = result * u
    return result


def _abs(u: Series) -> Series:
    first = _first(u)
    if first > 0 or u.length() == 0:
        return u
    if first < 0:
        return -u
    slope = u[1] if u.length() > 1 else flint().arb(0)
    return _unknown(abs(first), slope.union(-slope))


def _sign(u: Series) -> Series:
    first = _first(u)
    if first > 0 or first < 0:
        return constant_series(Fraction(1 if first > 0 else -1))
    return _unknown(flint().arb(-1).union(flint().arb(1)))


def _maximum(u: Series, v: Series) -> Series:
    difference = u - v
    if _first(difference) > 0:
        return u
    if _first(difference) < 0:
        return v
    return (u + v + _abs(difference)) / 2


def _minimum(u: Series, v: Series) -> Series:
    return -_maximum(-u, -v)


def _one() -> Series:
    return constant_series(Fraction(1))


def _tanh(u: Series) -> Series:
    if flint().ctx.cap == 1:
        return _constant(_first(u).tanh())
    return _one() - _divide(constant_series(Fraction(2)), (2 * u).exp() + _one())


def _sinh(u: Series) -> Series:
    if flint().ctx.cap == 1:
        return _constant(_first(u).sinh())
    return (u.exp() - (-u).exp()) / 2


def _cosh(u: Series) -> Series:
    return (u.exp() + (-u).exp()) / 2


def _expm1(u: Series) -> Series:
    return _constant(_first(u).expm1()) if flint().ctx.cap == 1 else u.exp() - _one()


def _log1p(u: Series) -> Series:
    return _constant(_first(u).log1p()) if flint().ctx.cap == 1 else _log(u + _one())


def _sigmoid(u: Series) -> Series:
    return _divide(_one(), _one() + (-u).exp())


def _softplus(u: Series) -> Series:
    return _log(_one() + u.exp())


def _half_plus(u: Series) -> Series:
    return (_one() + u) / 2


def _gelu(u: Series) -> Series:
    return u * (-u * _constant(flint().arb(2).rsqrt())).erfc() / 2


def _gelu_tanh(u: Series) -> Series:
    module = flint()
    inner = u + u * u * u * _constant(module.arb(module.fmpq(44715, 1_000_000)))
    return u * _half_plus(_tanh(_constant((2 / module.arb.pi()).sqrt()) * inner))


def _mish(u: Series) -> Series:
    return u * _tanh(_softplus(u))


def _pi() -> Series:
    return _constant(flint().arb.pi())


def _e() -> Series:
    return _constant(flint().arb.const_e())


def _general_power(u: Series, v: Series) -> Series:
    return (v * _log(u)).exp()


# ------------------------------------------------------------------ double precision


def _numpy_gelu_tanh(u: Any) -> Any:
    return 0.5 * u * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (u + 0.044715 * u**3)))


def _numpy_softplus(u: Any) -> Any:
    return np.logaddexp(0.0, u)


def _hyperbolic(name: str, series: Callable[[Series], Series]) -> Operation:
    return Operation(1, getattr(np, name), series)


def _method(name: str, numpy: Callable[..., Any] | None = None) -> Operation:
    return Operation(1, numpy or getattr(np, name), lambda u: getattr(u, name)())


def _quotient(top: str, bottom: str) -> Callable[[Series], Series]:
    return lambda u: _divide(getattr(u, top)(), getattr(u, bottom)())


OPERATIONS: dict[str, Operation] = {
    "add": Operation(2, np.add, lambda u, v: u + v, public=False),
    "sub": Operation(2, np.subtract, lambda u, v: u - v, public=False),
    "mul": Operation(2, np.multiply, lambda u, v: u * v, public=False),
    "div": Operation(2, np.divide, _divide, public=False),
    "neg": Operation(1, np.negative, lambda u: -u, public=False),
    "power": Operation(2, np.power, _general_power, public=False),
    "pi": Operation(0, lambda: np.pi, _pi, public=False),
    "e": Operation(0, lambda: np.e, _e, public=False),
    "exp": _method("exp"),
    "exp2": Operation(1, np.exp2, lambda u: (u * _constant(flint().arb.const_log2())).exp()),
    "sin": _method("sin"),
    "cos": _method("cos"),
    "tan": Operation(1, np.tan, _quotient("sin", "cos")),
    "atan": _method("atan", np.arctan),
    "erf": _method("erf", scipy.special.erf),
    "erfc": _method("erfc", scipy.special.erfc),
    "log": Operation(1, np.log, _log),
    "log2": Operation(1, np.log2, lambda u: _log(u) / _constant(flint().arb.const_log2())),
    "sqrt": Operation(1, np.sqrt, _sqrt),
    "tanh": _hyperbolic("tanh", _tanh),
    "sinh": _hyperbolic("sinh", _sinh),
    "cosh": _hyperbolic("cosh", _cosh),
    "expm1": _hyperbolic("expm1", _expm1),
    "log1p": _hyperbolic("log1p", _log1p),
    "abs": Operation(1, np.abs, _abs),
    "sign": Operation(1, np.sign, _sign),
    "relu": Operation(1, lambda u: np.maximum(u, 0.0), lambda u: _maximum(u, constant_series(Fraction(0)))),
    "max": Operation(2, np.maximum, _maximum),
    "min": Operation(2, np.minimum, _minimum),
    "sigmoid": Operation(1, scipy.special.expit, _sigmoid),
    "softplus": Operation(1, _numpy_softplus, _softplus),
    "gelu": Operation(1, lambda u: u * scipy.special.ndtr(u), _gelu),
    "gelu_tanh": Operation(1, _numpy_gelu_tanh, _gelu_tanh),
    "silu": Operation(1, lambda u: u * scipy.special.expit(u), lambda u: u * _sigmoid(u)),
    "mish": Operation(1, lambda u: u * np.tanh(_numpy_softplus(u)), _mish),
}
