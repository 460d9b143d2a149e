"""Compositions of polynomials x q(x^r) that should send an interval to 1: what any of them, and a given one, can do.

Statements and proofs: docs/theorems/composition.md. Rational arithmetic throughout: nothing is lost to rounding but
where a comment says so, and there to the safe side.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

BITS = 512  # kept of an end of an interval; it is rounded outwards
DEPTH = 64  # an extreme value is overestimated by at most this many binary digits below the spread of the polynomial

Interval = tuple[Fraction, Fraction]


def step_bound(points: Sequence[Fraction], power: int) -> Fraction:
    """Lower bound on ``max(abs(1 - x * q(x**power)))`` for every polynomial q with one coefficient less than points.

    The weights annihilate all such ``x * q(x**power)``, so that only 1 is left of the weighted sum of errors.
    """
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
    width, found = 1 - lower / upper, []
    for marks in nodes:
        marked = [Fraction(mark) for mark in marks]
        if not all(a < b for a, b in itertools.pairwise([Fraction(-1, 2), *marked, Fraction(3, 2)])) or (
            marked[0] < 0 or marked[-1] > 1
        ):
            raise ValueError(f"the nodes of a step must increase from 0 to 1, got {list(marks)}")
        if width == 0:
            found.append(Fraction(0))
            continue
        found.append(step_bound([1 - width * (1 - mark) for mark in marked], power))
        width = _rounded(2 * found[-1] / (1 + found[-1]), up=False)  # narrower: the bound stays true
    return found


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
    """Intervals before the first step and after every one, each widened by `noise` at both ends."""
    found = [(lower, upper)]
    for coefficients in table:
        low, high = image(coefficients, power, found[-1])
        found.append((low - noise, high + noise))
    return found


def error(interval: Interval, numerator: int) -> Fraction:
    """Largest ``abs(y**numerator - 1)`` over an interval."""
    low, high = interval
    ends = [abs(end**numerator - 1) for end in interval]
    return max(*ends, Fraction(1)) if low <= 0 <= high else max(ends)


def final_floor(floor: Fraction, numerator: int) -> Fraction:
    """Lower bound on ``max(abs(y**numerator - 1))`` from that on ``max(abs(y - 1))``.

    The floor limits the ratio of the ends of an interval, and the best scale is the one that centres their powers.
    """
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
    if number == 0:
        return number
    shift = BITS - number.numerator.bit_length() + number.denominator.bit_length()
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
    the same scale, which grows by `degree` bits a level so that the halves stay whole numbers.
    """
    degree, spread = len(control) - 1, max(control) - min(control)
    best, cells, bits = max(control[0], control[-1]), [control], DEPTH
    best, cells, slack = best << bits, [[c << bits for c in control]], spread
    while cells := [cell for cell in cells if max(cell) > best + slack]:
        cells = [half for cell in cells for half in _halves(cell)]
        best, slack, bits = best << degree, slack << degree, bits + degree
        best = max(best, *(end for cell in cells for end in (cell[0], cell[-1])))
    return Fraction(best + slack, 1 << bits)


def _halves(control: list[int]) -> tuple[list[int], list[int]]:
    """Split at the middle (de Casteljau), with sums in place of averages: the results are 2**degree times as large."""
    degree, row, left, right = len(control) - 1, control, [], []
    for level in range(degree + 1):
        left.append(row[0] << (degree - level))
        right.append(row[-1] << (degree - level))
        row = [a + b for a, b in itertools.pairwise(row)]
    return left, right[::-1]
