"""Least squares on the leading singular directions, as a regressor."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from infimum.lowrank import solve
from infimum.sklearn.shared import DTYPES, Certified, counted


class LowRankRegressor(MultiOutputMixin, RegressorMixin, Certified):
    """Linear regression with small singular values of the data left out, or with a ridge, and a proof.

    Minimises ``norm(X @ coef - y)**2 + alpha * norm(coef)**2``. `certificate_` bounds its root for every other
    coefficients; without a ridge for every one that is no longer than those found: only longer ones could fit better.

    Parameters
    ----------
    rank : int, optional
        Keep so many singular directions of X (principal component regression).
    alpha : float
        Weight of the squared length of the coefficients, 0 or more.
    rtol : float, optional
        Singular values up to `rtol` times the largest count as zero; in place of `rank`.
    fit_intercept : bool
        Take the means off X and y first; the certificate then speaks of what is left.

    Attributes
    ----------
    coef_ : array (n_features,) or (n_targets, n_features)
        Coefficients.
    intercept_ : float or array (n_targets,)
        What is added.
    certificate_ : Certificate
        Loss and lower bound.
    result_ : infimum.lowrank.Solution
        The whole answer; ``infimum.verify(result_, X - X_mean_, y - y_mean_)`` derives the certificate again.
    X_mean_, y_mean_ : array
        The means that were taken off, or zeros.

    References
    ----------
    .. [1] I. T. Jolliffe, "A note on the use of principal components in regression", Applied Statistics 31 (1982).

    Examples
    --------
    >>> import numpy as np
    >>> from infimum.sklearn import LowRankRegressor
    >>> X = np.vander(np.linspace(0, 1, 30), 6)
    >>> model = LowRankRegressor(rank=3).fit(X, np.linspace(0, 1, 30) ** 2)
    >>> bool(model.score(X, np.linspace(0, 1, 30) ** 2) > 0.99)
    True
    """

    def __init__(
        self,
        rank: int | None = None,
        *,
        alpha: float = 0.0,
        rtol: float | None = None,
        fit_intercept: bool = True,
    ) -> None:
        self.rank = rank
        self.alpha = alpha
        self.rtol = rtol
        self.fit_intercept = fit_intercept

    def fit(self, X: Any, y: Any) -> Self:
        """Find the coefficients for X (n_samples, n_features) and y (n_samples,) or (n_samples, n_targets)."""
        X, y = validate_data(self, X, y, dtype=DTYPES, multi_output=True, y_numeric=True)
        y = y.astype(X.dtype, copy=False)
        self.X_mean_ = X.mean(axis=0) if self.fit_intercept else np.zeros_like(X[0])
        self.y_mean_ = y.mean(axis=0) if self.fit_intercept else np.zeros_like(y[0])
        A, B = X - self.X_mean_, y - self.y_mean_
        result = solve(A, B, ridge=self.alpha, rtol=self.rtol if self.rank is None else self._cut(A))
        self._keep(result)
        self.coef_ = result.matrix.T
        self.intercept_ = self.y_mean_ - self.X_mean_ @ result.matrix
        return self

    def _cut(self, A: np.ndarray) -> float:
        """Return the relative cut that keeps `rank` singular values, fewer where the rest of A is rounding."""
        rank = counted("rank", self.rank, min(A.shape))
        s = np.linalg.svdvals(A.astype(np.float64))
        least = max(A.shape) * float(np.finfo(A.dtype).eps)
        left_out = float(s[rank] / s[0]) if rank < s.size and s[0] > 0.0 else 0.0
        return float(min(max(least, left_out * (1.0 + 1e-12)), 1.0 - 1e-9))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = self.rank is not None  # few directions need not be those that y needs
        return tags

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted targets of rows (q, n_features)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=DTYPES, reset=False)
        return np.asarray(X @ self.coef_.T + self.intercept_)
