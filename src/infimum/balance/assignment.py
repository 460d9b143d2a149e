"""The linear assignment problem: every row takes one column, every column is taken once."""

from __future__ import annotations

from infimum._arrays import ArrayLike, as_matrix, like_array
from infimum.balance.search.permutation import best_permutation
from infimum.errors import DTypeError, ShapeError
from infimum.proof.answers.linear_assignment import LinearAssignment, signed_duals
from infimum.proof.real_arrays import fitted, float64_matrix


def linear_assignment(cost: ArrayLike, *, maximize: bool = False) -> LinearAssignment:
    """Give every row a column of its own, at the least total cost.

    Minimises the sum of the chosen entries over all permutations (maximises it with `maximize`). The duals that prove
    the answer come with it.

    Parameters
    ----------
    cost : array (n, n)
        Real, finite. For more rows than columns, or fewer, see `balanced_topk` with ``k=1`` and ``load=(0, 1)``.
    maximize : bool
        Look for the largest total instead.

    Returns
    -------
    LinearAssignment
        `columns` (n,) int64, `row_duals` and `column_duals` (n,): library, dtype and device of `cost`; `cost`, the
        total.

    Raises
    ------
    ShapeError, NonFiniteError, DTypeError, LibraryError
        Each says what was expected, what came, and what to do.
    RangeError
        The costs are too large for sums in float64.

    References
    ----------
    .. [1] Su Jianlin, Scientific Spaces 10757 (balanced experts by a bias), https://kexue.fm/archives/10757,
       on the assignment problem.
    .. [2] D. F. Crouse, "On implementing 2D rectangular assignment algorithms", IEEE Trans. Aerosp. Electron. Syst. 52
       (2016), 1679-1696: what SciPy runs.
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
    cost = as_matrix(cost, "cost")
    if cost.shape[0] != cost.shape[1]:
        raise ShapeError(
            f"cost must be a square matrix, got shape {tuple(cost.shape)}; for others use balanced_topk with k=1"
        )
    values = -float64_matrix(cost, "cost") if maximize else float64_matrix(cost, "cost")
    columns, proof, certificate, total = best_permutation(values)
    rows, cols = signed_duals(values, proof.high, maximize)
    return LinearAssignment(
        columns=like_array(columns, cost),
        row_duals=fitted(rows, cost, narrow=True),
        column_duals=fitted(cols, cost, narrow=True),
        cost=-total if maximize else total,
        maximize=maximize,
        certificate=certificate,
    )
