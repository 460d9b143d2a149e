"""Sparse matrices and linear operators: the same answers and certificates as the dense matrix."""

import math

import numpy as np
import pytest
import scipy.sparse
import torch
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import infimum
from infimum import errors, lowrank
from infimum._arrays import times_power_of_two
from infimum.proof.operators import sparse as sparse_operator
from tests.lowrank.exact import at_least, at_most, best_columns, squared_loss, squared_tails
from tests.lowrank.hostile import matrices

FORMS = {
    "csr": scipy.sparse.csr_array,
    "coo": scipy.sparse.coo_matrix,
    "operator": aslinearoperator,
}
WITH_TENSORS = {**FORMS, "tensor": lambda M: torch.as_tensor(np.ascontiguousarray(M)).to_sparse()}


def sparse(m: int, n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, n)) * (rng.random((m, n)) < 0.1) * np.logspace(0, -3, n)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", [(120, 80), (80, 120)])
@pytest.mark.parametrize("method", ["auto", "exact", "gram", "krylov", "randomized"])
def test_same_as_dense(form, shape, method):
    M = sparse(*shape)
    other = FORMS[form](M)
    # blocks of another width end elsewhere within the gap that is asked for
    result, dense = (lowrank.svd(item, 20, method=method, gap_target=1e-9, rng=3) for item in (other, M))
    assert result.certificate.value == pytest.approx(dense.certificate.value, rel=1e-6)
    # where the bases differ by rounding, the draws that judge them differ altogether
    drawn = "probable" in (result.certificate.rigour, dense.certificate.rigour)
    assert result.certificate.lower_bound == pytest.approx(dense.certificate.lower_bound, rel=1e-2 if drawn else 1e-6)
    derived = infimum.verify(result, other)
    assert derived.theorem == dense.certificate.theorem
    infimum.verify(result, M)  # and against the dense matrix


THROUGH = {
    "columns": lambda M, **options: lowrank.interpolative(M, 20, **options),
    "rows": lambda M, **options: lowrank.interpolative(M, 20, axis=0, **options),
    "cur": lambda M, **options: lowrank.cur(M, 20, **options),
    "more rows": lambda M, **options: lowrank.cur(M, rows=25, columns=20, **options),
    "intersection": lambda M, **options: lowrank.cur(M, 20, core="intersection", **options),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", [(120, 80), (80, 120), (120, 50)])
@pytest.mark.parametrize("problem", THROUGH)
def test_columns_and_rows_of_either_are_as_good(monkeypatch, form, shape, problem):
    M = sparse(*shape) * (1 + 1j if problem == "rows" else 1)
    dense = THROUGH[problem](M, rng=3)
    monkeypatch.setattr(sparse_operator, "EXPLICIT", 100)  # sparse matrices are not filled
    other = FORMS[form](M)
    result = THROUGH[problem](other, rng=3)
    assert result.certificate.theorem == dense.certificate.theorem
    assert result.certificate.value == pytest.approx(dense.certificate.value, rel=0.03)
    assert result.certificate.lower_bound == pytest.approx(dense.certificate.lower_bound, rel=1e-6)
    infimum.verify(result, other)
    if form == "operator":  # a sparse matrix with its zeros measures the error more exactly
        infimum.verify(result, M)
    with pytest.raises(errors.VerificationError):
        infimum.verify(result, 2.0 * other)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [np.float32, np.complex128, np.int64])
def test_dtypes(form, dtype):
    M = (np.round(10 * sparse(40, 30)) * (1 + 1j if dtype is np.complex128 else 1)).astype(dtype)
    expected = np.float64 if dtype is np.int64 else dtype
    result = lowrank.svd(FORMS[form](M), 5)
    assert result.U.dtype == expected
    assert result.certificate.ratio < 1.0 + 1e-4
    columns, middle = lowrank.interpolative(FORMS[form](M), 5, method="exact"), lowrank.cur(FORMS[form](M), tol=0.2)
    assert columns.skeleton.dtype == columns.coefficients.dtype == middle.core.dtype == middle.C.dtype == expected
    assert np.array_equal(columns.skeleton, M[:, columns.columns])


