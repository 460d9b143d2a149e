"""The errors by which alternatives are compared: computed in single precision, by roots of the moments that judge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from infimum.compress.menu.task import Member
from infimum.proof.theorems.weighted_tail import lower_root

BLOCK = 192  # columns of a triangular product that are found at a time


class Seen(NamedTuple):
    """A norm ``tr(G D C D')`` with ``C = R R'``, R lower triangular, and ``G = L L'`` (None: the identity).

    The sum of squares of ``L' D R`` cannot lose what the trace may, where C hardly sees D: single precision is enough.
    Both roots are stored over their largest entry, `size` is the square of what is left out.
    """

    left: np.ndarray | None
    right: np.ndarray
    size: float

    @classmethod
    def by(cls, judge: Member) -> Seen:
        """Find the roots for a layer; of a left moment that is a diagonal its square root, a vector."""
        G = judge.norm.G
        left = None if G is None else np.sqrt(G) if G.ndim == 1 else lower_root(G)
        roots, size = [], 1.0
        for root in (left, lower_root(judge.norm.C)):
            largest = 1.0 if root is None else float(np.abs(root).max()) or 1.0
            roots.append(None if root is None else (root / largest).astype(np.float32))
            size *= largest**2
        right = roots[1]
        assert right is not None
        return cls(roots[0], right, size)

    def error(self, D: np.ndarray, rows: np.ndarray | None) -> float:
        """Return the error of a change D of the layer, or of these rows of it."""
        largest = float(np.abs(D).max())
        if largest == 0.0:
            return 0.0
        scaled = np.divide(D, largest, out=np.empty(D.shape, dtype=np.float32), casting="same_kind")
        image = _times_lower(scaled, self.right)
        if self.left is not None and self.left.ndim == 1:
            image *= (self.left if rows is None else self.left[rows])[:, None]
        elif self.left is not None:
            image = _times_lower(image.T, self.left) if rows is None else self.left[rows].T @ image
        return float(np.sum(np.square(image), dtype=np.float64)) * largest**2 * self.size


def seen(judges: Sequence[Seen], D: np.ndarray, rows: np.ndarray | None = None) -> float:
    """Return the error of a change D, or of these rows of the layer, as computed: to compare by, not to claim."""
    return sum(judge.error(D, rows) for judge in judges)


def _times_lower(X: np.ndarray, L: np.ndarray) -> np.ndarray:
    """Return ``X L`` for a lower triangular L, without what is zero."""
    product = np.empty((X.shape[0], L.shape[1]), dtype=X.dtype)
    for start in range(0, L.shape[1], BLOCK):
        columns = slice(start, start + BLOCK)
        np.matmul(X[:, start:], L[start:, columns], out=product[:, columns])
    return product
