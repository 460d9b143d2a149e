"""CUR: a matrix through a few of its columns, a few of its rows, and a small core between them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from infimum._arguments import RNGLike, one_of, rank_or_tol, rank_within
from infimum._arrays import Array, ArrayLike, like_array, narrow, times_power_of_two, widen, working
from infimum._linalg import adjoint, orthonormal_basis, pivoted_qr, reduced_qr
from infimum._scaling import scale_back
from infimum._spread import at_hand
from infimum._tables import labels
from infimum.errors import OptionError, ToleranceError
from infimum.lowrank.columns.interpolation import claimed_bound
from infimum.lowrank.columns.least_squares import least_squares
from infimum.lowrank.columns.reduction import Reduction, reduction
from infimum.lowrank.columns.strategies import Chooser, StrategyName, known, strategy_named
from infimum.proof.answers.chosen_columns import FEW, chosen_names
from infimum.proof.answers.cur import CUR, bound_of_cur, certify_cur, core_rounding
from infimum.proof.operators.inputs import for_columns
from infimum.proof.operators.operator import Operator
from infimum.proof.rounding import ROOM
from infimum.proof.theorems import column_subset
from infimum.proof.theorems.ritz_block import Bound


def cur(
    M: ArrayLike,
    rank: int | None = None,
    *,
    rows: int | None = None,
    columns: int | None = None,
    tol: float | None = None,
    select: StrategyName | Chooser = "auto",
    core: Literal["optimal", "intersection"] = "optimal",
    rng: RNGLike = None,
) -> CUR:
    """Approximate a matrix by a few of its columns and rows: ``M ≈ M[:, columns] @ core @ M[rows, :]``.

    Minimises the Frobenius norm of the difference over all choices of rows and columns. Choosing them is NP-hard; for
    the chosen ones the optimal core is ``pinv(C) @ M @ pinv(R)``.

    Parameters
    ----------
    M : array (m, n)
        Real or complex, finite, of any library of the array API standard, or a table of pandas, Polars or xarray; or a
        sparse matrix (SciPy, PyTorch) or LinearOperator, or the blocks of rows of a matrix larger than memory
        (`infimum.scale.RowBlocks`).
    rank : int, optional
        Number of rows and of columns, 1 <= rank <= min(m, n). Give `rank`, `rows` and `columns`, or `tol`.
    rows, columns : int, optional
        Their numbers, where they differ; each from 1 to min(m, n).
    tol : float, optional
        Choose as few rows and columns, equally many, as have a certified error of at most ``tol * norm(M)``.
    select : str or callable
        Any strategy of `select_columns`, for columns and for rows [1]_.
    core : {"optimal", "intersection"}
        "optimal": the best one. "intersection": the pseudo-inverse of ``M[rows, columns]`` [2]_, which needs no other
        entry of M than those chosen and reproduces the chosen rows and columns where that matrix has full rank; with
        `select` "auto" the rows are then chosen by pivoted QR of a basis of the columns: it is well conditioned.
    rng : int or numpy.random.Generator, optional
        Seed of the random strategies and of the sketch of a large matrix.

    Returns
    -------
    CUR
        `rows` (r,) and `columns` (c,) int64, `core` (c, r), `C` (m, c), `R` (r, n): library, dtype and device of `M`;
        `row_names`, `column_names` where M has them; `certificate`. Unpacks into ``C, core, R``.
        Small singular values of C, R and the intersection are left out where keeping them would cost more through
        rounding in that dtype than it gains.

    Raises
    ------
    ShapeError, RankError, NonFiniteError, DTypeError, LibraryError, OptionError
        Each says what was expected, what came, and what to do.
    RangeError
        The core does not fit the dtype of `M`.
    ToleranceError
        No rank meets `tol` in the dtype of `M`.

    References
    ----------
    .. [1] M. Mahoney, P. Drineas, "CUR matrix decompositions for improved data analysis", PNAS 106 (2009);
       Su Jianlin, Scientific Spaces 10662 (low rank 5, CUR), https://kexue.fm/archives/10662.
    .. [2] S. Goreinov, E. Tyrtyshnikov, N. Zamarashkin, "A theory of pseudoskeleton approximations",
       Linear Algebra Appl. 261 (1997).

    Examples
    --------
    >>> import numpy as np, infimum
    >>> M = np.outer([1.0, 2.0, 3.0], [1.0, 1.0, 2.0, 5.0])
    >>> result = infimum.lowrank.cur(M, 1)
    >>> np.allclose(result.to_dense(), M)
    True
    """
    operator = for_columns(M, "M")
    counts = _counts(rank, rows, columns, tol, min(operator.shape))
    known("select", select)
    one_of("core", core, ("optimal", "intersection"))
    search = _Search(operator, select, core, np.random.default_rng(rng))
    answer = search.with_counts(*counts) if counts is not None else search.with_tol(tol or 1.0)
    names = [chosen_names(labels(M, axis), order) for axis, order in enumerate((answer.rows, answer.columns))]
    return dataclasses.replace(answer, row_names=names[0], column_names=names[1])


def _counts(rank: object, rows: object, columns: object, tol: object, limit: int) -> tuple[int, int] | None:
    if (rows is None) != (columns is None) or (rows is not None and not (rank is None and tol is None)):
        raise OptionError(
            "give rank, tol, or both rows and columns, "
            f"got rank={rank!r}, tol={tol!r}, rows={rows!r}, columns={columns!r}"
        )
    if rows is None:
        rank_or_tol(rank, tol, limit)
        return None if rank is None else (int(rank), int(rank))  # type: ignore[call-overload]
    return rank_within("rows", rows, limit), rank_within("columns", columns, limit)


@dataclass(frozen=True)
class _Search:
    M: Operator
    select: str | Chooser
    core: str
    rng: np.random.Generator

    def with_counts(self, rows: int, columns: int) -> CUR:
        """Choose so many rows and columns."""
        by_columns = reduction(self.M, columns, self.rng)
        chosen_columns = strategy_named(self.select)(by_columns, columns, self.rng)
        by_rows = reduction(self.M.adjoint(), rows, self.rng)
        if self.core == "intersection" and self.select == "auto" and rows <= columns:
            C = working(self.M.take(chosen_columns, axis=1)).array
            chosen_rows = pivoted_qr(adjoint(orthonormal_basis(C)))[0][:rows]
        else:
            chosen_rows = strategy_named(self.select)(by_rows, rows, self.rng)
        return self._through(chosen_rows, chosen_columns, by_columns if columns <= rows else by_rows)

    def with_tol(self, tol: float) -> CUR:
        """Double the numbers until the tolerance is met, then halve the interval."""
        limit = min(self.M.shape)
        goal = tol * scale_back(math.sqrt(self.M.energy), self.M.exponent, toward=0.0)
        low, high = 0, min(8, limit)
        best = self.with_counts(high, high)
        while best.certificate.value > goal:
            if high == limit:
                raise ToleranceError(
                    f"no {limit} rows and columns have a certified error of at most {goal:.3g} (tol = {tol}) in "
                    f"{self.M.outer.dtype}; the last choice has {best.certificate.value:.3g}: raise tol or convert the "
                    "input to a wider type"
                )
            low, high = high, min(2 * high, limit)
            best = self.with_counts(high, high)
        while high - low > 1:
            middle = (low + high) // 2
            tried = self.with_counts(middle, middle)
            if tried.certificate.value <= goal:
                high, best = middle, tried
            else:
                low = middle
        return best

    def _through(self, rows: np.ndarray, columns: np.ndarray, reduced: Reduction) -> CUR:
        """Find the core, with as much of it cut off as rounding asks for, and certify the best."""
        M = self.M
        row_index, column_index = (like_array(index.astype(np.int64), M.outer) for index in (rows, columns))
        C, R = M.take(columns, axis=1), M.take(rows, axis=0)
        core_with = self._optimal_core(C, R) if self.core == "optimal" else self._inverse(C, row_index)
        theorem, bound = _claimed_bound(M, rows.size, columns.size, reduced)
        best, eps = None, float(M.xp.finfo(M.outer.dtype).eps)
        for power in (1.0, 0.85, 0.75, 0.65, 0.5):
            middle = times_power_of_two(core_with(max(M.shape) * eps**power), -M.exponent)
            middle = narrow(middle, M.outer, "the core")
            certificate = certify_cur(M, C, middle, R, theorem, bound, room=ROOM)
            if best is None or certificate.value < best.certificate.value:
                best = CUR(rows=row_index, columns=column_index, core=middle, C=C, R=R, certificate=certificate)
            # what a core of this size loses to rounding in the dtype of M is far below the error: no reason to cut more
            if core_rounding(C, middle, R, eps) <= 1e-3 * certificate.value:
                break
        assert best is not None
        return best

    def _scaled(self, part: Array) -> Array:
        return times_power_of_two(widen(part), -self.M.exponent)

    def _optimal_core(self, C: Array, R: Array) -> Callable[[float], Array]:
        """Return the function from a cut to ``pinv(C) @ M @ pinv(R)`` (scaled), by one product with M."""
        (Q_left, left), (Q_right, right) = (reduced_qr(part) for part in (self._scaled(C), adjoint(self._scaled(R))))
        coordinates = at_hand(adjoint(self.M.adjoint_times(Q_left)) @ Q_right)

        def core(cut: float) -> Array:
            return adjoint(least_squares(right, adjoint(least_squares(left, coordinates, cut)), cut))

        return core

    def _inverse(self, C: Array, rows: Array) -> Callable[[float], Array]:
        """Return the function from a cut to the pseudo-inverse of the intersection (scaled)."""
        xp = self.M.xp
        intersection = xp.take(self._scaled(C), rows, axis=0)
        identity = xp.eye(intersection.shape[0], dtype=intersection.dtype, device=rows.device)
        return lambda cut: least_squares(intersection, identity, cut)


def _claimed_bound(M: Operator, rows: int, columns: int, reduced: Reduction) -> tuple[str, Bound]:
    if min(M.shape) <= FEW:
        theorem = column_subset.THEOREM
        return theorem, bound_of_cur(M, rows, columns, theorem, {"nodes": FEW}, room=ROOM)
    return claimed_bound(M if columns <= rows else M.adjoint(), reduced, min(rows, columns))
