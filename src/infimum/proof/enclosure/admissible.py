"""A first look at functions, at thousands of points, before anything is solved: words for what cannot be solved."""

from __future__ import annotations

import numpy as np
import scipy.optimize

from infimum.errors import NonFiniteError, OptionError, RangeError
from infimum.proof.enclosure.domain import Intervals, points_of
from infimum.proof.enclosure.functions import Function

TOO_LARGE = 1e280
TOUCHES = 1e-9  # of its values nearby: a weight so small vanishes between two points


def require_finite(name: str, function: Function, intervals: Intervals) -> None:
    """Refuse a function that is not finite, or too large for doubles."""
    x = points_of(intervals)
    if any(low < 0.0 < high for low, high in intervals):
        x = np.append(x, 0.0)
    values = function(x)
    bad = ~np.isfinite(values)
    if np.any(bad):
        raise NonFiniteError(
            f"{name} must be finite on the whole domain, but it is {values[bad][0]} at x = {x[bad][0]:.6g} "
            f"({int(bad.sum())} of {x.size} points looked at); leave such points out of the domain"
        )
    if float(np.max(np.abs(values))) > TOO_LARGE:
        raise RangeError(f"{name} takes values up to {np.max(np.abs(values)):.3g}; scale it down first")


def require_positive(weight: Function, intervals: Intervals) -> None:
    """Refuse a weight that is somewhere 0 or negative."""
    require_finite("weight", weight, intervals)
    for interval in intervals:
        x = points_of((interval,))
        if interval[0] < 0.0 < interval[1]:
            x = np.unique(np.append(x, 0.0))
        factor = weight(x)
        i = int(np.argmin(factor))
        where, least = float(x[i]), float(factor[i])
        if 0 < i < x.size - 1 and least > 0.0:  # between the points it may touch 0
            found = scipy.optimize.minimize_scalar(
                lambda z: float(weight(np.asarray([z]))[0]), bounds=(x[i - 1], x[i + 1]), method="bounded"
            )
            if found.fun < TOUCHES * min(factor[i - 1], factor[i + 1]):
                where, least = float(found.x), 0.0
        if least <= 0.0:
            raise OptionError(
                f"weight must be positive on the whole domain, but it is {least:.3g} at x = {where:.6g}; leave such "
                "points out of the domain"
            )
