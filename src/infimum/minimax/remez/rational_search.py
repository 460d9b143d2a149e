"""The way to the best quotient of a type: by smaller types, from a grid, by neighbouring types, by smaller domains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from infimum.minimax.remez.differential_correction import corrected
from infimum.minimax.remez.exchange import alternating
from infimum.minimax.remez.extrema import extrema
from infimum.minimax.remez.rational_exchange import (
    UNFINISHED,
    Found,
    distance_of,
    exchange,
    from_nodes,
    has_no_pole,
    quotients_of,
)
from infimum.proof.enclosure.task import Task

AT_ONCE = 6  # the smaller of two degrees up to which Chebyshev points are a good start
MOST_BELOW = 2  # by how much the degrees are lowered on a grid
AS_GOOD = 1e-9  # relative: an error that is no larger than another, but for rounding
PART, WIDENINGS = 0.25, 40  # of the domain that is left out at first, and steps to the whole
FASTER, SLOWER = 1.5, 1 / 3  # by what a step changes where it leads to the best quotient, and where it does not


def search(task: Task, type_: tuple[int, int]) -> list[Found]:
    """Find the best quotients of a type in t, by way of smaller types where it is large; the best first.

    Where a search ends at a smaller type (m - d, n - d), its best quotient may be that of the wanted type as well: it
    is, if its error alternates often enough.
    """
    single = len(task.half) == 1  # nodes are balanced on one interval
    met = _met(task, type_) if single else []
    for other_way in (_by_correction, _by_neighbours) if single else (_by_correction,):
        if not any(found.distance < UNFINISHED for found in met):
            met += other_way(task, type_)
    met = [found for found in met if has_no_pole(found.quotients, found.quotient)]
    if met or not type_[1]:
        return _sorted(met)
    smaller = search(task, (type_[0], type_[1] - 1))  # down to a polynomial, which has no pole
    return [_alternating(found, type_) for found in smaller]


def _sorted(met: list[Found]) -> list[Found]:
    """Sort by the largest error; of those that are as good as the best, those of the smallest type come first."""
    least = min((found.largest for found in met), default=0.0) * (1.0 + AS_GOOD)

    def order(found: Found) -> tuple[float, ...]:
        size = found.quotients.m + found.quotients.n
        return (least, found.distance >= UNFINISHED, size) if found.largest <= least else (found.largest, 0.0, size)

    return sorted(met, key=order)


def _met(task: Task, type_: tuple[int, int]) -> list[Found]:
    """Quotients of a type, and of smaller types (m - d, n - d), that a search meets."""
    m, n = type_
    met: list[Found] = []
    for below in range(max(min(type_) - AT_ONCE, 0), min(type_) + 1):
        found = from_nodes(task, (m - below, n - below), None)
        if found is not None and found.own < UNFINISHED:
            *others, last = _climb(task, type_, found)
            met += [*others, _alternating(last, type_)]
            break
        met += [] if found is None else [found]
    return met


def _by_correction(task: Task, type_: tuple[int, int]) -> list[Found]:
    """Quotients that are reached from the best on a grid: a pole may be next to the domain, with a zero beside it."""
    met: list[Found] = []
    for below in range(min(*type_, MOST_BELOW) + 1):
        quotients = quotients_of(task, (type_[0] - below, type_[1] - below))
        start = corrected(quotients)
        found = None if start is None else exchange(quotients, start.points, start.quotient)
        met += [] if found is None else [_alternating(found, type_)]
    return met


def _by_neighbours(task: Task, type_: tuple[int, int]) -> list[Found]:
    """Quotients of types with one degree less, and what is reached from their references and from smaller domains."""
    found: list[Found] = []
    for m, n in ((type_[0] - 1, type_[1]), (type_[0], type_[1] - 1)):
        closed = [other for other in _met(task, (m, n)) if other.own < UNFINISHED] if min(m, n) >= 0 else []
        for other in sorted(closed, key=lambda other: other.largest)[:1]:
            reached = from_nodes(task, type_, other.points)
            found += [other] if reached is None else [other, reached]
    if not any(other.own < UNFINISHED and (other.quotients.m, other.quotients.n) == type_ for other in found):
        found += [reached for side in (0, 1) if (reached := _widened(task, type_, side)) is not None]
    return [_alternating(other, type_) for other in found]


def _widened(task: Task, type_: tuple[int, int], side: int) -> Found | None:
    """Solve on a part of the domain, and follow the best quotient as the part grows to the whole at one end.

    Reference and denominator are taken along, moved: a pole with a zero beside it, close to an end, is met by no nodes
    that are chosen anew.
    """
    if task.mirror or len(task.intervals) > 1:
        return None
    (low, high), missing, step = task.intervals[0], PART, PART
    reached: Found | None = None
    for _ in range(WIDENINGS):
        ends = (low + missing * (high - low), high) if side == 0 else (low, high - missing * (high - low))
        part = task if missing == 0.0 else replace(task, intervals=(ends,))
        if reached is None:
            found = from_nodes(part, type_, None)
        else:
            (a, b), (c, d) = reached.quotients.task.intervals[0], ends
            moved = np.clip(c + (reached.points - a) * ((d - c) / (b - a)), c, d)
            found = exchange(quotients_of(part, type_), moved, reached.quotient)
        if found is not None and found.own < UNFINISHED:
            if missing == 0.0:
                return found
            reached, here, step = found, missing, FASTER * step
        elif reached is None:
            return None
        else:
            step *= SLOWER
        missing = max(here - step, 0.0)
    return None


def _climb(task: Task, type_: tuple[int, int], start: Found) -> list[Found]:
    """Go up to a type from the best quotient of a smaller one, in steps that are halved where they fail."""
    attempts, reached, step = [], start, max(type_)
    while (below := type_[0] - reached.quotients.m) and step:
        step = min(step, below, 1 + min(reached.quotients.m, reached.quotients.n) // 2)
        found = from_nodes(task, (type_[0] - below + step, type_[1] - below + step), reached.points)
        if found is not None and found.own < UNFINISHED:
            reached, step = found, 2 * step
        else:
            attempts += [] if found is None else [found]
            step //= 2
    return [*attempts, reached]


def _alternating(found: Found, type_: tuple[int, int]) -> Found:
    """Look for as many alternating errors as prove a quotient best of a larger type."""
    needed = max(found.quotients.m + type_[1], type_[0] + found.quotients.n) + 2
    if found.points.size >= needed or not found.largest:
        return found
    error = found.quotients.error(found.quotient)
    x, e = extrema(error, found.quotients.intervals, found.quotients.task.breakpoints, found.points)
    points = alternating(x, e, needed, found.points, error)
    if points.size < needed:
        return replace(found, distance=1.0)
    return replace(found, points=points, distance=distance_of(error, points, found.largest))
