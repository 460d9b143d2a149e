"""Nystrom: the trace norm of the error, its floor, kernels by their entries, landmarks of every kind."""

import itertools

import flint
import numpy as np
import pytest
import scipy.sparse
import torch

import infimum
from infimum import errors, lowrank
from infimum.lowrank import KernelMatrix
from infimum.lowrank.columns import rpcholesky
from infimum.proof.operators.kernel import Entries
from infimum.proof.operators.semidefinite import _refuse_negative
from tests.lowrank import exact
from tests.lowrank.hostile import FAMILIES, with_spectrum

METHODS = ["auto", "rpcholesky", "greedy", "uniform", "kmeans"]


def gaussian(X, Y):
    return np.exp(-((X[:, None, :] - Y[None, :, :]) ** 2).sum(axis=2))


@pytest.fixture(scope="module")
def points():
    rng = np.random.default_rng(0)
    return np.concatenate([rng.standard_normal((40, 3)) + 6 * rng.standard_normal(3) for _ in range(5)])


def trace_norm(A):
    return np.sum(np.abs(np.linalg.eigvalsh(A)))


@pytest.mark.parametrize("method", METHODS)
def test_value_is_the_trace_norm_and_the_floor_is_below_any_rank(points, method):
    K = gaussian(points, points)
    result = lowrank.nystrom(K, 20, method=method, rng=1)
    error = trace_norm(K - result.to_dense())
    assert error <= result.certificate.value <= error * (1 + 1e-6)
    best = np.sort(np.linalg.eigvalsh(K))[::-1][result.rank :].sum()
    assert best * (1 - 1e-9) <= result.certificate.lower_bound <= best
    infimum.verify(result, K)


def test_exchanges_leave_less_than_pivots_and_fewer_meet_a_tolerance(points):
    K = gaussian(points, points)
    for rank in (5, 20, 60):
        pivots = lowrank.nystrom(K, rank, method="rpcholesky", rng=0).certificate
        assert lowrank.nystrom(K, rank, rng=0).certificate.value < 0.97 * pivots.value
    for tol in (0.3, 0.05):
        assert lowrank.nystrom(K, tol=tol, rng=0).rank < lowrank.nystrom(K, tol=tol, method="rpcholesky", rng=0).rank


def test_random_pivots_find_the_small_cluster():
    rng = np.random.default_rng(3)
    points = np.concatenate([rng.standard_normal((990, 2)) * 0.05, 20 + rng.standard_normal((10, 2))])
    K = KernelMatrix(points, gaussian)
    pivots = np.median([lowrank.nystrom(K, 12, rng=seed).certificate.value for seed in range(5)])
    draws = np.median([lowrank.nystrom(K, 12, method="uniform", rng=seed).certificate.value for seed in range(5)])
    assert pivots < 0.5 * draws


@pytest.mark.parametrize(("method", "share"), [("auto", 0.1), ("rpcholesky", 0.08), ("uniform", 0.08)])
def test_kernel_computes_only_what_it_needs(points, method, share):
    asked = []

    def counting(X, Y):
        asked.append(X.shape[0] * Y.shape[0])
        return gaussian(X, Y)

    K = KernelMatrix(np.tile(points, (20, 1)) + 0.01 * np.arange(4000)[:, None], counting)
    result = lowrank.nystrom(K, 10, method=method, rng=0)
    assert sum(asked) < share * K.shape[0] ** 2
    assert result.rank == 10
    assert 0.0 < result.certificate.lower_bound <= result.certificate.value


def test_kernel_and_array_agree(points):
    dense = lowrank.nystrom(gaussian(points, points), landmarks=[0, 50, 90, 130, 170])
    entries = lowrank.nystrom(KernelMatrix(points, gaussian), landmarks=[0, 50, 90, 130, 170])
    np.testing.assert_allclose(dense.factor, entries.factor, atol=1e-12)
    assert dense.certificate.value == pytest.approx(entries.certificate.value, rel=1e-9)
    assert 0.0 < entries.certificate.lower_bound <= dense.certificate.lower_bound * (1 + 1e-9)


