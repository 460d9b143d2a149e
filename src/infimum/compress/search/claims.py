"""What a plan claims: its measured errors raised and its bounds lowered, so that they follow on any machine.

The moments come from a model that runs in float32. Two machines, or two numbers of threads, round differently. Between
instruction sets (AVX-512, AVX2, SSE) errors and bounds were seen to differ by up to 7e-6 of themselves. Where they are
small, they differ by more than that, which is told by what a random change as large as the weight would cost, over its
larger side, and for an error by what a random change as large as its own would cost. Room of 4e-7 and 1e-5 of these was
too little between one thread and two on AVX-512; claims leave twice as much, and `infimum verify` leaves nothing.

A matrix of few bits is decided entry by entry, so that the smallest difference of a moment changes some of its
integers, and those after them. What is stored is measured as it is. What was not chosen is made anew when it is
checked, and has about the same error. These differences are taken to have no common cause, so that those of a sum add
up as their squares do: of a model of 31 groups the derived bound moved by 9e-4 of itself between AVX-512 and SSE, a
third of that room.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from infimum.compress.menu.task import Task
from infimum.compress.model.layer import Layer
from infimum.proof.rounding import ROOM
from infimum.proof.theorems.allocation_dual import Unit, lower_bound

RELATIVE, WHOLE, CHANGE = 3e-5, 8e-7, 2e-5
ROUNDING = 9e-3  # of the error of an alternative in few bits, made anew when it is checked: up to 8.3e-3 was seen


def mean_weight(task: Task, layer: Layer) -> tuple[float, float]:
    """Return what a random change of squared norm 1 would cost, and the weight's squared norm over its larger side.

    The cost is 0 for a norm in which no moment takes part.
    """
    members = task.judges(layer) if task.settings.rounds else [task.member(layer)]
    W = members[0].W
    mean = sum(_mean(norm.C) * (1.0 if norm.G is None else _mean(norm.G)) for _, norm in members)
    return 0.0 if task.settings.objective == "plain" else mean, float(np.sum(W**2)) / max(W.shape)


def _mean(moment: np.ndarray) -> float:
    """Mean of the eigenvalues of a moment, or of the vector of a diagonal one."""
    return float(np.mean(moment if moment.ndim == 1 else np.diag(moment)))


def raised(error: float, mean: float, change: float, whole: float) -> float:
    """Return the error that is claimed for a measured one; `change` is a squared norm, `whole` as in `mean_weight`."""
    return error * (1.0 + RELATIVE) + mean * min(CHANGE * change, WHOLE * whole) if mean else error


def reduced(errors: np.ndarray, mean: float, whole: float) -> np.ndarray:
    """Return the bounds that are claimed for derived ones; `mean` and `whole` as in `mean_weight`."""
    return np.maximum(errors * (1.0 - RELATIVE) - WHOLE * mean * whole, 0.0) if mean else errors


def bound_of(task: Task, units: Sequence[Unit], budget: int, multiplier: float, errors: Iterable[float]) -> float:
    """Return the bound on the total that is claimed, where the choices that were made have these errors."""
    bound = lower_bound(units, budget, multiplier, room=ROOM)
    lost = ROUNDING * math.hypot(*errors) if task.settings.rounds else 0.0
    return max(bound - lost, 0.0)
