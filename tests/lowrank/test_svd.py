"""The truncated SVD: agreement with LAPACK, tolerances, dtypes, and clear refusals."""

import tracemalloc

import array_api_strict
import numpy as np
import pytest
import torch

import infimum
from infimum import errors, lowrank
from infimum.lowrank.spectra import krylov, single
from tests.lowrank.hostile import with_spectrum

METHODS = ("auto", "exact", "gram", "krylov", "randomized")


@pytest.fixture(scope="module")
def decaying():
    return with_spectrum(np.random.default_rng(0), 200, 120, 0.9 ** np.arange(120))


SPECTRA = {
    "exponential": 0.97 ** np.arange(300),
    "reciprocal": 1.0 / np.arange(1, 301),
    "slow": np.arange(1, 301) ** -0.5,
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex128])
@pytest.mark.parametrize("shape", [(400, 300), (300, 400), (300, 300)])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_krylov_grows_until_the_gap_is_proved(spectrum, shape, dtype):
    s = SPECTRA[spectrum]
    M = with_spectrum(np.random.default_rng(5), shape[0], shape[1], s).astype(dtype)
    M = M * (0.6 + 0.8j) if dtype is np.complex128 else M
    result = lowrank.svd(M, 20, method="krylov", rng=1)
    assert result.U.dtype == M.dtype
    assert result.certificate.ratio <= 1.001
    assert result.certificate.theorem == "ritz_block"
    infimum.verify(result, M)


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_krylov_reaches_eight_digits_when_asked(spectrum):
    s = SPECTRA[spectrum]
    M = with_spectrum(np.random.default_rng(6), 400, 300, s)
    certificate = lowrank.svd(M, 20, method="krylov", gap_target=1e-8, rng=1).certificate
    assert certificate.value <= np.linalg.norm(s[20:]) * (1 + 1e-8)
    assert certificate.ratio <= 1 + 1e-8


@pytest.mark.parametrize("like", [np.float32, np.complex64, torch.float32])
def test_single_precision_is_searched_in_its_own_and_proved_in_double(like, monkeypatch):
    """The products of the search are seen; what is claimed has nothing of theirs."""
    M = with_spectrum(np.random.default_rng(5), 400, 300, SPECTRA["reciprocal"])
    M = torch.tensor(M, dtype=like) if like is torch.float32 else (M * (0.8 if like is np.float32 else 1j)).astype(like)
    kinds, times = [], single._Coarse.times
    monkeypatch.setattr(single._Coarse, "times", lambda self, X: kinds.append(times(self, X).dtype) or times(self, X))
    result = lowrank.svd(M, 20, method="krylov", rng=1)
    assert set(kinds) == {M.dtype}
    assert result.certificate.witness["halves"] in (3, 6)
    assert result.certificate.witness["basis"].dtype in (np.float64, np.complex128, torch.float64)
    assert result.certificate.ratio <= 1.001
    infimum.verify(result, M)
    infimum.verify(result, M, rng=7)


@pytest.mark.parametrize(
    ("spectrum", "rank"), [(0.5 ** np.arange(200), 20), (np.arange(200) < 10, 5), (np.zeros(200), 3)]
)
def test_what_drowns_in_single_precision_is_searched_in_double(spectrum, rank, monkeypatch):
    M = with_spectrum(np.random.default_rng(6), 300, 200, spectrum * 1.0).astype(np.float32)
    proved, answers = single.in_single, []
    monkeypatch.setattr(krylov, "in_single", lambda *args: answers.append(proved(*args)) or answers[-1])
    result = lowrank.svd(M, rank, method="krylov", rng=1)
    best = np.linalg.norm(np.linalg.svd(M.astype(float), compute_uv=False)[rank:])
    assert result.certificate.lower_bound <= best * (1.0 + 1e-12) <= result.certificate.value * (1.0 + 1e-12)
    assert answers == [None] or result.certificate.ratio <= 1.001
    infimum.verify(result, M)