@pytest.mark.parametrize("method", ["auto", "greedy", "uniform", "kmeans"])
@pytest.mark.parametrize("tol", [0.3, 1e-2, 1e-5])
def test_tolerance_is_met(points, method, tol):
    K = gaussian(points, points)
    assert lowrank.nystrom(K, tol=tol, method=method, rng=0).certificate.value <= tol * np.trace(K) * (1 + 1e-6)


def test_dependent_landmarks_are_left_out(points):
    K = gaussian(points, points)
    K = np.block([[K, K], [K, K]])
    result = lowrank.nystrom(K, landmarks=[3, 203, 77])
    assert result.rank == 2
    assert lowrank.nystrom(np.ones((6, 6)), 4, rng=0).rank == 1
    assert lowrank.nystrom(np.zeros((6, 6)), 4, rng=0).rank == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64, torch.complex128])
def test_dtypes(points, dtype):
    K = torch.as_tensor(gaussian(points, points)).to(dtype)
    result = lowrank.nystrom(K, 15, rng=0)
    assert result.factor.dtype == dtype
    wide = torch.complex128 if dtype.is_complex else torch.float64
    factor = result.factor.to(wide)
    assert trace_norm((K.to(wide) - factor @ factor.mH).numpy()) <= result.certificate.value


def semidefinite(count, seed):
    rng = np.random.default_rng(seed)
    names = [name for name in FAMILIES if name not in ("largest", "subnormal", "mixed scales")]
    for index in range(count):
        n = int(rng.integers(1, 9))
        A = FAMILIES[names[index % len(names)]](rng, n, int(rng.integers(1, 9)))
        A = A + 1j * FAMILIES[names[index % len(names)]](rng, *A.shape) if index % 3 == 0 else A
        A = A / np.sqrt(np.max(np.abs(A))) if np.any(A) else A  # K at the scale of the family, not its square
        K = A @ A.conj().T
        yield names[index % len(names)], (K + K.conj().T) / 2


@pytest.mark.parametrize("count", [pytest.param(100, id="100"), pytest.param(5000, id="5000", marks=pytest.mark.slow)])
def test_no_certificate_is_false(count):
    """Against all choices of landmarks and all matrices of the rank, in multi-precision arithmetic."""
    rng = np.random.default_rng(5)
    for label, K in semidefinite(count, seed=31):
        n = K.shape[0]
        rank = int(rng.integers(1, n + 1))
        try:
            result = lowrank.nystrom(K, rank, method=["auto", "greedy", "uniform"][rank % 3], rng=1)
        except errors.NotSemidefiniteError:  # rounding in forming K made it indefinite beyond what is forgiven
            continue
        with flint.ctx.workprec(exact.PRECISION):
            values = [v.real.mid() for v in exact.ball_matrix(K).eig(algorithm="approx")]
            tail = sum(sorted((abs(v) for v in values), reverse=True)[result.rank :], flint.arb(0))
            F = exact.ball_matrix(result.factor) if result.rank else flint.acb_mat(n, 1)
            residual = exact.ball_matrix(K) - F * F.conjugate().transpose()
            loss = sum((abs(v.real.mid()) for v in residual.eig(algorithm="approx")), flint.arb(0))
            assert result.certificate.lower_bound <= tail * (1 + flint.arb(2) ** -400) or tail < 1e-300, (label, rank)
            assert result.certificate.value >= loss * (1 - flint.arb(2) ** -400), (label, rank, result.certificate)
        infimum.verify(result, K)


