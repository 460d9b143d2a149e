"""Numbers scaled by powers of two, rounded to the safe side where they leave the range of float64."""

from __future__ import annotations

import math

from infimum.errors import RangeError


def scale_back(value: float, exponent: int, toward: float) -> float:
    """``value * 2**exponent``, rounded towards `toward` (0 or infinity) where subnormal numbers lose digits."""
    if exponent == 0:
        return value
    try:
        scaled = math.ldexp(value, exponent)
    except OverflowError:
        raise RangeError(
            f"the norm is about {value:.3g} * 2**{exponent}, beyond the range of float64; scale the input down first"
        ) from None
    # only a subnormal number has lost digits: its mantissa and exponent tell on which side of the value it came out
    (kept, power), (mantissa, exact) = math.frexp(scaled), math.frexp(value)
    back = math.ldexp(kept, power - exponent - exact)
    passed = back < mantissa if toward > value else back > mantissa
    return math.nextafter(scaled, toward) if passed else scaled


def share_of(count: int) -> float:
    """Return a power of two by which so many numbers can be multiplied so that their sum does not overflow."""
    return 2.0 ** -count.bit_length()
