"""The best single step ``x q(x**r)`` towards 1 on an interval: Remez's exchange, in rational arithmetic.

After a few steps the interval is narrower than the spacing of double precision while its nodes, relative to its width,
need few digits. So the algebra is rational and only the places of the extrema are floats. As the width w tends to 0,
the places of the extrema tend to those of a Chebyshev polynomial and q to a Taylor polynomial, both at a distance O(w).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from infimum.proof.theorems import composition

EXCHANGES = 30
SETTLED = 1e-9  # the levelled error is stationary in the nodes: this leaves a relative 1e-17
NARROW = Fraction(1, 10**9)  # where the limit of the nodes is as good
INVISIBLE = Fraction(1, 2**60)  # where double precision cannot tell q from its limit


def best_step(interval: composition.Interval, power: int, terms: int) -> list[Fraction]:
    """Coefficients of the q that minimises ``max(abs(1 - x * q(x**power)))`` over an interval."""
    low, high = interval
    width = 1 - low / high
    if width < INVISIBLE:
        ascending = _monomial([_binomial(power, k) for k in range(terms)], [Fraction(1)] * terms)
    else:
        _, newton, t = _levelled(_short_ratio(width, terms), power, _nodes(width, power, terms))
        ascending = _monomial(newton, t)
    return [c / high ** (power * k + 1) for k, c in enumerate(ascending)]


def best_nodes(lower: Fraction, upper: Fraction, power: int, terms: Sequence[int]) -> list[list[float]]:
    """Nodes of `composition.floors` at the extrema of the best steps: there the bound is the optimum to rounding."""
    nodes: list[list[float]] = []
    width = 1 - lower / upper
    for count in terms:
        nodes.append(_nodes(width, power, count))
        width = composition.width_left(composition.floors(1 - width, Fraction(1), power, nodes[-1:])[0])
    return nodes


def _nodes(width: Fraction, power: int, terms: int) -> list[float]:
    """Places of the extrema of the best step on [1 - width, 1], from 0 to 1.

    The derivative of ``x q(x**power)`` is a polynomial of degree ``terms - 1`` in ``x**power``. A levelled error has
    `terms` zeros, so that all roots of the derivative are real and lie between those: together with the ends they are
    the next reference, whose errors alternate. No extremum is missed and no search is needed.
    """
    places = (1.0 - np.cos(np.pi * np.arange(terms + 1) / terms)) / 2.0
    low = _short_ratio(width, terms)
    for _ in range(0 if width < NARROW else EXCHANGES):
        _, newton, t = _levelled(low, power, places)
        slope = _local_slope(newton, t, power, low)
        roots = np.sort(np.roots(slope[::-1]).real)
        # from t = low^r + (1 - low^r) v to the place of x between low and 1
        inner = [_place(float(v), low, power) for v in roots]
        found = np.array([0.0, *inner, 1.0])
        settled = np.max(np.abs(found - places)) <= SETTLED
        places = found
        if settled:
            break
    return [float(place) for place in places]


def _levelled(
    low: Fraction, power: int, places: Sequence[float] | np.ndarray
) -> tuple[Fraction, list[Fraction], list[Fraction]]:
    """Return the levelled error, the divided differences of q, and their points ``x**power``."""
    x = [low + (1 - low) * Fraction(float(place)) for place in places]
    t = [_short(point**power, len(x)) for point in x]
    # q(t_k) x_k = 1 - (-1)^k h, and the highest divided difference of q vanishes
    ones = _differences(t, [1 / point for point in x])[-1]
    signs = _differences(t, [(-1) ** k / point for k, point in enumerate(x)])[-1]
    h = ones / signs
    q = _differences(t[:-1], [(1 - (-1) ** k * h) / point for k, point in enumerate(x[:-1])])
    return h, [_short(c, len(x)) for c in q], t[:-1]


def _differences(t: Sequence[Fraction], values: Sequence[Fraction]) -> list[Fraction]:
    column, top = list(values), [values[0]]
    for order in range(1, len(t)):
        slopes = ((b - a) / (t[k + order] - t[k]) for k, (a, b) in enumerate(itertools.pairwise(column)))
        column = [_short(slope, len(t)) for slope in slopes]
        top.append(column[0])
    return top


def _monomial(newton: Sequence[Fraction], t: Sequence[Fraction]) -> list[Fraction]:
    """Turn divided differences into ascending coefficients."""
    ascending = [newton[-1]]
    for c, point in list(zip(newton[:-1], t, strict=False))[::-1]:
        shifted = [Fraction(0), *ascending]
        ascending = [a - point * b for a, b in zip(shifted, [*ascending, Fraction(0)], strict=True)]
        ascending[0] += c
    return ascending


def _local_slope(newton: Sequence[Fraction], t: Sequence[Fraction], power: int, low: Fraction) -> np.ndarray:
    """Ascending coefficients of ``q + power * t * q'`` in ``v``, with ``t = low**power + (1 - low**power) * v``."""
    start = low**power
    span = 1 - start
    q = _monomial([c * span**k for k, c in enumerate(newton)], [(point - start) / span for point in t])
    derivative = [k * c for k, c in enumerate(q)][1:]
    slope = list(q)
    for k, d in enumerate(derivative):  # t q'(t) = (start / span + v) dq/dv
        slope[k] += power * start / span * d
        slope[k + 1] += power * d
    largest = max(map(abs, slope))
    return np.array([float(c / largest) for c in slope])


def _place(v: float, low: Fraction, power: int) -> float:
    """Place of x in [low, 1] whose power lies at v between the powers of the ends."""
    start = low**power
    width = float(1 - low)
    if width > 0.5:
        x = math.pow(float(start + (1 - start) * Fraction(v)), 1.0 / power)
        return (x - float(low)) / width
    # 1 - x = 1 - (1 - (1 - start)(1 - v))^(1/power), without cancellation
    below = float(1 - start) * (1.0 - v)
    return 1.0 + float(np.expm1(np.log1p(-below) / power)) / width


def _binomial(power: int, k: int) -> Fraction:
    """Taylor's coefficients of ``t ** (-1 / power)`` at 1."""
    return math.prod((Fraction(-1, power) - j for j in range(k)), start=Fraction(1)) / math.factorial(k)


def _short_ratio(width: Fraction, terms: int) -> Fraction:
    """Lower end of an interval of that width below 1, shortened without loss where it or the width is small."""
    return _short(1 - width, terms) if 2 * width > 1 else 1 - _short(width, terms)


def _short(number: Fraction, terms: int) -> Fraction:
    """Round to as many bits as divided differences of so many points may lose, and 128 more; exact fractions grow."""
    if number == 0:
        return number
    shift = 128 + 64 * terms - number.numerator.bit_length() + number.denominator.bit_length()
    return round(number * Fraction(2) ** shift) / Fraction(2) ** shift