def test_landmark_bound_is_below_the_spectrum():
    """The bound from entries alone, against the true tail, where the spectrum is known."""
    rng = np.random.default_rng(6)
    for n, rank in itertools.product((30, 120), (2, 10)):
        Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
        s = np.arange(1, n + 1) ** -2.0
        K = KernelMatrix(Q * np.sqrt(s), lambda X, Y: X @ Y.T)
        certificate = lowrank.nystrom(K, rank, rng=2).certificate
        assert 0.5 * s[rank:].sum() <= certificate.lower_bound <= s[rank:].sum() * (1 + 1e-12)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: lowrank.nystrom(np.eye(3)), errors.OptionError, "either rank or tol"),
        (lambda: lowrank.nystrom(np.eye(3), 4), errors.RankError, "from 1 to 3"),
        (lambda: lowrank.nystrom(np.eye(3), 1, landmarks=[0]), errors.OptionError, "alone"),
        (lambda: lowrank.nystrom(np.eye(3), landmarks=[0, 0]), errors.OptionError, "distinct"),
        (lambda: lowrank.nystrom(np.eye(3), landmarks=[3]), errors.OptionError, "below 3"),
        (lambda: lowrank.nystrom(np.ones((2, 3)), 1), errors.ShapeError, "square"),
        (lambda: lowrank.nystrom(np.array([[1.0, 2.0], [0.0, 1.0]]), 1), errors.NotSemidefiniteError, "symmetric"),
        (lambda: lowrank.nystrom(np.array([[0.0, 1.0], [1.0, 0.0]]), 1), errors.NotSemidefiniteError, "negative"),
        (lambda: lowrank.nystrom(-np.eye(2), 1), errors.NotSemidefiniteError, "diagonal"),
        (lambda: lowrank.nystrom(np.eye(2), 1, method="best"), errors.OptionError, "'rpcholesky'"),
        (
            lambda: lowrank.nystrom(KernelMatrix(np.eye(3), lambda X, Y: X), 1),
            errors.ShapeError,
            r"\(3, 1\) block",
        ),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_what_rounding_alone_makes_negative_is_forgiven():
    for residual, forgiven in ((np.diag([-1e-3, 1.0]), 1e-3), (np.diag([0.0, 1.0]), 0.0)):
        _refuse_negative(residual, forgiven, 1)
    with pytest.raises(errors.NotSemidefiniteError, match="beyond rounding"):
        _refuse_negative(np.diag([-2e-3, 1.0]), 1e-3, 1)


def test_ill_conditioned_kernels_end_in_fewer_landmarks():
    M = with_spectrum(np.random.default_rng(7), 40, 40, 10.0 ** -np.arange(0, 20, 0.5))
    K = M @ M.T
    result = lowrank.nystrom((K + K.T) / 2, 40, rng=0)
    assert 0 < result.rank < 40
    infimum.verify(result, (K + K.T) / 2)


@pytest.mark.parametrize("method", ["auto", "rpcholesky", "greedy", "uniform", "kmeans"])
@pytest.mark.parametrize("size", [1e-300, 1.0])
@pytest.mark.parametrize("as_kernel", [False, True])
def test_entries_that_dwarf_the_diagonal_are_refused_by_name(method, size, as_kernel):
    K = size * np.eye(40)
    K[:, 4], K[4, :], K[4, 4] = 1e300, 1e300, size
    places = np.arange(40.0)[:, None]
    kernel = lowrank.KernelMatrix(places, lambda X, Y: K[np.ix_(X[:, 0].astype(int), Y[:, 0].astype(int))])
    with pytest.raises(errors.NotSemidefiniteError, match="times as large as its diagonal"):
        lowrank.nystrom(kernel if as_kernel else K, 40, method=method, rng=0)


