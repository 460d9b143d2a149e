"""Slow and obviously right optima for tiny inputs: what the contract suite, or a doubting user, compares with."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from infimum._arrays import Array, to_numpy


def least_given_up(scores: Array, k: int, load: Any, groups: Any = None, group_load: Any = None) -> float:
    """Least score given up against unbalanced top-k, by trying every assignment within the limits."""
    scores = to_numpy(scores).astype(np.float64)
    tokens, experts = scores.shape
    low, high = to_numpy(load)
    free = np.sort(scores, axis=1)[:, experts - k :].sum()
    best = np.inf
    choices = list(itertools.combinations(range(experts), k))
    for assignment in itertools.product(choices, repeat=tokens):
        loads = np.bincount(np.concatenate(assignment), minlength=experts)
        if np.any(loads < low) or np.any(loads > high):
            continue
        if groups is not None:
            joint = np.bincount(to_numpy(groups), weights=loads)
            if np.any(joint < to_numpy(group_load)[0]) or np.any(joint > to_numpy(group_load)[1]):
                continue
        score = sum(scores[i, list(chosen)].sum() for i, chosen in enumerate(assignment))
        best = min(best, free - score)  # infinite where a pair is not admitted
    return float(best)


def least_total(cost: Array, maximize: bool = False) -> float:
    """Least sum over all assignments of the shorter side, or the least negated one, by trying every one."""
    values = to_numpy(cost).astype(np.float64) * (-1.0 if maximize else 1.0)
    wide = values if values.shape[0] <= values.shape[1] else values.T
    rows = np.arange(wide.shape[0])
    return min(
        float(wide[rows, list(order)].sum()) for order in itertools.permutations(range(wide.shape[1]), rows.size)
    )


def least_given_up_anywhere(scores: Array, total: int, load: Any) -> float:
    """Least score given up against the `total` best entries, by trying every choice of so many within the limits."""
    values = to_numpy(scores).astype(np.float64)
    low, high = to_numpy(load)
    best = -np.inf
    for chosen in itertools.combinations(range(values.size), total):
        loads = np.bincount(np.asarray(chosen) % values.shape[1], minlength=values.shape[1])
        if np.all((loads >= low) & (loads <= high)):
            best = max(best, values.ravel()[list(chosen)].sum())
    return float(np.sort(values, axis=None)[values.size - total :].sum() - best)


def least_distance(points: Array, codes: Array, load: Any) -> float:
    """Least sum of squared distances to given codes, by trying every assignment within the limits."""
    values, centres = to_numpy(points).astype(np.float64), to_numpy(codes).astype(np.float64)
    distances = np.square(values[:, None] - centres).sum(axis=2)
    low, high = to_numpy(load)
    best = np.inf
    for labels in itertools.product(range(len(centres)), repeat=len(values)):
        loads = np.bincount(labels, minlength=len(centres))
        if np.all((loads >= low) & (loads <= high)):
            best = min(best, distances[np.arange(len(values)), list(labels)].sum())
    return float(best)
