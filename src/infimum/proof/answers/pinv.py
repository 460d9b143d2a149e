"""The answer of `pinv`: a pseudo-inverse, the rank decision behind it, and how near it brings A to the identity."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import array_api_compat
import numpy as np

from infimum._arguments import axes, whole_numbers
from infimum._arrays import (
    Array,
    as_matrix,
    like_array,
    namespace,
    real_part,
    times_power_of_two,
    to_numpy,
    widen,
    working,
)
from infimum._linalg import adjoint, frobenius, residual_norm
from infimum.errors import ShapeError, VerificationError
from infimum.proof.certificate import Certificate
from infimum.proof.result import Result
from infimum.proof.theorems import tikhonov_dual

AMBIGUOUS = 10.0  # a singular value within this factor of the cut makes the rank decision doubtful


@dataclass(frozen=True)
class PseudoInverse(Result):
    """The pseudo-inverse of a matrix, the answer of `pinv`.

    Attributes
    ----------
    matrix : array (n, m)
        The pseudo-inverse of the matrix of rank `rank` nearest to A.
    rank : int
        Number of singular values above `cut`.
    rtol : float
        Relative cut: singular values up to `rtol` times the largest were counted as zero.
    singular_values : array (min(m, n),)
        All singular values of A, descending, in the (real) dtype of A.
    penrose : array (4,)
        Relative residuals of the four Penrose conditions: ``A X A = A``, ``X A X = X``, and that ``A X`` and ``X A``
        are Hermitian. The first is as large as the singular values that were cut off.
    certificate : Certificate
        `value` is ``norm(A @ matrix - I)`` (Frobenius); `lower_bound` holds for every matrix B with
        ``norm(B) <= norm(matrix)``.
    """

    problem: ClassVar[str] = "lowrank.pinv"
    inputs: ClassVar[tuple[str, ...]] = ("A",)
    matrix: Array
    rank: int
    rtol: float
    singular_values: Array
    penrose: Array

    @property
    def cut(self) -> float:
        """`rtol` times the largest singular value: what the rank decision compared with."""
        return self.rtol * float(self.singular_values[0])

    @property
    def gap(self) -> float:
        """Ratio of the singular values on both sides of the cut; infinite when none is cut off, or only zeros."""
        s = to_numpy(self.singular_values)
        below = float(s[self.rank]) if self.rank < s.size else 0.0
        return float(s[self.rank - 1]) / below if self.rank and below > 0.0 else math.inf

    @property
    def ambiguous(self) -> bool:
        """True when a singular value lies within a factor of 10 of the cut, so another `rtol` may change the rank."""
        s = to_numpy(self.singular_values)
        return bool(np.any((s > self.cut / AMBIGUOUS) & (s < self.cut * AMBIGUOUS)))

    def recheck(self, A: Array) -> Certificate:
        """Derive the certificate of a pseudo-inverse from the input and the answer alone."""
        A = as_matrix(A, "A")
        if tuple(self.matrix.shape) != (A.shape[1], A.shape[0]):
            raise ShapeError(
                f"a matrix of shape {(A.shape[1], A.shape[0])} was expected, got {tuple(self.matrix.shape)}"
            )
        xp = namespace(A=A)
        values, claimed = to_numpy(xp.linalg.svdvals(widen(A))), to_numpy(self.singular_values)
        slack = max(float(xp.finfo(A.dtype).eps), 1e-12)
        if claimed.shape != values.shape or np.any(np.abs(claimed - values) > slack * values[0]):
            raise VerificationError("singular_values differ from those of A")
        above = int(np.sum(values > self.rtol * values[0]))
        if self.rank != above:
            raise VerificationError(f"{above} singular values exceed the cut {self.cut:.3g}, rank says {self.rank}")
        fresh, stated = to_numpy(penrose_residuals(A, self.matrix)), to_numpy(self.penrose)
        if stated.shape != (4,) or not np.all(np.abs(stated - fresh) <= 1e-2 * fresh + 1e-6 * slack**0.5):
            raise VerificationError(f"the Penrose residuals are {fresh.tolist()}, the answer says {stated.tolist()}")
        return certify_pinv(A, self.matrix, float(self.certificate.witness["mu"]))

    def plot(self, ax: Any = None) -> Any:
        """Draw the singular values and the cut that decided the rank."""
        ax = axes(ax)
        s = np.maximum(to_numpy(self.singular_values), np.finfo(float).tiny)
        ax.semilogy(np.arange(1, s.size + 1), s, ".-", label="singular values")
        ax.axhline(max(self.cut, np.finfo(float).tiny), color="C1", ls="--", label=f"cut {self.cut:.2g}")
        title = f"pseudo-inverse of rank {self.rank}" + (" (ambiguous)" if self.ambiguous else "")
        ax.set(xlabel="index", ylabel="singular value", title=title)
        whole_numbers(ax.xaxis)
        ax.legend()
        return ax


def penrose_residuals(A: Array, matrix: Array) -> Array:
    """Relative residuals of the four Penrose conditions, in the (real) dtype of A."""
    scaled = working(A)
    wide, X = scaled.array, times_power_of_two(widen(matrix), scaled.exponent)
    left, right = wide @ X, X @ wide
    residuals = [
        (frobenius(left @ wide - wide), frobenius(wide)),
        (frobenius(right @ X - X), frobenius(X)),
        (frobenius(left - adjoint(left)), frobenius(left)),
        (frobenius(right - adjoint(right)), frobenius(right)),
    ]
    values = np.asarray([off / size if size else 0.0 for off, size in residuals])
    return scaled.xp.astype(like_array(values, A), real_part(A).dtype)


def certify_pinv(A: Array, matrix: Array, multiplier: float | Callable[[np.ndarray, int, float], float]) -> Certificate:
    """Measure ``norm(A @ matrix - I)``; bound it for every B that is no longer, by the dual.

    `multiplier` is that of the dual, or a search for it among the arguments of `tikhonov_dual.lower_bound`.
    """
    scaled = working(A)
    inverse = times_power_of_two(widen(matrix), scaled.exponent)
    eye = scaled.xp.eye(A.shape[0], dtype=inverse.dtype, device=array_api_compat.device(inverse))
    radius = frobenius(inverse) * (1.0 + sum(A.shape) * scaled.eps)
    values = tikhonov_dual.singular_values_above(scaled)
    mu = multiplier(values, A.shape[0], radius) if callable(multiplier) else multiplier
    return Certificate(
        value=residual_norm(eye, scaled.array, inverse, scaled.eps),
        lower_bound=tikhonov_dual.lower_bound(values, A.shape[0], radius, mu),
        theorem="tikhonov_dual",
        rigour="rounded",
        witness={"mu": mu},
    )
