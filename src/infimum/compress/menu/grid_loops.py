"""The loops of rounding to a grid: entry by entry, since each decision depends on those before it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from infimum._compiled import compiled
from infimum.proof.grid import Precision

ROWS = 14  # of the space that the search for a grid needs


class Shape(NamedTuple):
    """What a grid may be: bits, columns that share a scale, whether 0 is its middle, and the scales that are stored.

    A scale has `digits` significant bits, and none of them is below ``2**least``: those of float16 by default. The
    numbers are rounded to `precision` where they are used.

    `signed`: a scale may be negative, so that the middle is one of two integers. `offset`: what is taken off is any
    number that can be stored as scales are. `block`: so many columns share a unit of such digits, and scales and
    offsets are whole multiples of theirs, at most `levels` times it.
    """

    bits: int
    group: int
    symmetric: bool = False
    digits: int = 11
    least: int = -24
    precision: Precision | None = None
    signed: bool = False
    offset: bool = False
    block: int = 0
    levels: int = 0

    @property
    def span(self) -> int:
        """Columns whose grid is chosen together."""
        return self.block or self.group


@compiled
def rounded_scale(scale: float, digits: int, least: int) -> float:
    """Round a scale to so many significant bits, none below ``2**least``."""
    if scale <= 0.0:
        return 0.0
    unit = 2.0 ** max(math.frexp(scale)[1] - digits, least)
    return float(np.rint(scale / unit) * unit)


@compiled
def storable(number: float, unit: float, shape: Shape) -> float:
    """Round a scale or an offset to one that can be stored; without end: a unit that is not chosen yet."""
    if unit == np.inf:
        return number
    if shape.block > 0:
        return unit * min(max(np.rint(number / unit), 0.0), float(shape.levels)) if unit > 0.0 else 0.0
    return math.copysign(rounded_scale(abs(number), shape.digits, shape.least), number)


@compiled
def nearest(x: float, scale: float, zero: float, top: float) -> float:
    """Return the integer whose number is nearest to x."""
    return float(min(max(np.rint(x / scale) + zero, 0.0), top)) if scale > 0.0 else zero


@compiled
def fitted(
    x: np.ndarray, weights: np.ndarray, tried: np.ndarray, errors: np.ndarray, top: float, moves: bool, sums: np.ndarray
) -> None:
    """Find what some grids lose, and the scale and offset that are best for the integers that each of them gives.

    A row of `tried` is scales, zeros, offsets; it becomes the best scales and offsets. `errors` become the weighted
    squared errors. `moves`: the offset is free; else it stays. Grids lie side by side in each row, so that processors
    take some of them at a time; the sum for each is in the order of x.
    """
    scales, zeros, offsets = tried[0], tried[1], tried[2]
    along, second, first = sums[0], sums[1], sums[2]
    errors[:] = 0.0
    sums[:] = 0.0
    mass, mean = 0.0, 0.0
    for j in range(x.size):
        number, weight = x[j], weights[j]
        mass += weight
        mean += weight * number
        for k in range(errors.size):
            step = np.rint((number + offsets[k]) / scales[k])
            step = step if step > -zeros[k] else -zeros[k]
            step = step if step < top - zeros[k] else top - zeros[k]
            lost = number + offsets[k] - scales[k] * step
            errors[k] += weight * (lost * lost)
            along[k] += weight * number * step
            second[k] += weight * step * step
            first[k] += weight * step
    for k in range(errors.size):
        spread = mass * second[k] - first[k] * first[k]
        if moves and spread > 1e-12 * mass * second[k]:
            scales[k] = (mass * along[k] - first[k] * mean) / spread
            offsets[k] = (scales[k] * first[k] - mean) / mass
        else:
            scales[k] = (along[k] + offsets[k] * first[k]) / second[k] if second[k] > 0.0 else 0.0


@compiled
def grid_of_range(
    low: float, high: float, units: tuple[float, float], default: float, shape: Shape
) -> tuple[float, float, float]:
    """Return scale, zero and offset, such as can be stored, that lead from `low` to `high`; `default` is a set zero."""
    top = float(2**shape.bits - 1)
    scale = storable((high - low) / top, units[0], shape)
    if shape.offset:
        return scale, 0.0, storable(-low, units[1], shape)
    if shape.symmetric or scale == 0.0:
        return scale, default, 0.0
    return scale, min(max(np.rint(-low / scale), 0.0), top), 0.0


@compiled
def best_grid(
    x: np.ndarray,
    weights: np.ndarray,
    ranges: np.ndarray,
    units: tuple[float, float],
    shape: Shape,
    room: np.ndarray,
) -> tuple[float, float, float]:
    """Choose scale, zero and offset of a group: of all ranges those of the least weighted squared error.

    Each range is followed by the scale, and the offset, that are best for the integers that it gave. `room` is space
    for numbers, `ROWS` rows of one for each range.
    """
    top = float(2**shape.bits - 1)
    low, high = x.min(), x.max()
    if not shape.offset or shape.block > 0:
        low, high = min(0.0, low), max(0.0, high)
    default = 0.0
    if shape.symmetric:  # of two middles the one that leaves more integers to the larger side
        default = (top + 1.0) / 2.0 if not shape.signed or -low >= high else (top - 1.0) / 2.0
        high = max(-low, high)
        low = -high
    tried, given, best, sums, errors, least = room[:3], room[3:6], room[6:9], room[9:12], room[12], room[13]
    for k in range(ranges.size):
        part = ranges[k]
        tried[0, k], tried[1, k], tried[2, k] = grid_of_range(part * low, part * high, units, default, shape)
    least[:] = np.inf
    best[:] = 0.0
    for _ in range(3 if shape.offset else 2):
        given[:] = tried
        for k in range(ranges.size):  # what has come to an end is tried with any scale, and not looked at
            tried[0, k] = tried[0, k] if tried[0, k] > 0.0 else 1.0
        fitted(x, weights, tried, errors, top, shape.offset, sums)
        for k in range(ranges.size):
            if given[0, k] <= 0.0:
                tried[0, k] = 0.0
                continue
            if errors[k] < least[k]:
                least[k], best[0, k], best[1, k], best[2, k] = errors[k], given[0, k], given[1, k], given[2, k]
            tried[0, k] = storable(tried[0, k], units[0], shape) if tried[0, k] > 0.0 else 0.0
            if shape.offset:
                tried[2, k] = storable(tried[2, k], units[1], shape)
    k = int(np.argmin(least))
    return (best[0, k], best[1, k], best[2, k]) if least[k] < np.inf else (0.0, default, 0.0)


@compiled
def best_units(
    x: np.ndarray, weights: np.ndarray, ranges: np.ndarray, shape: Shape, room: np.ndarray
) -> tuple[float, float]:
    """Choose what scales and offsets of a block are multiples of: the largest becomes the largest multiple."""
    free, largest, furthest = (np.inf, np.inf), 0.0, 0.0
    for start in range(0, x.size, shape.group):
        stop = start + shape.group
        scale, _, offset = best_grid(x[start:stop], weights[start:stop], ranges, free, shape, room)
        largest, furthest = max(largest, scale), max(furthest, offset)
    return (
        rounded_scale(largest / shape.levels, shape.digits, shape.least),
        rounded_scale(furthest / shape.levels, shape.digits, shape.least),
    )


@compiled
def round_tile(
    whole: np.ndarray,
    row_wise: np.ndarray,
    W: np.ndarray,
    L: np.ndarray,
    R: np.ndarray,
    weights: np.ndarray,
    ranges: np.ndarray,
    shape: Shape,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Round one tile, from its last row and column on, and return integers, grids, units, `lost` and `rest`.

    `whole` are the numbers to be rounded as far as they follow from other tiles, `row_wise` those without what the row
    itself has lost. The grids are scale, zero and offset of each group; `lost` is ``W - Q``, `rest` what is left of
    `row_wise`. All arrays are contiguous: for each other layout the loop would be compiled once more.
    """
    rows, columns = whole.shape
    width, top = shape.group, float(2**shape.bits - 1)
    integers, lost, rest = np.zeros((rows, columns)), np.zeros((rows, columns)), np.zeros((rows, columns))
    span = shape.block if shape.block > 0 else width  # Shape.span, which Numba does not see
    grids, units = np.zeros((rows, columns // width, 3)), np.zeros((rows, columns // span, 2))
    room = np.zeros((ROWS, ranges.size))
    for i in range(rows - 1, -1, -1):
        target, base = whole[i].copy(), row_wise[i].copy()
        for k in range(i + 1, rows):
            for j in range(columns):
                share = L[k, i] * lost[k, j]
                target[j] += share
                base[j] += share
        for h in range(columns // width - 1, -1, -1):
            start, stop = h * width, (h + 1) * width
            if shape.block > 0 and stop % shape.block == 0:
                first = stop - shape.block
                chosen = best_units(target[first:stop], weights[first:stop], ranges, shape, room)
                units[i, first // shape.block, 0], units[i, first // shape.block, 1] = chosen
            block = start // span
            unit = (units[i, block, 0], units[i, block, 1])
            scale, zero, offset = best_grid(target[start:stop], weights[start:stop], ranges, unit, shape, room)
            grids[i, h, 0], grids[i, h, 1], grids[i, h, 2] = scale, zero, offset
            for j in range(stop - 1, start - 1, -1):
                integer = nearest(target[j] + offset, scale, zero, top)
                number = scale * (integer - zero) - offset
                integers[i, j], lost[i, j], rest[i, j] = integer, W[i, j] - number, base[j] - number
                for k in range(j):
                    target[k] += R[j, k] * rest[i, j]
    return integers, grids, units, lost, rest
