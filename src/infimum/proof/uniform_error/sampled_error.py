"""The largest error that samples of a function show, where only its values are known.

Nothing is proved here: a narrow enough spike escapes every sample. What is done against it: a dense first look, at
points that whoever claims a value did not choose when the claim is checked, and halving of every cell between samples
that might hold more than the best so far, until it cannot. The estimate of what a cell may hold covers kinks between
two lines and cusps like that of a square root; a cell with a jump is halved until its ends are neighbouring doubles.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from infimum.errors import NonFiniteError
from infimum.proof.parabolas import BESIDE, largest_by_parabolas

FIRST_LOOK = 1 << 16  # samples, shared by the intervals by their length
LEAST_LOOK = 1 << 12  # of every interval
WIDTH = 2048  # cells that are halved together; those that might hold most are preferred
LATER_LOOK = 1 << 16  # samples in halved cells, at most
FINEST = 2.0**-60  # of the largest x: narrower cells count as jumps, with the larger of the errors at their ends
SHARP = 1e-12  # relative: what may be missing of a maximum
LARGEST_KEPT = 64  # places of large errors that are remembered
CAUTION = 2.0  # turns of the chord above the ends of a cell: a cusp takes up to 1.82 of them, a kink of lines 0.5
EXPECTED = 0.5  # turns that are believed of cells which no budget is left for
PATCHES, PATCH = 64, 128  # runs of equally spaced points at which noise is looked for, and their length
ORDER = 8  # of differences that leave little of a smooth function
RARE = 0.99  # of these differences are of noise or of a smooth function; the others are next to kinks and jumps
TYPICAL = 54.0  # their 99th percentile is near 170 times the largest noise, if that is uniform: three times it is taken

LOOKS_A_POINT = 16  # samples of a smooth function for every known point
PARABOLAS = 4  # from one sample to a maximum of a smooth function
MISSED = 1e-11  # relative: of such a maximum

ErrorValues = Callable[[np.ndarray], np.ndarray]
Intervals = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Sampled:
    """What samples show.

    Attributes
    ----------
    largest : float
        The largest ``|e|`` that was met.
    expected : float
        At least that: what cells may hold that were left before the estimate came down to what was met.
    noise : float
        How far values may lie beside those of a smooth function: of a function in single precision, say. 0 where the
        first look was at random points.
    places : array
        Points of the largest local maxima of ``|e|`` that were met.
    errors : array
        Errors there.
    """

    largest: float
    expected: float
    noise: float
    places: np.ndarray
    errors: np.ndarray


def sample(
    error: ErrorValues,
    intervals: Intervals,
    known: np.ndarray,
    *,
    resolution: float,
    rng: np.random.Generator,
    claim: bool = False,
) -> Sampled:
    """Look for the largest ``|e|`` on the intervals; the points `known` are looked at as well.

    `resolution` is the size of differences that rounding makes. The first look is at random points, one in every cell
    of a grid. For a claim, noise is measured too.
    """
    shares = _shares(intervals)
    looks = [_first_look(error, interval, share, known, rng) for interval, share in shares]
    windows = np.concatenate([look.windows for look in looks], axis=1)
    candidates = [look.maxima for look in looks]
    largest = max(float(np.max(np.abs(e))) for _, e in candidates)
    least = FINEST * max(max(abs(low), abs(high)) for low, high in intervals)
    left_out, spent = 0.0, 0
    while True:  # until all cells that matter are as narrow as `least`
        windows, dropped = _promising(windows, largest * (1.0 + SHARP) + resolution, LATER_LOOK - spent)
        left_out = max(left_out, dropped)
        windows, x, e = _halved(error, windows, least)
        if not x.size:
            break
        spent += x.size
        candidates.append((x, e))
        largest = max(largest, float(np.max(np.abs(e))))
    noise = max(_noise(error, interval, share) for interval, share in shares) if claim else 0.0
    return Sampled(largest, max(largest * (1.0 + SHARP), left_out), noise, *_largest_maxima(candidates))


def sample_smooth(error: ErrorValues, intervals: Intervals, known: np.ndarray, *, rng: np.random.Generator) -> Sampled:
    """Look for the largest ``|e|`` for a claim where e is smooth but at some of the `known` points.

    There are fewer samples than of a function of which nothing is known: parabolas lead from them to the maxima.
    """
    count = max(LEAST_LOOK // 4, LOOKS_A_POINT * known.size)
    candidates, noise = [], 0.0
    for interval, share in _shares(intervals, count, LEAST_LOOK // 16):
        x = _grid(interval, share, known, rng)
        e = _finite(error, x)
        places, _ = _local_maxima(x, e)
        inner = np.searchsorted(x, places[(places > x[0]) & (places < x[-1])]) + BESIDE
        near = largest_by_parabolas(x[inner], np.abs(e[inner]), lambda x: np.abs(_finite(error, x)), PARABOLAS)
        candidates += [(x, e), (near, _finite(error, near))]
        noise = max(noise, _noise(error, interval, share, PATCHES // 4))
    largest = max(float(np.max(np.abs(e), initial=0.0)) for _, e in candidates)
    return Sampled(largest, largest * (1.0 + MISSED), noise, *_largest_maxima(candidates))


class _Look(NamedTuple):
    """Cells with their neighbours (rows: four points, then four errors), and local maxima."""

    windows: np.ndarray
    maxima: tuple[np.ndarray, np.ndarray]


def _shares(
    intervals: Intervals, count: int = FIRST_LOOK, least: int = LEAST_LOOK
) -> list[tuple[tuple[float, float], int]]:
    total = sum(high - low for low, high in intervals)
    return [((a, b), max(least, math.ceil(count * ((b - a) / total)))) for a, b in intervals]


def _first_look(
    error: ErrorValues, interval: tuple[float, float], count: int, known: np.ndarray, rng: np.random.Generator
) -> _Look:
    x = _grid(interval, count, known, rng)
    e = _finite(error, x)
    return _Look(_windows(x, e), _local_maxima(x, e))


def _grid(interval: tuple[float, float], count: int, known: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One random point in every cell of a grid, and the known ones."""
    low, high = interval
    # neighbouring gaps differ by a factor of 3 at most, and no place is out of reach
    inner = low + (np.arange(count) + rng.random() / 2.0 + rng.random(count) / 2.0) * ((high - low) / count)
    grid = np.concatenate([[low], inner[(inner > low) & (inner < high)], [high]])
    grid = grid[np.concatenate([[True], np.diff(grid) > 0.0])]
    more = np.unique(known[(known > low) & (known < high)])
    place = np.searchsorted(grid, more)
    new = grid[place] != more
    return np.insert(grid, place[new], more[new])


