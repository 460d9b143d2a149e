"""What a schedule must respect: learning-rate caps with warm-up, and how the decay follows from the learning rate."""

from __future__ import annotations

import math
import numbers
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from infimum._arrays import Array, like_array, namespace, narrow, to_numpy
from infimum.errors import InfeasibleError, OptionError
from infimum.proof.theorems.capped_filling import DecayLaw, FixedDecay, NormKeepingDecay, ProportionalDecay
from infimum.proof.theorems.unrolling import WIDE

SLACK = 4.0  # a decay that follows a law is that law's value to within so many spacings of its dtype

Law: TypeAlias = Literal["fixed", "proportional", "match_rms"]
LAWS: tuple[Law, ...] = get_args(Law)


class Limits(NamedTuple):
    """A design problem in extended precision: the target (largest entry 1), the caps, the law of the decay."""

    target: np.ndarray
    caps: np.ndarray
    law: DecayLaw
    slack: float


def positive(value: object, name: str) -> float:
    """Return a positive finite number, or raise `OptionError`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0.0 < float(value) < math.inf:
        raise OptionError(f"{name} must be a positive number, got {value!r}")
    return float(value)


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
