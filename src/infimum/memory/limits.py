"""What a schedule must respect: learning-rate caps with warm-up, and how the decay follows from the learning rate."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from infimum._arrays import Array, like_array, namespace, narrow, to_numpy
from infimum.errors import InfeasibleError, OptionError, ShapeError
from infimum.memory.targets import as_vector
from infimum.proof.theorems.capped_filling import DecayLaw, FixedDecay, NormKeepingDecay, ProportionalDecay
from infimum.proof.theorems.unrolling import WIDE

SMALLEST = 1e-100  # learning rates, and their reciprocals, whose products still fit in double precision
SLACK = 4.0  # a decay that follows a law is that law's value to within so many spacings of its dtype


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


class Limits(NamedTuple):
    """A design problem in extended precision: the target (largest entry 1), the caps, the law of the decay."""

    target: np.ndarray
    caps: np.ndarray
    law: DecayLaw
    slack: float


def positive(value: object, name: str) -> float:
    """Return a positive finite number, or raise `OptionError`."""
    if not isinstance(value, numbers.Real) or not 0.0 < float(value) < math.inf:
        raise OptionError(f"{name} must be a positive number, got {value!r}")
    return float(value)


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


def caps_of(max_lr: float | Array, warmup: int, target: Array) -> Array:
    """Largest learning rate of every step, in the library and dtype of the target: `max_lr` under a linear warm-up."""
    steps = target.shape[0]
    if isinstance(warmup, bool) or not isinstance(warmup, numbers.Integral) or not 0 <= int(warmup) <= steps:
        raise OptionError(f"warmup must be a whole number of steps from 0 to the {steps} of the run, got {warmup!r}")
    ramp = np.minimum(1.0, np.arange(1, steps + 1) / max(int(warmup), 1))
    highest = max_lr if isinstance(max_lr, numbers.Real) else host(max_lr).astype(float)
    caps = rounded(highest * ramp, target, "max_lr")
    if not np.all(host(caps) > 0.0):
        raise OptionError(f"the smallest max_lr, {float(np.min(highest * ramp)):.3g}, vanishes in {target.dtype}")
    return caps


def rates_of(weight_decay: Any, target: Array) -> Array:
    """Weight decay of every step, in the library and dtype of the target, from a number or a vector."""
    steps = target.shape[0]
    if isinstance(weight_decay, numbers.Real):
        rates = np.full(steps, float(weight_decay))
    else:
        rates = host(as_vector(weight_decay, "weight_decay")).astype(float)
    if rates.size != steps or not np.all((rates >= 0.0) & np.isfinite(rates)):
        raise OptionError(
            f"weight_decay must be a number of at least 0, {steps} of them, Proportional(...) or MatchRMS(...), "
            f"got {weight_decay!r}"
        )
    return rounded(rates, target, "weight_decay")


def law_of(weight_decay: Any, caps: Array, target: Array) -> tuple[str, float, Array | None]:
    """Name and rate of the decay law that the argument `weight_decay` asks for, and the fixed rates if it is none."""
    if isinstance(weight_decay, Proportional):
        return "proportional", float(weight_decay.peak) / float(np.max(to_numpy(caps))), None
    if isinstance(weight_decay, MatchRMS):
        return "match_rms", float(weight_decay.rms) / float(weight_decay.update_rms), None
    return "fixed", 0.0, rates_of(weight_decay, target)


def limits_of(target: Array, caps: Array, rates: Array | None, law: str, rate: float) -> Limits:
    """Put a design problem together; `rates` belong to the law "fixed", `rate` to the others."""
    wide = host(target)
    wide = wide / wide.max()
    ceiling = host(caps)
    slack = SLACK * float(namespace(target=target).finfo(target.dtype).eps)
    if law == "fixed" and rates is not None and rate == 0.0:
        return _checked(Limits(wide, ceiling, FixedDecay(host(rates)), 0.0))
    if law == "proportional":
        return _checked(Limits(wide, ceiling, ProportionalDecay(positive(rate, "the decay rate")), slack))
    if law == "match_rms":
        radius = positive(rate, "the weight RMS")
        if not ceiling.max() < radius:
            raise InfeasibleError(
                f"max_lr must stay below rms / update_rms = {radius:.3g}, got {float(ceiling.max()):.3g}: "
                "a larger step cannot keep the length; raise the RMS or lower max_lr"
            )
        return _checked(Limits(wide, ceiling, NormKeepingDecay(radius), slack))
    raise OptionError(f"decay law must be 'fixed' (rate 0), 'proportional' or 'match_rms', got {law!r} with {rate!r}")


def _checked(limits: Limits) -> Limits:
    decay = limits.law.decay(limits.caps)
    if not decay.max() < 1.0:
        step = int(np.argmax(decay))
        raise InfeasibleError(
            f"max_lr * weight_decay must stay below 1, got {float(decay[step]):.3g} at step {step + 1}: one step would "
            f"forget everything; make one of them more than {float(decay[step]):.3g} times smaller"
        )
    return limits


def host(array: Array) -> np.ndarray:
    """Copy to a host vector in extended precision."""
    return to_numpy(array).astype(WIDE)


def rounded(values: np.ndarray, like: Array, name: str) -> Array:
    """Round to the library, device and dtype of `like`."""
    return narrow(like_array(np.asarray(values, dtype=np.float64), like), like, name)
