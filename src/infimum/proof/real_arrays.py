"""Real matrices on the host, where assignments are found and proved, and the way back to the caller's library."""

from __future__ import annotations

import numpy as np

from infimum._arrays import Array, as_matrix, is_complex, like_array, namespace, to_numpy
from infimum.errors import DTypeError, RangeError

LARGEST = 2.0**1000  # sums of entries and biases stay within float64


def float64_matrix(matrix: Array, name: str, *, besides: float | None = None) -> np.ndarray:
    """Return a real matrix as float64 on the host, every digit kept; `besides` is an infinity that entries may be."""
    return float64_values(as_matrix(matrix, name, besides=besides), name, besides=besides)


def float64_values(matrix: Array, name: str, *, besides: float | None = None) -> np.ndarray:
    """Do the work of `float64_matrix` for what `as_matrix` returned."""
    if is_complex(matrix):
        raise DTypeError(f"{name} must be real, got dtype {matrix.dtype}; take the real part or the modulus first")
    values = to_numpy(matrix)
    if values.dtype.itemsize > 8:
        raise DTypeError(f"{name} must have at most 64 bits, got dtype {values.dtype}; convert it first")
    values = np.ascontiguousarray(values, dtype=np.float64)
    size = max(float(values.max()), -float(values.min()))
    if size == np.inf:
        size = float(np.abs(values).max(where=values != besides, initial=0.0))
    if size > LARGEST:
        raise RangeError(f"{name} must be at most 2**1000 in size, got up to {size:.3g}; scale it down first")
    return values


def fitted(values: np.ndarray, like: Array, *, narrow: bool = False) -> Array:
    """Move float64 numbers to the library and device of `like`, in its dtype or the first wider one that holds them.

    16 bits are widened unless `narrow`: they could not tell biases apart. A dtype holds numbers whose largest neither
    overflows in it nor vanishes.
    """
    host = isinstance(like, np.ndarray)
    if host and like.dtype == np.float64:
        return values
    xp, largest = np if host else namespace(like=like), float(np.abs(values).max(initial=0.0))
    moved = values if host else like_array(values, like)
    types = [dtype for dtype in (like.dtype, xp.float32, xp.float64) if narrow or xp.finfo(dtype).bits >= 32]
    for dtype in types if like.dtype != xp.float64 else types[:1]:
        with np.errstate(over="ignore", under="ignore"):
            rounded = moved.astype(dtype) if host else xp.astype(moved, dtype)
        if largest == 0.0 or float(xp.finfo(dtype).smallest_normal) <= float(xp.max(xp.abs(rounded))) < np.inf:
            return rounded
    return moved  # subnormal even in float64


def same_when_rounded(wide: np.ndarray, stored: Array) -> bool:
    """Tell whether `stored` holds float64 numbers rounded to its own dtype."""
    with np.errstate(over="ignore", under="ignore"):
        if isinstance(stored, np.ndarray):
            return np.array_equal(wide.astype(stored.dtype), stored)
        xp = namespace(stored=stored)
        return bool(xp.all(xp.astype(like_array(wide, stored), stored.dtype) == stored))
