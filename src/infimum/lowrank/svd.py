"""Truncated singular value decomposition: the best matrix of a given rank."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np

from infimum._arguments import RNGLike, one_of, rank_or_tol
from infimum._arrays import ArrayLike, narrow
from infimum._tables import labels
from infimum.errors import OptionError
from infimum.lowrank.spectra.full import WHOLE_LIMIT, exact, gram, resolved
from infimum.lowrank.spectra.krylov import krylov
from infimum.lowrank.spectra.spectrum import Goal, Spectrum, least
from infimum.lowrank.spectra.subspace_iteration import randomized
from infimum.lowrank.stacks import over_stacks
from infimum.proof.answers.svd import SVD, certify_centred, certify_triples
from infimum.proof.operators.centred import Centred, centred
from infimum.proof.operators.inputs import as_operator
from infimum.proof.operators.operator import Operator
from infimum.proof.rounding import ROOM
from infimum.proof.theorems import ritz_block

TINY = 40  # rows and columns up to which LAPACK's SVD takes less time than calls for anything else


PROVED = 1e-3  # gap of the error that is proved where the triples have to be accurate
SQUARED = 1e-6  # residuals that are asked for below which singular values are not taken from their squares


@over_stacks(1)
def svd(
    M: ArrayLike,
    rank: int | None = None,
    *,
    tol: float | None = None,
    method: Literal["auto", "exact", "gram", "krylov", "randomized"] = "auto",
    gap_target: float = 1e-3,
    delta: float = 1e-6,
    center: bool = False,
    accuracy: Literal["error", "triples"] = "error",
    rng: RNGLike = None,
) -> SVD:
    """Best approximation of a matrix by one of lower rank: ``M ≈ U @ diag(s) @ Vh``.

    Minimises the Frobenius norm of the difference over all matrices of rank at most `rank`; with `center` over all
    such matrices plus one row that is added to all rows (principal component analysis).

    Parameters
    ----------
    M : array (m, n), or a stack (..., m, n)
        Real or complex, finite, of any library of the array API standard, or a table of pandas, Polars or xarray; or a
        sparse matrix (SciPy, PyTorch) or LinearOperator, or the blocks of rows of a matrix larger than memory
        (`infimum.scale.RowBlocks`).
    rank : int, optional
        Number of singular triples, 1 <= rank <= min(m, n). Give `rank` or `tol`, not both.
    tol : float, optional
        Choose the smallest rank whose certified error is at most ``tol * norm(M)``, 0 < tol <= 1; with `center` M is
        taken without its mean.
    method : {"auto", "exact", "gram", "krylov", "randomized"}
        "exact": a full decomposition. "gram": eigenvectors of the Gram matrix of the smaller side, quicker, for errors
        above ``1e-6 * norm(M)``. Both are certified by the Eckart-Young theorem, without a random draw. "krylov": a
        block Krylov space, grown until the certified gap meets `gap_target`. "randomized": three subspace iterations,
        orthonormalised at every half step. Both are certified by the Ritz block bound. "auto": "gram" while the smaller
        side is small ("exact" where the error, or the whole matrix, is too small for it), else "krylov".
    gap_target : float
        Stop "krylov" when error and lower bound differ by at most this, relatively. Where rounding or the size of the
        space forbids it, the certificate says how far it came. See `accuracy`.
    delta : float
        Probability with which a bound that rests on random probes may fail, 1e-15 <= delta <= 0.1.
    center : bool
        Take the mean of the rows off first, and return it. M has to be in memory, or `infimum.scale.RowBlocks`.
    accuracy : {"error", "triples"}
        What has to be accurate. "error": the approximation, whose triples may be far from the true ones. With
        "triples" the search goes on, besides, until every ``norm(M* M v - s**2 v)`` is at most `gap_target` times
        ``s**2``, as ARPACK's does, or 100 restarts are over; `SVD.triple_bounds` says what the triples are worth.
    rng : int or numpy.random.Generator, optional
        Seed of the start and of the probes.

    Returns
    -------
    SVD
        `U` (m, rank), `s` (rank,), `Vh` (rank, n): library, dtype and device of `M` (`s` real), of NumPy for a table;
        `mean` (n,) with `center`; `names` of columns where M has them; `certificate`. Unpacks into ``U, s, Vh``.
        Of a stack a `Batch`: their fields stacked, one array of certificates.

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
    .. [4] Su Jianlin, Scientific Spaces 10407 (low rank 2, SVD), https://kexue.fm/archives/10407.

    Examples
    --------
    >>> import numpy as np, infimum
    >>> M = np.vander(np.linspace(0, 1, 30), 12)
    >>> result = infimum.lowrank.svd(M, rank=4)
    >>> bool(result.certificate.lower_bound <= np.linalg.norm(M - result.to_dense()))
    True
    """
    less = centred(M, "M") if center else None
    operator = as_operator(M, "M") if less is None else less.operator
    rank_or_tol(rank, tol, min(operator.shape))
    one_of("method", method, ("auto", "exact", "gram", "krylov", "randomized"))
    if not 0.0 < gap_target < float("inf"):
        raise OptionError(f"gap_target must be a number above 0, got {gap_target!r}")
    if not ritz_block.LEAST_DELTA <= delta <= ritz_block.MOST_DELTA:
        limits = f"{ritz_block.LEAST_DELTA:g} to {ritz_block.MOST_DELTA:g}"
        raise OptionError(f"delta must be a number from {limits}, got {delta!r}")
    one_of("accuracy", accuracy, ("error", "triples"))
    triples = accuracy == "triples"
    goal = Goal(rank, tol, max(gap_target, PROVED) if triples else gap_target, delta, gap_target if triples else np.inf)
    spectrum = _decompose(operator, goal, method, rng)
    truncate = partial(_truncate, less=less, names=labels(M, axis=1))
    return truncate(spectrum, rank) if rank is not None else least(spectrum, goal, truncate)


def _decompose(M: Operator, goal: Goal, method: str, rng: RNGLike) -> Spectrum:
    """Decompose along the smaller side; a generator is made where something is drawn."""
    if M.shape[0] < M.shape[1]:
        return _decompose(M.adjoint(), goal, method, rng).adjoint()
    side = M.shape[1]
    if method == "randomized":
        return randomized(M, goal, np.random.default_rng(rng))
    large_part = goal.rank is None or 5 * goal.rank > side
    small = side <= max(M.gram_limit, WHOLE_LIMIT if large_part else 0)
    if method == "krylov" or (method == "auto" and not small):
        spectrum = krylov(M, goal, np.random.default_rng(rng), limit=side if method == "krylov" else side // 2)
        if spectrum is not None:
            return spectrum
    # squared singular values tell those of size s only to about eps / s**2
    squared = goal.residual > SQUARED and (method == "krylov" or (method == "auto" and max(M.shape) > TINY))
    if method == "gram" or squared:
        spectrum = gram(M)
        if method == "gram" or resolved(spectrum, goal):
            return spectrum
    return exact(M)


def _truncate(spectrum: Spectrum, rank: int, less: Centred | None, names: tuple[str, ...] | None) -> SVD:
    """Round the leading triples to the caller's dtype, then measure and certify what is returned."""
    U, s, Vh = spectrum.rounded(rank)
    theorem, bound = spectrum.theorem, spectrum.bound(rank)
    if less is None:
        certificate = certify_triples(spectrum.M, U, s, Vh, theorem, bound, room=ROOM)
        return SVD(U=U, s=s, Vh=Vh, names=names, certificate=certificate)
    M = less.operator
    mean = narrow(less.mean, M.outer, "the mean")
    certificate = certify_centred(less, U, s, Vh, mean, theorem, bound, room=ROOM)
    return SVD(U=U, s=s, Vh=Vh, mean=mean, names=names, certificate=certificate)
