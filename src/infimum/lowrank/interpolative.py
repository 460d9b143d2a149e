"""Interpolative decomposition: a matrix through a few of its own columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from infimum._arguments import RNGLike, axes, one_of, rank_or_tol, whole_numbers
from infimum._arrays import Array, as_matrix, like_array, namespace, narrow, scale_back, to_numpy, working
from infimum._linalg import frobenius, least_squares
from infimum.certificate import Certificate
from infimum.errors import ShapeError, ToleranceError, VerificationError
from infimum.lowrank.factored import Factored, certify
from infimum.lowrank.select import STRATEGIES, Strategy


@dataclass(frozen=True)
class Interpolative(Factored):
    """``M ≈ M[:, columns] @ coefficients``, the answer of `interpolative`.

    Attributes
    ----------
    columns : array (rank,) of int64
        Indices of the chosen columns, the most telling first.
    skeleton : array (m, rank)
        The chosen columns themselves, ``M[:, columns]``.
    coefficients : array (rank, n)
        The identity on the chosen columns.
    certificate : Certificate
        ``lower_bound`` holds for *every* matrix of that rank, so also for every choice of columns.
    """

    problem: ClassVar[str] = "lowrank.interpolative"
    columns: Array
    skeleton: Array
    coefficients: Array

    @property
    def rank(self) -> int:
        """Number of chosen columns."""
        return int(self.columns.shape[0])

    def factors(self) -> tuple[Array, Array]:
        """Return `skeleton` and `coefficients`."""
        return self.skeleton, self.coefficients

    def recheck(self, M: Array) -> Certificate:
        """Derive the certificate of an interpolative decomposition from the input and the answer alone."""
        M = as_matrix(M, "M")
        xp = namespace(M=M, columns=self.columns)
        order = to_numpy(self.columns)
        valid = order.ndim == 1 and np.unique(order).size == order.size and np.all((order >= 0) & (order < M.shape[1]))
        if not valid:
            raise VerificationError(f"columns must be distinct indices below {M.shape[1]}, got {order.tolist()}")
        shapes = (tuple(self.skeleton.shape), tuple(self.coefficients.shape))
        expected = ((M.shape[0], order.size), (order.size, M.shape[1]))
        if shapes != expected:
            raise ShapeError(f"skeleton and coefficients of shapes {expected} were expected, got {shapes}")
        if not bool(xp.all(self.skeleton == xp.take(M, self.columns, axis=1))):
            raise VerificationError("skeleton must be M[:, columns], it differs from it")
        return certify(M, *self.factors(), self.certificate.theorem, self.certificate.witness)

    def plot(self, ax: Any = None) -> Any:
        """Draw the absolute coefficients: which chosen column serves which column of the matrix."""
        ax = axes(ax)
        image = ax.imshow(np.abs(to_numpy(self.coefficients)), aspect="auto", cmap="viridis", interpolation="nearest")
        ax.figure.colorbar(image, ax=ax, label="|coefficient|")
        whole_numbers(ax.xaxis, ax.yaxis)
        certificate = self.certificate
        ax.set(
            xlabel="column of the matrix",
            ylabel="chosen column",
            title=f"{self.rank} columns: error {certificate.value:.5g}, floor {certificate.lower_bound:.5g}",
        )
        return ax


def interpolative(
    M: Array,
    rank: int | None = None,
    *,
    tol: float | None = None,
    method: Literal["auto", "pivoted_qr", "greedy", "sketch"] = "auto",
    rng: RNGLike = None,
) -> Interpolative:
    """Approximate a matrix by a few of its own columns: ``M ≈ M[:, columns] @ coefficients``.

    Minimises the Frobenius norm of the difference over all choices of `rank` columns. Choosing them is NP-hard; for the
    chosen ones the coefficients are optimal (least squares).

    Parameters
    ----------
    M : array (m, n)
        Real or complex, finite, of any library of the array API standard.
    rank : int, optional
        Number of columns, 1 <= rank <= min(m, n). Give `rank` or `tol`, not both.
    tol : float, optional
        Choose the smallest rank, along the order in which the method takes columns, whose certified error is at most
        ``tol * norm(M)``, 0 < tol <= 1.
    method : {"auto", "pivoted_qr", "greedy", "sketch"}
        "pivoted_qr": the column with the longest residual next. "greedy": the column that leaves the least total
        residual next. "sketch": pivoted QR of a small Gaussian sketch with one power step; the only one that does not
        factorise the whole matrix on the host. "auto": the better of the first two by measured error while
        ``min(m, n) <= 2000``, else "sketch".
    rng : int or numpy.random.Generator, optional
        Seed of the sketch.

    Returns
    -------
    Interpolative
        `columns` (rank,) int64, `skeleton` (m, rank), `coefficients` (rank, n): library, dtype and device of `M`;
        `certificate`, whose `lower_bound` holds for *every* matrix of that rank.

    Raises
    ------
    ShapeError, RankError, NonFiniteError, DTypeError, LibraryError, OptionError
        Each says what was expected, what came, and what to do.
    RangeError
        A coefficient does not fit the dtype of `M`.
    ToleranceError
        No rank meets `tol` in the dtype of `M`.

    References
    ----------
    .. [1] H. Cheng, Z. Gimbutas, P.-G. Martinsson, V. Rokhlin, "On the compression of low rank matrices",
       SIAM J. Sci. Comput. 26 (2005).
    .. [2] Su Jianlin, Scientific Spaces 10501, https://kexue.fm/archives/10501.

    Examples
    --------
    >>> import numpy as np, infimum
    >>> M = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 1.0], [1.0, 2.0, 3.0]])
    >>> result = infimum.lowrank.interpolative(M, rank=2)
    >>> np.allclose(result.to_dense(), M)
    True
    """
    M = as_matrix(M, "M")
    limit = min(M.shape)
    rank_or_tol(rank, tol, limit)
    one_of("method", method, ("auto", *STRATEGIES))
    names = (method,) if method != "auto" else (("pivoted_qr", "greedy") if limit <= 2000 else ("sketch",))
    generator = np.random.default_rng(rng)
    answers = [_answer(M, rank, tol, STRATEGIES[name], generator) for name in names]
    return min(answers, key=lambda answer: (answer.rank, answer.certificate.value))


def _answer(
    M: Array, rank: int | None, tol: float | None, strategy: Strategy, rng: np.random.Generator
) -> Interpolative:
    scaled = working(M)
    limit = min(M.shape)
    if tol is None:
        return _with_columns(M, strategy(scaled, rank or limit, rng).order)
    order, errors = strategy(scaled, limit, rng)
    goal = tol * scale_back(frobenius(scaled.array), scaled.exponent, toward=0.0)
    # `errors` are estimates: start at the rank they name, then trust only measured values
    meets = np.flatnonzero(errors <= tol * errors[0])
    for candidate in range(max(1, int(meets[0])) if meets.size else limit, limit + 1):
        answer = _with_columns(M, order[:candidate])
        if answer.certificate.value <= goal:
            return answer
    raise ToleranceError(
        f"no {limit} columns have a certified error of at most {goal:.3g} (tol = {tol}) in {M.dtype}; "
        f"the last choice has {answer.certificate.value:.3g}: raise tol or convert the input to a wider type"
    )


def _with_columns(M: Array, order: np.ndarray) -> Interpolative:
    """Find the best coefficients for the chosen columns, round them, and certify what is returned."""
    xp = namespace(M=M)
    columns = like_array(order.astype(np.int64), M)
    skeleton = xp.take(M, columns, axis=1)
    scaled = working(M)
    rtol = max(M.shape) * float(xp.finfo(M.dtype).eps)
    coefficients = least_squares(xp.take(scaled.array, columns, axis=1), scaled.array, rtol)
    # A chosen column is itself, exactly; least squares would return the identity only up to rounding.
    chosen = columns[:, None] == xp.arange(M.shape[1], dtype=xp.int64, device=columns.device)[None, :]
    identity = xp.astype(chosen, coefficients.dtype)
    coefficients = xp.where(xp.any(chosen, axis=0)[None, :], identity, coefficients)
    coefficients = narrow(coefficients, M, "a coefficient")
    certificate = certify(M, skeleton, coefficients, "eckart_young", {})
    return Interpolative(columns=columns, skeleton=skeleton, coefficients=coefficients, certificate=certificate)