@pytest.mark.parametrize("order", [60, 2100])
@pytest.mark.parametrize("method", ["auto", "rpcholesky", "greedy", "uniform"])
def test_sparse_matrices_stay_sparse(order, method):
    rng = np.random.default_rng(0)
    factor = scipy.sparse.random_array((order, order // 20), density=0.1, rng=rng)
    K = (factor @ factor.T).tocsr()
    result = lowrank.nystrom(K, 20 if order > 100 else 2, method=method, rng=0)
    infimum.verify(result, K)
    assert isinstance(result.factor, np.ndarray)
    dense = K.toarray()
    left = np.trace(dense) - np.linalg.norm(result.factor) ** 2
    assert result.certificate.value == pytest.approx(left, rel=1e-6)
    values = np.linalg.eigvalsh(dense)
    assert result.certificate.lower_bound <= np.sum(values[: -result.rank]) * (1 + 1e-9)


def test_sparse_matrices_that_are_no_kernels():
    K = scipy.sparse.eye_array(2100).tolil()
    for wrong, error in (
        (scipy.sparse.random_array((2100, 2100), density=1e-3, rng=0), errors.NotSemidefiniteError),
        (scipy.sparse.eye_array(2100, 2101), errors.ShapeError),
        (-scipy.sparse.eye_array(2100), errors.NotSemidefiniteError),
    ):
        with pytest.raises(error):
            lowrank.nystrom(wrong, 3)
    K[5, 5] = np.nan
    with pytest.raises(errors.NonFiniteError):
        lowrank.nystrom(K.tocsr(), 3)
    with pytest.raises(errors.OptionError, match="kmeans"):
        lowrank.nystrom(scipy.sparse.eye_array(30), 3, method="kmeans")


@pytest.mark.parametrize("complex_", [False, True])
def test_landmarks_among_some_are_nearly_as_good(monkeypatch, complex_):
    """Of a large kernel landmarks are chosen among the pivots and some other points."""
    points = np.random.default_rng(2).standard_normal((3000, 2))

    def kernel(X, Y):
        turn = np.exp(3j * (X[:, :1] - Y[:, :1].T)) if complex_ else 1.0
        return gaussian(X, Y) * turn

    K = KernelMatrix(points, kernel)
    among_all = lowrank.nystrom(K, 30, rng=0)
    monkeypatch.setattr(rpcholesky, "SOME", 110_000)
    among_some = lowrank.nystrom(K, 30, rng=0)
    drawn = lowrank.nystrom(K, 30, rng=0, method="rpcholesky")
    infimum.verify(among_some, K)
    assert among_some.certificate.value < 1.05 * among_all.certificate.value < drawn.certificate.value
    assert among_some.certificate.lower_bound == pytest.approx(among_all.certificate.lower_bound)
    met = lowrank.nystrom(K, tol=1e-3, rng=0)
    infimum.verify(met, K)
    assert met.certificate.value <= 1e-3 * 3000
    assert met.rank < lowrank.nystrom(K, tol=1e-3, rng=0, method="rpcholesky").rank


def test_a_kernel_is_asked_no_more_than_it_has_to_be():
    asked = []

    def kernel(X, Y):
        asked.append(X.shape[0] * Y.shape[0])
        return gaussian(X, Y)

    K = KernelMatrix(np.random.default_rng(2).standard_normal((2000, 2)), kernel)
    lowrank.nystrom(K, 20, rng=0, method="uniform")
    # the diagonal by blocks, proposals of pivots, the columns of the landmarks and those of the bound, once
    assert sum(asked) <= 2000 * (128 + 20 + 60 + 40 + 80) + 3 * 200**2


def test_a_known_diagonal_takes_no_blocks(points):
    asked = []

    def kernel(X, Y):
        asked.append(X.shape[0] * Y.shape[0])
        return gaussian(X, Y)

    for diagonal in (1, np.ones(200), torch.ones(200)):
        asked.clear()
        K = KernelMatrix(points, kernel, diagonal=diagonal)
        result = lowrank.nystrom(K, 10, method="uniform", rng=0)
        assert sum(asked) <= 200 * (1 + 10 + 30) + 10**2 * 2 + 30**2 + 60**2 + 2 * 200**2 // 2 * 3
        whole = KernelMatrix(points, gaussian)
        assert result.certificate.value == pytest.approx(
            lowrank.nystrom(whole, 10, method="uniform", rng=0).certificate.value
        )
        infimum.verify(result, K)
        infimum.verify(result, whole)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("wrong", [0.5, 1.0 + 1e-6, 3.0, np.linspace(1.0, 1.1, 200)])
def test_a_diagonal_that_is_none_is_refused(points, method, wrong):
    """Too small it would flatter the value, too large the bound."""
    with pytest.raises((errors.OptionError, errors.NotSemidefiniteError), match=r"diagonal must hold|larger than"):
        lowrank.nystrom(KernelMatrix(points, gaussian, diagonal=wrong), 10, method=method, rng=0)
    with pytest.raises(errors.VerificationError):
        infimum.verify(
            lowrank.nystrom(KernelMatrix(points, gaussian), 10, rng=0), KernelMatrix(points, gaussian, wrong)
        )


@pytest.mark.parametrize("wrong", [np.ones(3), np.ones((200, 1)), np.nan, np.inf, 1j, "one"])
def test_a_diagonal_must_be_numbers(points, wrong):
    with pytest.raises(errors.InfimumError, match="diagonal"):
        KernelMatrix(points, gaussian, diagonal=wrong)


def test_the_diagonal_that_is_known_is_the_one_of_the_matrix(points):
    """What the kernel computes may differ in its last digits: the columns then hold what is known."""
    K = KernelMatrix(points, lambda X, Y: gaussian(X, Y) * (1.0 + 1e-10), diagonal=1.0)
    entries = Entries(K)
    some = np.array([7, 3])
    for columns in (entries.columns(some)[some], entries.block(some)):
        assert np.all(np.diagonal(columns) == 1.0)


def test_columns_are_evaluated_once_and_cannot_be_changed(points):
    asked = []

    def kernel(X, Y):
        asked.append(Y.shape[0])
        return gaussian(X, Y)

    entries, whole = Entries(KernelMatrix(points, kernel, diagonal=1.0)), gaussian(points, points)
    asked.clear()
    for wanted in ([3, 9], [9], [9, 50, 3, 7], [50, 9], [1, 2, 3, 4, 5], [2, 60, 4, 9]):
        columns = entries.columns(np.array(wanted))
        np.testing.assert_array_equal(columns, whole[:, wanted])
        with pytest.raises(ValueError, match="read-only"):
            columns[0, 0] = 2.0
    assert asked == [2, 2, 4, 1]
    assert entries.columns(np.zeros(0, dtype=np.int64)).shape == (200, 0)


@pytest.mark.parametrize("complex_", [False, True])
def test_a_sample_leaves_what_the_whole_leaves_in_the_mean(complex_):
    """Rows of all sizes: what landmarks leave of samples is unbiased, and the largest row is in every sample."""
    rng = np.random.default_rng(4)
    X = rng.standard_normal((300, 4)) * 10.0 ** rng.uniform(-2.0, 0.0, (300, 1))
    X = X * np.exp(1j * rng.standard_normal(X.shape)) if complex_ else X
    X[7] = 30.0
    whole = Entries(KernelMatrix(X, lambda A, B: A @ B.conj().T))
    samples = [rpcholesky.Sample(whole, 40, np.random.default_rng(seed)) for seed in range(300)]
    assert all(7 in sample.rows and 38 <= sample.rows.size <= 40 for sample in samples)
    traces = [np.sum(sample.diagonal) for sample in samples]
    assert np.mean(traces) == pytest.approx(np.sum(whole.diagonal), rel=0.02)
    assert np.array_equal(rpcholesky.Sample(Entries(np.diag([2.0, 0.0, 1.0, 1e-9])), 3, rng).rows, [0, 2, 3])
    some = np.array([0, 3, 5])
    for sample in samples[:3]:
        expected = whole.columns(sample.rows)[sample.rows] / np.outer(sample.roots, sample.roots)
        np.testing.assert_allclose(sample.columns(some), expected[:, some], rtol=1e-12)
        np.testing.assert_allclose(sample.block(some), expected[np.ix_(some, some)], rtol=1e-12)
        np.testing.assert_allclose(sample.diagonal, np.diagonal(expected).real, rtol=1e-12)


def test_landmarks_of_a_sample_are_better_than_pivots():
    rng = np.random.default_rng(5)
    points = np.concatenate([rng.standard_normal((2900, 3)), 8.0 + 0.5 * rng.standard_normal((100, 3))])
    K = KernelMatrix(points, gaussian, diagonal=1.0)
    found, drawn = (lowrank.nystrom(K, 40, method=method, rng=0) for method in ("auto", "rpcholesky"))
    assert found.rank == 40
    assert found.certificate.value < 0.9 * drawn.certificate.value
    assert found.certificate.lower_bound > 0.95 * drawn.certificate.lower_bound
    infimum.verify(found, K)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_large_constant_kernels_have_one_landmark_at_most(value):
    K = KernelMatrix(np.zeros((3000, 2)), lambda X, Y: np.full((len(X), len(Y)), value))
    for method in METHODS:
        result = lowrank.nystrom(K, 5, method=method, rng=0)
        assert result.rank == (1 if value else 0)
        assert result.certificate.value < 1e-6
        infimum.verify(result, K)
