"""Rules that look for a bias: alternating order statistics ("midpoint", "quantile" as published) and gradient steps.

Scores may be of any library and stay where they are, with what is as large as they are. The host has what there is one
of for every expert: bias, loads and thresholds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from infimum._arrays import Array, like_array, namespace, to_numpy
from infimum._linalg import transposed
from infimum.balance.rules import update_bias
from infimum.proof.largest_entries import descending, k_largest
from infimum.proof.theorems.assignment_dual import Limits

SWEEPS, UPDATES = 100, 1000  # unless the caller says how many
PATIENCE = 8  # sweeps without a gain, after which the midpoint rule has done what it can
SHORT = 128  # entries of a row up to which nothing is faster than sorting
FEW = 2  # order statistics of different ranks up to which partitioning is faster than sorting


class Aim(NamedTuple):
    """Loads that a sweep steers to: the same from below and above, or a window between which the bias is 0."""

    low: np.ndarray
    high: np.ndarray
    total: float
    exact: bool

    def missed(self, loads: np.ndarray) -> float:
        """Count the assignments that are above the window, or lack below it."""
        return float(max(np.maximum(loads - self.high, 0).sum(), np.maximum(self.low - loads, 0).sum()))

    def scaled(self, factor: float) -> Aim:
        """Return the aim for a part of the tokens."""
        return Aim(self.low * factor, self.high * factor, self.total * factor, self.exact)


def aim(limits: Limits, total: int) -> Aim:
    """Return what sweeps steer to; windows made from a fractional load steer to that load."""
    room = limits.high - limits.low
    if room.max() > 1:
        return Aim(limits.low.astype(np.float64), limits.high.astype(np.float64), total, exact=False)
    share = (total - limits.low.sum()) / max(1, room.sum())
    return Aim(limits.low + room * share, limits.low + room * share, total, exact=True)


def gradient_steps(
    scores: Array, k: int, limits: Limits, bias: np.ndarray, rule: Any, steps: int | None, rate: float
) -> np.ndarray:
    """Apply `update_bias` on one batch until its loads are within their limits."""
    goal = aim(limits, scores.shape[0] * k)
    for _ in range(UPDATES if steps is None else steps):
        loads = occurrences(k_largest(scores, k, like_array(bias, scores)).columns, bias.size)
        if limits.admit(loads):
            break
        bias = update_bias(bias, loads, rule, rate, load=(goal.low + goal.high) / 2.0)
    return bias


def quantile_sweeps(scores: Array, k: int, limits: Limits, bias: np.ndarray, steps: int | None) -> np.ndarray:
    """Apply the published quantile rule until it stands still or the sweeps are used up."""
    columns, goal = _by_expert(scores), aim(limits, scores.shape[0] * k)
    for _ in range(SWEEPS if steps is None else steps):
        before = bias
        bias, loads = sweep(scores, columns, k, goal, bias, midpoint=False)
        if limits.admit(loads) or np.array_equal(bias, before):
            return before
    return bias


def midpoint_sweeps(
    scores: Array, k: int, goal: Aim, bias: np.ndarray, *, steps: int | None = None, enough: float = 0.0
) -> np.ndarray:
    """Apply the midpoint rule until at most `enough` assignments are missed, or no gain made; return the best bias."""
    columns = _by_expert(scores)
    margins = np.empty_like(columns) if isinstance(columns, np.ndarray) else None
    best, least, since = bias, np.inf, 0
    for _ in range(SWEEPS if steps is None else steps):
        moved, loads = sweep(scores, columns, k, goal, bias, midpoint=True, margins=margins)
        left = goal.missed(loads)
        best, least, since = (bias, left, 0) if left < least else (best, least, since + 1)
        if least <= enough or (steps is None and since == PATIENCE):
            return best
        bias = moved
    return bias if steps is not None else best


def _by_expert(scores: Array) -> Array:
    if isinstance(scores, np.ndarray):
        return transposed(scores)
    return namespace(scores=scores).permute_dims(scores, (1, 0))


def sweep(
    scores: Array,
    columns: Array,
    k: int,
    goal: Aim,
    bias: np.ndarray,
    *,
    midpoint: bool,
    margins: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the bias after one sweep, and the loads before it. The memory of `margins` may be given.

    A sweep sets a threshold for every token, then one for every expert. `columns` is the transpose of `scores`,
    contiguous on the host. Every threshold between two neighbouring order statistics minimises the dual in that
    coordinate; the published rule takes the lower end, the midpoint rule the middle.
    """
    level, chosen = route(scores, k, like_array(bias, scores), midpoint=midpoint)
    loads = occurrences(chosen, bias.size)
    moved = columns - level if margins is None else np.subtract(columns, level, out=margins)
    return expert_step(moved, goal, midpoint=midpoint), loads


