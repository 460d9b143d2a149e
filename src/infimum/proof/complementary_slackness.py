"""Complementary slackness of an assignment and column duals, in exact arithmetic: by it both are optimal.

Statement 3 of docs/theorems/assignment_dual.md for ``k = 1``, ``s = -cost`` and loads of one at most: D(b) is the score
of the assignment, so that nothing needs to be summed to tell that the gap is 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from infimum._compiled import compiled, compiled_or

Numbers = Any  # a float, or an array of floats


@compiled
def _lost(a: Numbers, b: Numbers) -> Numbers:
    """Return the rounding error of ``a - b``: with it the difference is exact (Knuth)."""
    total = a - b
    part = total - a
    return (a - (total - part)) - (b + part)


def _slackness_of_arrays(cost: np.ndarray, taken: np.ndarray, dual: np.ndarray, reach: float) -> bool:
    if not np.abs(dual).max() <= reach:
        return False
    used = np.bincount(taken, minlength=dual.size)
    reduced = cost - dual
    own = reduced[np.arange(taken.size), taken]
    row, column = np.nonzero(reduced == own[:, None])
    lost = _lost(cost[row, column], dual[column])
    least = _lost(cost[np.arange(taken.size), taken], dual[taken])
    signs = taken.size == dual.size or not np.any(np.where(used > 0, dual > 0.0, dual < 0.0))
    return bool(used.max() == 1 and signs and not np.any(reduced < own[:, None]) and not np.any(lost < least[row]))


@compiled_or(_slackness_of_arrays)
def slackness_holds(cost: np.ndarray, taken: np.ndarray, dual: np.ndarray, reach: float) -> bool:
    """Tell whether every row takes a column of its own that is cheapest for it, less duals.

    Where there are more columns than rows, what nobody takes must have no dual below 0, and what is taken none above.
    Costs may be infinite, but not those of the `taken`; there are at most as many rows as columns. Duals beyond `reach`
    are taken for a no.
    """
    used = np.zeros(dual.size, np.bool_)
    for row in range(taken.size):
        own = taken[row]
        if used[own]:
            return False
        used[own] = True
        least, lost = cost[row, own] - dual[own], _lost(cost[row, own], dual[own])
        for column in range(dual.size):
            reduced = cost[row, column] - dual[column]
            if reduced <= least and (reduced < least or _lost(cost[row, column], dual[column]) < lost):
                return False
    for column in range(dual.size):
        wrong = dual[column] > 0.0 if used[column] else dual[column] < 0.0
        if (wrong and taken.size < dual.size) or not abs(dual[column]) <= reach:
            return False
    return True
