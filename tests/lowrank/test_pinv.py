"""The pseudo-inverse: the Penrose conditions, the rank decision, and what the certificate says of it."""

import numpy as np
import pytest
import torch

import infimum
from infimum import errors, lowrank
from infimum._arrays import working
from infimum.proof.answers.pinv import Products
from tests.lowrank.hostile import with_spectrum


def penrose_residuals(A, X):
    return [
        np.linalg.norm(A @ X @ A - A) / np.linalg.norm(A),
        np.linalg.norm(X @ A @ X - X) / np.linalg.norm(X),
        np.linalg.norm((A @ X).conj().T - A @ X),
        np.linalg.norm((X @ A).conj().T - X @ A),
    ]


@pytest.mark.parametrize("shape", [(30, 20), (20, 30), (25, 25)])
@pytest.mark.parametrize("rank", [20, 7])
@pytest.mark.parametrize("complex_", [False, True])
def test_penrose_conditions(shape, rank, complex_):
    rng = np.random.default_rng(0)
    A = rng.standard_normal((shape[0], rank)) @ rng.standard_normal((rank, shape[1]))
    if complex_:
        A = A * (1 + 2j)
    result = lowrank.pinv(A)
    assert result.rank == rank
    assert max(penrose_residuals(A, result.matrix)) < 1e-11
    assert result.certificate.gap < 1e-10
    assert result.certificate.value == pytest.approx(np.sqrt(shape[0] - rank), abs=1e-10)


def test_ambiguous_rank_shows_in_the_gap():
    A = with_spectrum(np.random.default_rng(0), 12, 12, np.array([1.0] * 8 + [2e-6, 1e-6, 5e-7, 2e-7]))
    doubtful, clear = lowrank.pinv(A, rtol=1.1e-6), lowrank.pinv(A, rtol=1e-9)
    assert (doubtful.rank, clear.rank) == (9, 12)
    assert doubtful.ambiguous
    assert not clear.ambiguous
    assert doubtful.certificate.gap > 0.1
    assert clear.certificate.gap < 1e-7  # rounding times the condition number, about 1e7


def test_zero_matrix():
    result = lowrank.pinv(np.zeros((3, 2)))
    assert result.rank == 0
    assert not np.any(result.matrix)
    assert result.certificate.value == pytest.approx(np.sqrt(3))
    assert result.certificate.gap < 1e-12


def test_agrees_with_numpy_and_torch():
    A = np.random.default_rng(0).standard_normal((40, 25))
    np.testing.assert_allclose(lowrank.pinv(A).matrix, np.linalg.pinv(A), atol=1e-13)
    B = torch.asarray(A, dtype=torch.float32)
    torch.testing.assert_close(lowrank.pinv(B).matrix, torch.linalg.pinv(B), atol=1e-5, rtol=1e-4)


def test_extreme_scales():
    A = np.random.default_rng(0).standard_normal((6, 4))
    X = lowrank.pinv(A).matrix
    for exponent in (-500, 500):
        scaled = lowrank.pinv(np.ldexp(A, exponent)).matrix
        assert np.array_equal(np.ldexp(scaled, exponent), X)


def test_overflowing_answer_is_refused():
    with pytest.raises(errors.RangeError, match="pseudo-inverse"):
        lowrank.pinv(np.array([[5e-324]]))


@pytest.mark.parametrize("rtol", [-1e-3, 1.0, np.nan])
def test_bad_rtol(rtol):
    with pytest.raises(errors.OptionError, match="rtol"):
        lowrank.pinv(np.eye(2), rtol=rtol)


def test_penrose_residuals_and_gap_are_reported():
    A = with_spectrum(np.random.default_rng(0), 12, 9, np.array([3.0, 2.0, 1.0, 1e-5, 1e-6, 0, 0, 0, 0]))
    result = lowrank.pinv(A, rtol=1e-3)
    np.testing.assert_allclose(
        result.penrose, penrose_residuals(A, result.matrix) / np.array([1, 1, 3**0.5, 3**0.5]), atol=1e-12
    )
    assert result.penrose[0] == pytest.approx(np.linalg.norm([1e-5, 1e-6]) / np.linalg.norm(A), rel=1e-6)
    assert result.gap == pytest.approx(1e5, rel=1e-6)
    assert lowrank.pinv(np.eye(3)).gap == np.inf


