"""The search for best rational functions: nodes of interpolation are balanced, then references exchanged.

A quotient that interpolates f on m + n + 1 nodes has an error between any two of them. Intervals with large errors
shrink and others grow until all errors are within a small factor, which works from almost any nodes; from there the
exchange on m + n + 2 points converges. Nothing here is trusted: what was found is bounded by `rational`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from infimum.minimax.remez.exchange import alternating, first_reference
from infimum.minimax.remez.extrema import extrema
from infimum.minimax.remez.levelled_error import ErrorFunction
from infimum.minimax.remez.quotients import Quotient, Quotients
from infimum.proof.enclosure.domain import points_of
from infimum.proof.enclosure.task import Task
from infimum.proof.uniform_error.error_certificate import scale

FIRST_BITS, BITS_A_DEGREE = 192, 8
MORE_BITS = (2, 3, 4, 6)  # halves of those at hand, tried in order where they do not resolve an error
VANISHING, VANISHING_BITS = 400, 512  # an error of 2**-400 times f, in 512 bits or more, is taken for none
EXCHANGES = 30
PATIENCE = 5
CLOSED = 1e-11
UNFINISHED = 1e-7
GOALS = (3.0, 1.2)  # ratios of the largest to the smallest error between nodes, from which the exchange is tried
LOOKS = 120  # at quotients while nodes are balanced
FIRST_STEP, LEAST_STEP = 0.3, 1e-3
DETOUR = 1.1  # of the spread: what a step may lose
STEEPEST = 3.0  # logarithm of errors beside their median that one step takes into account
BETWEEN = (1.0 - np.cos(np.pi * np.arange(9) / 8)) / 2.0  # places on the interval between two nodes, the nodes included
UNRESOLVED = 1e-2  # of the largest error, at a node: bits are missing
LARGEST = 1e300
FINE = 1001  # points at which the denominator of the answer is looked at
UNEVEN = 1e-6  # of the levelled error, on its reference


@dataclass(frozen=True, slots=True)
class Found:
    """A quotient, its alternation on the half domain, and the relative distance of the two errors.

    `distance` is for the wanted type, `own` for that of the quotient.
    """

    quotients: Quotients
    quotient: Quotient
    points: np.ndarray
    largest: float
    distance: float
    own: float
    vanishes: bool = False  # the error is but rounding: f is such a quotient


class _Balanced(NamedTuple):
    """Nodes, their quotient, the place of the largest error on each interval, its size, and if it is but rounding."""

    nodes: np.ndarray
    quotient: Quotient
    places: np.ndarray
    errors: np.ndarray
    vanishes: bool

    @property
    def spread(self) -> float:
        """How far the logarithms of the errors are from their median."""
        return float(np.sqrt(np.mean(self.logarithms**2)))

    @property
    def logarithms(self) -> np.ndarray:
        """Logarithms of the errors beside their median, within limits."""
        sizes = np.log(np.maximum(self.errors, 1.0 / LARGEST))
        return np.asarray(np.clip(sizes - np.median(sizes), -20.0, 20.0))

    @property
    def ratio(self) -> float:
        """Largest error over the smallest."""
        logarithms = np.log(np.maximum(self.errors, 1.0 / LARGEST))
        return float(np.exp(min(np.max(logarithms) - np.min(logarithms), np.log(LARGEST))))


def quotients_of(task: Task, type_: tuple[int, int]) -> Quotients:
    """Return the quotients of a type, with bits to begin with."""
    return Quotients(task, type_, FIRST_BITS + BITS_A_DEGREE * sum(type_))


def from_nodes(task: Task, type_: tuple[int, int], smaller: np.ndarray | None) -> Found | None:
    """Balance nodes and exchange references, with as many bits as that takes."""
    quotients = quotients_of(task, type_)
    nodes = _first_nodes(quotients, smaller)
    best: Found | None = None
    for goal in GOALS:
        balanced = _balance(quotients, nodes, goal)
        if balanced is None:
            break
        if balanced.vanishes:
            if not has_no_pole(quotients, balanced.quotient):  # a factor that p and q share
                break
            return Found(quotients, balanced.quotient, balanced.places, float(np.max(balanced.errors)), 0.0, 0.0, True)
        found = exchange(quotients, balanced.places, balanced.quotient)
        if found is not None and (best is None or found.own < best.own):
            best = found
        if best is not None and best.own < UNFINISHED:
            break
        nodes = balanced.nodes
    return best


def has_no_pole(quotients: Quotients, quotient: Quotient) -> bool:
    """Tell whether the denominator has one sign at many points."""
    return quotients.has_one_sign(quotient, points_of(quotients.task.half, FINE))


def _first_nodes(quotients: Quotients, smaller: np.ndarray | None) -> np.ndarray:
    """Chebyshev points in t, or the reference of a smaller type, spread."""
    count = quotients.m + quotients.n + 1
    if smaller is None:
        ends = first_reference(quotients.intervals, 2 * count + 1, quotients.stride)
        return ends[1::2]
    spread = np.interp(np.linspace(0.0, 1.0, count + 2)[1:-1], np.linspace(0.0, 1.0, smaller.size), smaller)
    return np.asarray(spread)


# ------------------------------------------------------------------ nodes


def _balance(quotients: Quotients, nodes: np.ndarray, goal: float) -> _Balanced | None:
    """Change the lengths between nodes until the errors there are within a factor; steps that do not help shrink."""
    low, high = quotients.task.half[0]
    lengths = trial = np.diff(np.concatenate([[low], nodes, [high]]))
    best = here = None
    step = FIRST_STEP
    for look in range(LOOKS):
        seen = _look(quotients, _placed(trial, low, high))
        if seen is not None and (here is None or seen.spread < DETOUR * here.spread):
            here, lengths, step = seen, trial, min(1.6 * step, 1.0)
            best = here if best is None or here.spread < best.spread else best
        else:
            step /= 3.0
        if here is None:  # no quotient there: other nodes, as good as these
            trial = lengths * np.exp(0.03 * np.sin(7.0 * np.arange(lengths.size) + look))
        elif here.vanishes or here.ratio < goal or step < LEAST_STEP:
            break
        else:
            trial = lengths * np.exp(-step * np.clip(here.logarithms, -STEEPEST, STEEPEST))
        trial *= (high - low) / trial.sum()
    return best


def _placed(lengths: np.ndarray, low: float, high: float) -> np.ndarray:
    """Nodes from lengths, each added up from the nearer end: nodes that crowd at an end are told apart."""
    left, right = np.cumsum(lengths)[:-1], np.cumsum(lengths[::-1])[::-1][1:]
    return np.asarray(np.where(left < right, low + left, high - right))


def _look(quotients: Quotients, nodes: np.ndarray) -> _Balanced | None:
    """Interpolate, with more bits where they do not resolve the error."""
    low, high = quotients.task.half[0]
    ends = np.concatenate([[low], nodes, [high]])
    if not np.all(np.diff(ends) > 0.0):
        return None
    x = ends[:-1, None] + np.diff(ends)[:, None] * BETWEEN
    x[:, 0], x[:, -1] = ends[:-1], ends[1:]
    first = quotients.bits
    for more in MORE_BITS:
        quotients.bits = first * more // 2
        quotient = quotients.interpolating(nodes)
        if quotient is None:
            continue
        e = np.minimum(np.abs(quotients.error(quotient)(x)), LARGEST)
        largest = np.max(e)
        vanishes = quotients.bits >= VANISHING_BITS and bool(largest <= scale(quotients.task) * 2.0**-VANISHING)
        if vanishes or np.max(e[1:, 0], initial=0.0) <= UNRESOLVED * largest:
            rows, most = np.arange(ends.size - 1), np.argmax(e, axis=1)
            return _Balanced(nodes, quotient, x[rows, most], e[rows, most], vanishes)
    quotients.bits = first  # it is not for want of bits: there is no such quotient, or one of a smaller type
    return None


# ------------------------------------------------------------------ references


def exchange(quotients: Quotients, reference: np.ndarray, near: Quotient) -> Found | None:
    """Exchange on m + n + 2 points."""
    task, intervals = quotients.task, quotients.intervals
    best: Found | None = None
    idle = 0
    for _ in range(EXCHANGES):
        quotient = _levelled(quotients, reference, near)
        if quotient is None:
            break
        error = quotients.error(quotient)
        x, e = extrema(error, intervals, task.breakpoints, reference)
        largest = float(np.max(np.abs(e)))
        if not math.isfinite(largest):
            break
        points = alternating(x, e, reference.size, reference, error)
        own = distance_of(error, points, largest)
        idle += 1
        if quotients.has_one_sign(quotient, x) and (best is None or own < best.own):
            best, idle = Found(quotients, quotient, points, largest, own, own), 0
        if own <= CLOSED or idle > PATIENCE:
            break
        reference, near = points, quotient
    return best


def _levelled(quotients: Quotients, reference: np.ndarray, near: Quotient) -> Quotient | None:
    """Return the levelled quotient on a reference, with more bits where its errors there are not level."""
    first = quotients.bits
    for more in MORE_BITS:
        quotients.bits = first * more // 2
        found = quotients.levelled(reference, near)
        if found is not None:
            e = np.abs(quotients.error(found)(reference))
            if np.max(e) - np.min(e) <= UNEVEN * np.max(e):
                return found
    quotients.bits = first
    return None


def distance_of(error: ErrorFunction, points: np.ndarray, largest: float) -> float:
    """Relative distance of the smallest error at points from the largest anywhere."""
    return 0.0 if not largest else float(1.0 - np.min(np.abs(error(points))) / largest)
