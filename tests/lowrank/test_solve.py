"""Least squares: agreement with LAPACK, rank decisions, Tikhonov's limit, and certificates that are true."""

import flint
import numpy as np
import pytest
import scipy.sparse
import torch

import infimum
from infimum import errors, lowrank
from infimum.proof.operators import sparse
from infimum.scale import RowBlocks
from tests.lowrank import exact
from tests.lowrank.hostile import matrices, with_spectrum


@pytest.mark.parametrize("shape", [(30, 20), (20, 30), (25, 25)])
@pytest.mark.parametrize("rank", [20, 7])
@pytest.mark.parametrize("complex_", [False, True])
def test_agrees_with_lapack(shape, rank, complex_):
    rng = np.random.default_rng(0)
    A = rng.standard_normal((shape[0], rank)) @ rng.standard_normal((rank, shape[1])) * (1 + 2j if complex_ else 1)
    B = rng.standard_normal((shape[0], 3))
    result = lowrank.solve(A, B)
    np.testing.assert_allclose(result.matrix, np.linalg.lstsq(A, B, rcond=1e-12)[0], atol=1e-10)
    assert result.certificate.gap < 1e-9 * np.linalg.norm(B)
    infimum.verify(result, A, B)


def test_ridge_and_its_limit():
    A = with_spectrum(np.random.default_rng(1), 20, 12, np.array([1.0] * 6 + [0.0] * 6))
    B = np.random.default_rng(2).standard_normal((20, 2))
    limit = lowrank.pinv(A, rtol=1e-9).matrix @ B
    for ridge in (1.0, 1e-3, 1e-6):
        result = lowrank.solve(A, B, ridge=ridge)
        direct = np.linalg.solve(A.T @ A + ridge * np.eye(12), A.T @ B)
        np.testing.assert_allclose(result.matrix, direct, atol=1e-8)
        assert np.linalg.norm(result.matrix - limit) <= 1.01 * ridge * np.linalg.norm(limit)
        assert result.certificate.gap <= 1e-12 * result.certificate.value


def test_doubtful_rank_opens_the_gap():
    A = with_spectrum(np.random.default_rng(1), 12, 12, np.array([1.0] * 8 + [2e-6, 1e-6, 5e-7, 2e-7]))
    B = np.random.default_rng(2).standard_normal((12, 1))
    assert lowrank.solve(A, B, rtol=1.1e-6).certificate.gap > 1e-2
    assert lowrank.solve(A, B, rtol=1e-3).certificate.gap < 1e-5


def test_vector_as_the_matrix_of_one_column():
    rng = np.random.default_rng(5)
    A, b = rng.standard_normal((9, 4)) * (1 + 1j), rng.standard_normal(9)
    for ridge in (0.0, 0.1):
        one, column = (lowrank.solve(A, B, ridge=ridge) for B in (b, b[:, None]))
        assert one.matrix.shape == (4,)
        assert np.array_equal(one.matrix, column.matrix[:, 0])
        assert one.certificate.value == column.certificate.value
        infimum.verify(infimum.from_json(one.to_json()), A, b)
        assert len(one.plot().patches) == 1
        with pytest.raises(errors.VerificationError, match=r"matrix must have shape \(4, 1\)"):
            infimum.verify(one, A, b[:, None])


def test_libraries_and_dtypes():
    A = np.random.default_rng(0).standard_normal((9, 4))
    B = np.random.default_rng(1).standard_normal((9, 2))
    for dtype in (torch.float32, torch.bfloat16, torch.complex64):
        result = lowrank.solve(torch.as_tensor(A).to(dtype), torch.as_tensor(B).to(dtype))
        assert result.matrix.dtype == dtype
        assert result.certificate.ratio < 1.001


def hostile_systems(count, seeds):
    """Yield matrices in double precision, right-hand sides, a ridge, and a name."""
    rng = np.random.default_rng(seeds[0])
    for label, A in matrices(count, seed=seeds[1]):
        wide = A.astype(np.complex128 if np.iscomplexobj(A) else np.float64)
        B = rng.standard_normal((A.shape[0], 2)).astype(wide.dtype)
        size = float(np.clip(np.max(np.abs(wide)), 1e-150, 1e150))
        yield wide, B, float(rng.choice([0.0, 1e-4, 1.0])) * size**2, label


