"""Singular triples: values between their bounds on hostile matrices, residuals and angles, and what is asked."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse
import torch

import infimum
from infimum import errors, lowrank
from infimum.proof.operators.dense import Dense
from infimum.proof.theorems import singular_triples
from infimum.proof.theorems.singular_triples import triple_bounds, values_between
from tests.lowrank.exact import at_least, at_most, squared_tails
from tests.lowrank.hostile import matrices, orthogonal

METHODS = ("exact", "gram", "krylov", "randomized")


def known(m, n, s, seed=0):
    rng = np.random.default_rng(seed)
    U, V = orthogonal(rng, m)[:, : s.size], orthogonal(rng, n)[:, : s.size]
    return U * s @ V.T, U, V


@pytest.mark.parametrize("count", [72, pytest.param(10_000, marks=pytest.mark.slow)])
def test_no_bound_on_a_value_is_false(count):
    rng = np.random.default_rng(1)
    for number, (label, M) in enumerate(matrices(count, seed=71)):
        rank = int(rng.integers(1, min(M.shape) + 1))
        try:
            result = lowrank.svd(M, rank, method=METHODS[number % 4], rng=3)
        except errors.RangeError:
            continue
        bounds, tails = result.triple_bounds(M), squared_tails(M)
        for i in range(rank):
            square = tails[i] - tails[i + 1]
            assert at_most(float(bounds.lower[i]), square), (label, i)
            assert at_least(float(bounds.upper[i]), square), (label, i)
        assert np.all(bounds.residuals >= 0.0)
        assert np.all((bounds.sines >= 0.0) & (bounds.sines <= 1.0))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(90, 60), (60, 90)])
@pytest.mark.parametrize("gap", [1e-2, 1e-9])
def test_angles_are_at_most_what_is_said(method, shape, gap):
    s = 0.8 ** np.arange(60)
    M, U, V = known(shape[0], shape[1], s)
    result = lowrank.svd(M, 6, method=method, gap_target=gap, rng=0)
    bounds = result.triple_bounds(M)
    for i in range(6):
        for vector, true in ((result.U[:, i], U[:, i]), (result.Vh[i], V[:, i])):
            sine = np.linalg.norm(vector - true * (true @ vector))
            assert sine <= bounds.sines[i] + 1e-14
    for span, true in ((result.U, U[:, :6]), (result.Vh.T, V[:, :6])):
        assert np.linalg.norm(span - true @ (true.T @ span)) <= bounds.subspace_sine + 1e-13
    residual = np.hypot(
        np.linalg.norm(M @ result.Vh.T - result.U * result.s, axis=0),
        np.linalg.norm(M.T @ result.U - result.Vh.T * result.s, axis=0),
    )
    assert np.all(residual <= bounds.residuals)
    assert np.all(bounds.lower <= s[:6] * (1 + 1e-14))
    assert np.all(bounds.upper >= s[:6] * (1 - 1e-14))
    if method == "exact":
        assert bounds.sines.max() < 1e-10
        assert (bounds.upper - bounds.lower).max() < 1e-11


def test_triples_are_as_accurate_as_is_asked():
    M, _, V = known(800, 700, 1.0 / np.arange(1, 701) ** 0.5)
    plain = lowrank.svd(M, 8, rng=0, method="krylov")
    asked = lowrank.svd(M, 8, rng=0, method="krylov", accuracy="triples", gap_target=1e-9)
    sines = [np.linalg.norm(r.Vh[7] - V[:, 7] * (V[:, 7] @ r.Vh[7])) for r in (plain, asked)]
    assert sines[1] < 1e-6 < sines[0]
    assert asked.triple_bounds(M).sines.max() < 1e-5
    assert asked.triple_bounds(M).residuals.max() < 1e-8
    infimum.verify(asked, M)
    small = lowrank.svd(M[:80, :60], 4, accuracy="triples", gap_target=1e-12)
    assert small.triple_bounds(M[:80, :60]).sines.max() < 1e-9
    with pytest.raises(errors.OptionError, match="accuracy"):
        lowrank.svd(M, 3, accuracy="best")


def test_equal_singular_values_have_no_vectors_of_their_own():
    M, _, _ = known(30, 20, np.array([3.0, 2.0, 2.0, 1.0]))
    bounds = lowrank.svd(M, 3, method="exact").triple_bounds(M)
    assert bounds.sines[0] < 1e-11
    assert bounds.sines[1:].tolist() == [1.0, 1.0]
    assert bounds.subspace_sine < 1e-10  # as a space the three have a gap
    cut = lowrank.svd(M, 2, method="exact").triple_bounds(M)
    assert cut.subspace_sine == np.sqrt(2.0)


def test_forms_of_the_input():
    M, _, _ = known(40, 30, 0.7 ** np.arange(30))
    expected = lowrank.svd(M, 4, method="exact").triple_bounds(M)
    for given in (scipy.sparse.csr_array(M), torch.asarray(M), scipy.sparse.linalg.aslinearoperator(M)):
        result = lowrank.svd(given, 4, method="exact")
        np.testing.assert_allclose(result.triple_bounds(given).upper, expected.upper, rtol=1e-9)
    centred = lowrank.svd(M + 3.0, 4, center=True)
    s = np.linalg.svd(M - M.mean(axis=0), compute_uv=False)
    bounds = centred.triple_bounds(M + 3.0)
    assert np.all((bounds.lower <= s[:4] * (1 + 1e-13)) & (s[:4] * (1 - 1e-13) <= bounds.upper))
    assert "TripleBounds" in repr(bounds)
    with pytest.raises(errors.ShapeError, match="was expected"):
        centred.triple_bounds(M.T)


def test_a_forged_answer_gets_what_it_is_worth():
    M, _, V = known(40, 30, 0.7 ** np.arange(30))
    result = lowrank.svd(M, 3, method="krylov", rng=0)
    turned = result.Vh.copy()
    turned[0] = np.cos(0.3) * result.Vh[0] + np.sin(0.3) * V[:, 20]
    bounds = dataclasses.replace(result, Vh=turned).triple_bounds(M)
    assert bounds.sines[0] >= np.sin(0.3) - 1e-6
    skew = dataclasses.replace(result, Vh=result.Vh * 1.5).triple_bounds(M)
    assert skew.sines.tolist() == [1.0, 1.0, 1.0]
    assert skew.subspace_sine == np.sqrt(3.0)
    certificate = dataclasses.replace(result.certificate, theorem="column_subset")
    with pytest.raises(errors.VerificationError, match="column_subset"):
        dataclasses.replace(result, certificate=certificate).triple_bounds(M)


def test_an_error_of_the_matrix_widens_everything():
    M, U, V = known(12, 9, 0.5 ** np.arange(9))
    operator, s = Dense(M), 0.5 ** np.arange(3)
    scale = 2.0**-operator.exponent
    between = values_between(operator, 4, "eckart_young", {})
    exact = triple_bounds(operator, U[:, :3], s * scale, V[:, :3], between, 1.0)
    moved = triple_bounds(operator, U[:, :3], s * scale, V[:, :3], between, 1.0, error=1e-3)
    assert np.all(exact.lower - moved.lower >= 1e-3 - 1e-12)
    assert np.all(moved.upper - exact.upper >= 1e-3 - 1e-12)
    assert np.all(moved.residuals - exact.residuals >= 2e-3 - 1e-12)
    assert np.all(moved.sines > exact.sines)
    assert singular_triples.THEOREM == "singular_triples"
