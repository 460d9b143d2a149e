"""Accurate triples of matrices too large for a space that only grows: restarted, they end, and say what was reached."""

import numpy as np
import pytest
import scipy.sparse
import torch

import infimum
from infimum import lowrank
from infimum.lowrank.spectra import krylov, thick_restart
from tests.lowrank.hostile import with_spectrum

N = 200
STEPS = np.arange(N)
SPECTRA = {
    "decaying": 0.9**STEPS,
    "slowly": 1.0 / (1.0 + STEPS),
    "a few dominate": np.concatenate([[1e6, 1e5, 1e4], np.linspace(2.0, 1.0, N - 3)]),
    "equal at the cut": np.concatenate([[3.0, 2.5, 2.2], np.ones(3), np.full(N - 6, 0.5)]),
    "nearly equal at the cut": np.concatenate([[3.0, 2.5], 1.0 + 1e-9 * STEPS[:9], np.full(N - 11, 0.5)]),
    "of rank two": np.where(STEPS < 2, 2.0 - STEPS, 0.0),
    "all equal": np.ones(N),
    "nothing": np.zeros(N),
}


@pytest.fixture(autouse=True)
def restarted(monkeypatch):
    """Count the runs: tests shall not pass by another method."""
    runs = []

    def counted(*arguments):
        runs.append(arguments)
        return thick_restart.thick_restart(*arguments)

    monkeypatch.setattr(krylov, "thick_restart", counted)
    yield
    assert runs


def accurate(M, rank, gap=1e-9, **options):
    result = lowrank.svd(M, rank, method="krylov", accuracy="triples", gap_target=gap, rng=1, **options)
    infimum.verify(result, M)
    return result


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("rank", [1, 4, 9])
def test_values_residuals_and_bounds(name, rank):
    M = with_spectrum(np.random.default_rng(3), 240, N, SPECTRA[name])
    given = scipy.sparse.csr_array(M)
    result, s = accurate(given, rank), np.linalg.svd(M, compute_uv=False)
    # values this close to each other belong to a span; then each is as accurate as they are near
    assert np.max(np.abs(result.s - s[:rank])) <= (1e-8 if "nearly" in name else 1e-11) * s[0]
    gaps = np.linalg.norm(M.T @ (M @ result.Vh.T) - result.Vh.T * result.s**2, axis=0)
    assert np.all(gaps <= np.maximum(2e-9 * result.s**2, 1e-13 * s[0] ** 2))
    bounds = result.triple_bounds(given)
    rounding = 1e-14 * s[0]  # of LAPACK
    assert np.all(bounds.lower <= s[:rank] + rounding)
    assert np.all(bounds.upper >= s[:rank] - rounding)
    assert result.certificate.lower_bound <= np.linalg.norm(s[rank:]) + rounding
    assert result.certificate.value >= np.linalg.norm(s[rank:]) - rounding


@pytest.mark.parametrize("scale", [1e300, 1.0, 1e-300])
@pytest.mark.parametrize("kind", [np.float64, np.complex128, np.float32])
def test_flat_spectra_of_every_kind_end(scale, kind):
    if kind is np.float32:
        scale **= 0.1
    rng = np.random.default_rng(5)
    M = (rng.standard_normal((240, N)) + (1j * rng.standard_normal((240, N)) if kind is np.complex128 else 0)) * scale
    M = M.astype(kind)
    result = accurate(scipy.sparse.csr_array(M), 5)
    expected = np.linalg.svd(M.astype(np.promote_types(kind, np.float64)) / scale, compute_uv=False)[:5]
    assert result.s / scale == pytest.approx(expected, rel=1e-6 if kind is np.float32 else 1e-12)


def test_equal_values_beyond_the_width_of_a_block():
    """Where one space ends, or has found all it asks for, another one begins."""
    M = scipy.sparse.csr_array(np.diag(np.repeat([3.0, 2.0, 1.0], [30, 60, N - 90])))
    assert accurate(M, 12).s == pytest.approx(np.full(12, 3.0))
    block = np.random.default_rng(10).standard_normal((30, 25))
    copies = accurate(scipy.sparse.csr_array(np.kron(np.eye(9), block)), 10)
    s = np.linalg.svd(block, compute_uv=False)
    assert copies.s == pytest.approx(np.repeat(s[:2], [9, 1]), rel=1e-12)


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
@pytest.mark.parametrize("form", ["wide", "tensor", "tensor of compressed rows"])
def test_forms(form):
    M = with_spectrum(np.random.default_rng(6), 240, N, SPECTRA["decaying"])
    given = {
        "wide": lambda: scipy.sparse.csc_matrix(M.T),
        "tensor": lambda: torch.as_tensor(M).to_sparse(),
        "tensor of compressed rows": lambda: torch.as_tensor(M).to_sparse_csr(),
    }[form]()
    result = accurate(given, 6)
    assert np.asarray(result.s) == pytest.approx(0.9 ** np.arange(6), rel=1e-12)


def test_a_tolerance_finds_its_rank():
    M = with_spectrum(np.random.default_rng(7), 240, N, 0.5**STEPS)
    result = lowrank.svd(
        scipy.sparse.csr_array(M), tol=0.02, method="krylov", accuracy="triples", gap_target=1e-9, rng=0
    )
    assert result.rank == 6
    assert result.s == pytest.approx(0.5 ** np.arange(6), rel=1e-12)


def test_a_run_that_is_cut_off_says_what_it_reached(monkeypatch):
    monkeypatch.setattr(thick_restart, "RESTARTS", 1)
    M = np.random.default_rng(8).standard_normal((900, 800))
    given, s = scipy.sparse.csr_array(M), np.linalg.svd(M, compute_uv=False)
    result = accurate(given, 4)
    bounds = result.triple_bounds(given)
    lengths = np.linalg.norm(M.T @ result.U - result.Vh.T * result.s, axis=0)
    assert np.max(lengths) > 1e-3 * s[0]
    assert np.all(bounds.residuals >= lengths)
    assert np.all((bounds.lower <= s[:4]) & (s[:4] <= bounds.upper))


def test_short_indices_are_those_of_the_matrix():
    M = scipy.sparse.random_array((240, N), density=0.1, rng=np.random.default_rng(9), format="csr")
    long = scipy.sparse.csr_array((M.data, M.indices.astype(np.int64), M.indptr.astype(np.int64)), shape=M.shape)
    results = [accurate(given, 3) for given in (M, long)]
    assert results[0].s.tolist() == results[1].s.tolist()
    assert long.indices.dtype == np.int64
