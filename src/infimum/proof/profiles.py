"""Target profiles of the memory: checked vectors of positive numbers."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from infimum._arrays import Array, as_array, is_floating, namespace, require_finite, to_numpy
from infimum.errors import DTypeError, OptionError, ShapeError


def as_vector(item: Any, name: str) -> Array:
    """Return a finite, non-empty, real vector; integers become the default float type."""
    array = as_array(item, name)
    if array.ndim != 1 or array.shape[0] == 0:
        raise ShapeError(f"{name} must be a vector with at least one entry, got shape {tuple(array.shape)}")
    xp = namespace(**{name: array})
    if not is_floating(array) and xp.isdtype(array.dtype, ("bool", "integral")):
        array = xp.astype(array, xp.asarray(1.0).dtype)
    if not is_floating(array) or "complex" in str(array.dtype):
        raise DTypeError(f"{name} must hold real numbers, got dtype {array.dtype}; convert it first")
    require_finite(array, name)
    return array


def as_target(target: Any, steps: int | None) -> Array:
    """Return the target profile as a positive vector; `steps` is needed for, and must agree with, its length."""
    if steps is not None and (
        isinstance(steps, bool) or not isinstance(steps, numbers.Integral) or not int(steps) >= 1
    ):
        raise OptionError(f"steps must be a whole number of at least 1, got {steps!r}")
    if isinstance(target, str):
        if target != "uniform":
            raise OptionError(f"target must be 'uniform' or a vector of positive numbers, got {target!r}")
        if steps is None:
            raise OptionError("a uniform target needs the number of steps: give steps")
        return np.ones(int(steps))
    profile = as_vector(target, "target")
    if steps is not None and profile.shape[0] != steps:
        raise ShapeError(f"target has {profile.shape[0]} entries, steps says {steps}; they must agree")
    values = to_numpy(profile)
    if not np.all(values > 0.0):
        step = int(np.argmin(values > 0.0))
        raise OptionError(
            f"target must be positive at every step, got {values[step]:g} at step {step + 1}; "
            "a batch that should not be remembered is left out of the run, or gets a small weight"
        )
    return profile