@pytest.mark.parametrize("off", [False, True])
def test_a_search_that_misleads_costs_time_and_no_truth(off, monkeypatch):
    """Products that are wrong in single precision: the proof in double does not believe what came out."""
    M = with_spectrum(np.random.default_rng(7), 400, 300, SPECTRA["reciprocal"]).astype(np.float32)
    times = single._Coarse.times
    monkeypatch.setattr(single._Coarse, "times", lambda self, X: times(self, X) * (1.5 if off else 1.0) + 0.5 * off)
    result = lowrank.svd(M, 20, method="krylov", rng=1)
    best = np.linalg.norm(np.linalg.svd(M.astype(float), compute_uv=False)[20:])
    assert result.certificate.lower_bound <= best <= result.certificate.value <= 1.001 * result.certificate.lower_bound


def test_krylov_certifies_surely_where_little_is_left_outside():
    M = with_spectrum(np.random.default_rng(7), 200, 150, 0.7 ** np.arange(150))
    certificate = lowrank.svd(M, 8, method="krylov", rng=1).certificate
    assert certificate.rigour == "rounded"
    assert certificate.ratio <= 1.001


@pytest.mark.parametrize("method", ["krylov", "randomized"])
@pytest.mark.parametrize(("decay", "gap"), [(0.9, 1e-3), (0.8, 1e-2), (0.75, 0.1)])
def test_small_tails_are_proved_without_differences_of_energies(method, decay, gap):
    """Tails of 3e-4 to 1e-8 of the norm: below 1e-6 nothing is left of them in what the energies differ by."""
    s = decay ** np.arange(300.0)
    M = with_spectrum(np.random.default_rng(12), 400, 300, s)
    certificate = lowrank.svd(M, 60, method=method, gap_target=1e-4, rng=0).certificate
    tail = float(np.linalg.norm(s[60:]))
    assert certificate.theorem == "ritz_block"
    assert certificate.lower_bound <= tail * (1 + 1e-9) <= certificate.value * (1 + 2e-9)
    assert certificate.lower_bound >= tail / (1 + gap)


def test_auto_leaves_a_hopeless_krylov_space():
    M = np.random.default_rng(8).standard_normal((700, 520))
    result = lowrank.svd(M, 5, rng=0)
    assert result.certificate.theorem == "eckart_young"
    assert result.certificate.ratio <= 1 + 1e-8


@pytest.mark.parametrize("delta", [1e-3, 1e-12])
def test_delta_is_the_doubt(delta):
    M = with_spectrum(np.random.default_rng(5), 400, 300, SPECTRA["slow"])
    certificate = lowrank.svd(M, 20, method="krylov", delta=delta, rng=1).certificate
    assert certificate.rigour == "probable"
    assert certificate.confidence == 1.0 - delta


def test_gram_gives_way_where_squares_lose_the_tail():
    M = with_spectrum(np.random.default_rng(9), 60, 40, 10.0 ** -np.arange(0, 20, 0.5))
    certificate = lowrank.svd(M, 18).certificate
    assert certificate.witness == {}
    assert certificate.ratio < 1.001


def test_exact_matches_lapack(decaying):
    s = np.linalg.svd(decaying, compute_uv=False)
    result = lowrank.svd(decaying, 30, method="exact")
    assert np.max(np.abs(result.s - s[:30]) / s[:30]) < 1e-12
    # the claim leaves room for three allowances of the residual's rounding
    assert abs(result.certificate.value / np.linalg.norm(s[30:]) - 1) < 3e-12
    assert result.certificate.ratio <= 1 + 1e-10


@pytest.mark.parametrize("shape", [(300, 200), (200, 300), (150, 150)])
@pytest.mark.parametrize("rank", [1, 10, 100, 140])
def test_exact_ratio_on_well_scaled_input(shape, rank):
    M = np.random.default_rng(4).standard_normal(shape)
    assert lowrank.svd(M, rank, method="exact").certificate.ratio <= 1 + 1e-10


@pytest.mark.parametrize("spectrum", ["exponential", "slow"])
def test_randomized_is_near_the_optimum_and_proves_it(spectrum):
    s = 0.9 ** np.arange(300) if spectrum == "exponential" else np.arange(1, 301) ** -0.5
    M = with_spectrum(np.random.default_rng(5), 400, 300, s)
    certificate = lowrank.svd(M, 25, method="randomized", rng=1).certificate
    optimum = np.linalg.norm(s[25:])
    assert certificate.lower_bound <= optimum * (1 + 1e-13)
    assert certificate.value <= optimum * 1.01
    assert certificate.ratio <= 1.05


