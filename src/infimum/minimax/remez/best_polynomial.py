"""From a task to an answer with its certificate: solvers search, and what the certificate shows goes back to them."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from infimum.minimax.remez.exact_member import exact_member
from infimum.minimax.remez.exchange import Levelled, first_reference, solve
from infimum.minimax.remez.multiple_precision import NOISE, in_multiple_precision
from infimum.proof.enclosure.approximants import Approximant, stored
from infimum.proof.enclosure.spaces import Powers, variable
from infimum.proof.enclosure.task import MOST_BREAKPOINTS, Task
from infimum.proof.uniform_error.error_certificate import Certified, claim_error, scale

LOOKS = 8  # at what an enclosure or samples show that the exchange did not meet


class Best(NamedTuple):
    """An answer: its task (with breakpoints that samples showed), what was found, and its certificate."""

    task: Task
    levelled: Levelled
    answer: Certified
    divisor: int = 1

    @property
    def ratio(self) -> float:
        """Value over bound."""
        return float(self.answer.certificate.ratio)


def enclosed(task: Task, tol: float, precision: str) -> Best:
    """Solve in double precision and, where that does not reach the tolerance, in multiple precision."""
    member = _member(task, tol)
    if member is not None:
        return member
    levelled = solve(task)
    multiple = isinstance(task.space, Powers) and precision != "double"
    hopeless = levelled.largest <= NOISE * scale(task)  # it was looked for among rounding errors
    best = None if multiple and (hopeless or precision == "multiple") else _closed(task, levelled, tol)
    if best is not None and not (multiple and best.ratio > 1.0 + tol):
        return best
    start = levelled if best is None else best.levelled
    refined = _closed(task, in_multiple_precision(task, start, tol), tol, precise=True)
    if best is None and precision == "auto" and refined.answer.certificate.value > levelled.largest:
        best = _closed(task, levelled, tol)
    if best is None or refined.answer.certificate.value <= best.answer.certificate.value:
        return refined
    return best


def _member(task: Task, tol: float) -> Best | None:
    """Return f itself where it belongs to the space: its error is 0 at any points."""
    interval = variable(task.space, task.half) if isinstance(task.space, Powers) else (0.0, 0.0)
    exact = exact_member(task, interval)
    if exact is None:
        return None
    rows, divisor = exact
    stride = task.space.stride if isinstance(task.space, Powers) else 1
    points = first_reference(task.away_from_zero(task.half), task.space.size + 1, stride)
    approximant = stored(task.space, interval, rows, divisor)
    found = claim_error(task, approximant, points, tol, "enclosed")
    return Best(task, Levelled(points, 0.0, rows, interval, 0.0, 0), found, divisor)


def _closed(task: Task, levelled: Levelled, tol: float, *, precise: bool = False) -> Best:
    """Enclose the error; where it is larger than the exchange saw, cut there and solve again."""
    best: Best | None = None
    cuts = task
    for _ in range(LOOKS):
        answer = claim_error(task, _stored(task, levelled), levelled.points, tol, "enclosed")
        if best is None or answer.certificate.ratio < best.ratio:
            best = Best(task, levelled, answer)
        bounded = answer.certificate.lower_bound > 0.0  # else nothing but rounding may be left of the error
        missed = bounded and answer.certificate.value > levelled.largest * (1.0 + tol)
        if answer.certificate.ratio <= 1.0 + tol or not missed:
            break
        low, high = answer.worst
        places = np.union1d(cuts.breakpoints, [low, low + (high - low) / 2.0, high])
        if places.size in (len(cuts.breakpoints), MOST_BREAKPOINTS):
            break
        cuts = replace(cuts, breakpoints=tuple(places.tolist()))
        with np.errstate(all="ignore"):  # points on both sides of a jump may be too near for the solver
            levelled = in_multiple_precision(cuts, levelled, tol) if precise else solve(cuts)
        if not np.all(np.isfinite(levelled.coefficients)):
            break
    assert best is not None
    return best


def sampled(task: Task, tol: float, *, smooth: bool = False) -> Best:
    """Solve, look where samples show larger errors than the exchange met, and solve again with breakpoints there."""
    best: Best | None = None
    for _ in range(LOOKS):
        with np.errstate(all="ignore"):  # points on both sides of a jump may be too near for the solver
            levelled = solve(task)
        if best is not None and not np.all(np.isfinite(levelled.coefficients)):
            break
        found = claim_error(task, _stored(task, levelled), levelled.points, tol, "sampled", smooth=smooth)
        if best is None or found.certificate.value < best.answer.certificate.value:
            best = Best(task, levelled, found)
        assert found.samples is not None
        seen = levelled.largest * (1.0 + tol) + found.samples.noise
        missed = found.samples.places[np.abs(found.samples.errors) > seen]
        places = np.union1d(task.breakpoints, missed)
        if found.certificate.ratio <= 1.0 + tol or places.size in (len(task.breakpoints), MOST_BREAKPOINTS):
            break
        task = replace(task, breakpoints=tuple(places[:MOST_BREAKPOINTS].tolist()))
    assert best is not None
    return best


def _stored(task: Task, levelled: Levelled) -> Approximant:
    return stored(task.space, levelled.interval, levelled.coefficients)
