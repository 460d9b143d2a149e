"""Nystrom approximation of a positive semidefinite matrix from a few of its columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from infimum._arguments import RNGLike, one_of, rank_or_tol
from infimum._arrays import ArrayLike, as_array, as_matrix, like_array, narrow, times_power_of_two, to_numpy
from infimum.errors import OptionError
from infimum.lowrank.columns.rpcholesky import PartialCholesky, Sample, clusters, greedy, independent, uniform
from infimum.lowrank.columns.strategies import ENTRIES, by_error
from infimum.proof.answers.nystrom import Nystrom, certify_nystrom, more_landmarks
from infimum.proof.operators.kernel import Entries
from infimum.proof.operators.kernel_matrix import KernelMatrix
from infimum.proof.operators.sparse import is_sparse
from infimum.proof.rounding import ROOM
from infimum.proof.theorems import nystrom_trace

METHODS = ("auto", "rpcholesky", "greedy", "uniform", "kmeans")
LARGE = 20_000_000  # entries of a factor from which on "auto" takes the pivots as they are drawn
MORE = 60  # pivots beyond twice the landmarks, in the factor of whose columns "auto" chooses
SAMPLED, MOST = 1200, 250  # points, and landmarks up to which "auto" chooses them among a sample of so many
READ = 1.5e7  # entries that the exchanges among a sample may read: the first of them gain most
TRIES = 3  # numbers of landmarks that "auto" looks at to meet a tolerance


def nystrom(
    K: ArrayLike,
    rank: int | None = None,
    *,
    tol: float | None = None,
    landmarks: ArrayLike | None = None,
    method: Literal["auto", "rpcholesky", "greedy", "uniform", "kmeans"] = "auto",
    rng: RNGLike = None,
) -> Nystrom:
    """Approximate a positive semidefinite matrix from a few of its columns: ``K ≈ C W^-1 C*``.

    Minimises the trace norm of ``K - K[:, S] K[S, S]^+ K[S, :]`` over all choices S of `rank` landmarks.

    Parameters
    ----------
    K : array (n, n)
        Hermitian positive semidefinite, of any library of the array API standard, or sparse (SciPy, PyTorch); or a
        `KernelMatrix`, of which only the diagonal, a few columns and a small block are computed. That a kernel, or a
        matrix of order above 2000, has no negative eigenvalues is taken on trust, unless the entries seen disprove it.
    rank : int, optional
        Number of landmarks, 1 <= rank <= n. Give one of `rank`, `tol` and `landmarks`. Fewer come back where the rest
        of K is rounding.
    tol : float, optional
        Take landmarks until the error is at most ``tol * trace(K)``, 0 < tol <= 1.
    landmarks : array (k,), optional
        Take these, less those that depend on the others.
    method : {"auto", "rpcholesky", "greedy", "uniform", "kmeans"}
        "rpcholesky": randomly pivoted Cholesky, in blocks with rejection [1]_ [2]_. "greedy": the largest
        diagonal entry of the residual next. "uniform": at random. "kmeans": points nearest to the centres of clusters
        of the points of a `KernelMatrix`, of the rows of an array. "auto": columns of a randomly pivoted Cholesky
        factor of more than twice the length, chosen as `interpolative` chooses them, of a factor with more than a
        million entries among the pivots and some others; up to 250 landmarks of a matrix of order 2400 or more, which
        `rank` asks for, among a sample of 1200 points; "rpcholesky" where the factor would have more than 20 million.
    rng : int or numpy.random.Generator, optional
        Seed.

    Returns
    -------
    Nystrom
        `landmarks` (rank,) int64, `factor` (n, rank): library, dtype and device of `K`; `certificate`.

    Raises
    ------
    ShapeError, RankError, NonFiniteError, DTypeError, LibraryError, OptionError
        Each says what was expected, what came, and what to do.
    NotSemidefiniteError
        K is not Hermitian, or has a negative eigenvalue, as far as the entries seen tell.
    RangeError
        An entry of the factor does not fit the dtype of `K`.

    References
    ----------
    .. [1] Y. Chen, E. N. Epperly, J. A. Tropp, R. J. Webber, "Randomly pivoted Cholesky: practical approximation of a
       kernel matrix with few entry evaluations", Comm. Pure Appl. Math. 78 (2025).
    .. [2] E. N. Epperly, J. A. Tropp, R. J. Webber, "Embrace rejection: kernel matrix approximation by accelerated
       randomly pivoted Cholesky", arXiv 2410.03969.
    .. [3] Su Jianlin, Scientific Spaces 10662 (low rank 5, CUR), https://kexue.fm/archives/10662.

    Examples
    --------
    >>> import numpy as np, infimum
    >>> x = np.linspace(0, 1, 40)
    >>> K = np.exp(-((x[:, None] - x) ** 2))
    >>> result = infimum.lowrank.nystrom(K, rank=5, rng=0)
    >>> bool(result.certificate.value < 1e-3 * np.trace(K))
    True
    """
    one_of("method", method, METHODS)
    sparse = is_sparse(K)
    matrix: Any = K if sparse or isinstance(K, KernelMatrix) else as_matrix(K, "K")
    if sparse and method == "kmeans":
        raise OptionError("method='kmeans' clusters points, of which a sparse matrix has none: take another method")
    if landmarks is None:
        rank_or_tol(rank, tol, matrix.shape[0])
    elif rank is not None or tol is not None:
        raise OptionError("give landmarks alone, or rank or tol without landmarks")
    entries = Entries(matrix)
    generator = np.random.default_rng(rng)
    if landmarks is not None:
        wanted = to_numpy(as_array(landmarks, "landmarks"))
        _check_landmarks(wanted, entries.shape[0])
        chosen, pivots = independent(entries, wanted.astype(np.int64)), None
    else:
        chosen, pivots = _choose(entries, rank, tol, method, generator)
    chosen = _well_conditioned(entries, chosen)
    factor = _factor(entries, chosen)
    witness = _witness(entries, chosen, factor, pivots, generator)
    factor = times_power_of_two(factor, entries.exponent // 2)
    answer = narrow(like_array(np.ascontiguousarray(factor), entries.outer), entries.outer, "factor")
    return Nystrom(
        landmarks=like_array(chosen, entries.outer),
        factor=answer,
        certificate=certify_nystrom(entries, chosen, answer, witness, room=ROOM),
    )


def _check_landmarks(chosen: np.ndarray, n: int) -> None:
    whole = chosen.ndim == 1 and chosen.dtype.kind in "iu"
    if not whole or np.unique(chosen).size != chosen.size or np.any((chosen < 0) | (chosen >= n)):
        raise OptionError(f"landmarks must be distinct indices below {n}, got {chosen.tolist()[:8]}")


def _choose(
    entries: Entries, rank: int | None, tol: float | None, method: str, rng: np.random.Generator
) -> tuple[np.ndarray, PartialCholesky | None]:
    """Return the landmarks, and the pivots that were drawn for them, of which there may be more."""
    n = entries.shape[0]
    if method == "auto" and rank is not None and rank <= MOST and n >= 2 * SAMPLED and np.any(entries.diagonal > 0.0):
        sample = Sample(entries, SAMPLED, rng)
        pivots = PartialCholesky(sample)
        chosen = _exchanged(pivots, pivots.draw(rank, 0.0, rng), rank, None, rng)
        if chosen.size == rank:
            return independent(entries, sample.rows[chosen]), None
    if method in {"auto", "rpcholesky"}:
        pivots = PartialCholesky(entries)
        drawn = pivots.draw(rank or n, float(tol or 0.0), rng)
        return drawn if method == "rpcholesky" else _exchanged(pivots, drawn, rank, tol, rng), pivots
    if method == "greedy":
        return greedy(entries, rank or n, float(tol or 0.0)), None
    draw = uniform if method == "uniform" else clusters
    if rank is not None:
        return independent(entries, draw(entries, rank, rng)), None
    goal, count = float(tol or 0.0) * float(np.sum(entries.diagonal)), min(16, n)
    while True:
        chosen = independent(entries, draw(entries, count, rng))
        if count == n or _error(entries, chosen) <= goal:
            return chosen, None
        count = min(2 * count, n)


def _exchanged(
    partial: PartialCholesky, best: np.ndarray, rank: int | None, tol: float | None, rng: np.random.Generator
) -> np.ndarray:
    """Draw more pivots, and take other landmarks where they leave less, or fewer that meet the tolerance."""
    entries, n = partial.K, partial.K.shape[0]
    sampled = isinstance(entries, Sample)
    width = min((3 if sampled else 2) * best.size + MORE, n)
    if not best.size or n * width > LARGE:
        return best
    partial.draw(width, 0.0, rng)
    reduced, columns = partial.reduction(rng)
    # what the first 0, 1, ... pivots leave: the error of chosen landmarks falls alike, so it tells how many to try next
    lengths = np.linalg.norm(partial.F, axis=0) ** 2
    left = np.sum(partial.residual) + np.cumsum(np.append(0.0, lengths[::-1]))[::-1]
    goal = left[best.size] if rank is not None else float(tol or 0.0) * float(np.sum(entries.diagonal))
    count, tried = best.size, set[int]()
    while count not in tried and len(tried) < TRIES:
        tried.add(count)
        chosen = independent(entries, columns[by_error(reduced, count, rng, READ if sampled else ENTRIES)])
        error = _error(entries, chosen)
        if error <= goal and chosen.size <= best.size:
            best = chosen
        if rank is None:
            count = int(np.argmax(left * error <= goal * left[count])) or count
    return best


def _error(entries: Entries | Sample, chosen: np.ndarray) -> float:
    """Estimate the error that landmarks leave, in the trace norm."""
    return (
        float(np.sum(entries.diagonal))
        - float(np.linalg.norm(_factor(entries, _well_conditioned(entries, chosen)))) ** 2
    )


def _witness(
    entries: Entries, chosen: np.ndarray, factor: np.ndarray, pivots: PartialCholesky | None, rng: np.random.Generator
) -> Mapping[str, Any]:
    """Choose what the lower bound rests on: the spectrum, or twice as many landmarks, those drawn before first."""
    if entries.spectrum is not None:
        return {"spectrum": True}
    if pivots is None:
        pivots = PartialCholesky(entries)
        pivots.append(chosen, factor)
    count = min(more_landmarks(chosen.size), entries.shape[0])
    return {"landmarks": _well_conditioned(entries, pivots.draw(count, 0.0, rng)[:count])}


def _well_conditioned(entries: Entries | Sample, chosen: np.ndarray) -> np.ndarray:
    """Leave the last landmarks out, as few as possible, until rounding does no harm."""
    while chosen.size:
        try:
            core = entries.columns(chosen)[chosen]
            nystrom_trace.resolution(core, nystrom_trace.cholesky_form(core, np.arange(chosen.size)).F, ROOM)
            break
        except nystrom_trace.DependentLandmarksError:
            chosen = chosen[: chosen.size - 1 - chosen.size // 8]
    return chosen


def _factor(entries: Entries | Sample, chosen: np.ndarray) -> np.ndarray:
    return nystrom_trace.cholesky_form(entries.columns(chosen), chosen).F
