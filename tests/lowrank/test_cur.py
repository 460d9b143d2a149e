"""CUR: true certificates on hostile matrices, the optimal core, the intersection core, unequal numbers, tolerances."""

import itertools
import math
from fractions import Fraction

import array_api_strict
import numpy as np
import pytest
import scipy.linalg
import torch

import infimum
from infimum import errors, lowrank
from infimum._arrays import working
from infimum._compensated import residual_norm
from tests.accepted import accepted
from tests.lowrank import exact
from tests.lowrank.hostile import matrices, with_spectrum

CORES = ["optimal", "intersection"]


def wide(array):
    return array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)


@pytest.fixture(scope="module")
def decaying():
    return with_spectrum(np.random.default_rng(0), 90, 70, 0.8 ** np.arange(70))


def best_cur(M, rows, columns):
    """Least error over all choices of rows and columns with the optimal core (float64, entries of ordinary size)."""

    def bases(array, count):
        for chosen in itertools.combinations(range(array.shape[1]), count):
            u, s, _ = np.linalg.svd(array[:, chosen], full_matrices=False)
            yield u[:, s > 1e-14 * max(s[0], 1e-300)]

    right = list(bases(M.conj().T, rows))
    errors_ = [M - U @ (U.conj().T @ M @ V) @ V.conj().T for U in bases(M, columns) for V in right]
    return min(float(np.linalg.norm(error)) for error in errors_)


@pytest.mark.parametrize("count", [72, pytest.param(6000, marks=pytest.mark.slow)])
def test_no_bound_is_false(count):
    rng = np.random.default_rng(1)
    for number, (label, A) in enumerate(matrices(count, seed=41)):
        M = A[:7, :6]
        rows, columns = (int(rng.integers(1, min(M.shape) + 1)) for _ in range(2))
        try:
            result = lowrank.cur(M, rows=rows, columns=columns, core=CORES[number % 2], rng=2)
        except errors.RangeError:  # the core of a subnormal matrix overflows
            assert label.startswith(("subnormal", "mixed")) or "float16" in label, label
            continue
        certificate = result.certificate
        loss = exact.squared_loss(wide(M), (wide(result.C), wide(result.core), wide(result.R)))
        assert exact.at_least(certificate.value, loss), (label, rows, columns, certificate)
        scaled = working(wide(M))
        optimum = best_cur(scaled.array, rows, columns)
        assert np.ldexp(certificate.lower_bound, -scaled.exponent) <= optimum + 1e-13, (label, rows, columns)
        infimum.verify(result, M)


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize(("rows", "columns"), [(12, 12), (15, 9), (9, 15)])
def test_shapes_and_the_core(decaying, core, rows, columns):
    result = lowrank.cur(decaying, rows=rows, columns=columns, core=core, rng=0)
    assert (result.rows.shape, result.columns.shape, result.core.shape) == ((rows,), (columns,), (columns, rows))
    assert np.array_equal(result.C, decaying[:, result.columns])
    assert np.array_equal(result.R, decaying[result.rows])
    if core == "optimal":
        best = np.linalg.pinv(result.C) @ decaying @ np.linalg.pinv(result.R)
        error = np.linalg.norm(decaying - result.C @ best @ result.R)
        assert result.certificate.value == pytest.approx(error, rel=1e-6)
    x = np.random.default_rng(0).standard_normal((70, 2))
    np.testing.assert_allclose(result @ x, result.to_dense() @ x, atol=1e-9)


def test_intersection_reproduces_rows_and_columns(decaying):
    result = lowrank.cur(decaying, 8, core="intersection")
    dense = result.to_dense()
    np.testing.assert_allclose(dense[:, result.columns], result.C, atol=1e-12)
    np.testing.assert_allclose(dense[result.rows], result.R, atol=1e-12)
    assert result.certificate.ratio <= 4.0


def test_optimal_core_is_never_worse(decaying):
    for select in ("auto", "leverage", "norm", "uniform"):
        values = [lowrank.cur(decaying, 10, select=select, core=core, rng=0).certificate.value for core in CORES]
        assert values[0] <= values[1] * (1 + 1e-9)


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("tol", [0.5, 1e-2, 1e-5])
def test_tolerance_is_met(decaying, core, tol):
    result = lowrank.cur(decaying, tol=tol, core=core, rng=0)
    assert result.certificate.value <= tol * np.linalg.norm(decaying)
    tail = [np.linalg.norm(0.8 ** np.arange(70)[k:]) for k in range(70)]
    needed = next(k for k in range(70) if tail[k] <= tol * np.linalg.norm(decaying))
    assert needed <= result.rank <= needed + 12


