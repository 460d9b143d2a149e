"""Interpolative decomposition: a matrix through a few of its own columns, or rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from infimum._arguments import RNGLike, axes, one_of, rank_or_tol, whole_numbers
from infimum._arrays import Array, like_array, namespace, to_numpy
from infimum._linalg import adjoint
from infimum.errors import OptionError, ShapeError, VerificationError
from infimum.lowrank.select import STRATEGIES, StrategyName
from infimum.lowrank.through_columns import Search, ThroughColumns, certify_columns
from infimum.proof.answers.factored import Factored
from infimum.proof.certificate import Certificate
from infimum.proof.operators.inputs import for_columns
from infimum.proof.operators.operator import Operator

Method: TypeAlias = StrategyName | Literal["exact"]


@dataclass(frozen=True)
class Interpolative(Factored):
    """``M ≈ M[:, columns] @ coefficients`` or ``M ≈ coefficients @ M[rows, :]``, the answer of `interpolative`.

    Attributes
    ----------
    columns : array (rank,) of int64, or None
        Indices of the chosen columns, the first taken first; None when rows were chosen.
    rows : array (rank,) of int64, or None
        Indices of the chosen rows; None when columns were chosen.
    skeleton : array (m, rank) or (rank, n)
        The chosen columns, ``M[:, columns]``, or rows, ``M[rows, :]``.
    coefficients : array (rank, n) or (m, rank)
        The identity on the chosen columns or rows.
    certificate : Certificate
        ``lower_bound`` holds for every choice of columns (rows); with the theorems "eckart_young" and "ritz_block" even
        for *every* matrix of that rank.
    """

    problem: ClassVar[str] = "lowrank.interpolative"
    inputs: ClassVar[tuple[str, ...]] = ("M",)
    columns: Array | None
    rows: Array | None
    skeleton: Array
    coefficients: Array

    @property
    def rank(self) -> int:
        """Number of chosen columns or rows."""
        return int(self.skeleton.shape[1 if self.rows is None else 0])

    def factors(self) -> tuple[Array, Array]:
        """Return `skeleton` and `coefficients`, for rows the other way round."""
        return (self.skeleton, self.coefficients) if self.rows is None else (self.coefficients, self.skeleton)

    def recheck(self, M: Any) -> Certificate:
        """Derive the certificate of an interpolative decomposition from the input and the answer alone."""
        operator, skeleton, coefficients = for_columns(M, "M"), self.skeleton, self.coefficients
        if (self.columns is None) == (self.rows is None):
            raise VerificationError("either columns or rows must be given, and the other one None")
        if self.columns is None:
            operator, skeleton, coefficients = operator.adjoint(), adjoint(skeleton), adjoint(coefficients)
        check_skeleton(operator, self.columns if self.rows is None else self.rows, skeleton)
        shapes = (tuple(skeleton.shape), tuple(coefficients.shape))
        expected = ((operator.shape[0], self.rank), (self.rank, operator.shape[1]))
        if shapes != expected:
            raise ShapeError(f"skeleton and coefficients of shapes {expected} were expected, got {shapes}")
        return certify_columns(operator, skeleton, coefficients, self.certificate.theorem, self.certificate.witness)

    def plot(self, ax: Any = None) -> Any:
        """Draw the absolute coefficients: which chosen column (row) serves which column (row) of the matrix."""
        ax = axes(ax)
        image = ax.imshow(np.abs(to_numpy(self.coefficients)), aspect="auto", cmap="viridis", interpolation="nearest")
        ax.figure.colorbar(image, ax=ax, label="|coefficient|")
        whole_numbers(ax.xaxis, ax.yaxis)
        certificate, kind = self.certificate, "column" if self.rows is None else "row"
        labels = (f"{kind} of the matrix", f"chosen {kind}")
        ax.set(
            xlabel=labels[kind == "row"],
            ylabel=labels[kind == "column"],
            title=f"{self.rank} {kind}s: error {certificate.value:.5g}, floor {certificate.lower_bound:.5g}",
        )
        return ax


def check_skeleton(M: Operator, columns: Array, skeleton: Array) -> None:
    """Raise `VerificationError` unless `skeleton` is ``M[:, columns]`` for distinct columns."""
    order = to_numpy(columns)
    valid = order.ndim == 1 and np.unique(order).size == order.size and np.all((order >= 0) & (order < M.shape[1]))
    if not valid:
        raise VerificationError(f"distinct indices below {M.shape[1]} were expected, got {order.tolist()}")
    xp = namespace(M=M.outer, columns=columns, skeleton=skeleton)
    if skeleton.shape != (M.shape[0], order.size) or not bool(xp.all(skeleton == M.take(order, axis=1))):
        raise VerificationError("skeleton must be M[:, columns], or M[rows, :]: it differs from it")


def interpolative(
    M: Any,
    rank: int | None = None,
    *,
    tol: float | None = None,
    method: Method = "auto",
    max_coefficient: float | None = None,
    axis: Literal[0, 1] = 1,
    rng: RNGLike = None,
) -> Interpolative:
    """Approximate a matrix by a few of its own columns (or rows): ``M ≈ M[:, columns] @ coefficients``.

    Minimises the Frobenius norm of the difference over all choices of `rank` columns. Choosing them is NP-hard; for the
    chosen ones the coefficients are optimal (least squares).

    Parameters
    ----------
    M : array (m, n)
        Real or complex, finite, of any library of the array API standard; or a SciPy sparse array or LinearOperator, or
        the blocks of rows of a matrix larger than memory (`infimum.scale.RowBlocks`).
    rank : int, optional
        Number of columns, 1 <= rank <= min(m, n). Give `rank` or `tol`, not both.
    tol : float, optional
        Choose the smallest rank at which the method is found to leave a certified error of at most ``tol * norm(M)``,
        0 < tol <= 1.
    method : str
        Any strategy of `select_columns`: "pivoted_qr", the column with the longest residual next; "greedy", the one
        that leaves the least total residual; "osinsky", "lupp", "strong_rrqr", "column_sampling", ... "auto": the best
        of the first three ("osinsky" for a matrix that is sketched), then exchanges of single columns while they lower
        the error. "exact": branch and bound,
        for matrices with few columns (up to about 25), started from the answer of "auto".
    max_coefficient : float, optional
        At least 1: exchange columns until no coefficient is larger in absolute value, at some cost in error.
    axis : {1, 0}
        1: columns. 0: rows, ``M ≈ coefficients @ M[rows, :]``.
    rng : int or numpy.random.Generator, optional
        Seed of the random methods and of the sketch of a large matrix.

    Returns
    -------
    Interpolative
        `columns` (rank,) int64, `skeleton` (m, rank), `coefficients` (rank, n): library, dtype and device of `M`;
        `certificate`, whose `lower_bound` holds for every choice of columns.

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
    operator = for_columns(M, "M")
    rank_or_tol(rank, tol, min(operator.shape))
    one_of("method", method, ("auto", "exact", *STRATEGIES))
    one_of("axis", axis, (0, 1))
    if max_coefficient is not None and not (isinstance(max_coefficient, int | float) and max_coefficient >= 1.0):
        raise OptionError(f"max_coefficient must be a number of at least 1, got {max_coefficient!r}")
    oriented = operator if axis == 1 else operator.adjoint()
    search = Search(oriented, max_coefficient, np.random.default_rng(rng))
    return _result(search.with_rank(rank, method) if rank is not None else search.with_tol(tol or 1.0, method), axis)


def _result(answer: ThroughColumns, axis: int) -> Interpolative:
    columns, skeleton, coefficients = like_array(answer.order, answer.skeleton), answer.skeleton, answer.coefficients
    if axis == 1:
        return Interpolative(columns, None, skeleton, coefficients, certificate=answer.certificate)
    return Interpolative(None, columns, adjoint(skeleton), adjoint(coefficients), certificate=answer.certificate)
