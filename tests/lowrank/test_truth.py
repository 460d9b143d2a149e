"""No certificate is false: every bound and every value against multi-precision references, on hostile matrices."""

import math

import numpy as np
import pytest

import infimum
from infimum import lowrank
from infimum._arrays import times_power_of_two
from infimum.proof.operators.dense import Dense
from infimum.proof.theorems.ritz_block import spectral_norm_bound
from tests.lowrank import exact
from tests.lowrank.exact import wide
from tests.lowrank.hostile import matrices

COUNTS = [pytest.param(120, id="120"), pytest.param(10_000, id="10000", marks=pytest.mark.slow)]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("method", ["exact", "gram", "krylov", "randomized"])
def test_svd(count, method):
    rng = np.random.default_rng(1)
    for label, M in matrices(count, seed=11):
        rank = int(rng.integers(1, min(M.shape) + 1))
        result = lowrank.svd(M, rank, method=method, rng=2)
        certificate = result.certificate
        loss = exact.squared_loss(M, (wide(result.U), np.diag(wide(result.s)), wide(result.Vh)))
        assert exact.at_most(certificate.lower_bound, exact.squared_tails(M)[rank]), (label, rank, certificate)
        assert exact.at_least(certificate.value, loss), (label, rank, certificate)
        infimum.verify(result, M)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize(
    "method", ["auto", "exact", "pivoted_qr", "greedy", "osinsky", "strong_rrqr", "lupp", "column_sampling"]
)
def test_interpolative(count, method):
    rng = np.random.default_rng(1)
    for label, M in matrices(count, seed=12):
        rank = int(rng.integers(1, min(M.shape) + 1))
        result = lowrank.interpolative(M, rank, method=method, rng=2)
        certificate = result.certificate
        loss = exact.squared_loss(M, (wide(M[:, result.columns]), wide(result.coefficients)))
        assert certificate.theorem == "column_subset"
        assert exact.at_least(certificate.value, loss), (label, rank, certificate)
        # brute force over all choices, at ordinary scale
        exponent = math.frexp(float(np.max(np.abs(M))))[1]
        optimum = exact.best_columns(times_power_of_two(wide(M), -exponent), rank)
        assert math.ldexp(certificate.lower_bound, -exponent) <= optimum + 1e-13, (label, rank, certificate, optimum)
        assert optimum <= math.ldexp(certificate.value, -exponent) + 1e-13, (label, rank, certificate, optimum)
        infimum.verify(result, M)


@pytest.mark.parametrize("count", COUNTS)
def test_pinv(count):
    rng = np.random.default_rng(1)
    for label, A in matrices(count, seed=13):
        try:
            result = lowrank.pinv(A, rtol=10.0 ** -rng.uniform(1, 12))
        except infimum.errors.RangeError:  # the inverse of a subnormal matrix overflows
            assert label.startswith(("subnormal", "mixed")) or "float16" in label, label
            continue
        certificate = result.certificate
        loss = exact.squared_loss(np.eye(A.shape[0]), (wide(A), wide(result.matrix)))
        assert exact.at_least(certificate.value, loss), (label, certificate)
        optimum = exact.best_squared_loss_within(A, result.matrix)
        assert exact.at_most(certificate.lower_bound, optimum), (label, certificate, optimum)
        infimum.verify(result, A)


def test_confidence_of_probable_bounds():
    """A probable bound on a slowly decaying spectrum is true and nearly tight, where the sure one is loose."""
    rng = np.random.default_rng(3)
    spectrum = np.arange(1, 301) ** -0.5
    M = np.linalg.qr(rng.standard_normal((400, 300)))[0] * spectrum @ np.linalg.qr(rng.standard_normal((300, 300)))[0]
    true = float(np.linalg.norm(spectrum[20:]))
    for seed in range(10):
        certificate = lowrank.svd(M, 20, method="randomized", rng=seed).certificate
        assert certificate.rigour == "probable"
        assert certificate.confidence == 1 - 1e-6
        assert certificate.lower_bound <= true <= certificate.value
        assert certificate.ratio < 1.05


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_spectral_norm_fails_with_probability_delta(dtype):
    """Where one direction holds everything the bound is the norm times a quantile: it fails as often as delta says."""
    M = Dense(np.diag([1.0, 0.0, 0.0]).astype(dtype))
    nothing, delta, draws = np.zeros((3, 0), dtype=dtype), 0.1, 2000
    bounds = (spectral_norm_bound(M, nothing, np.random.default_rng(seed), delta) for seed in range(draws))
    failures = sum(bound < M.energy for bound in bounds)
    assert abs(failures - delta * draws) < 4.0 * math.sqrt(draws * delta * (1.0 - delta))


@pytest.mark.slow
def test_probable_bounds_fail_no_more_often_than_delta():
    """Spectra with a flat end and a loose delta, so that the bound rests on the draw and may fail at all."""
    delta, runs, failures, probable = 0.1, 3000, 0, 0
    rng = np.random.default_rng(4)
    for seed in range(runs):
        spectrum = np.concatenate([rng.uniform(1.5, 3.0, 4), rng.uniform(0.5, 1.0, 56)])
        M = np.linalg.qr(rng.standard_normal((70, 60)))[0] * spectrum @ np.linalg.qr(rng.standard_normal((60, 60)))[0]
        certificate = lowrank.svd(M, 4, method="randomized", delta=delta, rng=seed).certificate
        probable += certificate.rigour == "probable"
        failures += certificate.lower_bound > np.linalg.norm(np.sort(spectrum)[:-4]) * (1 + 1e-12)
    print(f"{probable} of {runs} probable, {failures} false")
    assert probable > runs / 2
    assert failures <= delta * probable
