"""Interpolative decomposition: exact columns, quality of the strategies, tolerances, deficiency."""

import array_api_strict
import numpy as np
import pytest
import scipy.linalg

from infimum import errors, lowrank
from tests.lowrank.hostile import FAMILIES, kahan, with_spectrum

METHODS = ["auto", "pivoted_qr", "greedy", "osinsky", "lupp", "strong_rrqr", "column_sampling"]


@pytest.fixture(scope="module")
def decaying():
    return with_spectrum(np.random.default_rng(0), 90, 70, 0.8 ** np.arange(70))


def test_osinsky_takes_the_largest_of_columns_that_lose_nothing():
    """Every column spans this row; a tiny one would need coefficients that no 16-bit number can hold."""
    M = np.array([[1e-7, 1e-3, 1.0, 0.5]], dtype=np.float16)
    assert lowrank.interpolative(M, 1, method="osinsky").columns.tolist() == [2]


@pytest.mark.parametrize("method", METHODS)
def test_chosen_columns_are_reproduced_exactly(decaying, method):
    result = lowrank.interpolative(decaying, 12, method=method, rng=0)
    columns = result.columns
    assert columns.dtype == np.int64
    assert len(set(columns.tolist())) == 12
    assert np.array_equal(result.coefficients[:, columns], np.eye(12))
    assert np.array_equal(result.skeleton, decaying[:, columns])


@pytest.mark.parametrize("method", METHODS)
def test_coefficients_are_optimal_for_the_chosen_columns(decaying, method):
    result = lowrank.interpolative(decaying, 12, method=method, rng=0)
    best = result.skeleton @ np.linalg.lstsq(result.skeleton, decaying)[0]
    assert result.certificate.value == pytest.approx(np.linalg.norm(decaying - best), rel=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_error_is_within_the_existence_bound(decaying, method):
    """Some choice of k columns is within sqrt(k + 1) of the floor; good strategies stay well inside on such input."""
    certificate = lowrank.interpolative(decaying, 12, method=method, rng=0).certificate
    assert 1.0 <= certificate.ratio <= np.sqrt(13)


def test_auto_is_never_worse_than_its_candidates(decaying):
    value = {m: lowrank.interpolative(decaying, 12, method=m).certificate.value for m in METHODS[:4]}
    assert value["auto"] <= min(value.values()) * (1 + 1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("tol", [0.5, 1e-2, 1e-6])
def test_tolerance_is_met(decaying, method, tol):
    result = lowrank.interpolative(decaying, tol=tol, method=method, rng=0)
    assert result.certificate.value <= tol * np.linalg.norm(decaying)
    assert result.rank < 70


def test_unreachable_tolerance_says_so(decaying):
    with pytest.raises(errors.ToleranceError, match="float32"):
        lowrank.interpolative(decaying.astype(np.float32), tol=1e-14)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", ["zero", "ones", "deficient", "identity", "repeated columns"])
def test_rank_beyond_the_numerical_rank_is_filled_up(family, method):
    M = FAMILIES[family](np.random.default_rng(1), 8, 7)
    result = lowrank.interpolative(M, 7, method=method, rng=0)
    assert sorted(result.columns.tolist()) == list(range(7))
    assert result.certificate.value <= 1e-13 * max(float(np.linalg.norm(M)), 1e-300)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("method", METHODS[:-1])  # a uniform draw misses the first columns, which matter most here
def test_hilbert_to_full_precision(dtype, method):
    """SciPy's own test case: a Hilbert matrix of order 300 is numerically of rank about 20."""
    H = scipy.linalg.hilbert(300) * (1 + 1j if dtype is np.complex128 else 1)
    result = lowrank.interpolative(H, tol=1e-7, method=method, rng=0)
    assert result.certificate.value <= 1e-7 * np.linalg.norm(H)
    assert result.rank <= 20


def test_kahan_matrix_stays_bounded():
    M = kahan(100)
    certificate = lowrank.interpolative(M, 99).certificate
    assert np.isfinite(certificate.value)


def test_wide_single_row():
    result = lowrank.interpolative(np.array([[1.0, -3.0, 2.0]]), 1)
    assert result.columns.tolist() == [1]
    assert result.certificate.value <= 2e-14


def test_simulated_device_is_kept():
    M = array_api_strict.asarray(np.eye(4), device=array_api_strict.Device("device1"))
    for method in METHODS:
        result = lowrank.interpolative(M, 2, method=method)
        assert result.columns.device == result.coefficients.device == M.device


def test_bad_method():
    with pytest.raises(errors.OptionError, match="'greedy'"):
        lowrank.interpolative(np.eye(2), 1, method="best")