@pytest.mark.parametrize("method", ["auto", "exact", "gram", "krylov", "randomized"])
@pytest.mark.parametrize("tol", [0.5, 0.1, 1e-3, 1e-8])
def test_tolerance_is_met_by_the_smallest_rank(decaying, method, tol):
    result = lowrank.svd(decaying, tol=tol, method=method, rng=0)
    goal = tol * np.linalg.norm(decaying)
    assert result.certificate.value <= goal
    if result.rank > 1:
        assert np.linalg.norm(np.linalg.svd(decaying, compute_uv=False)[result.rank - 1 :]) > goal * (1 - 1e-9)


def test_unreachable_tolerance_says_so(decaying):
    with pytest.raises(errors.ToleranceError, match="float32"):
        lowrank.svd(decaying.astype(np.float32), tol=1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.complex64])
def test_narrow_dtypes_are_computed_wide_and_measured_after_rounding(decaying, dtype):
    M = torch.asarray(decaying).to(dtype)
    result = lowrank.svd(M, 5)
    assert result.U.dtype == result.Vh.dtype == dtype
    wide = torch.complex128 if dtype.is_complex else torch.float64
    dense = (result.U.to(wide) * result.s.to(wide)) @ result.Vh.to(wide)
    measured = float(torch.linalg.matrix_norm(M.to(wide) - dense))
    assert result.certificate.value == pytest.approx(measured, rel=1e-9)


def test_gradient_history_is_left_behind(decaying):
    M = torch.asarray(decaying).requires_grad_()
    assert not lowrank.svd(M, 3).U.requires_grad


def test_matmul_and_dense_agree(decaying):
    result = lowrank.svd(decaying, 7)
    x = np.random.default_rng(0).standard_normal((120, 3))
    np.testing.assert_allclose(result @ x, result.to_dense() @ x, atol=1e-13)
    np.testing.assert_allclose(result @ x[:, 0], result.to_dense() @ x[:, 0], atol=1e-13)


def test_scaling_by_powers_of_two_is_exact(decaying):
    base = lowrank.svd(decaying, 9).certificate
    for exponent in (-900, -300, 300, 900):
        scaled = lowrank.svd(np.ldexp(decaying, exponent), 9).certificate
        assert np.ldexp(scaled.value, -exponent) == base.value
        assert np.ldexp(scaled.lower_bound, -exponent) == base.lower_bound


