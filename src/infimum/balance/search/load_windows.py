"""Loads: how many tokens each expert, or group of experts, may receive."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from infimum._arrays import ArrayLike, as_array, is_array, to_numpy
from infimum.errors import InfeasibleError, NonFiniteError, OptionError, ShapeError
from infimum.proof.evidence import shown
from infimum.proof.theorems.assignment_dual import Groups, Limits

# a number for each, or the smallest and the largest for each or for all
Loads: TypeAlias = ArrayLike | tuple[ArrayLike | float, ArrayLike | float]

MANY = float(2**52)  # more tokens than any array has


def limits(
    takers: np.ndarray, total: int, load: Any, tokens: int, groups: Any = None, group_load: Any = None
) -> Limits:
    """Return the integer windows that `load` and `group_load` describe, after checking that `total` can meet them.

    `takers` are the tokens that admit each expert, all `tokens` of them unless scores say otherwise.
    """
    experts = takers.size
    even = np.where(takers > 0, total / np.count_nonzero(takers), 0.0)
    low, high = _windows("load", load, total, even)
    high = np.minimum(high, takers)  # no token takes an expert twice
    some = "" if takers.min() == tokens else ", scores of -inf not admitted"
    _require_feasible("load", low, high, total, f"{tokens} tokens, {experts} experts, none twice for one token{some}")
    if groups is None:
        if group_load is not None:
            raise OptionError("group_load limits groups of experts: give groups, the group of every expert, as well")
        return Limits(low, high)
    group = _groups(groups, experts)
    group_low, group_high = _windows("group_load", group_load, total, np.bincount(group, weights=even))
    least, most = (np.bincount(group, weights=side).astype(np.int64) for side in (low, high))
    group_low, group_high = np.maximum(group_low, least), np.minimum(group_high, most)
    _require_feasible("group_load", group_low, group_high, total, "within the windows of the experts")
    return Limits(low, high, Groups(group, group_low, group_high))


def _windows(name: str, load: Any, total: int, even: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Round a load (None: `even`; one number per expert; or low and high) to whole numbers that can be met."""
    count = even.size
    if load is None:
        return _around(even, total)
    if not isinstance(load, tuple):
        values = _numbers(name, load)
        if values.ndim != 2:
            values = np.broadcast_to(values, (count,)) if values.ndim == 0 else values
            _require_shape(name, values, count)
            if abs(values.sum() - total) > 1e-9 * total:
                raise InfeasibleError(
                    f"{name} must sum to tokens * k = {total}, got {values.sum():g}; for loads that may vary give "
                    "(low, high)"
                )
            return _around(values, total)
        load = tuple(values)
    if len(load) != 2:
        raise ShapeError(f"{name} must be (low, high), got {len(load)} entries")
    sides = [_numbers(name, side) for side in load]
    low, high = (np.broadcast_to(side, (count,)) if side.ndim == 0 else side for side in sides)
    for side in (low, high):
        _require_shape(name, side, count)
    least, most = np.clip(low, 0.0, MANY), np.clip(high, -1.0, MANY)
    return np.ceil(least).astype(np.int64), np.floor(most).astype(np.int64)


def _around(values: np.ndarray, total: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows from the whole number below to the one above; whole numbers stand as they are."""
    nearest = np.rint(values)
    near = np.abs(values - nearest) <= 1e-9 * max(1.0, total)
    if values.size and near.all() and nearest.sum() == total:
        return nearest.astype(np.int64), nearest.astype(np.int64)
    return np.floor(values).astype(np.int64), np.ceil(values).astype(np.int64)


def _numbers(name: str, item: Any) -> np.ndarray:
    if is_array(item):
        item = to_numpy(as_array(item, name))
    try:
        given = np.asarray(item)
        if given.dtype.kind not in "iuf":
            raise OptionError(f"{name} must hold real numbers, got {shown(item)} of dtype {given.dtype}")
        values = given.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise OptionError(f"{name} must hold numbers, got {shown(item)}") from error
    if np.isnan(values).any():
        raise NonFiniteError(f"{name} must not hold NaN")
    return values


def _require_shape(name: str, values: np.ndarray, count: int) -> None:
    if values.shape != (count,):
        raise ShapeError(f"{name} must have shape ({count},), one number each, got {values.shape}")


def _require_feasible(name: str, low: np.ndarray, high: np.ndarray, total: int, why: str) -> None:
    crossed = np.flatnonzero(low > high)
    if crossed.size:
        j = int(crossed[0])
        raise InfeasibleError(f"{name} of index {j} must lie from {low[j]} to {high[j]} ({why}): no number does")
    if not low.sum() <= total <= high.sum():
        raise InfeasibleError(
            f"{name} must allow tokens * k = {total} in all ({why}), but it allows from {low.sum()} to {high.sum()}"
        )


def _groups(groups: Any, experts: int) -> np.ndarray:
    values = _numbers("groups", groups)
    _require_shape("groups", values, experts)
    if not np.all((values >= 0) & (values == np.floor(values)) & (values < experts)):
        raise OptionError("groups must be whole numbers from 0 on, the group of every expert")
    return values.astype(np.int64)