def route(scores: Array, k: int, bias: Array | None = None, *, midpoint: bool) -> tuple[Array, Array]:
    """Return what `thresholds` does for the k largest entries of every token, and their columns."""
    columns, inside, outside = k_largest(scores, k, bias)
    if k == scores.shape[1]:
        outside = inside
    return (inside + outside) / 2.0 if midpoint else outside, columns


def occurrences(labels: Array, count: int) -> np.ndarray:
    """Return, on the host, how often each of so many labels occurs."""
    xp = namespace(labels=labels)
    labels = xp.reshape(labels, (-1,))
    if isinstance(labels, np.ndarray):
        return np.bincount(labels, minlength=count)
    ends = xp.searchsorted(xp.sort(labels), like_array(np.arange(count + 1), labels))
    return np.diff(to_numpy(ends))


def expert_step(margins: Array, goal: Aim, *, midpoint: bool) -> np.ndarray:
    """Return the bias that meets the goal when every expert takes the tokens with the largest margins, a row each."""
    least = -thresholds(margins, goal.low, midpoint=midpoint)
    if goal.exact:
        return np.asarray(least - least[np.isfinite(least)].mean())
    # between the limits the load is free, and the bias 0; any other bias pins it to an end
    bias = np.clip(0.0, least, -thresholds(margins, goal.high, midpoint=midpoint))
    return np.asarray(bias + best_constant(bias, goal.low, goal.high, goal.total))


def best_constant(bias: np.ndarray, low: np.ndarray, high: np.ndarray, total: float) -> float:
    """Return the constant that, added to a bias, gives the least D(b): it changes no routing, but where loads may vary.

    D(b + c) is convex and piecewise linear in c: its slope grows by ``high - low`` where an entry of b + c changes
    sign.
    """
    order = np.argsort(-bias)
    slope = total - high.sum() + np.cumsum((high - low)[order])  # beyond each of -bias[order]; before them it falls
    first, last = int(np.searchsorted(slope, 0.0)), int(np.searchsorted(slope, 0.0, side="right"))
    if first == bias.size or last == 0:  # exact loads: D(b) does not change
        return 0.0
    return -float(bias[order[first]] + bias[order[min(last, bias.size - 1)]]) / 2.0


def thresholds(rows: Array, counts: np.ndarray, *, midpoint: bool) -> np.ndarray:
    """Return for every row the middle of its c-th and (c+1)-th largest entries, or the latter; c is given in `counts`.

    Where c is no whole number both are the same entry, the one at that place. Entries change places within their rows.
    The thresholds are on the host.
    """
    upper, lower = neighbours(rows, counts) if isinstance(rows, np.ndarray) else _neighbours_on_device(rows, counts)
    return np.asarray((upper + lower) / 2.0 if midpoint else lower)


def neighbours(rows: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the two entries of every row that `thresholds` is made of; one count may do for all.

    The other entries change places.
    """
    length = rows.shape[1]
    alike = counts.min() == counts.max()
    if alike:
        counts = counts[:1]
    inside, outside = (length - rank for rank in _ranks(counts, length))
    if length > SHORT and alike and outside[0] == inside[0] - 1:
        # a partition at one place, and the largest entry before it: several times faster than one at two places
        rows.partition(inside[0], axis=1)
        return rows[:, inside[0]], rows[:, : inside[0]].max(axis=1)
    if length > SHORT and (places := np.unique(np.concatenate([inside, outside]))).size <= FEW:
        rows.partition(places, axis=1)
    else:
        rows.sort(axis=1)
    if alike:
        return rows[:, inside[0]].copy(), rows[:, outside[0]].copy()
    index = np.arange(rows.shape[0])
    return rows[index, inside], rows[index, outside]


def _neighbours_on_device(rows: Array, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    xp, ranks = namespace(rows=rows), np.stack(_ranks(counts, rows.shape[1]), axis=1)
    found = xp.take_along_axis(descending(rows, int(ranks.max())), like_array(ranks - 1, rows), axis=1)
    upper, lower = to_numpy(found).T
    return upper, lower


def _ranks(counts: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ranks, from 1 on, of the entries before and after the place where so many entries end."""
    before = np.minimum(np.maximum(np.ceil(counts), 1.0), length).astype(np.int64)
    after = np.minimum(np.maximum(np.floor(counts) + 1.0, 1.0), length).astype(np.int64)
    return before, after
