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
        best = min(best, free - sum(scores[i, list(chosen)].sum() for i, chosen in enumerate(assignment)))
    return float(best)


def least_total(cost: Array, maximize: bool = False) -> float:
    """Least sum over all permutations, or the least negated one, by trying every one."""
    values = to_numpy(cost).astype(np.float64) * (-1.0 if maximize else 1.0)
    rows = np.arange(values.shape[0])
    return min(float(values[rows, list(order)].sum()) for order in itertools.permutations(rows))