@pytest.mark.parametrize("count", [72, pytest.param(2500, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("form", "filled"), [("csr", False), ("coo", True), ("operator", False), ("tensor", False), ("tensor", True)]
)
def test_no_certificate_is_false(monkeypatch, form, filled, count):
    monkeypatch.setattr(sparse_operator, "EXPLICIT", 1000 * filled)
    rng = np.random.default_rng(1)
    for label, M in matrices(count, seed=21):
        if M.dtype == np.float16 and form != "tensor":  # SciPy has no sparse matrices of them
            continue
        rank = int(rng.integers(1, min(M.shape) + 1))
        result = lowrank.svd(WITH_TENSORS[form](M), rank, method=["auto", "krylov"][rank % 2], rng=2)
        wide = np.complex128 if np.iscomplexobj(M) else np.float64
        U, s, Vh = (np.asarray(part).astype(wide) for part in result)
        loss = squared_loss(M, (U, np.diag(s), Vh))
        assert at_most(result.certificate.lower_bound, squared_tails(M)[rank]), (label, form, rank)
        assert at_least(result.certificate.value, loss), (label, form, rank)
        no_column_certificate_is_false(WITH_TENSORS[form](M), label, M.astype(wide), rank)


def no_column_certificate_is_false(item, label, M, rank):
    """`item` is the matrix M in another form."""
    exponent = math.frexp(float(np.max(np.abs(M))))[1]
    for axis, matrix in ((1, M), (0, M.T)):
        result = lowrank.interpolative(item, rank, axis=axis, rng=2)
        certificate = result.certificate
        loss = squared_loss(M, tuple(np.asarray(part).astype(M.dtype) for part in result.factors()))
        assert at_least(certificate.value, loss), (label, rank, axis)
        optimum = best_columns(times_power_of_two(matrix, -exponent), rank)
        assert math.ldexp(certificate.lower_bound, -exponent) <= optimum + 1e-13, (label, rank, axis, certificate)
        infimum.verify(result, item)
    try:
        result = lowrank.cur(item, rank, rng=2)
    except errors.RangeError:  # the core of a subnormal matrix overflows
        assert "subnormal" in label or "mixed" in label, label
        return
    loss = squared_loss(M, tuple(np.asarray(part).astype(M.dtype) for part in (result.C, result.core, result.R)))
    assert at_least(result.certificate.value, loss), (label, rank)
    infimum.verify(result, item)


def test_large_sparse_matrix_is_never_filled(monkeypatch):
    rng = np.random.default_rng(2)
    M = scipy.sparse.random_array((4000, 3000), density=2e-3, rng=rng, format="csr")
    M = M @ scipy.sparse.diags_array(np.arange(1, 3001) ** -1.0)
    monkeypatch.setattr(scipy.sparse.csr_array, "toarray", None)
    result = lowrank.svd(M, 10, rng=0)
    assert result.certificate.ratio <= 1.001
    infimum.verify(result, M)


def test_empty_sparse_matrix():
    certificate = lowrank.svd(scipy.sparse.csr_array((5, 4)), 2).certificate
    assert certificate.value == certificate.lower_bound == 0.0


@pytest.mark.parametrize(
    ("item", "error", "message"),
    [
        (scipy.sparse.csr_array((0, 3)), errors.ShapeError, r"\(0, 3\)"),
        (scipy.sparse.csr_array(np.array([[np.nan]])), errors.NonFiniteError, "M must be finite"),
        (LinearOperator((2, 2), matvec=lambda x: x, dtype=float), errors.LibraryError, "both sides"),
        (aslinearoperator(np.array([[np.inf]])), errors.NonFiniteError, "M must be finite"),
    ],
)
def test_bad_operators(item, error, message):
    with pytest.raises(error, match=message), np.errstate(invalid="ignore"):
        lowrank.svd(item, 1)


def test_a_sparse_matrix_gathers_and_refuses_what_has_no_entries():
    matrix = scipy.sparse.csr_array(np.eye(4)[:3])
    operator = sparse_operator.Sparse(matrix, "M")
    assert np.array_equal(operator.take(np.array([2, 0]), 1), np.eye(4)[:3][:, [2, 0]])
    assert np.array_equal(operator.take(np.array([1]), 0), np.eye(4)[[1]])
    with pytest.raises(errors.ShapeError, match="at least one row"):
        sparse_operator.Sparse(scipy.sparse.csr_array((0, 3)), "M")


@pytest.mark.parametrize("dtype", [bool, np.int8, np.float32, np.complex64, np.float64])
def test_entries_of_one_place_are_added_up_alike_in_every_format(dtype):
    """They are in their own dtype, as SciPy does it: truth values do not count."""
    rng = np.random.default_rng(0)
    rows, columns = np.sort(rng.integers(0, 6, 60)), rng.integers(0, 5, 60)
    values = (10.0 ** rng.uniform(-6, 2, 60) * rng.standard_normal(60)).astype(dtype)
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=6))])
    as_rows = scipy.sparse.csr_array((values, columns, starts), shape=(6, 5))
    assert not as_rows.has_canonical_format
    for given in (as_rows, scipy.sparse.coo_array((values, (rows, columns)), shape=(6, 5)), as_rows.copy().tocsc()):
        summed = scipy.sparse.csr_array(given, copy=True)
        summed.sum_duplicates()
        whole = summed.toarray().astype(np.result_type(dtype, np.float64))
        least = float(np.linalg.norm(np.linalg.svd(whole, compute_uv=False)[2:]))
        certificate = lowrank.svd(given, 2).certificate
        assert certificate.lower_bound <= least * (1 + 1e-12)
        assert certificate.value >= least * (1 - 1e-12)
        chosen = lowrank.interpolative(given, 5)
        np.testing.assert_allclose(chosen.to_dense(), whole, rtol=1e-5, atol=1e-4)
        infimum.verify(chosen, given)
        assert np.array_equal(lowrank.cur(given, 2).C, summed.toarray()[:, lowrank.cur(given, 2).columns])
    assert not as_rows.has_canonical_format
