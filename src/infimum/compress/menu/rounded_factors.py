"""Two factors of a matrix of low rank, rounded to few bits so that the second makes up for what the first lost."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg

from infimum.compress.menu.grid_loops import Shape
from infimum.compress.menu.ranks import Decomposition, Weighting
from infimum.compress.menu.rounding import Factors, Rounded, factors, round_matrix

FAINT = 1e-9  # of the largest direction: what is below is rounding, and other rounding on another machine
TINY = 1e-6  # added to moments of factors, times their mean eigenvalue: they may be singular


class RoundedFactors(NamedTuple):
    """A product of two matrices, each on a grid."""

    left: Rounded
    right: Rounded

    def factors(self) -> tuple[np.ndarray, np.ndarray]:
        """Return both factors."""
        return self.left.matrix(), self.right.matrix()

    def matrix(self) -> np.ndarray:
        """Return the product."""
        left, right = self.factors()
        return np.asarray(left @ right)


def balanced(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale the columns of the one and the rows of the other so that they are of one size; the product stays."""
    balance = np.sqrt(np.linalg.norm(right, axis=1) / np.maximum(np.linalg.norm(left, axis=0), 1e-300))
    balance = np.where(balance > 0.0, balance, 1.0)
    return left * balance, right / balance[:, None]


def round_factors(
    W: np.ndarray,
    norm: Weighting,
    pair: tuple[Factors, Factors | None],
    best: Decomposition,
    rank: int,
    right_shape: Shape,
) -> RoundedFactors:
    """Round the factors of the best matrix of a rank: the right one, and then the best left one for that.

    `pair` are the factors of the moments of the norm. Each is rounded in the norm that its errors have in the product:
    a change dR of the right one costs ``tr(L' G L dR C dR')``, a change dL of the left one ``tr(G dL (R C R') dL')``.
    The left factor has a scale for each row.
    """
    left, right = balanced(best.left[:, :rank], best.right[:rank])
    outer = left.T @ (left if norm.G is None else norm.G @ left)
    energies = np.diag(outer) * np.einsum("ij,jk,ik->i", right, norm.C, right, optimize=True)
    counts = energies > FAINT * energies.max(initial=0.0)
    # a singular vector has no sign, and rounding is not the same for both: the largest number of each row is positive
    signs = np.sign(right[np.arange(rank), np.argmax(np.abs(right), axis=1)]) * counts
    left, right, outer = left * signs, right * signs[:, None], outer * np.outer(signs, signs)
    rounded = round_matrix(right, pair[0], factors(outer, TINY), right_shape)
    R = rounded.matrix()
    inner = R @ norm.C @ R.T
    inner += (TINY * float(np.trace(inner)) / rank or 1.0) * np.eye(rank)
    refitted = scipy.linalg.solve(inner, R @ norm.C @ W.T, assume_a="pos", check_finite=False).T
    left_shape = right_shape._replace(group=rank)
    return RoundedFactors(round_matrix(refitted, factors(inner, 0.0), pair[1], left_shape), rounded)
