"""Coefficients that are given: rational numbers, exactly, and the function that is left to approximate."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from infimum.errors import OptionError
from infimum.proof.enclosure.expressions import Expression
from infimum.proof.enclosure.functions import BlackBox, Function
from infimum.proof.enclosure.piecewise import Piecewise
from infimum.proof.enclosure.spaces import LARGEST_DEGREE
from infimum.proof.evidence import shown

Number: TypeAlias = int | float | Fraction | str | np.integer | np.floating | tuple[float, float]
Fixed = tuple[tuple[int, Fraction], ...]
LONGEST_NUMBER = 2000  # characters
TEXT = re.compile(r"[+-]?\d+(\.\d*)?(e[+-]?\d{1,3})?(/\d+)?", re.ASCII)


def as_number(item: Any, name: str) -> Fraction:
    """Return a number without any rounding: int, float of any precision, Fraction, text, or a pair that is a sum."""
    if isinstance(item, tuple | list) and len(item) == 2:
        return as_number(item[0], name) + as_number(item[1], name)
    if isinstance(item, str) and len(item) <= LONGEST_NUMBER and TEXT.fullmatch(item):
        top, _, bottom = item.partition("/")
        if not bottom or int(bottom):
            return Fraction(top) / Fraction(bottom or 1)
    item = int(item) if isinstance(item, np.integer) else item
    if isinstance(item, int | float | Fraction | np.floating) and not isinstance(item, bool):
        try:
            return Fraction(*item.as_integer_ratio())
        except (ValueError, OverflowError):
            pass  # not finite
    raise OptionError(
        f"{name} must be an int, a finite float, a Fraction, text such as '1/3', or a pair (high, low) of floats that "
        f"is their sum, got {shown(item)}"
    )


def as_fixed(fixed: Any) -> Fixed:
    """Return coefficients ``{power: value}`` as exact numbers, in increasing powers."""
    pairs = list(fixed.items()) if isinstance(fixed, Mapping) else fixed
    if not isinstance(pairs, Sequence) or isinstance(pairs, str) or not all(_is_pair(pair) for pair in pairs):
        raise OptionError(f"fixed must be a mapping {{power: value}}, got {shown(fixed)}")
    powers = [power for power, _ in pairs]
    for power in powers:
        if isinstance(power, bool) or not isinstance(power, int | np.integer) or not 0 <= power <= LARGEST_DEGREE:
            raise OptionError(f"every power of fixed must be a whole number from 0 to {LARGEST_DEGREE}, got {power!r}")
    if len(set(powers)) < len(powers):
        raise OptionError(f"the powers of fixed must be different, got {shown(powers)}")
    return tuple(sorted((int(power), as_number(value, f"fixed[{power}]")) for power, value in pairs))


def _is_pair(item: Any) -> bool:
    return isinstance(item, tuple | list) and len(item) == 2


def texts(fixed: Fixed) -> tuple[tuple[int, str], ...]:
    """Return the same with numbers as text, which `as_fixed` reads back."""
    return tuple((power, str(value)) for power, value in fixed)


def next_power(fixed: Fixed) -> int:
    """Return the power after the highest that is given; 0 where none is."""
    return fixed[-1][0] + 1 if fixed else 0


def fixed_value(fixed: Fixed, x: Any) -> Any:
    """Evaluate at an array of any library, in its precision, by Horner's rule."""
    value, above = x * 0.0, 0
    for power, c in reversed(fixed):
        value = (value * x ** (above - power) if above else value) + float(c)
        above = power
    return value * x**above


def size_of_terms(fixed: Fixed, x: np.ndarray) -> np.ndarray:
    """Sum the moduli of the terms, with a factor for what Horner's rule in doubles loses of them at high powers."""
    terms = [abs(float(value)) * np.abs(x) ** power for power, value in fixed]
    return np.asarray((1.0 + fixed[-1][0] / 8.0) * np.sum(terms, axis=0))


def without(function: Function, fixed: Fixed) -> Function:
    """Return the function less a polynomial: what the other coefficients have to approximate."""
    if isinstance(function, Expression):
        for power, value in fixed:
            function = Expression("sub", (function, _term(power, value)))
        return function
    polynomial = np.zeros(fixed[-1][0] + 1)
    polynomial[[power for power, _ in fixed]] = [float(value) for _, value in fixed]

    def values(x: np.ndarray) -> np.ndarray:
        return np.asarray(function(x) - np.polynomial.polynomial.polyval(x, polynomial))

    if isinstance(function, BlackBox):
        return BlackBox(values, function.nodes)
    pieces = tuple(_less(base, coefficients, fixed) for base, coefficients in function.pieces)
    return Piecewise(function.name, function.nodes, pieces, values, function.domain)


def _term(power: int, value: Fraction) -> Expression:
    number = Expression("number", number=value)
    if not power:
        return number
    return Expression("mul", (number, Expression("pow", (Expression("x"),), Fraction(power))))


def _less(base: Fraction, coefficients: tuple[Fraction, ...], fixed: Fixed) -> tuple[Fraction, tuple[Fraction, ...]]:
    """Subtract a polynomial from one in powers of ``x - base``: Horner's rule about the base."""
    dense = dict(fixed)
    shifted: list[Fraction] = []
    for power in range(fixed[-1][0], -1, -1):
        raised = [Fraction(0), *shifted]
        for k, c in enumerate(shifted):
            raised[k] += base * c
        raised[0] += dense.get(power, Fraction(0))
        shifted = raised
    size = max(len(shifted), len(coefficients))
    padded = [[*c, *[Fraction(0)] * (size - len(c))] for c in (coefficients, shifted)]
    return base, tuple(a - b for a, b in zip(*padded, strict=True))
