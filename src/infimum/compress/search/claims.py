"""What a plan claims: its measured errors raised and its bounds lowered, so that they follow on any machine.

The moments come from a model that runs in float32. Two machines, or two numbers of threads, round differently: between
instruction sets (AVX-512, AVX2, SSE) errors and bounds were seen to differ by up to 7e-6 of themselves, and beside that
by up to 1e-9 of what a random change as large would cost: the whole weight, for a bound. Claims leave `RELATIVE` and
`FLOOR` for it, some four and ten times as much; `infimum verify` leaves nothing.
"""

from __future__ import annotations

import numpy as np

from infimum.compress.menu.task import Task
from infimum.compress.model.checkpoint import Layer

RELATIVE, FLOOR = 3e-5, 1e-8


def mean_weight(task: Task, layer: Layer) -> tuple[float, float]:
    """Return what a random change of squared norm 1 would cost, and the squared norm of the weight.

    The cost is 0 for a norm in which no moment takes part.
    """
    W, norm = task.member(layer)
    mean = float(np.trace(norm.C)) / len(norm.C) * (1.0 if norm.G is None else float(np.trace(norm.G)) / len(norm.G))
    return 0.0 if task.settings.objective == "plain" else mean, float(np.sum(W**2))


def raised(error: float, size: float) -> float:
    """Return the error that is claimed for a measured one, when a random change as large costs `size`."""
    return error * (1.0 + RELATIVE) + FLOOR * size if size else error


def reduced(errors: np.ndarray, size: float) -> np.ndarray:
    """Return the bounds that are claimed for derived ones, when a random change as large as the weight costs `size`."""
    return np.maximum(errors * (1.0 - RELATIVE) - FLOOR * size, 0.0) if size else errors
