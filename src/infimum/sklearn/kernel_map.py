"""Features of a kernel through landmarks, as a transformer."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.utils.validation import check_is_fitted, validate_data

from infimum.errors import OptionError
from infimum.lowrank import KernelMatrix, nystrom
from infimum.sklearn.shared import DTYPES, Certified, counted

NORMALIZED = ("rbf", "laplacian", "chi2")
EPS = float(np.finfo(np.float64).eps)
SEEN = 1e-9  # what a diagonal may be off by: a tenth of what would be refused


class Nystroem(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Certified):
    """Map points to features whose inner products approximate a kernel, through landmarks chosen among the points.

    Minimises the trace norm of what the landmarks leave of the kernel matrix of the training points. `certificate_`
    bounds it for every other matrix of that rank.

    Parameters
    ----------
    kernel : str or callable
        A positive semidefinite kernel of `sklearn.metrics.pairwise_kernels`, or "precomputed".
    gamma, coef0, degree : float, optional
        Parameters of the kernel; None: scikit-learn's defaults.
    kernel_params : dict, optional
        Further parameters of a callable.
    n_components : int
        Number of landmarks; all points where there are fewer. Fewer come back where the rest of the kernel is rounding.
    method : {"auto", "rpcholesky", "greedy", "uniform", "kmeans"}
        How landmarks are chosen, as in `infimum.lowrank.nystrom`.
    random_state : int, RandomState or None
        Seed.

    Attributes
    ----------
    components_ : array (n_landmarks, n_features)
        The landmarks; with "precomputed" there are none.
    component_indices_ : array (n_landmarks,)
        Their indices among the training points.
    certificate_ : Certificate
        Error in the trace norm, and lower bound.
    result_ : infimum.lowrank.Nystrom
        The whole answer; ``infimum.verify(result_, kernel_matrix_)`` derives the certificate again.
    kernel_matrix_ : infimum.lowrank.KernelMatrix or array
        The kernel between the training points.

    References
    ----------
    .. [1] C. Williams, M. Seeger, "Using the Nystrom method to speed up kernel machines", NIPS 2000.

    Examples
    --------
    >>> import numpy as np
    >>> from infimum.sklearn import Nystroem
    >>> X = np.linspace(0, 1, 60)[:, None]
    >>> features = Nystroem(gamma=5.0, n_components=10, random_state=0).fit_transform(X)
    >>> bool(np.abs(features @ features.T - np.exp(-5 * (X - X.T) ** 2)).max() < 1e-6)
    True
    """

    def __init__(
        self,
        kernel: Any = "rbf",
        *,
        gamma: float | None = None,
        coef0: float | None = None,
        degree: float | None = None,
        kernel_params: dict[str, Any] | None = None,
        n_components: int = 100,
        method: Literal["auto", "rpcholesky", "greedy", "uniform", "kmeans"] = "auto",
        random_state: Any = None,
    ) -> None:
        self.kernel = kernel
        self.gamma = gamma
        self.coef0 = coef0
        self.degree = degree
        self.kernel_params = kernel_params
        self.n_components = n_components
        self.method = method
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Choose landmarks among the rows of X (n_samples, n_features); y is not looked at."""
        X = validate_data(self, X, dtype=DTYPES)
        if self.kernel == "precomputed" and X.shape[0] != X.shape[1]:
            raise OptionError(f"a precomputed kernel of the training points must be square, got shape {X.shape}")
        self.kernel_matrix_ = X if self.kernel == "precomputed" else KernelMatrix(X, self._kernel, self._diagonal(X))
        count = min(counted("n_components", self.n_components, np.iinfo(np.int64).max), X.shape[0])
        self._keep(nystrom(self.kernel_matrix_, count, method=self.method, rng=self._seed()))
        self.component_indices_ = self.result_.landmarks
        self.components_ = None if self.kernel == "precomputed" else X[self.component_indices_]
        self._n_features_out = self.result_.rank
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the features (q, n_landmarks) of points (q, n_features); with "precomputed" of rows of the kernel."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=DTYPES, reset=False)
        block = X[:, self.component_indices_] if self.components_ is None else self._kernel(X, self.components_)
        return np.asarray(self.result_.transform(block)).astype(X.dtype, copy=False)

    def _kernel(self, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        named = {"gamma": self.gamma, "coef0": self.coef0, "degree": self.degree}
        given = dict(self.kernel_params or {}) if callable(self.kernel) else named
        chosen = {name: value for name, value in given.items() if value is not None}
        return np.asarray(pairwise_kernels(X, Y, metric=self.kernel, filter_params=True, **chosen))

    def _diagonal(self, X: np.ndarray) -> float | None:
        """Return the kernel of every point with itself where it is 1, for all that rounding does to its distance."""
        if not isinstance(self.kernel, str) or self.kernel not in NORMALIZED:
            return None
        gamma = 1.0 / X.shape[1] if self.gamma is None else self.gamma
        squares = X.astype(np.float64)
        with np.errstate(over="ignore"):
            longest = float(np.max(np.vecdot(squares, squares)))
        # squared distances of "rbf" are differences of squares, the others sums of differences
        off = abs(gamma) * (X.shape[1] + 8) * 4 * EPS * longest if self.kernel == "rbf" else 0.0
        return 1.0 if off <= SEEN else None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.kernel == "precomputed"
        return tags
