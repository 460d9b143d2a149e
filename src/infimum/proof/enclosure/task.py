"""What is approximated, where, and by which space; the reduction to polynomials of degree m - 1 in ``t = x**stride``.

The spaces ``x**start * P(x**stride)``, deg P < size, hold the odd, the even and the full polynomials, and those of
11175. With F = f / x**start and W = w |x|**start the error is ``W(t) |F(t) - P(t)|``: an ordinary problem in t, as long
as t is one-to-one on the domain, hence the half domain where f is odd or even.
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import scipy.optimize

from infimum._arguments import Numbers
from infimum.errors import NonFiniteError, OptionError, RangeError
from infimum.proof.enclosure.expressions import Function, as_function
from infimum.proof.enclosure.spaces import Functions, Powers, Space, as_space

Intervals = tuple[tuple[float, float], ...]
Domain: TypeAlias = tuple[float, float] | Sequence[tuple[float, float]] | np.ndarray

MOST_INTERVALS = 100
MOST_BREAKPOINTS = 4000  # each costs samples, cells and a piece of the exchange
SAMPLES = 4001  # points at which a function is looked at before anything is solved
TOO_LARGE = 1e280
TOUCHES = 1e-9  # of its values nearby: a weight so small vanishes between two points
NEAR_ZERO = 1e-9  # of the domain: where x = 0 is reached in the limit only


@dataclass(frozen=True, slots=True)
class Task:
    """One approximation problem.

    Attributes
    ----------
    f : Function
        What is approximated.
    intervals : tuple of (float, float)
        The domain: disjoint intervals in increasing order.
    space : Space
        From where the approximation is taken.
    weight : Function or None
        The error is multiplied by it; positive.
    relative : bool
        The error is divided by f.
    mirror : int
        1 or -1 if the domain is symmetric, f even or odd and the weight even: then one half of it is enough.
    breakpoints : tuple of float
        Points at which f or the weight has a kink.
    """

    f: Function
    intervals: Intervals
    space: Space
    weight: Function | None = None
    relative: bool = False
    mirror: int = 0
    breakpoints: tuple[float, ...] = ()

    @property
    def half(self) -> Intervals:
        """The part of the domain on which the solver works."""
        if not self.mirror:
            return self.intervals
        return tuple((max(low, 0.0), high) for low, high in self.intervals if high > 0.0)

    def weights(self, x: np.ndarray) -> np.ndarray:
        """Evaluate the factor of the error at an array of points."""
        factor = np.ones_like(x) if self.weight is None else self.weight(x)
        return factor / np.abs(self.f(x)) if self.relative else factor

    def away_from_zero(self, intervals: Intervals) -> Intervals:
        """Leave out x = 0 where all functions of the space vanish: relative errors there are limits."""
        if not self.contains_zero():
            return intervals
        parts: list[tuple[float, float]] = []
        for low, high in intervals:
            gap = NEAR_ZERO * max(abs(low), abs(high))
            parts += [(a, b) for a, b in ((low, min(high, -gap)), (max(low, gap), high)) if a < b]
        return tuple(parts)

    def contains_zero(self) -> bool:
        """Tell whether all functions of the space vanish at a point of the domain, x = 0."""
        vanishing = isinstance(self.space, Powers) and self.space.start > 0
        return vanishing and any(low <= 0.0 <= high for low, high in self.intervals)


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


def as_task(
    f: Any,
    degree: int | None,
    domain: Any,
    system: str | Sequence[Any] | np.ndarray = "full",
    weight: Any = None,
    relative: bool = False,
    breakpoints: Numbers = (),
) -> Task:
    """Check the arguments of a public function and reduce by symmetry where that is possible."""
    intervals = as_intervals(domain)
    task = Task(
        as_function(f),
        intervals,
        as_space(degree, system),
        None if weight is None else as_function(weight, "weight"),
        bool(relative),
    )
    _require_finite("f", task.f, intervals)
    if task.weight is not None:
        _require_positive(task.weight, intervals)
    task = _reduced(replace(task, breakpoints=_breakpoints(task, breakpoints)))
    if task.relative:
        _require_no_zeros(task)
    return task


def points_of(intervals: Intervals, count: int = SAMPLES) -> np.ndarray:
    """Spread points over the intervals, denser towards their ends, the ends included."""
    nodes = np.cos(np.pi * np.arange(count - 1, -1, -1) / (count - 1))
    parts = []
    for low, high in intervals:
        x = (low / 2 + high / 2) + (high / 2 - low / 2) * nodes
        x[0], x[-1] = low, high
        parts.append(np.clip(x, low, high))
    return np.concatenate(parts)


def _require_finite(name: str, function: Function, intervals: Intervals) -> None:
    x = points_of(intervals)
    values = function(x)
    bad = ~np.isfinite(values)
    if np.any(bad):
        raise NonFiniteError(
            f"{name} must be finite on the whole domain, but it is {values[bad][0]} at x = {x[bad][0]:.6g} "
            f"({int(bad.sum())} of {x.size} points looked at); leave such points out of the domain"
        )
    if float(np.max(np.abs(values))) > TOO_LARGE:
        raise RangeError(f"{name} takes values up to {np.max(np.abs(values)):.3g}; scale it down first")


def _require_positive(weight: Function, intervals: Intervals) -> None:
    _require_finite("weight", weight, intervals)
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


def _require_no_zeros(task: Task) -> None:
    zeros = [z for z in _zeros(task.f, task.half) if not (z == 0.0 and task.contains_zero())]
    if zeros:
        hint = ", or use a system without a constant, such as [1, 2, 3]" if 0.0 in zeros else ""
        raise OptionError(
            f"relative: f vanishes at x = {zeros[0]:.6g}, where no relative error is defined; leave that point out of "
            f"the domain{hint}"
        )


def _breakpoints(task: Task, given: Numbers) -> tuple[float, ...]:
    """Gather the given breakpoints and the zeros of what stands inside abs, max and the like."""
    if len(given) > MOST_BREAKPOINTS:
        raise OptionError(f"breakpoints must be at most {MOST_BREAKPOINTS}, got {len(given)}: split the domain instead")
    inner: set[float] = set()
    for point in given:
        if not isinstance(point, numbers.Real) or not np.isfinite(float(point)):
            raise OptionError(f"breakpoints must be finite numbers, got {point!r}")
        inner.add(float(point))
    for function in (task.f, task.weight):
        if function is not None:
            inner.update(function.nodes)
            for switch in function.switches():
                zeros = _zeros(switch, task.intervals)
                inner.update(zeros if len(zeros) < SAMPLES // 4 else [])  # more are no points, but a whole interval
    return tuple(sorted(p for p in inner if any(low < p < high for low, high in task.intervals)))


def _zeros(function: Any, intervals: Intervals) -> list[float]:
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
                scipy.optimize.brentq(lambda z: float(function(np.asarray([z]))[0]), x[i], x[i + 1], xtol=1e-300)
            )
    return found


def _reduced(task: Task) -> Task:
    """Use one half of a symmetric domain; refuse spaces that the domain does not fit."""
    if isinstance(task.space, Functions):
        return task
    space = task.space
    one_sided = task.intervals[0][0] >= 0.0 or task.intervals[-1][1] <= 0.0
    parity = 0 if one_sided else _parity(task)
    if space.stride % 2 == 0:  # x and -x are the same to such a space, up to the sign
        wanted = -1 if space.start % 2 else 1
        if one_sided:
            return task
        if parity == wanted:
            return replace(task, mirror=parity)
        kind = "odd" if wanted < 0 else "even"
        raise OptionError(
            f"system holds {kind} polynomials, so the domain must lie on one side of 0, or be symmetric with f {kind}; "
            f"approximate one side, or use system='full'"
        )
    if parity and space.start == 0 and space.stride == 1 and space.size > 1:
        start = 0 if parity > 0 else 1
        return replace(task, mirror=parity, space=Powers(start, 2, (space.size - 1 - start) // 2 + 1))
    return task  # odd strides are one-to-one on the whole line


def _parity(task: Task) -> int:
    """1 for an even and -1 for an odd function (with an even weight) on a symmetric domain, else 0; by values only."""
    if task.intervals != tuple((-high, -low) for low, high in reversed(task.intervals)):
        return 0
    x = points_of(task.intervals, 501)
    if task.weight is not None and not _equal(task.weight(x), task.weight(-x)):
        return 0
    y, mirrored = task.f(x), task.f(-x)
    if _equal(y, mirrored):
        return 1
    return -1 if _equal(y, -mirrored) else 0


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.max(np.abs(a - b)) <= 4e-15 * np.max(np.abs(a)))
