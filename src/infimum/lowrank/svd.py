"""Truncated singular value decomposition: the best matrix of a given rank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import array_api_compat
import numpy as np

from infimum._arguments import RNGLike, axes, one_of, rank_or_tol, whole_numbers
from infimum._arrays import (
    Array,
    Working,
    as_matrix,
    namespace,
    narrow,
    real_part,
    scale_back,
    times_power_of_two,
    to_numpy,
    widen,
    working,
)
from infimum._linalg import adjoint, frobenius, gaussian, orthonormal_basis
from infimum.bounds.eckart_young import tails
from infimum.certificate import Certificate
from infimum.errors import ShapeError, ToleranceError, VerificationError
from infimum.lowrank.factored import Factored, certify

EXACT_LIMIT = 2000  # smaller sides up to this are decomposed exactly by method="auto"
PASSES = 3  # subspace iterations of method="randomized"; each multiplies by M and its adjoint
DELTA = 1e-6  # failure probability of a probable bound


@dataclass(frozen=True)
class SVD(Factored):
    """``M ≈ U @ diag(s) @ Vh``, the answer of `svd`.

    Attributes
    ----------
    U : array (m, rank)
        Orthonormal columns.
    s : array (rank,)
        Singular values, real, descending.
    Vh : array (rank, n)
        Orthonormal rows.
    certificate : Certificate
        ``lower_bound`` holds for *every* matrix of that rank.
    """

    problem: ClassVar[str] = "lowrank.svd"
    U: Array
    s: Array
    Vh: Array

    @property
    def rank(self) -> int:
        """Number of singular triples."""
        return int(self.s.shape[0])

    def factors(self) -> tuple[Array, Array]:
        """Return ``U * s`` (in working precision) and ``Vh``."""
        return _left(self.U, self.s), self.Vh

    def recheck(self, M: Array) -> Certificate:
        """Derive the certificate of an SVD from the input, the answer and the witness alone."""
        M = as_matrix(M, "M")
        rank = self.rank
        expected = ((M.shape[0], rank), (rank,), (rank, M.shape[1]))
        got = tuple(tuple(part.shape) for part in (self.U, self.s, self.Vh))
        if got != expected:
            raise ShapeError(f"U, s, Vh of shapes {expected} were expected, got {got}")
        xp = namespace(M=M)
        slack = 8.0 * max(M.shape) * rank * float(xp.finfo(M.dtype).eps)
        for name, columns in (("U", widen(self.U)), ("Vh", adjoint(widen(self.Vh)))):
            eye = xp.eye(rank, dtype=columns.dtype, device=array_api_compat.device(columns))
            defect = frobenius(adjoint(columns) @ columns - eye)
            if defect > slack:
                raise VerificationError(f"{name} must be orthonormal to {slack:.1e}, it is off by {defect:.1e}")
        return certify(M, *self.factors(), self.certificate.theorem, self.certificate.witness)

    def plot(self, ax: Any = None) -> Any:
        """Draw the singular values that were kept, and the floor: the least error of any matrix of this rank."""
        ax = axes(ax)
        s = to_numpy(self.s)
        ax.semilogy(
            np.arange(1, self.rank + 1), np.maximum(s, np.finfo(float).tiny), ".-", label="singular values kept"
        )
        ax.axhline(self.certificate.value, color="C1", label=f"error {self.certificate.value:.5g}")
        ax.axhline(self.certificate.lower_bound, color="C2", ls="--", label=f"floor {self.certificate.lower_bound:.5g}")
        ax.set(xlabel="index", ylabel="singular value, Frobenius error", title=f"SVD of rank {self.rank}")
        whole_numbers(ax.xaxis)
        ax.legend()
        return ax


def svd(
    M: Array,
    rank: int | None = None,
    *,
    tol: float | None = None,
    method: Literal["auto", "exact", "randomized"] = "auto",
    rng: RNGLike = None,
) -> SVD:
    """Best approximation of a matrix by one of lower rank: ``M ≈ U @ diag(s) @ Vh``.

    Minimises the Frobenius norm of the difference over all matrices of rank at most `rank`.

    Parameters
    ----------
    M : array (m, n)
        Real or complex, finite, of any library of the array API standard.
    rank : int, optional
        Number of singular triples, 1 <= rank <= min(m, n). Give `rank` or `tol`, not both.
    tol : float, optional
        Choose the smallest rank whose certified error is at most ``tol * norm(M)``, 0 < tol <= 1.
    method : {"auto", "exact", "randomized"}
        "exact": a full decomposition, certified by the Eckart-Young theorem. "randomized": subspace iteration from a
        Gaussian start, orthonormalised at every half step, certified by the Ritz block bound. "auto": exact while the
        smaller side is at most 2000.
    rng : int or numpy.random.Generator, optional
        Seed of the randomized method and of its probable bound.

    Returns
    -------
    SVD
        `U` (m, rank), `s` (rank,), `Vh` (rank, n): library, dtype and device of `M` (`s` real); `certificate`.

    Raises
    ------
    ShapeError, RankError, NonFiniteError, DTypeError, LibraryError, OptionError
        Each says what was expected, what came, and what to do.
    RangeError
        A singular value does not fit the dtype of `M`.
    ToleranceError
        No rank meets `tol` in the dtype of `M`.

    References
    ----------
    .. [1] C. Eckart, G. Young, "The approximation of one matrix by another of lower rank", Psychometrika 1 (1936).
    .. [2] N. Halko, P.-G. Martinsson, J. A. Tropp, "Finding structure with randomness", SIAM Review 53 (2011).
    .. [3] Su Jianlin, Scientific Spaces 10407, https://kexue.fm/archives/10407.

    Examples
    --------
    >>> import numpy as np, infimum
    >>> M = np.vander(np.linspace(0, 1, 30), 12)
    >>> result = infimum.lowrank.svd(M, rank=4)
    >>> bool(result.certificate.lower_bound <= np.linalg.norm(M - result.to_dense()))
    True
    """
    M = as_matrix(M, "M")
    rank_or_tol(rank, tol, min(M.shape))
    one_of("method", method, ("auto", "exact", "randomized"))
    generator = np.random.default_rng(rng)
    scaled = working(M)
    if method == "randomized" or (method == "auto" and min(M.shape) > EXACT_LIMIT):
        decomposition = _randomized(M, scaled, rank, tol, generator)
    else:
        U, s, Vh = scaled.xp.linalg.svd(scaled.array, full_matrices=False)
        decomposition = _Decomposition(M, scaled, U, s, Vh, tails(to_numpy(s)), "eckart_young", {})
    return decomposition.truncate(rank) if rank is not None else decomposition.least(float(tol or 0.0))


@dataclass(frozen=True)
class _Decomposition:
    """Singular triples of the scaled input in working precision, and what certifies their truncations."""

    M: Array
    scaled: Working
    U: Array
    s: Array
    Vh: Array
    errors: np.ndarray  # estimated Frobenius error of each truncation, rank 0 first (scaled)
    theorem: str
    witness: Mapping[str, Any]

    def truncate(self, rank: int) -> SVD:
        """Round the leading triples to the caller's dtype, then measure and certify what is returned."""
        U, Vh = narrow(self.U[:, :rank], self.M, "U"), narrow(self.Vh[:rank, :], self.M, "Vh")
        s = narrow(times_power_of_two(self.s[:rank], self.scaled.exponent), real_part(self.M), "s")
        certificate = certify(self.M, _left(U, s), Vh, self.theorem, self.witness)
        return SVD(U=U, s=s, Vh=Vh, certificate=certificate)

    def least(self, tol: float) -> SVD:
        """Truncate at the smallest rank whose certified error is at most ``tol * norm(M)``."""
        available = int(self.s.shape[0])
        meets = np.flatnonzero(self.errors[1:] <= tol * self.errors[0])
        goal = tol * scale_back(float(self.errors[0]), self.scaled.exponent, toward=0.0)
        # `errors` are estimates before rounding to the dtype: start there, then trust only measured values
        for rank in range(int(meets[0]) + 1 if meets.size else available, available + 1):
            result = self.truncate(rank)
            if result.certificate.value <= goal:
                return result
        raise ToleranceError(
            f"no rank up to {available} has a certified error of at most {goal:.3g} (tol = {tol}) in {self.M.dtype}; "
            f"the last one has {result.certificate.value:.3g}: raise tol or convert the input to a wider type"
        )


