"""Inputs on which interpolative decompositions of other libraries are tested, or were reported to fail."""

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse.linalg

import infimum
from infimum import errors, lowrank
from tests.lowrank.hostile import kahan, with_spectrum


def hilbert(dtype):
    return scipy.linalg.hilbert(300).astype(dtype) * (1 + 1j if np.issubdtype(dtype, np.complexfloating) else 1)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("axis", [0, 1])
def test_hilbert_to_a_fixed_precision(dtype, axis):
    """The main case of SciPy's own tests."""
    H = hilbert(dtype)
    before = H.copy()
    result = lowrank.interpolative(H, tol=1e-12, axis=axis)
    assert np.linalg.norm(H - result.to_dense()) <= 1e-12 * np.linalg.norm(H)
    assert result.rank <= 30
    assert np.array_equal(H, before)  # scipy issue 9793


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_hilbert_at_a_fixed_rank(dtype):
    H = hilbert(dtype)
    s = np.linalg.svd(H, compute_uv=False)
    result = lowrank.interpolative(H, 10)
    assert np.linalg.norm(H - result.to_dense()) <= np.sqrt(11) * np.linalg.norm(s[10:])


def test_full_rank():
    M = np.random.default_rng(0).standard_normal((16, 8))
    for method in ("auto", "pivoted_qr", "greedy", "osinsky", "strong_rrqr"):
        result = lowrank.interpolative(M, 8, method=method)
        assert sorted(result.columns.tolist()) == list(range(8))
        assert result.certificate.value <= 1e-13 * np.linalg.norm(M)


@pytest.mark.parametrize("excess", [1, 5, 1000])
def test_a_rank_beyond_the_matrix_is_refused(excess):
    """SciPy crashed here (issue 20452)."""
    M = np.random.default_rng(0).standard_normal((6, 9))
    with pytest.raises(errors.RankError, match="from 1 to 6"):
        lowrank.interpolative(M, 6 + excess)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_single_rows_and_columns(n):
    """SciPy failed on one row (issue 23195)."""
    row = np.arange(1.0, n + 1)[None, :]
    for M in (row, row.T):
        for axis in (0, 1):
            result = lowrank.interpolative(M, 1, axis=axis)
            np.testing.assert_allclose(result.to_dense(), M, rtol=1e-15)
            infimum.verify(result, M)


@pytest.mark.parametrize("shape", [(40, 25), (25, 40)])
def test_operators_that_are_not_square(shape):
    """SciPy 1.15 mixed up the sides (issue 22451)."""
    M = with_spectrum(np.random.default_rng(1), shape[0], shape[1], 0.5 ** np.arange(25))
    operator = scipy.sparse.linalg.aslinearoperator(M)
    assert lowrank.svd(operator, 6, rng=0).certificate.value == pytest.approx(
        lowrank.svd(M, 6).certificate.value, rel=1e-3
    )
    result = lowrank.interpolative(M, 6)
    assert (result.skeleton.shape, result.coefficients.shape) == ((shape[0], 6), (6, shape[1]))


@pytest.mark.parametrize("rank", [1, 5, 20, 45])
def test_the_rank_that_a_tolerance_names(rank):
    """SciPy's estimate may be off by ten (issues 12593 and 10769); here the tolerance is certified."""
    s = np.where(np.arange(60) < rank, 1.0, 1e-10)
    M = with_spectrum(np.random.default_rng(rank), 80, 60, s)
    tol = 1e-8
    assert lowrank.svd(M, tol=tol).rank == rank
    for method in ("auto", "pivoted_qr", "osinsky", "greedy"):
        found = lowrank.interpolative(M, tol=tol, method=method).rank
        assert rank <= found <= rank + (method == "greedy")  # whose columns may be ill conditioned: one more is needed


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("method", ["auto", "pivoted_qr", "lupp", "strong_rrqr"])
def test_fourier_kernel(dtype, method):
    """128 x 64 samples of exp(-2 pi i x y), the case of LowRankApprox.jl, and its tolerance."""
    rng = np.random.default_rng(2)
    kernel = np.exp(-2j * np.pi * rng.uniform(size=(128, 1)) * rng.uniform(size=(1, 64)))
    M = (kernel if np.issubdtype(dtype, np.complexfloating) else kernel.real).astype(dtype)
    tol = 500 * float(np.finfo(dtype).eps)
    for axis in (0, 1):
        result = lowrank.interpolative(M, tol=tol, method=method, axis=axis, rng=0)
        assert result.coefficients.dtype == dtype
        assert result.certificate.value <= tol * np.linalg.norm(M)
        assert result.rank <= 24


@pytest.mark.parametrize("n", [40, 96])
def test_kahan(n):
    """Pivoted QR leaves out the last column of a Kahan matrix; another one is many times better to leave out."""
    M = kahan(n)
    floor = np.linalg.svd(M, compute_uv=False)[-1]
    plain = lowrank.interpolative(M, n - 1, method="pivoted_qr").certificate.value
    for method in ("strong_rrqr", "osinsky"):
        value = lowrank.interpolative(M, n - 1, method=method).certificate.value
        assert value <= min(plain, np.sqrt(n) * floor + 1e-11)
    assert plain > 10 * floor


@pytest.mark.parametrize("largest", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_bounded_coefficients(largest, dtype):
    rng = np.random.default_rng(3)
    inputs = [kahan(30), scipy.linalg.hilbert(20), rng.standard_normal((20, 30)), np.ones((4, 5)), np.eye(5)]
    for M in inputs:
        M = M.astype(dtype) * (1 - 2j if dtype is np.complex128 else 1)
        rank = min(M.shape) // 2
        result = lowrank.interpolative(M, rank, max_coefficient=largest)
        assert np.max(np.abs(result.coefficients)) <= largest
        free = lowrank.interpolative(M, rank).certificate.value
        assert result.certificate.value <= 20 * free + 1e-5 * np.linalg.norm(M)
    with pytest.raises(errors.OptionError, match="max_coefficient"):
        lowrank.interpolative(np.eye(3), 1, max_coefficient=0.9)