@pytest.mark.parametrize("shape", [(150, 120), (120, 150), (120, 120)])
@pytest.mark.parametrize("complex_", [False, True])
def test_large_matrices_that_are_well_conditioned(shape, complex_):
    """They are inverted by elimination, others by their singular vectors: both are accurate, and certified alike."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal(shape) + 1j * complex_ * rng.standard_normal(shape)
    A = A if complex_ else A.real
    ill = A.copy()
    ill[:, 0] *= 1e-9
    for M in (A, ill):
        result = lowrank.pinv(M)
        infimum.verify(result, M)
        assert result.rank == 120
        # a spacing times the condition number: 1e9 times that of A, which is larger where A is square
        assert np.max(result.penrose) < (1e-12 if M is A else 1e-6 if shape[0] != shape[1] else 1e-5)
        scale = np.linalg.norm(np.linalg.pinv(M))
        assert np.linalg.norm(result.matrix - np.linalg.pinv(M)) <= (1e-5 if M is ill else 1e-12) * scale
        np.testing.assert_allclose(result.singular_values, np.linalg.svd(M, compute_uv=False), rtol=1e-6)
    assert lowrank.pinv(A, rtol=0.5).rank < 120


@pytest.mark.parametrize("make", [np.asarray, torch.asarray])
def test_large_matrices_of_which_not_all_counts(make):
    """Neither a matrix without an inverse nor one whose least singular values are to count as zero is inverted."""
    rng = np.random.default_rng(1)
    singular = rng.standard_normal((60, 60))
    singular[:, 7] = 0.0
    near = with_spectrum(rng, 60, 60, np.append(np.ones(50), np.full(10, 0.9)))
    low = rng.standard_normal((80, 20)) @ rng.standard_normal((20, 60))
    for A, rtol, rank in ((singular, None, 59), (near, 0.95, 50), (near, None, 60), (low, None, 20)):
        given = make(A)
        result = lowrank.pinv(given, rtol=rtol)
        infimum.verify(result, given)
        assert result.rank == rank
        expected = np.linalg.pinv(A, rcond=rtol or 1e-12)
        assert np.linalg.norm(np.asarray(result.matrix) - expected) <= 1e-11 * np.linalg.norm(expected)


@pytest.mark.parametrize("off", [0.1, 1e-6, 1e-13])
@pytest.mark.parametrize("factor", [1.0, 1j])
def test_residuals_are_measured_in_single_precision_only_where_that_is_enough(off, factor):
    """The inverse times ``1 + off`` leaves residuals of `off`, whose rounding to single precision would be seen."""
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((60, 60)))[0] * factor
    for A in (Q, Q[:, :40], Q[:40]):
        fresh, moved = Products.of(working(A), (1.0 + off) * A.conj().T).penrose_residuals()
        assert np.all(moved[:2] < 1e-11)
        np.testing.assert_array_less(np.abs(fresh - [off, off, 0.0, 0.0]), moved + 1e-15)


@pytest.mark.parametrize("shape", [(8, 8), (9, 5), (5, 9)])
def test_nothing_is_searched_where_the_dual_falls_from_the_start(shape):
    A = np.random.default_rng(0).standard_normal(shape)
    result = lowrank.pinv(A)
    assert result.certificate.witness["mu"] == 0.0
    assert result.certificate.lower_bound == pytest.approx(np.sqrt(max(shape[0] - shape[1], 0)), rel=1e-12)
    infimum.verify(result, A)


@pytest.mark.parametrize("least", [-200, -320])
def test_an_inverse_of_any_length_is_tried_in_silence(least):
    """Elimination meets inverses whose squares overflow, before singular values decide what counts."""
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((45, 45)))[0]
    A = 10.0 ** np.linspace(0, least, 45)[:, None] * Q
    result = lowrank.pinv(A)
    assert result.rank < 10
    infimum.verify(result, A)
    solution = lowrank.solve(A, np.ones((45, 1)))
    infimum.verify(solution, A, np.ones((45, 1)))