@pytest.mark.parametrize("core", CORES)
def test_ill_conditioned_choices_are_cut_off(core):
    """Rows and columns of a numerically singular matrix: without truncation rounding the core would lose everything."""
    for M in (1.0 / (np.arange(40)[:, None] + np.arange(30) + 1.0), np.vander(np.linspace(0, 1, 40), 30)):
        for dtype in (np.float64, np.float32):
            result = lowrank.cur(M.astype(dtype), 25, core=core)
            assert result.certificate.value <= 30 * np.sqrt(np.finfo(dtype).eps) * np.linalg.norm(M)


def test_small_matrices_get_the_bound_of_one_level():
    M = with_spectrum(np.random.default_rng(3), 20, 15, 1.0 / np.arange(1, 16))
    certificate = lowrank.cur(M, 3).certificate
    assert certificate.theorem == "column_subset"
    assert certificate.lower_bound > 1.005 * np.linalg.norm(1.0 / np.arange(4, 16))


def test_large_matrices_are_sketched():
    M = with_spectrum(np.random.default_rng(4), 1300, 1200, 0.7 ** np.arange(1200))
    result = lowrank.cur(M, rows=8, columns=12, rng=0)
    assert result.certificate.theorem == "ritz_block"
    tail = np.linalg.norm(0.7 ** np.arange(8, 1200))
    assert result.certificate.lower_bound <= tail <= result.certificate.value
    infimum.verify(result, M)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.complex64])
def test_narrow_dtypes(decaying, dtype):
    M = torch.asarray(decaying).to(dtype)
    result = lowrank.cur(M, 6)
    assert result.core.dtype == result.C.dtype == result.to_dense().dtype == dtype
    infimum.verify(result, M)


def test_simulated_device_is_kept():
    M = array_api_strict.asarray(np.eye(4), device=array_api_strict.Device("device1"))
    for core in CORES:
        result = lowrank.cur(M, 2, core=core)
        assert result.core.device == result.rows.device == M.device


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, errors.OptionError, "either rank or tol"),
        ({"rank": 4}, errors.RankError, "from 1 to 3"),
        ({"rows": 2}, errors.OptionError, "both rows and columns"),
        ({"rank": 2, "rows": 2, "columns": 2}, errors.OptionError, "both rows and columns"),
        ({"rows": 2, "columns": 9}, errors.RankError, "from 1 to 3"),
        ({"rank": 2, "select": "best"}, errors.OptionError, "'deim'"),
        ({"rank": 2, "core": "soft"}, errors.OptionError, "'intersection'"),
        ({"tol": 1e-30}, errors.ToleranceError, "wider type"),
    ],
)
def test_bad_input(options, error, message):
    with pytest.raises(error, match=message):
        lowrank.cur(np.array([[1.0, 0.3, 0.1], [0.2, 1.0, 0.7], [0.3, 0.9, 1.1]]), **options)


def rational_loss(M, factors):
    """Frobenius norm of the difference in rational numbers, rounded once."""
    parts = [np.vectorize(Fraction, otypes=[object])(part) for part in (M, *factors)]
    rest = parts[0] - parts[1].dot(parts[2]).dot(parts[3])
    return math.sqrt(sum(entry**2 for entry in rest.ravel()))


@pytest.mark.parametrize("complex_", [False, True])
def test_a_residual_in_twice_the_precision(complex_):
    A = scipy.linalg.hilbert(10)
    for kept in (3, 6, 8):
        factors = A[:, :kept], np.linalg.inv(A[:kept, :kept]), A[:kept]
        found, doubt = residual_norm(*((A * 1j, (1j * factors[0], *factors[1:])) if complex_ else (A, factors)))
        true = rational_loss(A, factors)
        assert abs(found - true) <= doubt < 1e-9 * true
    assert residual_norm(A * 1e-200, factors) is None
    assert residual_norm(A, (factors[0] * 1e150, *factors[1:])) is None
    assert residual_norm(np.zeros((2, 2)), (np.zeros((2, 1)), np.zeros((1, 1)), np.zeros((1, 2)))) == (0.0, 0.0)


@pytest.mark.parametrize("core", ["optimal", "intersection"])
def test_no_allowance_swamps_the_loss_of_a_matrix_that_decays_fast(core):
    """The entries of the core go up to 1e8: a bound on how they round says 1e-5, and what is lost is 3e-9."""
    H = scipy.linalg.hilbert(60)
    result = lowrank.cur(H, rows=20, columns=20, core=core)
    accepted(result, H)
    assert result.certificate.value < 2e-8
    assert result.certificate.value >= rational_loss(H, (result.C, result.core, result.R))
