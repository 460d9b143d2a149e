"""Moore-Penrose pseudo-inverse, with the rank decision made visible."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import array_api_compat
import numpy as np
import scipy.optimize

from infimum._arguments import axes, whole_numbers
from infimum._arrays import (
    Array,
    as_matrix,
    like_array,
    namespace,
    narrow,
    real_part,
    times_power_of_two,
    to_numpy,
    widen,
    working,
)
from infimum._linalg import adjoint, frobenius, residual_norm
from infimum.errors import OptionError, ShapeError, VerificationError
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
        fresh, stated = to_numpy(_penrose(A, self.matrix)), to_numpy(self.penrose)
        if stated.shape != (4,) or not np.all(np.abs(stated - fresh) <= 1e-2 * fresh + 1e-6 * slack**0.5):
            raise VerificationError(f"the Penrose residuals are {fresh.tolist()}, the answer says {stated.tolist()}")
        return _certify(A, self.matrix, float(self.certificate.witness["mu"]))

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


def pinv(A: Array, *, rtol: float | None = None) -> PseudoInverse:
    """Pseudo-inverse of a matrix: the B that brings ``A @ B`` nearest to the identity, and the shortest such B.

    Minimises the Frobenius norm ``norm(A @ B - I)`` over all matrices B that are no longer than the answer
    (``norm(B) <= norm(matrix)``); a longer B would have to live on singular values that count as zero. The least
    possible loss is near ``sqrt(m - rank)``, and a gap in the certificate means that the rank decision is doubtful.

    Parameters
    ----------
    A : array (m, n)
        Real or complex, finite, of any library of the array API standard.
    rtol : float, optional
        Singular values up to `rtol` times the largest count as zero, 0 <= rtol < 1. Default: ``max(m, n)`` times the
        spacing of the dtype of `A`.

    Returns
    -------
    PseudoInverse
        `matrix` (n, m): library, dtype and device of `A`; `rank`, `singular_values`, `cut`, `gap`,
        `ambiguous`, `penrose`; `certificate`.

    Raises
    ------
    ShapeError, NonFiniteError, DTypeError, LibraryError, OptionError
        Each says what was expected, what came, and what to do.
    RangeError
        An entry of the answer does not fit the dtype of `A`.

    References
    ----------
    .. [1] R. Penrose, "On best approximate solutions of linear matrix equations",
       Math. Proc. Camb. Phil. Soc. 52 (1956).
    .. [2] Su Jianlin, Scientific Spaces 10366, https://kexue.fm/archives/10366.

    Examples
    --------
    >>> import numpy as np, infimum
    >>> result = infimum.lowrank.pinv(np.array([[1.0, 2.0], [2.0, 4.0], [0.0, 0.0]]))
    >>> result.rank, round(result.certificate.lower_bound, 4)
    (1, 1.4142)
    """
    A = as_matrix(A, "A")
    if rtol is None:
        rtol = max(A.shape) * float(namespace(A=A).finfo(A.dtype).eps)
    if not 0.0 <= rtol < 1.0:
        raise OptionError(f"rtol must be at least 0 and below 1, got {rtol!r}")
    scaled = working(A)
    U, s, Vh = scaled.xp.linalg.svd(scaled.array, full_matrices=False)
    values = to_numpy(s)
    rank = int(np.sum(values > rtol * values[0]))
    inverse = scaled.xp.astype(1.0 / s[:rank], U.dtype)
    matrix = (adjoint(Vh[:rank, :]) * inverse[None, :]) @ adjoint(U[:, :rank])
    matrix = narrow(times_power_of_two(matrix, -scaled.exponent), A, "the pseudo-inverse")
    return PseudoInverse(
        matrix=matrix,
        rank=rank,
        rtol=float(rtol),
        singular_values=narrow(times_power_of_two(s, scaled.exponent), real_part(A), "a singular value"),
        penrose=_penrose(A, matrix),
        certificate=_certify(A, matrix),
    )


def _penrose(A: Array, matrix: Array) -> Array:
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


def _certify(A: Array, matrix: Array, mu: float | None = None) -> Certificate:
    """Measure ``norm(A @ matrix - I)``; bound it for every B that is no longer, by the dual with multiplier `mu`."""
    scaled = working(A)
    inverse = times_power_of_two(widen(matrix), scaled.exponent)
    eye = scaled.xp.eye(A.shape[0], dtype=inverse.dtype, device=array_api_compat.device(inverse))
    radius = frobenius(inverse) * (1.0 + sum(A.shape) * scaled.eps)
    values = tikhonov_dual.singular_values_above(scaled)
    if mu is None:
        mu = _best_multiplier(values, A.shape[0], radius)
    return Certificate(
        value=residual_norm(eye, scaled.array, inverse, scaled.eps),
        lower_bound=tikhonov_dual.lower_bound(values, A.shape[0], radius, mu),
        theorem="tikhonov_dual",
        rigour="rounded",
        witness={"mu": mu},
    )


def _best_multiplier(values: np.ndarray, rows: int, radius: float) -> float:
    """Multiplier with the highest dual value (the dual is concave in mu); relative to the input scaled to unit size."""

    def loss(log_mu: float) -> float:
        return -tikhonov_dual.lower_bound(values, rows, radius, math.exp(log_mu))

    # the dual has one hump in mu, but it is flat (clipped at 0) far away: look on a coarse grid first
    grid = np.linspace(-80.0, 5.0, 171)
    start = grid[int(np.argmin([loss(point) for point in grid]))]
    search = scipy.optimize.minimize_scalar(loss, bounds=(start - 0.5, start + 0.5), method="bounded")
    return math.exp(float(search.x if search.fun < loss(start) else start))
