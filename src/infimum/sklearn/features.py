"""The choice of columns that stand for all, as a feature selector."""

from __future__ import annotations

import numbers
from typing import Any, Self

import numpy as np
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from infimum.errors import OptionError
from infimum.lowrank import interpolative
from infimum.lowrank.interpolative import Method
from infimum.sklearn.shared import DTYPES, Certified, counted


class ColumnSelector(SelectorMixin, Certified):
    """Keep the features through which all others are approximated best; no target is needed.

    Minimises the Frobenius norm of ``X - X[:, columns] @ coefficients`` over all choices of so many columns.
    `certificate_` bounds it for every other choice.

    Parameters
    ----------
    n_features_to_select : int, float or None
        How many, or which share of all, above 0 and below 1. None: half, but no more than there are samples.
    tol : float, optional
        In place of a number: as few as are found to leave an error of at most ``tol * norm(X)``.
    strategy : str
        Any method of `infimum.lowrank.interpolative`: "auto", "pivoted_qr", "greedy", "leverage", "kmeans", ...
    max_coefficient : float, optional
        At least 1: exchange columns until no coefficient is larger in absolute value.
    random_state : int, RandomState or None
        Seed of the strategies that draw.

    Attributes
    ----------
    columns_ : array (n_selected,) of int64
        The chosen columns, the first taken first; `get_support` has them in their order.
    coefficients_ : array (n_selected, n_features)
        All features through the chosen ones, in the order of `get_support`.
    certificate_ : Certificate
        Loss and lower bound.
    result_ : infimum.lowrank.Interpolative
        The whole answer: ``infimum.verify(result_, X)`` derives the certificate again.

    References
    ----------
    .. [1] H. Cheng, Z. Gimbutas, P.-G. Martinsson, V. Rokhlin, "On the compression of low rank matrices",
       SIAM J. Sci. Comput. 26 (2005).

    Examples
    --------
    >>> import numpy as np
    >>> from infimum.sklearn import ColumnSelector
    >>> X = np.random.default_rng(0).standard_normal((20, 3)) @ np.array([[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 9, 0]])
    >>> ColumnSelector(3).fit(X).inverse_transform(X[:, [0, 1, 2]]).shape
    (20, 4)
    """

    def __init__(
        self,
        n_features_to_select: int | float | None = None,
        *,
        tol: float | None = None,
        strategy: Method = "auto",
        max_coefficient: float | None = None,
        random_state: Any = None,
    ) -> None:
        self.n_features_to_select = n_features_to_select
        self.tol = tol
        self.strategy = strategy
        self.max_coefficient = max_coefficient
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Choose columns of X (n_samples, n_features), an array or a sparse matrix; y is not looked at."""
        X = validate_data(self, X, accept_sparse=("csr", "csc"), dtype=DTYPES)
        rank = self._count(X.shape) if self.tol is None else None
        result = interpolative(
            X,
            rank,
            tol=self.tol,
            method=self.strategy,
            max_coefficient=self.max_coefficient,
            rng=self._seed(),
        )
        self._keep(result)
        self.columns_ = result.columns
        self.coefficients_ = result.coefficients[np.argsort(result.columns)]
        return self

    def _count(self, shape: tuple[int, int]) -> int:
        asked, limit = self.n_features_to_select, min(shape)
        if asked is None:
            return max(1, min(shape[1] // 2, limit))
        if isinstance(asked, numbers.Real) and not isinstance(asked, numbers.Integral):
            if not 0.0 < float(asked) < 1.0:
                raise OptionError(f"a share of the features must be above 0 and below 1, got {asked!r}")
            asked = max(1, int(float(asked) * shape[1]))
        return counted("n_features_to_select", asked, limit)

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self)
        mask = np.zeros(self.n_features_in_, dtype=bool)
        mask[self.columns_] = True
        return mask

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return rows (q, n_features) from their chosen features (q, n_selected): all features, approximated."""
        check_is_fitted(self)
        return np.asarray(X @ self.coefficients_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
