"""Answers as objects of their ecosystem: products, operators, unpacking, equality, new rows, names."""

import dataclasses

import flint
import numpy as np
import pytest
import scipy.sparse.linalg
import torch

import infimum
from infimum import errors, lowrank
from infimum.scale import RowBlocks
from tests.accepted import accepted
from tests.lowrank.exact import PRECISION, at_least, at_most, ball_matrix, gram
from tests.lowrank.hostile import matrices

RNG = np.random.default_rng(0)
M = RNG.standard_normal((12, 7)) + 2.0
COMPLEX = M + 1j * RNG.standard_normal((12, 7))
X, Y = RNG.standard_normal((12, 9)), RNG.standard_normal((9, 7))
ANSWERS = {
    "svd": lambda M: lowrank.svd(M, 3),
    "centred": lambda M: lowrank.svd(M, 3, center=True),
    "columns": lambda M: lowrank.interpolative(M, 3),
    "rows": lambda M: lowrank.interpolative(M, 3, axis=0),
    "cur": lambda M: lowrank.cur(M, rows=4, columns=3),
    "nystrom": lambda M: lowrank.nystrom(M @ M.conj().T, 3),
    "cr": lambda M: lowrank.cr(M, M.conj().T, 4),
    "diagonal": lambda M: lowrank.cr(M, M.conj().T, 4, weights="diagonal"),
    "full": lambda M: lowrank.cr(M, M.conj().T, 4, weights="full"),
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("M", [M, COMPLEX], ids=["real", "complex"])
def test_an_answer_multiplies_as_its_dense_form_does(name, M):
    result = ANSWERS[name](M)
    dense, (m, n) = result.to_dense(), result.shape
    assert (m, n) == dense.shape
    assert result.dtype == dense.dtype
    left, right, vector = RNG.standard_normal((2, m)), RNG.standard_normal((n, 2)), RNG.standard_normal(n)
    for ours, theirs in (
        (result @ right, dense @ right),
        (result @ vector, dense @ vector),
        (left @ result, left @ dense),
        (left[0] @ result, left[0] @ dense),
        (result.T.to_dense(), dense.T),
        (result.H @ left.T, dense.conj().T @ left.T),
        (result.H.T.to_dense(), dense.conj()),
        (result.as_linear_operator().rmatmat(left.T), dense.conj().T @ left.T),
        (scipy.sparse.linalg.aslinearoperator(result) @ right, dense @ right),
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-10 * np.abs(dense).max(), rtol=1e-9)


@pytest.mark.parametrize("name", ["svd", "centred", "columns", "cur"])
def test_tensors_of_single_precision_stay_what_they_are(name):
    result = ANSWERS[name](torch.asarray(M, dtype=torch.float32))
    for product in (result @ torch.ones(7, 2), torch.ones(2, 12) @ result, result.T @ torch.ones(12)):
        assert product.dtype == torch.float32
    assert result.as_linear_operator().dtype == np.float32
    dense = result.to_dense()
    assert torch.allclose(torch.ones(2, 12) @ result, torch.ones(2, 12) @ dense, rtol=1e-4)


def test_answers_unpack_into_their_factors():
    U, s, Vh = lowrank.svd(M, 3)
    np.testing.assert_allclose(U * s @ Vh, lowrank.svd(M, 3).to_dense())
    C, core, R = lowrank.cur(M, 3)
    np.testing.assert_allclose(C @ core @ R, lowrank.cur(M, 3).to_dense())
    skeleton, coefficients = lowrank.interpolative(M, 3)
    np.testing.assert_allclose(skeleton @ coefficients, lowrank.interpolative(M, 3).to_dense())
    assert len(tuple(lowrank.svd(M, 3, center=True))) == 3


def test_equality_knows_arrays():
    result = lowrank.svd(M, 3)
    assert result == lowrank.svd(M, 3)
    assert result == infimum.from_json(result.to_json())
    s = result.s.copy()
    s[0] = np.nextafter(s[0], np.inf)
    assert result != dataclasses.replace(result, s=s)
    assert result != dataclasses.replace(result, s=result.s.astype(np.float32))
    assert result != lowrank.svd(M, 2)
    assert result != lowrank.cur(M, 3)
    assert result != lowrank.svd(torch.asarray(M), 3)
    assert result != lowrank.svd(M, 3, center=True)
    assert infimum.integers.product_plus_remainder(130) == infimum.integers.product_plus_remainder(130)


def test_explained_is_the_share_of_the_squared_norm():
    s = np.linalg.svd(M - M.mean(axis=0), compute_uv=False)
    np.testing.assert_allclose(lowrank.svd(M, 3, center=True).explained, s[:3] ** 2 / np.sum(s**2), rtol=1e-10)
    assert np.sum(lowrank.svd(M, 7).explained) == pytest.approx(1.0)
    assert np.all(lowrank.svd(np.zeros((3, 2)), 1).explained == 0.0)
    np.testing.assert_allclose(lowrank.svd(M * 1e200, 3).explained, lowrank.svd(M, 3).explained)


def test_new_rows():
    fresh = RNG.standard_normal((4, 7))
    result = lowrank.svd(M, 3, center=True)
    np.testing.assert_allclose(result.transform(M), result.U * result.s, atol=1e-12)
    np.testing.assert_allclose(result.inverse_transform(result.transform(M)), result.to_dense())
    np.testing.assert_allclose(result.transform(fresh), (fresh - M.mean(axis=0)) @ result.Vh.T)
    for chosen in (lowrank.interpolative(M, 3), lowrank.cur(M, 3)):
        np.testing.assert_array_equal(chosen.transform(fresh), fresh[:, chosen.columns])
        np.testing.assert_allclose(chosen.inverse_transform(chosen.transform(M)), chosen.to_dense(), atol=1e-12)
    rows = lowrank.interpolative(M, 3, axis=0)
    for call in (rows.transform, rows.inverse_transform):
        with pytest.raises(errors.OptionError, match="axis=1"):
            call(fresh)
    with pytest.raises(errors.ShapeError, match="rows of 7 entries"):
        result.transform(fresh[:, :5])


@pytest.mark.parametrize("M", [M, COMPLEX], ids=["real", "complex"])
def test_new_points_of_a_kernel(M):
    points = np.concatenate([M, M[:2] + 0.5])
    K = points @ points.conj().T + np.eye(14)
    result = lowrank.nystrom(K[:12, :12], 5)
    chosen = result.landmarks
    features = result.transform(K[:, chosen])
    np.testing.assert_allclose(features[:12], result.factor, atol=1e-9)
    expected = K[12:, chosen] @ np.linalg.solve(K[np.ix_(chosen, chosen)], K[chosen, :12])
    np.testing.assert_allclose(features[12:] @ result.factor.conj().T, expected, rtol=1e-9)


def test_centred_certificates_of_hostile_matrices_hold():
    for name, A in matrices(150, seed=5):
        rank = min(A.shape) // 2 + (min(A.shape) < 2)
        try:
            result = lowrank.svd(A, rank, center=True, method="exact")
        except errors.RangeError:
            continue
        accepted(result, A)
        with flint.ctx.workprec(PRECISION):
            ball = ball_matrix(A)
            means = [sum((ball[i, j] for i in range(A.shape[0])), flint.acb(0)) / A.shape[0] for j in range(A.shape[1])]
            rows = [[ball[i, j] - means[j] for j in range(A.shape[1])] for i in range(A.shape[0])]
            eigenvalues = [abs(value.real.mid()) for value in gram(flint.acb_mat(rows)).eig(algorithm="approx")]
            tail = sum(sorted(eigenvalues, reverse=True)[rank:], flint.arb(0))
            L = ball_matrix(result.U) * ball_matrix(np.diag(result.s)) * ball_matrix(result.Vh)
            stored = ball_matrix(result.mean[None, :])
            left = [ball[i, j] - stored[0, j] - L[i, j] for i in range(A.shape[0]) for j in range(A.shape[1])]
            loss = sum((x.real**2 + x.imag**2 for x in left), flint.arb(0))
        assert at_most(result.certificate.lower_bound, tail), name
        assert at_least(result.certificate.value, loss), name


@pytest.mark.parametrize("method", ["auto", "exact", "gram", "krylov", "randomized"])
@pytest.mark.parametrize("form", ["tall", "wide", "blocks"])
def test_principal_components_of_any_form(method, form):
    A = 1e4 + RNG.standard_normal((80, 30)) * np.logspace(0, -2, 30)
    A = A.T if form == "wide" else A
    given = RowBlocks(A, rows=11) if form == "blocks" else A
    result = lowrank.svd(given, 5, center=True, method=method, rng=0)
    accepted(result, given)
    infimum.verify(result, A)
    tail = np.linalg.norm(np.linalg.svd(A - A.mean(axis=0), compute_uv=False)[5:])
    assert result.certificate.lower_bound <= tail * (1 + 1e-9)
    assert result.certificate.value == pytest.approx(tail, rel=2e-3)
    assert result.certificate.ratio < 1.3  # of "randomized", which proves what it proves


def test_another_mean_costs_what_it_costs():
    result = lowrank.svd(M, 3, center=True)
    wrong = dataclasses.replace(result, mean=result.mean + 1e-3)
    with pytest.raises(errors.VerificationError, match="value"):
        infimum.verify(wrong, M)
    with pytest.raises(errors.VerificationError, match="mean"):
        infimum.verify(dataclasses.replace(result, mean=result.mean[:-1]), M)
    with pytest.raises(errors.VerificationError, match="value"):
        infimum.verify(dataclasses.replace(result, mean=None), M)


def test_what_cannot_be_centred_is_refused():
    with pytest.raises(errors.LibraryError, match="RowBlocks"):
        lowrank.svd(scipy.sparse.linalg.aslinearoperator(M), 2, center=True)


class Frame:
    """A table as pandas has them."""

    def __init__(self, array, columns, index=None):
        self.shape, self.columns = array.shape, columns
        self.index = range(array.shape[0]) if index is None else index
        self.to_numpy = lambda: array


COLUMNS = ("height", "weight", "age", "income", "rooms", "distance", "price")


def frames():
    yield "pandas-like", lambda: Frame(M, COLUMNS, [f"row {i}" for i in range(12)])
    yield "pandas", lambda: pytest.importorskip("pandas").DataFrame(M, columns=COLUMNS)
    yield "polars", lambda: pytest.importorskip("polars").DataFrame(M, schema=list(COLUMNS))
    yield (
        "xarray",
        lambda: pytest.importorskip("xarray").DataArray(M, dims=("r", "c"), coords={"c": list(COLUMNS)}),
    )


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in frames()])
def test_names_of_columns_are_kept(make):
    table = make()
    for result in (lowrank.interpolative(table, 3), lowrank.cur(table, 3), lowrank.svd(table, 3, center=True)):
        names = result.column_names if isinstance(result, lowrank.CUR) else result.names
        order = range(7) if isinstance(result, lowrank.SVD) else result.columns
        assert names == tuple(COLUMNS[j] for j in order)
        accepted(result, table)
        accepted(result, M)
        assert infimum.from_json(result.to_json()) == result
        field = "column_names" if isinstance(result, lowrank.CUR) else "names"
        with pytest.raises(errors.VerificationError, match=field):
            infimum.verify(dataclasses.replace(result, **{field: ("other", *names[1:])}), table)
        with pytest.raises(errors.VerificationError, match=field):
            infimum.verify(dataclasses.replace(result, **{field: names[1:]}), M)
        assert result.transform(table).shape == (12, 3)
    assert lowrank.pinv(table).matrix.shape == (7, 12)
    assert lowrank.svd(M, 3).names is None


