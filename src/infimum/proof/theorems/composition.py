"""Compositions of polynomials x q(x^r) that should send an interval to 1: what any of them, and a given one, can do.

Statements and proofs: docs/theorems/composition.md. Rational arithmetic throughout: nothing is lost to rounding but
where a comment says so, and there to the safe side.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from infimum.errors import RangeError, VerificationError
from infimum.proof import evidence

THEOREM = "composition"

MAX_STEPS, MAX_TERMS, MAX_POWER = 100, 8, 12  # exact arithmetic takes seconds beyond
BITS = 512  # kept of an end of an interval; it is rounded outwards
GRID = 2048  # and no bit below 2**-GRID, which no float can tell from 0
RANGE = Fraction(sys.float_info.max)
DEPTH = 64  # an extreme value is overestimated by at most this many binary digits below the spread of the polynomial
LEAST_NODE = 2.0**-400  # above 0; nearer to 0, digits only cost time

Interval = tuple[Fraction, Fraction]


def step_bound(points: Sequence[Fraction], power: int) -> Fraction:
    """Lower bound on ``max(abs(1 - x * q(x**power)))`` for every polynomial q with one coefficient less than points.

    The points must be positive and increase. The weights annihilate all such ``x * q(x**power)``, so that only 1 is
    left of the weighted sum of errors.
    """
    _increasing("the points of a step", points)
    t = [x**power for x in points]
    weights = [
        1 / (x * math.prod(here - other for j, other in enumerate(t) if j != k))
        for k, (x, here) in enumerate(zip(points, t, strict=True))
    ]
    return abs(sum(weights, Fraction(0))) / sum(map(abs, weights), Fraction(0))


def floors(lower: Fraction, upper: Fraction, power: int, nodes: Sequence[Sequence[float]]) -> list[Fraction]:
    """Lower bounds on the error after 1, 2, ... steps of any composition on [lower, upper].

    `nodes` are the witness: for every step, one number in [0, 1] more than the step has coefficients, increasing. They
    mark the points of the dual bound on the interval [ratio, 1] that is the best a composition so far can have left.
    """
    _interval(lower, upper)
    evidence.whole("power", power, least=1, most=MAX_POWER)
    width, found = 1 - lower / upper, []
    for marks in _listed("nodes", nodes, MAX_STEPS):
        marked = [Fraction(_node(mark)) for mark in _listed("the nodes of a step", marks, MAX_TERMS + 1)]
        _increasing("the nodes of a step", [1 + mark for mark in marked])
        if width == 0:
            found.append(Fraction(0))
            continue
        found.append(step_bound([1 - width * (1 - mark) for mark in marked], power))
        width = width_left(found[-1])
    return found


def width_left(floor: Fraction) -> Fraction:
    """Width of the interval [ratio, 1] that is left where the error is `floor`; narrower, so that bounds stay true."""
    return _rounded(2 * floor / (1 + floor), up=False)


def _node(mark: Any) -> float:
    value = evidence.number("a node", mark, least=0.0, most=1.0)
    return value if value == 0.0 else evidence.number("a node above 0", mark, least=LEAST_NODE)


def _increasing(name: str, numbers: Sequence[Fraction]) -> None:
    if len(numbers) < 2 or numbers[0] <= 0 or any(a >= b for a, b in itertools.pairwise(numbers)):
        raise VerificationError(f"{name} must be at least two, and increase, got {evidence.shown(list(numbers))}")


def _interval(lower: Fraction, upper: Fraction) -> None:
    if not 0 < lower <= upper:
        raise VerificationError(f"lower must be above 0 and at most upper, got [{float(lower)}, {float(upper)}]")


def _listed(name: str, item: Any, most: int) -> list[Any]:
    if not isinstance(item, list | tuple) or not 1 <= len(item) <= most:
        raise VerificationError(f"{name} must be a list of 1 to {most} items, got {evidence.shown(item)}")
    return list(item)


def image(coefficients: Sequence[float], power: int, interval: Interval) -> Interval:
    """Range of ``x * q(x**power)`` over an interval, rounded outwards."""
    degree = power * (len(coefficients) - 1) + 1
    monomial = [Fraction(0)] * (degree + 1)
    monomial[1::power] = map(Fraction, coefficients)
    control = _bernstein(monomial, *interval)
    scale = math.lcm(*(c.denominator for c in control))
    whole = [int(c * scale) for c in control]
    low, high = -_maximum([-c for c in whole]) / scale, _maximum(whole) / scale
    return _rounded(low, up=False), _rounded(high, up=True)


def images(
    table: Sequence[Sequence[float]], power: int, lower: Fraction, upper: Fraction, noise: Fraction
) -> list[Interval]:
    """Intervals before the first step and after every one, each widened by `noise` at both ends.

    Raises
    ------
    RangeError
        An interval, or in `error` its loss, reaches beyond double precision.
    """
    _interval(lower, upper)
    evidence.whole("power", power, least=1, most=MAX_POWER)
    if not noise >= 0:
        raise VerificationError(f"noise must be at least 0, got {float(noise)}")
    found = [(lower, upper)]
    for row in _listed("table", table, MAX_STEPS):
        coefficients = [evidence.number("a coefficient", c) for c in _listed("a row of the table", row, MAX_TERMS)]
        low, high = image(coefficients, power, found[-1])
        found.append((low - noise, high + noise))
        _within_range(*found[-1])
    return found


def error(interval: Interval, numerator: int) -> Fraction:
    """Largest ``abs(y**numerator - 1)`` over an interval."""
    evidence.whole("numerator", numerator, least=1, most=MAX_POWER)
    low, high = interval
    ends = [abs(end**numerator - 1) for end in interval]
    _within_range(*ends)
    return max(*ends, Fraction(1)) if low <= 0 <= high else max(ends)


def _within_range(*numbers: Fraction) -> None:
    if max(map(abs, numbers)) > RANGE:
        raise RangeError(
            "the table sends the interval beyond the range of double precision: its coefficients are for another "
            "interval, or not in the order a, b, c, ..."
        )


def final_floor(floor: Fraction, numerator: int) -> Fraction:
    """Lower bound on ``max(abs(y**numerator - 1))`` from that on ``max(abs(y - 1))``.

    The floor limits the ratio of the ends of an interval, and the best scale is the one that centres their powers.
    """
    evidence.whole("numerator", numerator, least=1, most=MAX_POWER)
    ratio = ((1 - floor) / (1 + floor)) ** numerator
    return (1 - ratio) / (1 + ratio)


def upwards(number: Fraction) -> float:
    """Round to a float that is no smaller."""
    nearest = float(number)
    return nearest if nearest >= number else math.nextafter(nearest, math.inf)


def downwards(number: Fraction) -> float:
    """Round to a float that is no larger."""
    return 0.0 - upwards(-number)


def _rounded(number: Fraction, *, up: bool) -> Fraction:
    shift = min(BITS - number.numerator.bit_length() + number.denominator.bit_length(), GRID)
    scaled = number * Fraction(2) ** shift
    return (math.ceil(scaled) if up else math.floor(scaled)) / Fraction(2) ** shift


def _bernstein(monomial: list[Fraction], low: Fraction, high: Fraction) -> list[Fraction]:
    """Control coefficients on [low, high]: the polynomial lies between the least and the largest of them."""
    shifted = list(monomial)
    degree = len(shifted) - 1
    for start in range(degree):  # Taylor's coefficients at `low`
        for k in range(degree - 1, start - 1, -1):
            shifted[k] += low * shifted[k + 1]
    local = [c * (high - low) ** k for k, c in enumerate(shifted)]
    return [
        sum((Fraction(math.comb(j, k), math.comb(degree, k)) * local[k] for k in range(j + 1)), Fraction(0))
        for j in range(degree + 1)
    ]


def _maximum(control: list[int]) -> Fraction:
    """Largest value of a polynomial with these control coefficients, from above, by bisection of all that may hold it.

    The end coefficients are values of the polynomial, and the largest coefficient is a bound. All cells of a level have
    the same scale, which grows by `degree` bits a level so that the halves stay whole numbers. A largest value at an
    end is found exactly.
    """
    degree, slack, bits = len(control) - 1, max(control) - min(control), DEPTH
    best, cells = max(control[0], control[-1]) << bits, [[c << bits for c in control]]
    while cells := [cell for cell in cells if max(cell) > best]:
        bound = max(map(max, cells))
        if bound <= best + slack:
            return Fraction(bound, 1 << bits)
        cells = [half for cell in cells for half in _halves(cell)]
        best, slack, bits = best << degree, slack << degree, bits + degree
        best = max(best, *(end for cell in cells for end in (cell[0], cell[-1])))
    return Fraction(best, 1 << bits)


def _halves(control: list[int]) -> tuple[list[int], list[int]]:
    """Split at the middle (de Casteljau), with sums in place of averages: the results are 2**degree times as large."""
    degree, row, left, right = len(control) - 1, control, [], []
    for level in range(degree + 1):
        left.append(row[0] << (degree - level))
        right.append(row[-1] << (degree - level))
        row = [a + b for a, b in itertools.pairwise(row)]
    return left, right[::-1]