def _noise(error: ErrorValues, interval: tuple[float, float], count: int, patches: int = PATCHES) -> float:
    """Size of what is not smooth everywhere, three times over, by high differences at equally spaced points.

    Kinks and jumps are few among so many points, and do not count.
    """
    low, high = interval
    step = (high - low) / count
    start = np.linspace(low, max(high - step * PATCH, low), patches)
    x = np.clip(start[:, None] + step * np.arange(PATCH), low, high)
    differences = np.abs(np.diff(_finite(error, x.ravel()).reshape(x.shape), ORDER)).ravel()
    rank = int(RARE * (differences.size - 1))
    return float(np.partition(differences, rank)[rank]) / TYPICAL


def _windows(x: np.ndarray, e: np.ndarray) -> np.ndarray:
    """Cells that may hold more than the largest error at any point, with the points on both sides; NaN for none."""
    width, slope = np.diff(x), np.diff(e) / np.diff(x)
    turn = np.concatenate([[0.0], np.abs(np.diff(slope)), [0.0]])
    size = np.abs(e)
    promise = np.maximum(size[:-1], size[1:]) + CAUTION * np.maximum(turn[:-1], turn[1:]) * width
    chosen = np.flatnonzero(promise > np.max(size))
    x, e = (np.concatenate([[np.nan], row, [np.nan]]) for row in (x, e))
    return np.stack([*(x[chosen + k] for k in range(4)), *(e[chosen + k] for k in range(4))])


def _ends_and_turns(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Larger error at the ends of every cell, and how far its chord turns from those beside it, over its width.

    Where e consists of two lines, the kink lies at most a quarter of that turn above both ends, and the larger of the
    two turns that are seen is at least half of it.
    """
    a, b, c, d, ea, eb, ec, ed = windows
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        left = np.abs((ec - eb) - (eb - ea) * ((c - b) / (b - a)))
        right = np.abs((ec - eb) - (ed - ec) * ((c - b) / (d - c)))
    return np.maximum(np.abs(eb), np.abs(ec)), np.nan_to_num(np.fmax(left, right), nan=0.0, posinf=0.0)


def _promising(windows: np.ndarray, goal: float, budget: int) -> tuple[np.ndarray, float]:
    """Cells that may hold more than the goal, as many as will be halved, and the most that any other such may hold."""
    ends, turns = _ends_and_turns(windows)
    keep = ends + CAUTION * turns > goal
    windows, expected = windows[:, keep], (ends + EXPECTED * turns)[keep]
    most = max(min(WIDTH, budget), 0)
    if expected.size <= most:
        return windows, 0.0
    order = np.argsort(-expected, kind="stable")
    return windows[:, order[:most]], float(expected[order[most]])


def _halved(error: ErrorValues, windows: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both halves of every cell that is wider than `least`, and the points in the middle with their errors."""
    middle = windows[1] + (windows[2] - windows[1]) / 2.0
    inner = (middle > windows[1]) & (middle < windows[2]) & (windows[2] - windows[1] > least)
    a, b, c, d, ea, eb, ec, ed = windows[:, inner]
    middle = middle[inner]
    em = _finite(error, middle) if middle.size else middle
    left, right = np.stack([a, b, middle, c, ea, eb, em, ec]), np.stack([b, middle, c, d, eb, em, ec, ed])
    return np.concatenate([left, right], axis=1), middle, em


def _finite(error: ErrorValues, x: np.ndarray) -> np.ndarray:
    e = error(x)
    bad = ~np.isfinite(e)
    if np.any(bad):
        raise NonFiniteError(f"the error is not finite at x = {x[bad][0]!r}")
    return e


def _local_maxima(x: np.ndarray, e: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points, in order, at which ``|e|`` is a local maximum: the largest, and a limited number of them."""
    size = np.concatenate([[-1.0], np.abs(e), [-1.0]])
    local = np.flatnonzero((size[1:-1] >= size[:-2]) & (size[1:-1] >= size[2:]))
    if local.size > LARGEST_KEPT:
        local = np.sort(local[np.argpartition(-np.abs(e[local]), LARGEST_KEPT)[:LARGEST_KEPT]])
    return x[local], e[local]


def _largest_maxima(candidates: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    x, index = np.unique(np.concatenate([points for points, _ in candidates]), return_index=True)
    return _local_maxima(x, np.concatenate([errors for _, errors in candidates])[index])
