"""Rounding to few bits as others do it, every layer alike: what the demo and the benchmarks compare with.

Grids and bytes are those of `infimum.compress`: groups of neighbouring columns share a scale in float16 and a zero that
is as wide as the integers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
import scipy.linalg

from infimum.nn.packed import packed_width

BITS, GROUPS = (2, 3, 4, 5, 6, 8), (32, 64, 128)
DAMPING = 0.01  # of GPTQ, as its authors have it


class Width(NamedTuple):
    """Bits of the integers, and how many columns share a scale and a zero."""

    bits: int
    group: int

    def bytes(self, shape: tuple[int, int]) -> int:
        """Bytes of the integers, zeros and scales of a layer."""
        groups = shape[1] // self.group
        return shape[0] * (packed_width(shape[1], self.bits) + packed_width(groups, self.bits) + 2 * groups)


def widths(columns: int) -> list[Width]:
    """Return every width that a layer can have."""
    groups = [group for group in GROUPS if columns % group == 0] or [columns]
    return [Width(bits, group) for bits in BITS for group in groups]


Rounding: TypeAlias = Callable[[np.ndarray, np.ndarray, Width], np.ndarray]  # of a matrix with its inputs' moment


def round_to_nearest(W: np.ndarray, width: Width) -> np.ndarray:
    """Round to the nearest number of a grid from the least to the greatest entry of each group."""
    parts = W.reshape(len(W), -1, width.group)
    scale, zero = _grid(parts, width.bits)
    return _on_grid(parts, scale, zero, width.bits).reshape(W.shape)


def gptq(W: np.ndarray, C: np.ndarray, width: Width, damping: float = DAMPING) -> np.ndarray:
    """Round column by column, what each loses made good by those after it; C is the moment of the inputs.

    The plain method: columns in their order, each group's grid found when its turn comes.

    References
    ----------
    .. [1] E. Frantar et al., "GPTQ: accurate post-training quantization for generative pre-trained transformers",
       ICLR 2023.
    """
    W, Q, n = W.copy(), np.empty_like(W), len(C)
    damped = C + (damping * float(np.trace(C)) / n or 1.0) * np.eye(n)  # inputs that are all 0: to nearest
    U = scipy.linalg.cholesky(scipy.linalg.inv(damped, check_finite=False), check_finite=False)
    for start in range(0, n, width.group):
        group = slice(start, start + width.group)
        part, R = W[:, group], U[group, group]
        scale, zero = _grid(part, width.bits)
        lost = np.empty_like(part)
        for j in range(width.group):
            Q[:, start + j : start + j + 1] = _on_grid(part[:, j : j + 1], scale, zero, width.bits)
            lost[:, j] = (part[:, j] - Q[:, start + j]) / R[j, j]
            part[:, j + 1 :] -= np.outer(lost[:, j], R[j, j + 1 :])
        W[:, group.stop :] -= lost @ U[group, group.stop :]
    return Q


def _grid(parts: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.minimum(parts.min(axis=-1), 0.0), np.maximum(parts.max(axis=-1), 0.0)
    scale = ((high - low) / (2**bits - 1)).astype(np.float16).astype(np.float64)[..., None]
    scale[scale == 0.0] = 1.0  # nothing but zeros, or too small for float16
    return scale, np.clip(np.rint(-low[..., None] / scale), 0, 2**bits - 1)


def _on_grid(x: np.ndarray, scale: np.ndarray, zero: np.ndarray, bits: int) -> np.ndarray:
    result: np.ndarray = scale * (np.clip(np.rint(x / scale) + zero, 0, 2**bits - 1) - zero)
    return result