def test_same_seed_same_answer_another_seed_another_basis(decaying):
    first, again, other = (lowrank.svd(decaying, 9, method="randomized", rng=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.U, again.U)
    assert not np.array_equal(first.U, other.U)


def test_lists_and_integers_are_welcome():
    assert lowrank.svd([[1, 2], [3, 4]], 1).U.dtype == np.float64


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: lowrank.svd(np.eye(3)), errors.OptionError, "either rank or tol"),
        (lambda: lowrank.svd(np.eye(3), 1, tol=0.1), errors.OptionError, "either rank or tol"),
        (lambda: lowrank.svd(np.eye(3), 4), errors.RankError, "from 1 to 3"),
        (lambda: lowrank.svd(np.eye(3), 0), errors.RankError, "from 1 to 3"),
        (lambda: lowrank.svd(np.eye(3), 1.0), errors.RankError, "whole number"),
        (lambda: lowrank.svd(np.eye(3), True), errors.RankError, "whole number"),
        (lambda: lowrank.svd(np.eye(3), tol=0.0), errors.OptionError, "above 0"),
        (lambda: lowrank.svd(np.eye(3), tol="0.1"), errors.OptionError, "number"),
        (lambda: lowrank.svd(np.eye(3), 1, method="magic"), errors.OptionError, "'randomized'"),
        (lambda: lowrank.svd(np.eye(3), 1, gap_target=0.0), errors.OptionError, "gap_target"),
        (lambda: lowrank.svd(np.eye(3), 1, delta=0.5), errors.OptionError, "delta"),
        (lambda: lowrank.svd(np.ones(3), 1), errors.ShapeError, "matrix"),
        (lambda: lowrank.svd(np.ones((2, 0)), 1), errors.ShapeError, r"\(2, 0\)"),
        (lambda: lowrank.svd(np.array([["a"]]), 1), errors.DTypeError, "numbers"),
        (lambda: lowrank.svd(np.array([[np.nan, 1.0]]), 1), errors.NonFiniteError, "1 of its 2"),
        (lambda: lowrank.svd("M.npy", 1), errors.LibraryError, "str"),
        (lambda: lowrank.svd(np.full((9, 9), 6e4, dtype=np.float16), 1), errors.RangeError, "float16"),
        (lambda: lowrank.svd(np.full((9, 9), 1e308), 1), errors.RangeError, "convert|scale"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_simulated_device_is_kept():
    M = array_api_strict.asarray(np.eye(4), device=array_api_strict.Device("device1"))
    for method in METHODS:
        assert lowrank.svd(M, 2, method=method).U.device == M.device


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("decay", [0.9, 0.3, 1e-2])  # squares tell all, some and none of the later values well
def test_triples_of_tall_matrices_are_accurate(decay, dtype):
    s = decay ** np.arange(12)
    M = with_spectrum(np.random.default_rng(2), 3000, 12, s) * (0.6 + 0.8j if dtype is np.complex128 else 1.0)
    for given in (M, np.ascontiguousarray(M.T)):
        U, values, Vh = lowrank.svd(given, 5, method="gram")
        assert np.linalg.norm(U.conj().T @ U - np.eye(5)) <= 2e-13
        assert np.linalg.norm(Vh @ Vh.conj().T - np.eye(5)) <= 2e-13
        # the long vectors are the image of the short ones, or as much of it as squares tell
        off = given @ Vh.conj().T - U * values if given is M else given.conj().T @ U - Vh.conj().T * values
        assert np.linalg.norm(off) <= 2e-13
        assert values[:3] == pytest.approx(s[:3], rel=1e-10)


def test_nothing_of_a_tall_matrix_is_copied():
    M = np.random.default_rng(0).standard_normal((60_000, 30)) * np.linspace(1.0, 3.0, 30)
    tracemalloc.start()
    try:
        result = lowrank.svd(M, 3)
        infimum.verify(result, M)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.5 * M.nbytes
    assert not np.shares_memory(result.U, M)


@pytest.mark.parametrize("method", ["exact", "randomized"])
def test_an_answer_does_not_keep_what_it_was_cut_from(method):
    result = lowrank.svd(np.random.default_rng(0).standard_normal((70, 60)), 2, method=method)
    for part in (result.U, result.Vh):
        whole = part if part.base is None else part.base
        assert whole.nbytes == part.nbytes


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (5, 2)])
def test_tensors_of_a_row_or_a_column(shape, method):
    M = torch.asarray(np.random.default_rng(0).standard_normal(shape))
    result = lowrank.svd(M, 1, method=method, rng=0)
    infimum.verify(result, M)
    assert float(result.s[0]) == pytest.approx(float(torch.linalg.matrix_norm(M, 2)))


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_equal_singular_values_descend(dtype):
    rng = np.random.default_rng(4)
    for size in range(2, 40):
        turned = rng.standard_normal((3 * size, size)) + 1j * rng.standard_normal((3 * size, size))
        M = np.linalg.qr(turned if dtype is np.complex128 else turned.real)[0]
        result = lowrank.svd(M, rank=size - 1, method="gram")
        assert np.all(np.diff(result.s) <= 0.0)
        infimum.verify(result, M)


@pytest.mark.parametrize("method", ["auto", "krylov"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex128])
def test_equal_singular_values_fill_the_rank(method, dtype):
    """A Krylov space holds no more vectors of equal singular values than it began with: others have to be found."""
    M = np.eye(560, 510).astype(dtype)
    result = lowrank.svd(M, rank=80, method=method, rng=0)
    assert result.rank == 80
    assert result.certificate.value == pytest.approx(np.sqrt(430.0), rel=1e-6)
    assert result.certificate.ratio < 1.2
    infimum.verify(result, M)
    infimum.verify(result, M, rng=1)
    few = np.zeros((560, 510), dtype=dtype)
    few[:3, :3] = np.eye(3)
    result = lowrank.svd(few, rank=80, method=method, rng=0)
    assert result.rank == 80
    assert result.certificate.value < 1e-6
    infimum.verify(result, few)


def test_equal_singular_values_meet_a_tolerance():
    for side, other in ((130, 110), (110, 130)):
        M = np.eye(side, other)
        result = lowrank.svd(M, tol=0.5, method="krylov", rng=0)
        assert 0.75 * 110 <= result.rank <= 0.75 * 110 + 2
        infimum.verify(result, M)