def certified_truly(given, wide, B, ridge, label):
    """Solve with a matrix as it is given; hold the certificate against exact arithmetic, and verify it."""
    try:
        result = lowrank.solve(given, B, ridge=ridge, rtol=1e-8)
    except errors.RangeError:
        return
    loss = exact.squared_loss(B, (wide, result.matrix))
    with flint.ctx.workprec(exact.PRECISION):
        own = exact.squared_loss(np.zeros(result.matrix.shape), (np.eye(wide.shape[1]), result.matrix))
        loss = loss + flint.arb(ridge) * own
    assert exact.at_least(result.certificate.value, loss), (label, ridge)
    if ridge > 0.0:
        best = exact.best_squared_loss_with_ridge(wide, B, ridge)
        assert exact.at_most(result.certificate.lower_bound, best), (label, ridge)
    infimum.verify(result, given, B)


@pytest.mark.parametrize("count", [pytest.param(80, id="80"), pytest.param(5000, id="5000", marks=pytest.mark.slow)])
def test_no_certificate_is_false(count):
    """With a ridge against the exact optimum, without one against the exact residual of the whole column space."""
    for wide, B, ridge, label in hostile_systems(count, seeds=(3, 41)):
        certified_truly(wide, wide, B, ridge, label)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: lowrank.solve(np.eye(3), np.ones((2, 1))), errors.ShapeError, "equally many rows"),
        (lambda: lowrank.solve(np.eye(3), np.ones((3, 1, 1))), errors.ShapeError, "B must be a matrix"),
        (lambda: lowrank.solve(np.eye(3), np.ones(2)), errors.ShapeError, "equally many rows, got 3 and 2"),
        (lambda: lowrank.solve(np.eye(3), np.zeros(0)), errors.ShapeError, "at least one row"),
        (lambda: lowrank.solve(np.eye(3), scipy.sparse.eye_array(3)), errors.LibraryError, r"B.toarray\(\)"),
        (lambda: lowrank.solve(scipy.sparse.eye_array(3), torch.ones(3)), errors.LibraryError, "one library"),
        (lambda: lowrank.solve(np.diag([1.0, np.inf]), np.ones(2)), errors.NonFiniteError, "A must be finite"),
        (lambda: lowrank.solve(np.eye(3), np.eye(3), ridge=-1.0), errors.OptionError, "ridge"),
        (lambda: lowrank.solve(np.eye(3), np.eye(3), rtol=1.0), errors.OptionError, "rtol"),
        (lambda: lowrank.solve(np.eye(3), torch.eye(3)), errors.LibraryError, "one library"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("shape", [(60, 60), (90, 60), (60, 90)])
@pytest.mark.parametrize("kinds", [(0, 0), (1, 1), (0, 1), (1, 0)])
def test_large_systems(shape, kinds):
    """Well-conditioned ones by elimination, others by singular vectors: the same answers, certified alike."""
    rng = np.random.default_rng(4)
    A = with_spectrum(rng, shape[0], shape[1], 0.97 ** np.arange(60)) * (0.6 + 0.8j if kinds[0] else 1.0)
    B = rng.standard_normal((shape[0], 3)) * (1.0 + 2.0j if kinds[1] else 1.0)
    ill = with_spectrum(rng, shape[0], shape[1], np.append(0.97 ** np.arange(55), np.full(5, 1e-13)))
    for M, rtol in ((A, None), (A, 0.5), (ill, 1e-9)):
        result = lowrank.solve(M, B, rtol=rtol)
        infimum.verify(result, M, B)
        expected = np.linalg.pinv(M, rcond=rtol or 1e-12) @ B
        assert np.linalg.norm(result.matrix - expected) <= 1e-10 * np.linalg.norm(expected)
        residual = np.linalg.norm(M @ expected - B)
        assert result.certificate.value == pytest.approx(residual, rel=1e-9, abs=1e-9)
        if M is A and rtol is None:
            assert result.certificate.gap <= 1e-9


def test_large_matrices_without_an_inverse():
    rng = np.random.default_rng(5)
    A, B = rng.standard_normal((60, 60)), rng.standard_normal(60)
    A[:, 3] = 0.0
    for make in (np.asarray, torch.asarray):
        result = lowrank.solve(make(A), make(B))
        infimum.verify(result, make(A), make(B))
        expected = np.linalg.lstsq(A, B)[0]
        assert np.asarray(result.matrix) == pytest.approx(expected, abs=1e-10 * np.linalg.norm(expected))


FORMS = {
    "csr": scipy.sparse.csr_array,
    "tensor": lambda A: torch.as_tensor(A).to_sparse(),
    "operator": scipy.sparse.linalg.aslinearoperator,
    "blocks": lambda A: RowBlocks(A, rows=7),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kinds", [(0, 0), (1, 1), (0, 1), (1, 0)])
@pytest.mark.parametrize("shape", [(40, 12), (12, 40), (20, 20), (30, 1), (1, 9)])
def test_what_only_multiplies_is_solved_alike(monkeypatch, form, kinds, shape):
    if form == "blocks" and shape[0] < shape[1]:
        pytest.skip("blocks are those of a tall matrix")
    monkeypatch.setattr(sparse, "EXPLICIT", 0)  # no zeros are formed
    rng = np.random.default_rng(6)
    A = rng.standard_normal(shape) * (rng.random(shape) < 0.6) * (0.6 + 0.8j if kinds[0] else 1.0)
    A[0, 0] = 2.0
    made = FORMS[form](A)
    B = rng.standard_normal((shape[0], 3)) * (1.0 + 2.0j if kinds[1] else 1.0)
    B[:, 1] = 0.0
    B = torch.as_tensor(B) if form == "tensor" else B
    for ridge in (0.0, 0.1):
        result, dense = lowrank.solve(made, B, ridge=ridge), lowrank.solve(A, np.asarray(B), ridge=ridge)
        assert type(result.matrix) is type(B)
        assert np.asarray(result.matrix) == pytest.approx(dense.matrix, abs=1e-8 * np.linalg.norm(dense.matrix))
        assert result.certificate.gap <= 1e-8
        infimum.verify(result, made, B)
        infimum.verify(infimum.from_json(result.to_json()), FORMS[form](A), np.asarray(B) if form != "tensor" else B)
        for wrong in ((FORMS[form](1.5 * A), B), (made, 2.0 * B)):
            with pytest.raises(errors.VerificationError):
                infimum.verify(result, *wrong)


@pytest.mark.parametrize("count", [pytest.param(80, id="80"), pytest.param(3000, id="3000", marks=pytest.mark.slow)])
def test_no_certificate_of_what_only_multiplies_is_false(monkeypatch, count):
    """However far LSQR comes: the loss against exact arithmetic, the bound against the exact optimum with the ridge."""
    monkeypatch.setattr(sparse, "EXPLICIT", 0)
    for wide, B, ridge, label in hostile_systems(count, seeds=(7, 43)):
        certified_truly(scipy.sparse.csr_array(wide), wide, B, ridge, label)


def test_an_ill_conditioned_system_says_how_far_it_came(monkeypatch):
    monkeypatch.setattr(sparse, "EXPLICIT", 0)
    rng = np.random.default_rng(8)
    A = with_spectrum(rng, 60, 30, np.logspace(0, -9, 30))
    B = rng.standard_normal((60, 2))
    result = lowrank.solve(scipy.sparse.csr_array(A), B, rtol=1e-6)
    dense = lowrank.solve(A, B, rtol=1e-6).certificate
    assert np.linalg.norm(A @ result.matrix - B) <= result.certificate.value <= 1.2 * dense.value
    assert np.linalg.norm(result.matrix) <= 1e8
    infimum.verify(result, scipy.sparse.csr_array(A), B)