def test_names_of_rows_are_kept():
    table = Frame(M, COLUMNS, [f"row {i}" for i in range(12)])
    rows = lowrank.interpolative(table, 3, axis=0)
    assert rows.names == tuple(f"row {i}" for i in rows.rows)
    assert lowrank.cur(table, 2).row_names is not None
    accepted(rows, table)


def test_rows_with_other_columns_are_refused():
    result = lowrank.svd(Frame(M, COLUMNS), 3)
    with pytest.raises(errors.ShapeError, match="'height' was expected where 'price' came"):
        result.transform(Frame(M[:, ::-1], COLUMNS[::-1]))


def test_tables_that_hold_more_than_numbers_are_told_the_columns():
    pandas = pytest.importorskip("pandas")
    with pytest.raises(errors.DTypeError, match="name"):
        lowrank.svd(pandas.DataFrame({"name": ["a", "b"], "x": [1.0, 2.0]}), 1)
    with pytest.raises(errors.NonFiniteError, match="1 of its 2"):
        lowrank.svd(pandas.DataFrame({"x": pandas.array([1, None], dtype="Int64")}), 1)
    lowrank.svd(pandas.DataFrame({"x": [1, 2], "y": [0.5, True]}, dtype=object).astype({"x": int, "y": float}), 1)


def test_transposes_unpack_and_multiply_vectors():
    result = lowrank.svd(np.random.default_rng(0).standard_normal((6, 4)), 2)
    assert np.allclose(np.asarray(result.T.to_dense()), np.asarray(result.to_dense()).T)
    assert len(list(result.T)) == len(result.T.parts)
    x = np.arange(6.0)
    assert np.allclose(result.rmatvec(x), result.H @ x)
