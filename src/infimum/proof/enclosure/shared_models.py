"""Bounds on many cells from one Taylor model: its polynomial is expanded about every cell, in doubles.

With ``e(s) = sum_j c_j s**j + rest`` on a wide cell, and ``s = a + r t`` on a part of it, ``|a| + r <= 1``, the
coefficients in t are ``q_i = r**i sum_j binom(j, i) a**(j - i) c_j``. In doubles they are off, all together, by no more
than a few roundings for each term of ``sum_j |c_j| (|a| + r)**j <= sum_j |c_j|``. Statement and proof:
docs/theorems/sup_norm.md.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from infimum.proof.enclosure.balls import Ball, flint, float_above, float_below
from infimum.proof.enclosure.taylor_model import Cell, Model

UNIT = 2.0**-53
UP = 1.0 + 1e-12  # more than the roundings of sums of bounds
LARGE = 1e100  # units: nothing worth bounding, and sums of such numbers could overflow
HALVINGS = 5


class Bounds(NamedTuple):
    """For every cell, in units: ``|e|`` is at most `upper` on it, and at least `lower` at a point of it."""

    upper: np.ndarray
    lower: np.ndarray


def bounds_on_parts(
    model: Model, wide: Cell, cells: Sequence[tuple[float, float]], unit: Ball, goal: float, tol: float, most: float
) -> Bounds | None:
    """Bound ``|e| / unit`` on cells that lie in a wide one, of which this is the model.

    Cells are halved some times where that is needed to come down to the `goal`, or to the largest value that is met,
    but for `tol`. None where what the model leaves out, and what rounding may add, is more than `most`.
    """
    if model.moved or wide.power != 1 or wide.half or len(model.coefficients) < 3 or not model.is_finite():
        return None
    scaled = [c / unit for c in model.coefficients]
    c = np.array([float(ball.mid()) for ball in scaled])
    if not np.max(np.abs(c)) < LARGE:
        return None
    off = sum((abs(ball - value) for ball, value in zip(scaled, c.tolist(), strict=True)), model.tail / unit)
    terms = c.size
    # powers of a and r, binomials and the sum of products: at most 4 roundings a term, and some more
    rounding = 4.0 * (terms + 8) * UNIT * float(np.sum(np.abs(c))) * UP
    left_out = (float_above(off.upper()) + rounding) * UP
    if not left_out <= most:
        return None
    ends = [[(flint().arb(end) - wide.centre) / wide.radius for end in cell] for cell in cells]
    low = np.maximum([float_below(end[0]) for end in ends], -1.0)
    high = np.minimum([float_above(end[1]) for end in ends], 1.0)
    return _by_halving(c, low, high, left_out, goal, tol) if np.all(low < high) else None


def _by_halving(c: np.ndarray, low: np.ndarray, high: np.ndarray, left_out: float, goal: float, tol: float) -> Bounds:
    upper, lower = np.zeros_like(low), np.zeros_like(low)
    owner: np.ndarray = np.arange(low.size)
    for halvings in range(HALVINGS + 1):
        middle = low / 2.0 + high / 2.0
        radius = np.nextafter(np.maximum(high - middle, middle - low), np.inf)
        found = _bounds(_expanded(c, middle, radius), left_out)
        np.maximum.at(lower, owner, found.lower)
        enough = max(goal, float(np.max(lower)) * (1.0 + tol))
        done = (found.upper <= enough) | (halvings == HALVINGS) | (low >= middle) | (middle >= high)
        np.maximum.at(upper, owner[done], found.upper[done])
        if np.all(done):
            break
        low, middle, high = (part[~done] for part in (low, middle, high))
        low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
        owner = np.tile(owner[~done], 2)
    return Bounds(upper, lower)


def _expanded(c: np.ndarray, centres: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Coefficients in t, one row a cell."""
    powers = np.ones((centres.size, c.size))
    np.cumprod(np.broadcast_to(centres[:, None], (centres.size, c.size - 1)), axis=1, out=powers[:, 1:])
    scales = np.ones_like(powers)
    np.cumprod(np.broadcast_to(radii[:, None], (centres.size, c.size - 1)), axis=1, out=scales[:, 1:])
    rows, differences = _binomials(c.size)
    return np.asarray(scales * np.einsum("mij,ij,j->mi", powers[:, differences], rows, c))


@functools.cache
def _binomials(size: int) -> tuple[np.ndarray, np.ndarray]:
    """``binom(j, i)`` for row i and column j, and ``j - i`` where that is not negative."""
    index = np.arange(size)
    rows = np.array([[float(math.comb(j, i)) for j in range(size)] for i in range(size)])
    return rows, np.maximum(index[None, :] - index[:, None], 0)


def _bounds(q: np.ndarray, left_out: float) -> Bounds:
    """``|q_0 + q_1 t + q_2 t**2| + (|q_3| + ...) t**2`` is largest at an end or at a vertex."""
    size = np.abs(q)
    constant, slope, rest = size[:, 0], size[:, 1], np.sum(size[:, 3:], axis=1) * UP
    total = np.sum(size, axis=1)
    upper = np.zeros(len(q))
    for sign in (1.0, -1.0):
        bend = sign * q[:, 2] + rest
        vertex = np.where(slope <= -2.0 * bend, slope * slope / np.where(bend < 0.0, -4.0 * bend, 1.0), slope + bend)
        vertex = np.where((bend >= 0.0) | (slope > -2.0 * bend), slope + bend, vertex)
        upper = np.maximum(upper, sign * q[:, 0] + np.maximum(vertex, 0.0))
    return Bounds((upper + 16.0 * UNIT * total + left_out) * UP, np.maximum(constant / UP - left_out, 0.0))
