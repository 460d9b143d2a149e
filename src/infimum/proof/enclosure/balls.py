"""Ball arithmetic (python-flint): the context of a computation, and floats that enclose a ball.

Precision and length of series are the process's in python-flint, not a thread's. So there is one lock: `working` holds
it while its block runs and gives the user's context back afterwards, and outside of such a block the module cannot be
had. python-flint is an optional package, so it is imported by the functions that need it.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Iterator
from typing import Any, TypeAlias

from infimum._arguments import optional

Ball: TypeAlias = Any  # flint.arb
Series: TypeAlias = Any  # flint.arb_series
LARGEST = math.ldexp(2.0**53 - 1.0, 971)
SMALLEST_EXPONENT = -1074


_lock = threading.RLock()
_inside: tuple[int, Any] | None = None  # the thread in a block of `working`, and python-flint
if hasattr(os, "register_at_fork"):  # a child process must not inherit the lock of a thread that it does not have
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def available() -> bool:
    """Tell whether python-flint is installed."""
    try:
        optional("flint", "enclosures")
    except ImportError:
        return False
    return True


@contextlib.contextmanager
def working(bits: int, terms: int = 1) -> Iterator[Any]:
    """Compute with so many bits and so many terms of a power series; yields the module python-flint.

    Balls are computed inside the block, and leave it as floats: any operation rounds to the precision of the moment.
    Other threads wait at the door, so that nothing in the block may wait for another thread.
    """
    global _inside
    module = optional("flint", "enclosures")
    with _lock:
        context, outer = module.ctx, _inside
        before = context.prec, context.cap
        try:
            _inside = threading.get_ident(), module
            context.prec, context.cap = bits, terms
            yield module
        finally:
            context.prec, context.cap = before
            _inside = outer


def flint() -> Any:
    """Return the module python-flint inside of a block of `working`; elsewhere its precision would be anybody's."""
    inside = _inside
    if inside is None or inside[0] != threading.get_ident():
        raise RuntimeError("ball arithmetic outside of `working`: another thread could change its precision")
    return inside[1]


def float_below(ball: Ball) -> float:
    """Largest float that no number of the ball lies below; minus infinity for a ball without bounds."""
    if not ball.is_finite():
        return -math.inf
    flint()  # the lower end is rounded to the precision of the context
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
