"""Rules that look for a bias: alternating order statistics ("midpoint", "quantile" as published) and gradient steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from infimum.balance.loads import excess, targets
from infimum.balance.rules import update_bias
from infimum.bounds.assignment_dual import Limits

SWEEPS, UPDATES = 100, 1000  # unless the caller says how many
PATIENCE = 8  # sweeps without a gain, after which the midpoint rule has done what it can
FEW = 8  # order statistics of different ranks up to which partitioning is faster than sorting


def gradient_steps(
    scores: np.ndarray, k: int, limits: Limits, bias: np.ndarray, rule: Any, steps: int | None, rate: float
) -> np.ndarray:
    """Apply `update_bias` on one batch until its loads are within their limits."""
    target = np.mean(targets(limits, scores.shape[0] * k), axis=0)
    for _ in range(UPDATES if steps is None else steps):
        chosen = np.argpartition(scores + bias, -k, axis=1)[:, -k:]
        loads = np.bincount(chosen.ravel(), minlength=bias.size)
        if limits.admit(loads):
            break
        bias = update_bias(bias, loads, rule, rate, load=target)
    return bias


def quantile_sweeps(scores: np.ndarray, k: int, limits: Limits, bias: np.ndarray, steps: int | None) -> np.ndarray:
    """Apply the published quantile rule until it stands still or the sweeps are used up."""
    columns = np.ascontiguousarray(scores.T)
    for _ in range(SWEEPS if steps is None else steps):
        before = bias
        bias, loads = sweep(scores, columns, k, limits, bias, midpoint=False)
        if limits.admit(loads) or np.array_equal(bias, before):
            return before
    return bias


def midpoint_sweeps(scores: np.ndarray, k: int, limits: Limits, bias: np.ndarray, steps: int | None) -> np.ndarray:
    """Apply the midpoint rule until the loads fit or stop improving; return the best bias that was seen."""
    columns = np.ascontiguousarray(scores.T)
    best, least, since = bias, scores.size, 0
    for _ in range(SWEEPS if steps is None else steps):
        moved, loads = sweep(scores, columns, k, limits, bias, midpoint=True)
        left = excess(loads, limits)
        best, least, since = (bias, left, 0) if left < least else (best, least, since + 1)
        if least == 0 or (steps is None and since == PATIENCE):
            return best
        bias = moved
    return bias if steps is not None else best


def sweep(
    scores: np.ndarray, columns: np.ndarray, k: int, limits: Limits, bias: np.ndarray, *, midpoint: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the bias after one sweep, and the loads before it (ties count for every expert).

    A sweep sets a threshold for every token, then one for every expert. `columns` is the transpose of `scores`,
    contiguous. Every threshold between two neighbouring order statistics minimises the dual in that coordinate; the
    published rule takes the lower end, the midpoint rule the middle.
    """
    biased = scores + bias
    level = thresholds(biased, np.full(scores.shape[0], float(k)), midpoint=midpoint)
    loads = (biased > level[:, None]).sum(axis=0)
    margins = columns - level
    low, high = targets(limits, scores.shape[0] * k)
    least = -thresholds(margins, low, midpoint=midpoint)
    if low is high:
        return least - least.mean(), loads
    # between the limits the load is free, and the bias 0; any other bias pins it to an end
    return np.clip(0.0, least, -thresholds(margins, high, midpoint=midpoint)), loads


def thresholds(rows: np.ndarray, counts: np.ndarray, *, midpoint: bool) -> np.ndarray:
    """Return for every row the middle of its c-th and (c+1)-th largest entries, or the latter; c is given in `counts`.

    Where c is no whole number both are the same entry, the one at that place.
    """
    length = rows.shape[1]
    inside = length - np.clip(np.ceil(counts), 1, length).astype(np.int64)
    outside = length - np.clip(np.floor(counts) + 1, 1, length).astype(np.int64)
    places = np.unique(np.concatenate([inside, outside]))
    ordered = np.partition(rows, places, axis=1) if places.size <= FEW else np.sort(rows, axis=1)
    index = np.arange(rows.shape[0])
    lower = ordered[index, outside]
    return np.asarray((ordered[index, inside] + lower) / 2.0 if midpoint else lower)
