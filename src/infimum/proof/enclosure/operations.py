"""The operations of which expressions are made: each in double precision and on power series over balls."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import scipy.special

from infimum.proof.enclosure import series
from infimum.proof.enclosure.balls import Series, flint
from infimum.proof.enclosure.series import constant, constant_series, divide, log


class Operation(NamedTuple):
    """One operation: number of operands, evaluation by NumPy and on series, and whether an expression may name it."""

    arity: int
    numpy: Callable[..., Any]
    series: Callable[..., Series]
    public: bool = True


def _half_plus(u: Series) -> Series:
    return (series.one() + u) / 2


def _gelu(u: Series) -> Series:
    return u * (-u * constant(flint().arb(2).rsqrt())).erfc() / 2


def _gelu_tanh(u: Series) -> Series:
    module = flint()
    inner = u + u * u * u * constant(module.arb(module.fmpq(44715, 1_000_000)))
    return u * _half_plus(series.tanh(constant((2 / module.arb.pi()).sqrt()) * inner))


def _mish(u: Series) -> Series:
    return u * series.tanh(series.softplus(u))


def _pi() -> Series:
    return constant(flint().arb.pi())


def _e() -> Series:
    return constant(flint().arb.const_e())


def _general_power(u: Series, v: Series) -> Series:
    return (v * log(u)).exp()


# ------------------------------------------------------------------ double precision


def _numpy_gelu_tanh(u: Any) -> Any:
    return 0.5 * u * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (u + 0.044715 * u**3)))


def _numpy_softplus(u: Any) -> Any:
    return np.logaddexp(0.0, u)


def _method(name: str, numpy: Callable[..., Any] | None = None) -> Operation:
    return Operation(1, numpy or getattr(np, name), lambda u: getattr(u, name)())


def _quotient(top: str, bottom: str) -> Callable[[Series], Series]:
    return lambda u: divide(getattr(u, top)(), getattr(u, bottom)())


OPERATIONS: dict[str, Operation] = {
    "add": Operation(2, np.add, lambda u, v: u + v, public=False),
    "sub": Operation(2, np.subtract, lambda u, v: u - v, public=False),
    "mul": Operation(2, np.multiply, lambda u, v: u * v, public=False),
    "div": Operation(2, np.divide, divide, public=False),
    "neg": Operation(1, np.negative, lambda u: -u, public=False),
    "power": Operation(2, np.power, _general_power, public=False),
    "pi": Operation(0, lambda: np.pi, _pi, public=False),
    "e": Operation(0, lambda: np.e, _e, public=False),
    "exp": _method("exp"),
    "exp2": Operation(1, np.exp2, lambda u: (u * constant(flint().arb.const_log2())).exp()),
    "sin": _method("sin"),
    "cos": _method("cos"),
    "tan": Operation(1, np.tan, _quotient("sin", "cos")),
    "atan": _method("atan", np.arctan),
    "erf": _method("erf", scipy.special.erf),
    "erfc": _method("erfc", scipy.special.erfc),
    "log": Operation(1, np.log, log),
    "log2": Operation(1, np.log2, lambda u: log(u) / constant(flint().arb.const_log2())),
    "log10": Operation(1, np.log10, lambda u: log(u) / constant(flint().arb.const_log10())),
    "cbrt": Operation(1, np.cbrt, series.cbrt),
    "asin": Operation(1, np.arcsin, series.asin),
    "acos": Operation(1, np.arccos, series.acos),
    "asinh": Operation(1, np.arcsinh, series.asinh),
    "acosh": Operation(1, np.arccosh, series.acosh),
    "atanh": Operation(1, np.arctanh, series.atanh),
    "erfinv": Operation(1, scipy.special.erfinv, series.erfinv),
    "gamma": _method("gamma", scipy.special.gamma),
    "lgamma": _method("lgamma", lambda u: np.where(u > 0.0, scipy.special.gammaln(u), np.nan)),
    "where": Operation(3, lambda d, a, b: np.where(d < 0.0, a, b), series.where, public=False),
    "sqrt": Operation(1, np.sqrt, series.root),
    "tanh": Operation(1, np.tanh, series.tanh),
    "sinh": Operation(1, np.sinh, series.sinh),
    "cosh": Operation(1, np.cosh, series.cosh),
    "expm1": Operation(1, np.expm1, series.expm1),
    "log1p": Operation(1, np.log1p, series.log1p),
    "abs": Operation(1, np.abs, series.modulus),
    "sign": Operation(1, np.sign, series.sign),
    "relu": Operation(1, lambda u: np.maximum(u, 0.0), lambda u: series.maximum(u, constant_series(Fraction(0)))),
    "max": Operation(2, np.maximum, series.maximum),
    "min": Operation(2, np.minimum, series.minimum),
    "sigmoid": Operation(1, scipy.special.expit, series.sigmoid),
    "softplus": Operation(1, _numpy_softplus, series.softplus),
    "gelu": Operation(1, lambda u: u * scipy.special.ndtr(u), _gelu),
    "gelu_tanh": Operation(1, _numpy_gelu_tanh, _gelu_tanh),
    "silu": Operation(1, lambda u: u * scipy.special.expit(u), lambda u: u * series.sigmoid(u)),
    "mish": Operation(1, lambda u: u * np.tanh(_numpy_softplus(u)), _mish),
}

# activations with kinks, in terms of the others; x stands for the argument
COMPOSED = {
    "elu": "where(x < 0, expm1(x), x)",
    "selu": "1.0507009873554804934193349852946 * where(x < 0, 1.6732632423543772848170429916717 * expm1(x), x)",
    "relu6": "min(max(x, 0), 6)",
    "hardsigmoid": "min(max(x + 3, 0), 6) / 6",
    "hardswish": "x * min(max(x + 3, 0), 6) / 6",
}
