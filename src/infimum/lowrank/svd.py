"""Truncated singular value decomposition: the best matrix of a given rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import array_api_compat
import numpy as np

from infimum._arguments import RNGLike, axes, one_of, rank_or_tol, whole_numbers
from infimum._arrays import Array, namespace, to_numpy, widen
from infimum._linalg import adjoint, frobenius
from infimum.errors import OptionError, ShapeError, VerificationError
from infimum.lowrank import spectra
from infimum.lowrank.spectra import Spectrum, scaled_left
from infimum.proof.answers.factored import Factored, certify_factors
from infimum.proof.certificate import Certificate
from infimum.proof.operators.inputs import as_operator
from infimum.proof.operators.operator import Operator

WHOLE_LIMIT = 2000  # smaller side up to which "auto" decomposes all where rank is over a fifth of it, or not known


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
    inputs: ClassVar[tuple[str, ...]] = ("M",)
    U: Array
    s: Array
    Vh: Array

    @property
    def rank(self) -> int:
        """Number of singular triples."""
        return int(self.s.shape[0])

    def factors(self) -> tuple[Array, Array]:
        """Return ``U * s`` (in working precision) and ``Vh``."""
        return scaled_left(self.U, self.s), self.Vh

    def recheck(self, M: Array) -> Certificate:
        """Derive the certificate of an SVD from the input, the answer and the witness alone."""
        M = as_operator(M, "M")
        rank = self.rank
        expected = ((M.shape[0], rank), (rank,), (rank, M.shape[1]))
        got = tuple(tuple(part.shape) for part in (self.U, self.s, self.Vh))
        if got != expected:
            raise ShapeError(f"U, s, Vh of shapes {expected} were expected, got {got}")
        xp = namespace(M=M.outer, U=self.U)
        slack = 8.0 * max(M.shape) * rank * float(xp.finfo(M.outer.dtype).eps)
        for name, columns in (("U", widen(self.U)), ("Vh", adjoint(widen(self.Vh)))):
            eye = xp.eye(rank, dtype=columns.dtype, device=array_api_compat.device(columns))
            defect = frobenius(adjoint(columns) @ columns - eye)
            if defect > slack:
                raise VerificationError(f"{name} must be orthonormal to {slack:.1e}, it is off by {defect:.1e}")
        return certify_factors(M, *self.factors(), self.certificate.theorem, self.certificate.witness)

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
    M: Any,
    rank: int | None = None,
    *,
    tol: float | None = None,
    method: Literal["auto", "exact", "gram", "krylov", "randomized"] = "auto",
    gap_target: float = 1e-3,
    delta: float = 1e-6,
    rng: RNGLike = None,
) -> SVD:
    """Best approximation of a matrix by one of lower rank: ``M ≈ U @ diag(s) @ Vh``.

    Minimises the Frobenius norm of the difference over all matrices of rank at most `rank`.

    Parameters
    ----------
    M : array (m, n)
        Real or complex, finite, of any library of the array API standard; or a SciPy sparse array or LinearOperator, or
        the blocks of rows of a matrix larger than memory (`infimum.scale.RowBlocks`).
    rank : int, optional
        Number of singular triples, 1 <= rank <= min(m, n). Give `rank` or `tol`, not both.
    tol : float, optional
        Choose the smallest rank whose certified error is at most ``tol * norm(M)``, 0 < tol <= 1.
    method : {"auto", "exact", "gram", "krylov", "randomized"}
        "exact": a full decomposition. "gram": eigenvectors of the Gram matrix of the smaller side, quicker, for errors
        above ``1e-6 * norm(M)``. Both are certified by the Eckart-Young theorem, without a random draw. "krylov": a
        block Krylov space, grown until the certified gap meets `gap_target`. "randomized": three subspace iterations,
        orthonormalised at every half step. Both are certified by the Ritz block bound. "auto": "gram" while the smaller
        side is small ("exact" where the error is too small for it), else "krylov".
    gap_target : float
        Stop "krylov" when error and lower bound differ by at most this, relatively. Where rounding or the size of the
        space forbids it, the certificate says how far it came.
    delta : float
        Probability with which a bound that rests on random probes may fail, 0 < delta <= 0.1.
    rng : int or numpy.random.Generator, optional
        Seed of the start and of the probes.

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
    .. [2] G. H. Golub, F. T. Luk, M. L. Overton, "A block Lanczos method for computing the singular values and
       corresponding singular vectors of a matrix", ACM Trans. Math. Softw. 7 (1981).
    .. [3] N. Halko, P.-G. Martinsson, J. A. Tropp, "Finding structure with randomness", SIAM Review 53 (2011).
    .. [4] Su Jianlin, Scientific Spaces 10407, https://kexue.fm/archives/10407.

    Examples
    --------
    >>> import numpy as np, infimum
    >>> M = np.vander(np.linspace(0, 1, 30), 12)
    >>> result = infimum.lowrank.svd(M, rank=4)
    >>> bool(result.certificate.lower_bound <= np.linalg.norm(M - result.to_dense()))
    True
    """
    operator = as_operator(M, "M")
    rank_or_tol(rank, tol, min(operator.shape))
    one_of("method", method, ("auto", "exact", "gram", "krylov", "randomized"))
    if not 0.0 < gap_target < float("inf"):
        raise OptionError(f"gap_target must be a number above 0, got {gap_target!r}")
    if not 0.0 < delta <= 0.1:
        raise OptionError(f"delta must be a number above 0 and at most 0.1, got {delta!r}")
    goal = spectra.Goal(rank, tol, gap_target, delta)
    spectrum = _decompose(operator, goal, method, np.random.default_rng(rng))
    return _truncate(spectrum, rank) if rank is not None else spectra.least(spectrum, goal, _truncate)


def _decompose(M: Operator, goal: spectra.Goal, method: str, rng: np.random.Generator) -> Spectrum:
    """Decompose along the smaller side."""
    if M.shape[0] < M.shape[1]:
        return _decompose(M.adjoint(), goal, method, rng).adjoint()
    side = M.shape[1]
    if method == "randomized":
        return spectra.randomized(M, goal, rng)
    large_part = goal.rank is None or 5 * goal.rank > side
    small = side <= max(M.gram_limit, WHOLE_LIMIT if large_part else 0)
    if method == "krylov" or (method == "auto" and not small):
        spectrum = spectra.krylov(M, goal, rng, limit=side if method == "krylov" else side // 2)
        if spectrum is not None:
            return spectrum
    if method in ("auto", "gram", "krylov"):
        spectrum = spectra.gram(M)
        if method == "gram" or spectra.resolved(spectrum, goal):
            return spectrum
    return spectra.exact(M)


def _truncate(spectrum: Spectrum, rank: int) -> SVD:
    """Round the leading triples to the caller's dtype, then measure and certify what is returned."""
    U, s, Vh = spectrum.rounded(rank)
    certificate = certify_factors(spectrum.M, scaled_left(U, s), Vh, spectrum.theorem, {}, bound=spectrum.bound(rank))
    return SVD(U=U, s=s, Vh=Vh, certificate=certificate)
