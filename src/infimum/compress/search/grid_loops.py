"""The loops of rounding to a grid: entry by entry, since each decision depends on those before it."""

from __future__ import annotations

import math

import numpy as np

from infimum._compiled import compiled


@compiled
def rounded_scale(scale: float, digits: int, least: int) -> float:
    """Round a scale to so many significant bits, none below ``2**least``."""
    if scale <= 0.0:
        return 0.0
    unit = 2.0 ** max(math.frexp(scale)[1] - digits, least)
    return float(np.rint(scale / unit) * unit)


@compiled
def nearest(x: float, scale: float, zero: float, top: float) -> float:
    """Return the integer whose number is nearest to x."""
    return float(min(max(np.rint(x / scale) + zero, 0.0), top)) if scale > 0.0 else zero


@compiled
def best_grid(
    x: np.ndarray, weights: np.ndarray, top: float, symmetric: bool, ranges: np.ndarray, digits: int, least: int
) -> tuple[float, float]:
    """Choose scale and zero of a group: of all ranges those of the least weighted squared error to the nearest numbers.

    Each range is followed by the scale that is best for the integers that it gave.
    """
    low, high = min(0.0, x.min()), max(0.0, x.max())
    if symmetric:
        high = max(-low, high)
        low = -high
    best, best_scale, best_zero = np.inf, 0.0, 0.0
    for part in ranges:
        scale = rounded_scale(part * (high - low) / top, digits, least)
        if scale == 0.0:
            continue
        zero = (top + 1.0) / 2.0 if symmetric else min(max(np.rint(-low * part / scale), 0.0), top)
        for _ in range(2):
            error, along, square = 0.0, 0.0, 0.0
            for j in range(x.size):
                step = nearest(x[j], scale, zero, top) - zero
                error += weights[j] * (x[j] - scale * step) ** 2
                along += weights[j] * x[j] * step
                square += weights[j] * step * step
            if error < best:
                best, best_scale, best_zero = error, scale, zero
            if square == 0.0 or along <= 0.0:
                break
            scale = rounded_scale(along / square, digits, least)
            if scale == 0.0:
                break
    return best_scale, best_zero


@compiled
def round_tile(
    whole: np.ndarray,
    row_wise: np.ndarray,
    W: np.ndarray,
    L: np.ndarray,
    R: np.ndarray,
    weights: np.ndarray,
    top: float,
    symmetric: bool,
    ranges: np.ndarray,
    digits: int,
    least: int,
    integers: np.ndarray,
    scales: np.ndarray,
    zeros: np.ndarray,
    lost: np.ndarray,
    rest: np.ndarray,
) -> None:
    """Round one tile, from its last row and column on, and write what became of it into the last five arrays.

    `whole` are the numbers to be rounded as far as they follow from other tiles, `row_wise` those without what the row
    itself has lost; `lost` is ``W - Q``, `rest` what is left of `row_wise`.
    """
    rows, columns = whole.shape
    groups = scales.shape[1]
    width = columns // groups
    for i in range(rows - 1, -1, -1):
        target, base = whole[i].copy(), row_wise[i].copy()
        for k in range(i + 1, rows):
            for j in range(columns):
                share = L[k, i] * lost[k, j]
                target[j] += share
                base[j] += share
        for h in range(groups - 1, -1, -1):
            start, stop = h * width, (h + 1) * width
            scale, zero = best_grid(target[start:stop], weights[start:stop], top, symmetric, ranges, digits, least)
            scales[i, h], zeros[i, h] = scale, zero
            for j in range(stop - 1, start - 1, -1):
                integer = nearest(target[j], scale, zero, top)
                number = scale * (integer - zero)
                integers[i, j], lost[i, j], rest[i, j] = integer, W[i, j] - number, base[j] - number
                for k in range(j):
                    target[k] += R[j, k] * rest[i, j]
