"""The linear assignment problem: every row takes a column of its own."""

from __future__ import annotations

from infimum._arrays import ArrayLike, as_matrix, like_array
from infimum.balance.search.optimal_assignment import best_assignment
from infimum.errors import DTypeError
from infimum.proof.answers.linear_assignment import LinearAssignment, costs_to_minimise, forbidden, signed
from infimum.proof.real_arrays import fitted


def linear_assignment(cost: ArrayLike, *, maximize: bool = False) -> LinearAssignment:
    """Give every row a column of its own, at the least total cost.

    Minimises the sum of the chosen entries over all assignments (maximises it with `maximize`): every row takes a
    column, or where there are fewer columns every column a row, none twice. The duals that prove the answer come
    with it.

    Parameters
    ----------
    cost : array (m, n)
        Real; infinite (minus infinity with `maximize`) where a row must not take a column, else finite.
    maximize : bool
        Look for the largest total instead.

    Returns
    -------
    LinearAssignment
        `columns` (m,) int64, -1 for rows that go without; `row_duals` (m,) and `column_duals` (n,): library, dtype and
        device of `cost`; `cost`, the total.

    Raises
    ------
    ShapeError, NonFiniteError, DTypeError, LibraryError
        Each says what was expected, what came, and what to do.
    InfeasibleError
        Too few entries are finite; the message names rows that have too few columns between them.
    RangeError
        The costs are too large for sums in float64.

    References
    ----------
    .. [1] Su Jianlin, Scientific Spaces 10757 (balanced experts by a bias), https://kexue.fm/archives/10757,
       on the assignment problem.
    .. [2] D. F. Crouse, "On implementing 2D rectangular assignment algorithms", IEEE Trans. Aerosp. Electron. Syst. 52
       (2016), 1679-1696: what SciPy runs, for comparison.
    .. [3] R. Jonker, A. Volgenant, "A shortest augmenting path algorithm for dense and sparse linear assignment
       problems", Computing 38 (1987), 325-340.

    Examples
    --------
    >>> import numpy as np, infimum
    >>> result = infimum.balance.linear_assignment(np.array([[4.0, 1.0], [2.0, 2.0]]))
    >>> result.columns, result.cost, result.certificate.gap
    (array([1, 0]), 3.0, 0.0)
    """
    if not isinstance(maximize, bool):
        raise DTypeError(f"maximize must be True or False, got {maximize!r}")
    cost = as_matrix(cost, "cost", besides=forbidden(maximize))
    columns, judged = best_assignment(costs_to_minimise(cost, maximize))
    rows, cols = signed(judged.duals, maximize)
    return LinearAssignment(
        columns=like_array(columns, cost),
        row_duals=fitted(rows, cost, narrow=True),
        column_duals=fitted(cols, cost, narrow=True),
        cost=-judged.total if maximize else judged.total,
        maximize=maximize,
        certificate=judged.certificate,
    )
