"""Exact conversion between bases: every coefficient is a rational number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np


def monomials(expansion: np.ndarray, interval: tuple[float, float], divisor: int = 1) -> list[Fraction]:
    """Coefficients in powers of t of ``sum_k c_k T_k(u)``, u the affine image in [-1, 1] of t in `interval`."""
    return chebyshev_monomials(exact_sums(expansion, divisor), interval)


def chebyshev_monomials(columns: list[Fraction], interval: tuple[float, float]) -> list[Fraction]:
    """Do the same for coefficients that are rational numbers."""
    low, high = map(Fraction, interval)
    slope, offset = 2 / (high - low), -(low + high) / (high - low)
    # Clenshaw's recurrence on polynomials in t
    later: list[Fraction] = []
    last: list[Fraction] = []
    for c in reversed(columns[1:]):
        later, last = _plus(_minus(_affine(later, 2 * slope, 2 * offset), last), c), later
    total = _plus(_minus(_affine(later, slope, offset), last), columns[0])
    return [*total, *[Fraction(0)] * (len(columns) - len(total))]


def clenshaw(coefficients: Sequence[float], u: Any) -> Any:
    """Sum ``c_k T_k(u)`` for an array of any library."""
    later = last = u * 0
    for c in reversed(coefficients[1:]):
        later, last = 2 * u * later - last + c, later
    return u * later - last + coefficients[0]


def chebyshev_value(coefficients: list[Fraction], u: Fraction) -> Fraction:
    """Sum ``c_k T_k(u)`` without rounding: Clenshaw's recurrence on whole numbers, with one denominator at the end."""
    top, bottom = u.numerator, u.denominator
    scale = math.lcm(*(c.denominator for c in coefficients))
    whole = [int(c * scale) for c in coefficients]
    later = last = 0
    power = 1  # of the denominator: later and last stand for themselves over it, and over the one before
    for c in reversed(whole[1:]):
        later, last = 2 * top * later - bottom * bottom * last + c * power, later
        power *= bottom
    return Fraction(top * later - bottom * bottom * last + whole[0] * power, scale * power)


def exact_sums(expansion: np.ndarray, divisor: int = 1) -> list[Fraction]:
    """Sum the parts of every coefficient, over a common divisor."""
    return [sum((Fraction(value) for value in column), Fraction(0)) / divisor for column in expansion.T.tolist()]


def rounded_sums(expansion: np.ndarray, divisor: int = 1) -> list[float]:
    """Sum the parts of every coefficient, with one rounding: parts that cancel leave what they stand for."""
    if len(expansion) == 1 == divisor:
        return [float(value) for value in expansion[0].tolist()]
    return [float(total) for total in exact_sums(expansion, divisor)]


def _affine(p: list[Fraction], slope: Fraction, offset: Fraction) -> list[Fraction]:
    """``(slope t + offset) p(t)``."""
    if not p:
        return []
    low = [offset * c for c in p] + [Fraction(0)]
    return [a + b for a, b in zip(low, [Fraction(0), *(slope * c for c in p)], strict=True)]


def _minus(p: list[Fraction], q: list[Fraction]) -> list[Fraction]:
    size = max(len(p), len(q))
    pad = [*p, *[Fraction(0)] * (size - len(p))], [*q, *[Fraction(0)] * (size - len(q))]
    return [a - b for a, b in zip(*pad, strict=True)]


def _plus(p: list[Fraction], constant: Fraction) -> list[Fraction]:
    return [p[0] + constant, *p[1:]] if p else [constant]
