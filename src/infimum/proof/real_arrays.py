"""The way to the host, where assignments are found and proved."""

from __future__ import annotations

from typing import Any

import numpy as np

from infimum._arrays import Array, as_matrix, is_complex, namespace, to_numpy
from infimum.errors import DTypeError, RangeError

LARGEST = 2.0**1000  # sums of entries and biases stay within float64


def host(matrix: Array, name: str) -> np.ndarray:
    """Return a real matrix as float64 on the host, every digit kept."""
    matrix = as_matrix(matrix, name)
    if is_complex(matrix):
        raise DTypeError(f"{name} must be real, got dtype {matrix.dtype}; take the real part or the modulus first")
    values = to_numpy(matrix)
    if values.dtype.itemsize > 8:
        raise DTypeError(f"{name} must have at most 64 bits, got dtype {values.dtype}; convert it first")
    values = np.ascontiguousarray(values, dtype=np.float64)
    size = max(float(values.max()), -float(values.min()))
    if size > LARGEST:
        raise RangeError(f"{name} must be at most 2**1000 in size, got up to {size:.3g}; scale it down first")
    return values


def float_type(matrix: Array) -> Any:
    """Return the dtype for a bias: that of the scores, but not of 16 bits, which could not tell experts apart."""
    xp = namespace(matrix=matrix)
    return matrix.dtype if matrix.dtype in (xp.float64, xp.float32) else xp.float32
