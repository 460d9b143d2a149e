"""The wishes for a schedule: largest learning rates, and weight decays that are given or follow the learning rate."""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np

from infimum._arrays import Array, to_numpy
from infimum.errors import OptionError, ShapeError
from infimum.proof.profiles import as_vector
from infimum.proof.schedule_limits import Law, host, positive, rounded

SMALLEST = 1e-100  # learning rates, and their reciprocals, whose products still fit in double precision


@dataclass(frozen=True, slots=True)
class Proportional:
    """Weight decay proportional to the learning rate: `peak` at `max_lr` (the post's second schedule, made exact)."""

    peak: float

    def __post_init__(self) -> None:
        positive(self.peak, "the peak weight decay")


@dataclass(frozen=True, slots=True)
class MatchRMS:
    """Weight decay that keeps the root mean square of the weights at `rms`, for updates orthogonal to the weights.

    `update_rms` is the root mean square of the optimizer's update before the learning rate (1 for Adam, near 1 or 0.2
    for Muon, depending on its scaling). The learning rate must stay below ``rms / update_rms``.
    """

    rms: float
    update_rms: float = 1.0

    def __post_init__(self) -> None:
        positive(self.rms, "the weight RMS")
        positive(self.update_rms, "the update RMS")


def highest_of(max_lr: Any, target: Array) -> float | Array:
    """Return `max_lr` as a number, or as a vector in the library and dtype of the target."""
    scalar = isinstance(max_lr, numbers.Real)
    highest = np.array([positive(max_lr, "max_lr")]) if scalar else host(as_vector(max_lr, "max_lr")).astype(float)
    low, high, steps = float(highest.min()), float(highest.max()), target.shape[0]
    if not scalar and (highest.size != steps or low <= 0.0):
        raise ShapeError(
            f"max_lr must be a positive number, or {steps} of them, got {highest.size} from {low:g} to {high:g}"
        )
    if low < SMALLEST or high > 1.0 / SMALLEST:
        raise OptionError(
            f"max_lr must be from {SMALLEST:g} to {1.0 / SMALLEST:g}, got values from {low:g} to {high:g}"
        )
    return float(max_lr) if scalar else rounded(highest, target, "max_lr")


def rates_of(weight_decay: Any, target: Array) -> Array:
    """Weight decay of every step, in the library and dtype of the target, from a number or a vector."""
    steps = target.shape[0]
    if isinstance(weight_decay, bool):
        raise OptionError(f"weight_decay must be a number, numbers or a law, got {weight_decay!r}")
    if isinstance(weight_decay, numbers.Real):
        if not 0.0 <= float(weight_decay) < np.inf:
            raise OptionError(f"weight_decay must be a finite number of at least 0, got {weight_decay!r}")
        rates = np.full(steps, float(weight_decay))
    else:
        rates = host(as_vector(weight_decay, "weight_decay")).astype(float)
    if rates.size != steps or not np.all((rates >= 0.0) & np.isfinite(rates)):
        raise OptionError(
            f"weight_decay must be a number of at least 0, {steps} of them, Proportional(...) or MatchRMS(...), "
            f"got {weight_decay!r}"
        )
    return rounded(rates, target, "weight_decay")


def law_of(weight_decay: Any, caps: Array, target: Array) -> tuple[Law, float, Array | None]:
    """Name and rate of the decay law that the argument `weight_decay` asks for, and the fixed rates if it is none."""
    if isinstance(weight_decay, Proportional):
        return "proportional", float(weight_decay.peak) / float(np.max(to_numpy(caps))), None
    if isinstance(weight_decay, MatchRMS):
        return "match_rms", float(weight_decay.rms) / float(weight_decay.update_rms), None
    return "fixed", 0.0, rates_of(weight_decay, target)