def _randomized(
    M: Array, scaled: Working, rank: int | None, tol: float | None, rng: np.random.Generator
) -> _Decomposition:
    """Subspace iteration; with `tol`, the subspace doubles until the rank that meets it is inside."""
    limit = min(M.shape)
    seed = int(rng.integers(2**63))
    width = rank or min(16, limit)
    while True:
        basis, (U, s, Vh) = _subspace_iteration(scaled, width, rng)
        captured = np.concatenate([[0.0], np.cumsum(np.square(to_numpy(s)))])
        errors = np.sqrt(np.maximum(frobenius(scaled.array) ** 2 - captured, 0.0))
        if tol is None or width == limit or errors[width] <= tol * errors[0]:
            witness = {"basis": basis, "seed": seed, "delta": DELTA}
            return _Decomposition(M, scaled, U, s, Vh, errors, "ritz_block", witness)
        width = min(2 * width, limit)


def _subspace_iteration(
    scaled: Working, rank: int, rng: np.random.Generator
) -> tuple[Array, tuple[Array, Array, Array]]:
    """Rayleigh-Ritz on a subspace half as large again as the rank: the certificate needs that room."""
    width = min(rank + max(10, rank // 2), *scaled.array.shape)
    basis = orthonormal_basis(gaussian(rng, (scaled.array.shape[1], width), like=scaled.array))
    for _ in range(PASSES):
        # without orthonormalising at every half step the small directions drown in rounding (float32 above all)
        image = orthonormal_basis(scaled.array @ basis)
        basis = orthonormal_basis(adjoint(scaled.array) @ image)
    U, s, Wh = scaled.xp.linalg.svd(scaled.array @ basis, full_matrices=False)
    return basis, (U, s, Wh @ adjoint(basis))


def _left(U: Array, s: Array) -> Array:
    wide = widen(U)
    return wide * namespace(U=wide).astype(widen(s), wide.dtype)[None, :]
