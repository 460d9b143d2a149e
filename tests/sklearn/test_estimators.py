"""Estimators: scikit-learn's own checks, pipelines, and certificates of what was fitted."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.decomposition import TruncatedSVD as Theirs
from sklearn.kernel_approximation import Nystroem as TheirNystroem
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import check_estimator

import infimum
from infimum import errors
from infimum.lowrank.columns.strategies import STRATEGIES
from infimum.sklearn import CertifiedPCA, ColumnSelector, LowRankRegressor, Nystroem, TruncatedSVD

WINE = load_wine()
X, Y = StandardScaler().fit_transform(WINE.data), WINE.target
TARGETS = X[:, :2] @ np.array([[1.0, 2.0], [3.0, -1.0]]) + 5.0
ALL = (CertifiedPCA(n_components=3), TruncatedSVD(3), ColumnSelector(4), Nystroem(n_components=5), LowRankRegressor())
IDS = [type(estimator).__name__ for estimator in ALL]


@pytest.mark.parametrize(
    "estimator",
    [
        CertifiedPCA(),
        CertifiedPCA(whiten=True, method="exact"),
        TruncatedSVD(1),
        ColumnSelector(),
        Nystroem(),
        LowRankRegressor(),
        LowRankRegressor(rank=1),
        LowRankRegressor(alpha=1.0, fit_intercept=False),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore")  # of checks that are left out
def test_what_scikit_learn_asks_of_an_estimator(estimator):
    checked = check_estimator(estimator, on_skip=None)
    assert sum(check["status"] == "passed" for check in checked) >= 40


def given(estimator, X=X):
    """Return what `verify` needs of the input."""
    if isinstance(estimator, LowRankRegressor):
        return X - estimator.X_mean_, TARGETS - estimator.y_mean_
    return (estimator.kernel_matrix_,) if isinstance(estimator, Nystroem) else (X,)


@pytest.mark.parametrize("estimator", ALL, ids=IDS)
def test_certificates_are_derived_again(estimator):
    fitted = clone(estimator).fit(X, TARGETS)
    derived = infimum.verify(fitted.result_, *given(fitted))
    assert fitted.certificate_ is fitted.result_.certificate
    assert fitted.certificate_.lower_bound <= derived.lower_bound <= derived.value <= fitted.certificate_.value


@pytest.mark.parametrize("estimator", ALL, ids=IDS)
def test_fitted_estimators_can_be_pickled(estimator):
    fitted = clone(estimator).fit(X, TARGETS)
    read = pickle.loads(pickle.dumps(fitted))
    assert read.result_ == fitted.result_
    call = "predict" if isinstance(estimator, LowRankRegressor) else "transform"
    np.testing.assert_array_equal(getattr(read, call)(X), getattr(fitted, call)(X))


def test_components_are_those_of_scikit_learn():
    ours, theirs = CertifiedPCA(4, method="exact").fit(X), PCA(4, svd_solver="full").fit(X)
    for name in ("components_", "explained_variance_", "explained_variance_ratio_", "singular_values_", "mean_"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=1e-8)
    np.testing.assert_allclose(ours.transform(X[:5]), theirs.transform(X[:5]), atol=1e-8)
    np.testing.assert_allclose(ours.inverse_transform(ours.transform(X)), theirs.inverse_transform(theirs.transform(X)))
    white = CertifiedPCA(4, whiten=True).fit(X)
    np.testing.assert_allclose(white.transform(X).std(axis=0, ddof=1), 1.0)
    np.testing.assert_allclose(white.inverse_transform(white.transform(X)), ours.inverse_transform(ours.transform(X)))


def test_a_share_of_the_variance_chooses_the_number():
    for share in (0.5, 0.8, 0.95):
        ours, theirs = CertifiedPCA(share).fit(X), PCA(share).fit(X)
        assert ours.n_components_ == theirs.n_components_
        assert ours.explained_variance_ratio_.sum() >= share


def test_sparse_matrices_stay_sparse():
    sparse = scipy.sparse.random_array((60, 30), density=0.2, rng=1).tocsr()
    ours, theirs = TruncatedSVD(3).fit(sparse), Theirs(3, algorithm="arpack").fit(sparse)
    np.testing.assert_allclose(ours.singular_values_, theirs.singular_values_)
    np.testing.assert_allclose(np.abs(ours.transform(sparse)), np.abs(theirs.transform(sparse)), atol=1e-9)
    chosen = ColumnSelector(5).fit(sparse)
    assert scipy.sparse.issparse(chosen.transform(sparse))
    infimum.verify(chosen.result_, sparse)


@pytest.mark.parametrize("strategy", ["auto", *STRATEGIES])
def test_features_by_every_strategy(strategy):
    selector = ColumnSelector(4, strategy=strategy, random_state=0).set_output(transform="default").fit(X)
    assert selector.get_support().sum() == 4
    assert set(selector.get_support(indices=True)) == set(selector.columns_)
    names = selector.get_feature_names_out(WINE.feature_names)
    assert list(names) == [WINE.feature_names[j] for j in sorted(selector.columns_)]
    rebuilt = selector.inverse_transform(selector.transform(X))
    assert np.linalg.norm(X - rebuilt) == pytest.approx(selector.certificate_.value)
    assert selector.certificate_.ratio < 2.0


def test_numbers_of_features():
    assert ColumnSelector().fit(X).get_support().sum() == 6
    assert ColumnSelector(0.25).fit(X).get_support().sum() == 3
    assert np.linalg.norm(X) * 0.3 >= ColumnSelector(tol=0.3).fit(X).certificate_.value
    for wrong in (0, 14, 1.5, "3", True):
        with pytest.raises(errors.OptionError, match="features"):
            ColumnSelector(wrong).fit(X)
        with pytest.raises(errors.OptionError, match="n_components"):
            CertifiedPCA(wrong).fit(X)


def test_new_points_of_a_kernel():
    points = Nystroem(gamma=0.05, n_components=60, random_state=0).fit(X[:150])
    K = np.exp(-0.05 * ((X[150:, None] - X[None, :150]) ** 2).sum(axis=2))
    ours = np.abs(points.transform(X[150:]) @ points.transform(X[:150]).T - K).max()
    theirs = TheirNystroem(gamma=0.05, n_components=60, random_state=0).fit(X[:150])
    assert ours < np.abs(theirs.transform(X[150:]) @ theirs.transform(X[:150]).T - K).max()
    whole = np.exp(-0.05 * ((X[:, None] - X[None, :]) ** 2).sum(axis=2))
    given = Nystroem("precomputed", n_components=60, random_state=0).fit(whole[:150, :150])
    chosen = given.component_indices_
    through = whole[150:, chosen] @ np.linalg.solve(whole[np.ix_(chosen, chosen)], whole[chosen, :150])
    np.testing.assert_allclose(given.transform(whole[150:, :150]) @ given.transform(whole[:150, :150]).T, through)
    named = Nystroem(lambda x, y, power: float(x @ y) ** power, kernel_params={"power": 2}, n_components=5).fit(X[:40])
    assert named.transform(X[:3]).shape == (3, 5)
    with pytest.raises(errors.OptionError, match="square"):
        Nystroem("precomputed").fit(X)


def test_regression_agrees_where_there_is_nothing_to_leave_out():
    ours, theirs = LowRankRegressor().fit(X, TARGETS), LinearRegression().fit(X, TARGETS)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-9)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X))
    ridge, other = LowRankRegressor(alpha=3.0).fit(X, Y), Ridge(alpha=3.0).fit(X, Y)
    np.testing.assert_allclose(ridge.coef_, other.coef_)
    assert ridge.intercept_ == pytest.approx(other.intercept_)
    few, scores = LowRankRegressor(rank=2).fit(X, Y), PCA(2).fit(X)
    np.testing.assert_allclose(
        few.predict(X), LinearRegression().fit(scores.transform(X), Y).predict(scores.transform(X))
    )
    deficient = X[:, [0, 1, 0]]
    assert np.all(np.isfinite(LowRankRegressor(rank=3).fit(deficient, Y).coef_))


def test_estimators_are_tuned_in_pipelines():
    search = GridSearchCV(
        make_pipeline(StandardScaler(), ColumnSelector(random_state=0), SVC()),
        {"columnselector__n_features_to_select": [2, 6], "columnselector__strategy": ["auto", "norm"]},
        cv=3,
    ).fit(WINE.data, Y)
    assert search.best_score_ > 0.9
    assert search.best_estimator_["columnselector"].certificate_.ratio < 2.0
    model = make_pipeline(CertifiedPCA(5), LowRankRegressor(rank=3)).fit(X, Y)
    assert model.score(X, Y) == pytest.approx(LowRankRegressor(rank=3).fit(X, Y).score(X, Y))


def test_output_has_names():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=WINE.feature_names)
    selected = ColumnSelector(4).set_output(transform="pandas").fit_transform(table)
    assert set(selected.columns) < set(WINE.feature_names)
    assert list(CertifiedPCA(2).set_output(transform="pandas").fit_transform(table).columns) == [
        "certifiedpca0",
        "certifiedpca1",
    ]


def test_a_missing_extra_is_told_the_command():
    code = "import sys, infimum\nsys.modules['sklearn'] = None\ntry: infimum.sklearn\nexcept ImportError as e: print(e)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 'pip install "infimum[sklearn]"' in printed


@pytest.mark.parametrize("kernel", ["rbf", "laplacian", "chi2"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("distance", [0.0, 1e4])
def test_the_diagonal_of_a_normalized_kernel_is_known_where_rounding_leaves_it(kernel, dtype, distance):
    """Far from 0 the distance of a point from itself, as scikit-learn computes it, is not 0."""
    points = (np.abs(X) + distance).astype(dtype)
    model = Nystroem(kernel, gamma=0.1, n_components=20, random_state=0).fit(points)
    assert (model.kernel_matrix_.known is None) == (kernel == "rbf" and distance > 0.0)
    whole = model._kernel(points, points).astype(np.float64)
    lost = np.sum(np.linalg.svd(whole - model.result_.to_dense().astype(np.float64), compute_uv=False))
    assert lost <= model.certificate_.value * (1.0 + 1e-3)
    infimum.verify(model.result_, model.kernel_matrix_)
    assert Nystroem("poly", n_components=5).fit(X).kernel_matrix_.known is None
