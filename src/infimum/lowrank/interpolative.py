"""Interpolative decomposition: a matrix through a few of its own columns, or rows."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from infimum._arguments import RNGLike, one_of, rank_or_tol
from infimum._arrays import (
    ArrayLike,
    like_array,
)
from infimum._linalg import adjoint
from infimum._tables import labels
from infimum.errors import OptionError
from infimum.lowrank.columns.interpolation import Search, ThroughColumns
from infimum.lowrank.columns.strategies import Chooser, StrategyName, known
from infimum.lowrank.stacks import over_stacks
from infimum.proof.answers.chosen_columns import chosen_names
from infimum.proof.answers.interpolative import Interpolative
from infimum.proof.operators.inputs import for_columns

Method: TypeAlias = StrategyName | Literal["exact"] | Chooser


@over_stacks(1)
def interpolative(
    M: ArrayLike,
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
    M : array (m, n), or a stack (..., m, n)
        Real or complex, finite, of any library of the array API standard, or a table of pandas, Polars or xarray; or a
        sparse matrix (SciPy, PyTorch) or LinearOperator, or the blocks of rows of a matrix larger than memory
        (`infimum.scale.RowBlocks`).
    rank : int, optional
        Number of columns, 1 <= rank <= min(m, n). Give `rank` or `tol`, not both.
    tol : float, optional
        Choose the smallest rank at which the method is found to leave a certified error of at most ``tol * norm(M)``,
        0 < tol <= 1.
    method : str or callable
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
        `names` of the chosen where M has them; `certificate`, whose `lower_bound` holds for every choice of columns.
        Unpacks into ``skeleton, coefficients`` (for rows the other way round). Of a stack a
        `Batch`: their fields stacked, one array of certificates.

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
    .. [2] Su Jianlin, Scientific Spaces 10501 (low rank 4, ID), https://kexue.fm/archives/10501.

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
    known("method", method, "exact")
    one_of("axis", axis, (0, 1))
    if max_coefficient is not None and not (isinstance(max_coefficient, int | float) and max_coefficient >= 1.0):
        raise OptionError(f"max_coefficient must be a number of at least 1, got {max_coefficient!r}")
    oriented = operator if axis == 1 else operator.adjoint()
    search = Search(oriented, max_coefficient, np.random.default_rng(rng))
    answer = search.with_rank(rank, method) if rank is not None else search.with_tol(tol or 1.0, method)
    return _result(answer, axis, chosen_names(labels(M, axis), answer.order))


def _result(answer: ThroughColumns, axis: int, names: tuple[str, ...] | None) -> Interpolative:
    columns, skeleton, coefficients = like_array(answer.order, answer.skeleton), answer.skeleton, answer.coefficients
    if axis == 1:
        return Interpolative(columns, None, skeleton, coefficients, names, certificate=answer.certificate)
    return Interpolative(None, columns, adjoint(skeleton), adjoint(coefficients), names, certificate=answer.certificate)
