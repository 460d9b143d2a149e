"""Where a function is approximated: disjoint intervals, points spread over them, and zeros that these reveal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import scipy.optimize

from infimum.errors import NonFiniteError, OptionError

Intervals = tuple[tuple[float, float], ...]
Domain: TypeAlias = tuple[float, float] | Sequence[tuple[float, float]] | np.ndarray

MOST_INTERVALS = 100
HALVINGS = 1200  # of a bracket: more than any two doubles are apart
SAMPLES = 4001  # points at which a function is looked at before anything is solved


def as_intervals(domain: Any) -> Intervals:
    """Return a domain, one pair of numbers or several, as sorted disjoint intervals."""
    advice = "domain must be (a, b) with a < b, or a list of such pairs that do not overlap"
    try:
        table = np.asarray(domain, dtype=np.float64)
    except (TypeError, ValueError):
        raise OptionError(f"{advice}, got {domain!r}") from None
    if table.shape == (2,):
        table = table[None]
    if table.ndim != 2 or table.shape[1] != 2 or not len(table):
        raise OptionError(f"{advice}, got {domain!r}")
    if not np.all(np.isfinite(table)):
        raise NonFiniteError(f"{advice}; both ends must be finite, got {domain!r}")
    if len(table) > MOST_INTERVALS:
        raise OptionError(f"domain must be at most {MOST_INTERVALS} intervals, got {len(table)}")
    table = table[np.argsort(table[:, 0])]
    if not np.all(table[:, 0] < table[:, 1]) or not np.all(table[:-1, 1] < table[1:, 0]):
        raise OptionError(f"{advice}, got {domain!r}")
    return tuple((float(low) + 0.0, float(high) + 0.0) for low, high in table)


def points_of(intervals: Intervals, count: int = SAMPLES) -> np.ndarray:
    """Spread points over the intervals, denser towards their ends, the ends included."""
    nodes = np.cos(np.pi * np.arange(count - 1, -1, -1) / (count - 1))
    parts = []
    for low, high in intervals:
        x = (low / 2 + high / 2) + (high / 2 - low / 2) * nodes
        x[0], x[-1] = low, high
        parts.append(np.clip(x, low, high))
    return np.concatenate(parts)


def zeros_of(function: Any, intervals: Intervals) -> list[float]:
    """Zeros that a look at many points reveals."""
    found = []
    for interval in intervals:
        x = points_of((interval,))
        if interval[0] < 0.0 < interval[1]:
            x = np.unique(np.append(x, 0.0))
        y = function(x)
        found += x[y == 0.0].tolist()
        for i in np.flatnonzero(np.sign(y[:-1]) * np.sign(y[1:]) < 0.0):
            found.append(
                scipy.optimize.brentq(
                    lambda z: float(function(np.asarray([z]))[0]),
                    x[i],
                    x[i + 1],
                    xtol=1e-300,
                    maxiter=HALVINGS,
                    disp=False,
                )
            )
    return found
