"""Windows, loads and biases as a result brings them along: kind, shape and range are asked before they are used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from infimum._arrays import Array, namespace, to_numpy
from infimum.errors import VerificationError
from infimum.proof.evidence import array, doubles
from infimum.proof.real_arrays import same_when_rounded
from infimum.proof.theorems.assignment_dual import Bias, Groups, Limits

PARTS = 64  # floats that hold any sum of scores: 2100 bits of 53 each, with room to spare


def integers(name: str, item: Any, shape: tuple[int | None, ...], *, below: int) -> np.ndarray:
    """Return whole numbers from 0 to `below` - 1 as int64 on the host."""
    values = np.asarray(to_numpy(array(name, item, shape, "integer")))
    if values.size and not (int(values.min()) >= 0 and int(values.max()) < below):
        raise VerificationError(f"{name} must hold whole numbers from 0 to {below - 1}")
    return values.astype(np.int64)


def limits_of(shape: tuple[int, int], load: Any, groups: Any = None, group_load: Any = None) -> Limits:
    """Return the windows of a result for so many tokens and experts."""
    tokens, experts = shape
    low, high = _windows("load", load, experts, tokens)
    if (groups is None) != (group_load is None):
        raise VerificationError("groups and group_load belong together: one of them is missing")
    if groups is None:
        return Limits(low, high)
    of = integers("groups", groups, (experts,), below=experts)
    return Limits(low, high, Groups(of, *_windows("group_load", group_load, int(of.max()) + 1, tokens * experts)))


def _windows(name: str, item: Any, count: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    low, high = integers(name, item, (2, count), below=most + 1)
    if not np.all(low <= high):
        raise VerificationError(f"{name} must be a lower row that nowhere exceeds the upper one")
    return low, high


def require_loads(loads: np.ndarray, stored: Any, within: Limits, tokens: int) -> None:
    """Refuse loads that are not those of the answer, or outside their windows."""
    if not np.array_equal(integers("loads", stored, loads.shape, below=tokens + 1), loads):
        raise VerificationError("loads must be those of the answer")
    if not within.admit(loads):
        raise VerificationError("the loads are outside their limits")


def part(witness: Mapping[str, Any], name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """Return an array of float64 numbers from a witness."""
    if name not in witness:
        raise VerificationError(f"the witness must hold {name}")
    return doubles(f"{name} of the witness", witness[name], shape)


def bias_of(witness: Mapping[str, Any], within: Limits) -> Bias:
    """Return the bias of a witness."""
    parts, groups = sums(witness, "bias", within.low.size), None
    if within.groups is not None and "group_bias" in witness:
        groups = sums(witness, "group_bias", within.groups.low.size)
    return Bias(parts, groups)


def sums(witness: Mapping[str, Any], name: str, count: int) -> np.ndarray:
    """Return numbers from a witness, each as a sum of float64 numbers: one row or more."""
    parts = part(witness, name, (None, count))
    if not 1 <= parts.shape[0] <= PARTS:
        raise VerificationError(f"{name} of the witness must have 1 to {PARTS} rows, got {parts.shape[0]}")
    return parts


def require_rounded(name: str, stored: Any, wide: np.ndarray, *, narrow: bool = False) -> None:
    """Refuse an array that is not `wide` rounded to its own dtype, of 32 or 64 bits (`narrow`: or 16)."""
    array(name, stored, wide.shape)
    if not narrow and _bits(stored) < 32:
        raise VerificationError(f"{name} must be float32 or float64, got {stored.dtype}")
    if not same_when_rounded(wide, stored):
        raise VerificationError(f"{name} must be that of the witness, rounded")


def _bits(stored: Array) -> int:
    if isinstance(stored, np.ndarray):
        return 8 * int(stored.dtype.itemsize)
    bits: int = namespace(stored=stored).finfo(stored.dtype).bits
    return bits
