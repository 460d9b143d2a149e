"""Principal components and the truncated singular value decomposition, as transformers."""

from __future__ import annotations

import dataclasses
import math
import numbers
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from infimum.lowrank import SVD, svd
from infimum.sklearn.shared import DTYPES, Certified, counted

Method: TypeAlias = Literal["auto", "exact", "gram", "krylov", "randomized"]


class _Components(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Certified):
    """Abstract base of transformers by singular vectors."""

    def _fit_svd(self, X: Any, size: dict[str, Any], center: bool) -> Self:
        result = svd(X, **size, method=self.method, gap_target=self.gap_target, center=center, rng=self._seed())
        self._keep(_with_signs(result))
        self.components_, self.singular_values_ = self.result_.Vh, result.s
        self.explained_variance_ratio_ = result.explained
        self.explained_variance_ = result.s**2 / max(1, X.shape[0] - center)
        return self

    @property
    def _n_features_out(self) -> int:
        return int(self.components_.shape[0])


class CertifiedPCA(_Components):
    """Principal component analysis with a proof of how near the components are to the best ones.

    Minimises the sum of the squared distances of the rows from an affine subspace. `certificate_` bounds that loss (its
    root) for every other subspace of the same dimension.

    Parameters
    ----------
    n_components : int, float or None
        Number of components, or the share of the variance that they have to explain, above 0 and below 1. None: all.
    whiten : bool
        Divide the coordinates by their standard deviations.
    method : {"auto", "exact", "gram", "krylov", "randomized"}
        As in `infimum.lowrank.svd`.
    gap_target : float
        Stop "krylov" when loss and lower bound differ by at most this, relatively.
    random_state : int, RandomState or None
        Seed of the methods that draw.

    Attributes
    ----------
    components_ : array (n_components, n_features)
        Orthonormal rows; the largest entry of each is positive.
    mean_ : array (n_features,)
        Mean of the rows.
    explained_variance_, explained_variance_ratio_, singular_values_ : array (n_components,)
        Variance along each component, its share of all, and the root of the sum of squares along it.
    certificate_ : Certificate
        Loss and lower bound.
    result_ : infimum.lowrank.SVD
        The whole answer: ``infimum.verify(result_, X)`` derives the certificate again.

    References
    ----------
    .. [1] K. Pearson, "On lines and planes of closest fit to systems of points in space", Philosophical Magazine 2
       (1901).

    Examples
    --------
    >>> import numpy as np
    >>> from infimum.sklearn import CertifiedPCA
    >>> X = np.vander(np.linspace(0, 1, 30), 6)
    >>> pca = CertifiedPCA(n_components=0.99).fit(X)
    >>> pca.n_components_, bool(pca.certificate_.ratio < 1.001)
    (2, True)
    """

    def __init__(
        self,
        n_components: int | float | None = None,
        *,
        whiten: bool = False,
        method: Method = "auto",
        gap_target: float = 1e-3,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.whiten = whiten
        self.method = method
        self.gap_target = gap_target
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the components of the rows of X (n_samples, n_features); y is not looked at."""
        X = validate_data(self, X, dtype=DTYPES, ensure_min_samples=2)
        limit, asked = min(X.shape), self.n_components
        size: dict[str, Any] = {"rank": limit}
        if isinstance(asked, numbers.Real) and not isinstance(asked, numbers.Integral) and 0.0 < float(asked) < 1.0:
            size = {"tol": math.sqrt(1.0 - float(asked))}
        elif asked is not None:
            size = {"rank": counted("n_components", asked, limit)}
        self._fit_svd(X, size, center=True)
        self.mean_, self.n_components_ = self.result_.mean, self.result_.rank
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the coordinates of rows (q, n_features) along the components: (q, n_components)."""
        check_is_fitted(self)
        coordinates = np.asarray(self.result_.transform(validate_data(self, X, dtype=DTYPES, reset=False)))
        return coordinates / self._scale() if self.whiten else coordinates

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return the rows (q, n_features) that have such coordinates (q, n_components)."""
        check_is_fitted(self)
        return np.asarray(self.result_.inverse_transform(X * self._scale() if self.whiten else X))

    def _scale(self) -> np.ndarray:
        deviations = np.sqrt(self.explained_variance_)
        return np.where(deviations > 0.0, deviations, 1.0).astype(deviations.dtype)


class TruncatedSVD(_Components):
    """The best matrix of a given rank, without taking means off, with a proof; takes sparse matrices.

    Minimises the Frobenius norm of the difference. `certificate_` bounds it for every other matrix of that rank.

    Parameters
    ----------
    n_components : int
        Rank.
    method : {"auto", "exact", "gram", "krylov", "randomized"}
        As in `infimum.lowrank.svd`.
    gap_target : float
        Stop "krylov" when loss and lower bound differ by at most this, relatively.
    random_state : int, RandomState or None
        Seed of the methods that draw.

    Attributes
    ----------
    components_ : array (n_components, n_features)
        Right singular vectors; the largest entry of each is positive.
    singular_values_, explained_variance_ratio_, explained_variance_ : array (n_components,)
        Singular values; the share of the squared norm of X that each holds; their squares over the number of samples
        (no mean is taken off).
    certificate_ : Certificate
        Loss and lower bound.
    result_ : infimum.lowrank.SVD
        The whole answer: ``infimum.verify(result_, X)`` derives the certificate again.

    References
    ----------
    .. [1] C. Eckart, G. Young, "The approximation of one matrix by another of lower rank", Psychometrika 1 (1936).

    Examples
    --------
    >>> import scipy.sparse
    >>> from infimum.sklearn import TruncatedSVD
    >>> X = scipy.sparse.random_array((50, 20), density=0.2, rng=0)
    >>> TruncatedSVD(3).fit_transform(X).shape
    (50, 3)
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        method: Method = "auto",
        gap_target: float = 1e-3,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.method = method
        self.gap_target = gap_target
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the leading right singular vectors of X (n_samples, n_features); y is not looked at."""
        X = validate_data(self, X, accept_sparse=("csr", "csc"), dtype=DTYPES)
        return self._fit_svd(X, {"rank": counted("n_components", self.n_components, min(X.shape))}, center=False)

    def transform(self, X: Any) -> np.ndarray:
        """Return the coordinates of rows (q, n_features) along the components: (q, n_components)."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=("csr", "csc"), dtype=DTYPES, reset=False)
        return np.asarray(X @ self.components_.T)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return the rows (q, n_features) that have such coordinates (q, n_components)."""
        check_is_fitted(self)
        return np.asarray(self.result_.inverse_transform(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _with_signs(result: SVD) -> SVD:
    """Turn every pair of vectors so that the largest entry on the right is positive: an exact change, and no loss."""
    largest = np.argmax(np.abs(result.Vh), axis=1)
    signs = np.where(result.Vh[np.arange(result.rank), largest] < 0.0, -1.0, 1.0).astype(result.Vh.dtype)
    return dataclasses.replace(result, U=result.U * signs, Vh=result.Vh * signs[:, None])
