"""Unrolling identity: what each update, and the initialisation, contributes to the weights at the end of training.

With a_j = lr_j * weight_decay_j, ``theta_T = P theta_0 - sum_j w_j u_j`` where ``w_j = lr_j prod_{i>j} (1 - a_i)`` and
``P = prod_j (1 - a_j)``, exactly, for every optimizer with decoupled decay. Statement and proof:
docs/theorems/unrolling.md. The profile w has nonnegative entries, so its total variation distance from a target is at
least 0, and its largest ratio to the target at least 1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from infimum.errors import RangeError, VerificationError
from infimum.proof.evidence import within
from infimum.proof.momentum import rounding, spread
from infimum.proof.rounding import ROOM

THEOREM = "unrolling"
WIDE = np.longdouble  # 64 bits of mantissa where the machine has them; the allowance follows its spacing
SPACING = float(np.finfo(WIDE).eps)


class Unrolled(NamedTuple):
    """Weights of the updates and of the initialisation, in extended precision.

    Where every decay is below 1, all of them are accurate to the relative error `error`.
    """

    weights: np.ndarray
    initial: np.longdouble
    error: float


def unroll(lr: np.ndarray, decay: np.ndarray, *, beyond: bool = False) -> Unrolled:
    """Weight of every update and of the initialisation; `decay` is the fraction lost at each step (lr * weight_decay).

    Pass `decay` as a product in extended precision, so that its rounding is within the stated error. Hypotheses are
    asked for, but for reports of schedules that go `beyond` a decay of 1, for which no error is stated.
    """
    if not beyond:
        ask(lr, decay)
    keep = 1.0 - np.asarray(decay, dtype=WIDE)
    later = np.ones(keep.size + 1, dtype=WIDE)
    np.cumprod(keep[::-1], out=later[1:])
    # a factor 1 - a is off by the rounding of a, seen relative to 1 - a, and by its own; each product rounds once more
    lost = keep[keep > 0.0]
    error = 1.01 * SPACING * (float(np.sum(1.0 / lost)) + keep.size + 4.0)
    return Unrolled(np.asarray(lr, dtype=WIDE) * later[-2::-1], later[-1], error)


def ask(lr: np.ndarray, decay: np.ndarray) -> None:
    """Refuse learning rates below 0, or all 0, and decays that are not from 0 to below 1."""
    steps = within("lr", lr, (None,), least=0.0).shape[0]
    within("lr * weight_decay", decay, (steps,), least=0.0, below=1.0)
    if not (steps and lr.max() > 0.0):
        raise VerificationError("lr must be above 0 at one step at least")


def of_gradients(memory: Unrolled, beta: float) -> Unrolled:
    """Return the memory of the gradients under momentum `beta`."""
    error = memory.error + rounding(beta, memory.weights.size)
    return Unrolled(spread(memory.weights, beta), memory.initial, error)


def variation(memory: Unrolled, target: np.ndarray, *, room: float = 1.0) -> float:
    """Total variation distance between the weights and the target, both scaled to sum 1, rounded upwards."""
    share, wanted = memory.weights / memory.weights.sum(), _shares(target, memory.weights.size)
    distance = 0.5 * np.abs(share - wanted).sum()
    error = _most(memory, room)
    allowance = error / (1.0 - error) + room * 3.0 * (wanted.size + 4) * SPACING
    return math.nextafter(float(distance + allowance), math.inf)


def ratio(memory: Unrolled, target: np.ndarray, *, room: float = 1.0) -> float:
    """Largest weight divided by the smallest, each relative to the target, rounded upwards."""
    relative = memory.weights / _shares(target, memory.weights.size)
    if not relative.min() > 0.0 or not np.isfinite(relative.max()):
        raise RangeError("the smallest memory weight is 0, or vanishes beside the largest: their ratio is not finite")
    error = _most(memory, room)
    largest = relative.max() / relative.min() * ((1.0 + error) / (1.0 - error)) * (1.0 + room * 8.0 * SPACING)
    return math.nextafter(float(largest), math.inf)


def initial_share(memory: Unrolled, *, room: float = 1.0) -> float:
    """Weight of the initialisation, rounded upwards, at most 1."""
    return min(1.0, math.nextafter(float(memory.initial / (1.0 - _most(memory, room))), math.inf))


def require_share(memory: Unrolled, claimed: float) -> None:
    """Refuse a share of the initialisation that is below the derived one, or further above than a solver's room."""
    least = initial_share(memory)
    error = _most(memory, 1.0)
    most = math.nextafter(initial_share(memory, room=ROOM) * (1.0 + error) / (1.0 - error), math.inf)
    if not least <= claimed <= min(1.0, most):
        raise VerificationError(f"initial_share: claimed {claimed!r}, derived {least!r}")


def _most(memory: Unrolled, room: float) -> float:
    error = room * memory.error
    if not error < 0.5:
        raise RangeError("lr * weight_decay comes too near to 1: rounding hides the memory of the steps before")
    return error


def _shares(target: np.ndarray, steps: int) -> np.ndarray:
    wide = np.asarray(within("target", target, (steps,), above=0.0), dtype=WIDE)
    wide = wide / wide.max()
    shares: np.ndarray = wide / wide.sum()
    return shares
