"""The optimum of threshold routing by sorting: how many tokens every expert takes, and thresholds that prove it."""

from __future__ import annotations

import numpy as np

from infimum.proof.theorems.assignment_dual import Limits


def extra_tokens(ranked: np.ndarray, within: Limits, rest: int) -> np.ndarray:
    """Share out what is left above the smallest loads: to the best entries, expert by expert in order."""
    place = np.arange(ranked.shape[0])[:, None]
    rank, expert = np.nonzero((place >= within.low) & (place < within.high))  # by rank: ties go to the earlier one
    best = np.argsort(-ranked[rank, expert], kind="stable")[:rest]
    return np.bincount(expert[best], minlength=ranked.shape[1])


def separating_thresholds(ranked: np.ndarray, counts: np.ndarray, within: Limits) -> tuple[np.ndarray, float]:
    """Return a threshold for every expert between its last token and the next, on the right side of a common level."""
    spread = float(ranked.max() - ranked.min()) or 1.0
    fence = np.concatenate([ranked[:1] + spread, ranked, ranked[-1:] - spread])
    expert = np.arange(counts.size)
    above, below = fence[counts, expert], fence[counts + 1, expert]
    grown, may_grow = counts > within.low, counts < within.high
    last = float(above[grown].min()) if grown.any() else float(ranked.max() + spread)
    best = float(below[may_grow].max()) if may_grow.any() else float(ranked.min() - spread)
    level = (last + best) / 2.0
    below = np.where(grown, np.maximum(below, level), below)
    above = np.where(may_grow, np.minimum(above, level), above)
    return (above + below) / 2.0, level
