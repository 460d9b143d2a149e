"""Ball arithmetic (python-flint): the context of a computation, and floats that enclose a ball.

python-flint is an optional package, so it is imported by the functions that need it.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any, TypeAlias

from infimum._arguments import optional

Ball: TypeAlias = Any  # flint.arb
Series: TypeAlias = Any  # flint.arb_series
LARGEST = math.ldexp(2.0**53 - 1.0, 971)
SMALLEST_EXPONENT = -1074


def flint() -> Any:
    """Return the module python-flint; name the pip command when it is missing."""
    return optional("flint", "enclosures")


def available() -> bool:
    """Tell whether python-flint is installed."""
    try:
        flint()
    except ImportError:
        return False
    return True


@contextlib.contextmanager
def working(bits: int, terms: int = 1) -> Iterator[Any]:
    """Compute with so many bits and so many terms of a power series; yields the module python-flint."""
    module = flint()
    before = module.ctx.prec, module.ctx.cap
    module.ctx.prec, module.ctx.cap = bits, terms
    try:
        yield module
    finally:
        module.ctx.prec, module.ctx.cap = before


def float_below(ball: Ball) -> float:
    """Largest float that no number of the ball lies below; minus infinity for a ball without bounds."""
    if not ball.is_finite():
        return -math.inf
    mantissa, exponent = (int(part) for part in ball.lower().man_exp())
    surplus = max(mantissa.bit_length() - 53, SMALLEST_EXPONENT - exponent, 0)
    mantissa >>= surplus  # Python's shift rounds downwards, for negative numbers too
    exponent += surplus
    if mantissa and mantissa.bit_length() + exponent > 1024:
        return LARGEST if mantissa > 0 else -math.inf
    return math.ldexp(mantissa, exponent)


def float_above(ball: Ball) -> float:
    """Least float that no number of the ball lies above; infinity for a ball without bounds."""
    return -float_below(-ball) + 0.0  # not minus zero


def hull(low: float, high: float) -> tuple[Ball, Ball]:
    """Return exact centre and radius, balls of radius 0, of an interval that contains ``[low, high]``."""
    arb = flint().arb
    centre = ((arb(low) + arb(high)) / 2).mid()
    radius = (arb(high) - centre).max(centre - arb(low)).upper()
    return centre, radius
