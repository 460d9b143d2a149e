"""Multiple precision where double precision does not reach the least error."""

from __future__ import annotations

import math

from infimum.minimax.remez.exchange import Levelled, solve
from infimum.proof.answers.polynomial import MOST_PARTS
from infimum.proof.enclosure.task import Task
from infimum.proof.uniform_error.error_certificate import scale

FIRST_BITS, LAST_BITS = 256, 8192
NOISE = 1e-12  # times the size of f: errors that double precision does not resolve


def in_multiple_precision(task: Task, start: Levelled, tol: float) -> Levelled:
    """Go on in as many bits as the least error needs; coefficients as sums of doubles."""
    size = scale(task) or 1.0
    bits = FIRST_BITS + 3 * task.space.size
    # a reference that was found among rounding errors is worse than none
    points = start.points if start.largest > NOISE * size else None
    while True:
        found = solve(task, bits=bits, start=points, parts=2)
        vanishes = abs(found.error) < size * 2.0 ** -(bits // 2)
        if 2 * bits > LAST_BITS or (not vanishes and found.distance < tol / 8):
            break
        if vanishes and bits > 4 * FIRST_BITS:  # f belongs to the space, or nearly
            return found
        points, bits = (None if vanishes else found.points), (4 if vanishes else 2) * bits
    parts = _parts(size, abs(found.error), tol)
    return solve(task, bits=bits, start=found.points, parts=parts) if parts > 2 else found


def _parts(size: float, error: float, tol: float) -> int:
    """Doubles a coefficient, so that rounding the last one adds little to the error."""
    return min(max(math.ceil((math.log2(size / error) + math.log2(1.0 / tol) + 8.0) / 53.0), 2), MOST_PARTS)
