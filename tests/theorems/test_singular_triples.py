"""Singular triples: values between their bounds on hostile matrices, residuals and angles, and what is asked."""

import dataclasses
import math

import numpy as np
import pytest
import scipy.sparse
import torch

import infimum
from infimum import errors, lowrank
from infimum.proof.operators.dense import Dense
from infimum.proof.operators.inputs import as_operator
from infimum.proof.theorems import ritz_block, singular_triples
from infimum.proof.theorems.singular_triples import triple_bounds, values_between
from tests.lowrank.exact import at_least, at_most, squared_tails
from tests.lowrank.hostile import matrices, orthogonal

METHODS = ("exact", "gram", "krylov", "randomized")


def known(m, n, s, seed=0):
    rng = np.random.default_rng(seed)
    U, V = orthogonal(rng, m, s.size), orthogonal(rng, n, s.size)
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


@pytest.mark.parametrize("center", [False, True])
def test_what_are_no_triples_are_refused_and_long_vectors_round_more(center):
    M = known(12, 9, 0.5 ** np.arange(9))[0]
    result = lowrank.svd(M, 3, center=center)
    forged = [{"s": result.s * np.nan}, {"s": result.s[::-1].copy()}, {"s": result.s * np.inf}, {"s": -result.s}]
    forged += [{"U": result.U[:, :2]}, {"Vh": result.Vh + 0j}, {"U": result.U * np.inf}, {"Vh": result.Vh[:2]}]
    for fields in forged:
        with pytest.raises(errors.VerificationError):
            dataclasses.replace(result, **fields).triple_bounds(M)
    whole, less = M.astype(np.longdouble), M - center * M.astype(np.longdouble).mean(axis=0)
    assert whole.shape == less.shape
    for length in (1e5, 1e150, 1e300):
        U, Vh = result.U * length, result.Vh * length
        bounds = dataclasses.replace(result, U=U, Vh=Vh).triple_bounds(M)
        with np.errstate(over="ignore"):
            residual = np.hypot(
                np.linalg.norm((less @ Vh.T - U * result.s.astype(np.longdouble)).astype(np.float64) / length, axis=0),
                np.linalg.norm(
                    (less.T @ U - Vh.T * result.s.astype(np.longdouble)).astype(np.float64) / length, axis=0
                ),
            )
            assert np.all(bounds.residuals / length >= residual)
        assert bounds.sines.tolist() == [1.0, 1.0, 1.0]


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


def coarse(M, eps=1e-6):
    """The matrix in an arithmetic of so wide a spacing that every allowance shows."""
    operator = as_operator(M, "M")
    operator.eps = eps
    return operator


S = 0.6 ** np.arange(6)
WIDE = known(6, 9, S)[0]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("make", [np.asarray, scipy.sparse.csr_array])
def test_computed_values_less_and_plus_their_allowance(turned, make):
    operator = coarse(make(WIDE.T if turned else WIDE))
    allowance = (200.0 + 16.0 * 3.0) * 1e-6 * S[0]
    for count in (1, 4, 6, 8):
        lower, upper = values_between(operator, count, "eckart_young", {})
        values = np.append(S, [0.0, 0.0])[:count]
        present = np.arange(count) < 6
        assert lower == pytest.approx(np.where(present, np.maximum(values - allowance, 0.0), 0.0), rel=1e-9, abs=1e-14)
        assert upper == pytest.approx(np.where(present, values + allowance, 0.0), rel=1e-9, abs=1e-14)
    # no allowance makes a bound negative
    low = values_between(coarse(make(WIDE), 1e-3), 6, "eckart_young", {})[0]
    assert low[0] == pytest.approx(1.0 - 0.248, rel=1e-9)
    assert low[-1] == 0.0


def block_and_witness(width=4):
    operator = coarse(known(9, 6, S)[0], 1e-9)
    basis = np.linalg.qr(np.random.default_rng(3).standard_normal((6, width)))[0]
    return operator, ritz_block.measure(operator, basis), {"basis": basis}


def test_values_of_a_block_less_their_allowance():
    operator, block, witness = block_and_witness()
    lower, upper = values_between(operator, 3, "ritz_block", witness)
    inside = np.linalg.svd(operator.array @ witness["basis"], compute_uv=False)
    product = 9 * (3.0 + 2.0) * 1e-9 * np.linalg.norm(S)
    solver = (200.0 + 16.0 * 3.0) * 1e-9 * np.linalg.norm(inside)
    assert lower == pytest.approx(inside[:3] - product - solver, rel=1e-12)
    assert upper == pytest.approx(np.sqrt(singular_triples._upper_squares(operator, block, None, 3)), rel=1e-12)
    assert np.all(lower <= S[:3])
    assert np.all(S[:3] <= upper)
    # the other side of the matrix, and more values than the block holds
    other = values_between(operator.adjoint(), 6, "ritz_block", witness)
    assert other[0][:3] == pytest.approx(lower, rel=1e-12)
    assert other[0][4:].tolist() == [0.0, 0.0]
    assert np.all(other[1] >= S)


def upper_by_definition(operator, block, mu, count, eps):
    """Least of the bounds by the values of tau that are tried, each written out again."""
    left = max(operator.energy - float(np.sum(block.theta)), 0.0)
    order = len(block.theta)
    solver = math.sqrt(order) * (200.0 + 16.0 * math.sqrt(order)) * eps

    def rounding(values):
        return solver * float(np.linalg.norm(values))

    products = (8.0 + 1.5 * math.sqrt(order)) * max(operator.shape) * eps * operator.energy
    outside = left + products + rounding(block.theta) if mu is None else mu
    defect = products + block.dropped
    least = max(outside * 1e-3, defect, 1e-300)
    lengths = float(np.trace(block.residual_gram))
    taus = [outside + least, outside + 30 * least, outside + 1000 * least]
    taus += [float(v) for v in block.theta[: count + 1] if v > outside + least]
    found = np.full(count, math.inf)
    for tau in taus:
        values = np.linalg.eigvalsh(np.diag(block.theta) + 1.01 * block.residual_gram / (tau - outside))
        hidden = operator.shape[1] * eps * math.sqrt(order) * lengths / (tau - outside)
        hidden += 101.0 * defect**2 / (tau - outside) + rounding(values)
        whole = sorted([*(values + hidden), *[tau] * min(operator.shape[1] - order, count)], reverse=True)
        found = np.minimum(found, np.append(whole, np.zeros(count))[:count] + products)
    return found


@pytest.mark.parametrize("dropped", [0.0, 1e-4, 0.3])
@pytest.mark.parametrize("mu", [None, 0.0, 0.02, 0.2])
@pytest.mark.parametrize("count", [1, 3, 5, 6])
def test_upper_bounds_have_the_size_on_the_page(dropped, mu, count):
    operator, block, _ = block_and_witness()
    block = dataclasses.replace(block, dropped=dropped)
    for eps in (1e-9, 1e-6, 1e-4):
        operator.eps = eps
        found = singular_triples._upper_squares(operator, block, mu, count)
        assert found == pytest.approx(upper_by_definition(operator, block, mu, count, eps), rel=1e-9)


def test_a_block_of_all_dimensions_leaves_no_tau():
    operator = Dense(known(9, 6, S)[0])
    block = ritz_block.measure(operator, np.eye(6))
    found = singular_triples._upper_squares(operator, block, None, 8)
    assert found[:6] == pytest.approx(S**2, rel=1e-6)
    assert found[6:].max() < 1e-10


def test_values_of_tau_that_are_tried():
    tau = singular_triples._choices_of_tau
    theta = 2.0 ** -np.arange(40.0)
    least = 1e-3 * 0.25
    assert tau(theta, 0.25, 3, 0.0)[:3] == [0.25 + least * step for step in (1.0, 30.0, 1000.0)]
    assert tau(theta, 0.25, 3, 0.0)[3:] == [1.0, 0.5]  # those above alone
    assert tau(theta, 0.0, 1, 0.0)[3:] == [1.0, 0.5]  # one more than is asked for
    assert tau(theta, 0.0, 0, 0.0)[3:] == [1.0]
    assert tau(theta, 0.0, 2, 0.0)[:3] == [1e-300, 3e-299, 1e-297]
    assert tau(theta, 0.0, 2, 0.125)[:3] == [0.125, 3.75, 125.0]
    assert tau(theta, 0.0, 39, 0.125)[3:] == [1.0, 0.5, 0.25]
    many = tau(theta, 0.0, 39, 0.0)[3:]
    assert len(many) == 12
    assert many == [theta[int(i)] for i in np.linspace(0, 39, 12)]
    assert tau(theta[:0], 0.0, 2, 0.0)[3:] == []


def test_residuals_and_angles_have_the_size_on_the_page():
    """With a wide spacing and a matrix that is off, each number is what the page says."""
    operator = coarse(known(9, 6, S)[0], 1e-7)
    rng = np.random.default_rng(5)
    U, V = (np.linalg.qr(rng.standard_normal((n, 3)))[0] for n in (9, 6))
    U = known(9, 6, S)[1][:, :3] + 1e-4 * U
    V = known(9, 6, S)[2][:, :3] + 1e-4 * V
    s = S[:3] * 1.0001
    between = np.array([0.99, 0.59, 0.35, 0.2]), np.array([1.01, 0.61, 0.37, 0.22])
    for error in (0.0, 1e-3):
        found = triple_bounds(operator, U, s, V, between, 0.5, error)
        ours, theirs = operator.array @ V - U * s, operator.array.T @ U - V * s
        lengths = np.hypot(np.linalg.norm(ours, axis=0), np.linalg.norm(theirs, axis=0))
        doubt = (9 + 8) * 1e-7 * (np.linalg.norm(S) + s) + error
        residuals = lengths * (1.0 + 15 * 1e-7) + 2.0 * doubt
        lower, upper = between[0] - error, between[1] + error
        defect = max(np.linalg.norm(X.T @ X - np.eye(3)) for X in (U, V)) + 13 * 1e-7
        gaps = np.minimum(np.minimum([math.inf, lower[0] - s[1], lower[1] - s[2]], s - upper[1:]), s)
        assert found.residuals == pytest.approx(residuals, rel=1e-11)
        assert found.sines == pytest.approx(np.minimum(residuals / gaps / (1.0 - defect), 1.0), rel=1e-11)
        gap = min(s[2] - upper[3], s[2]) * (1.0 - defect)
        assert found.subspace_sine == pytest.approx(np.linalg.norm(residuals) / gap, rel=1e-11)
        assert found.lower == pytest.approx(lower[:3], rel=1e-12)
        assert found.upper == pytest.approx(upper[:3], rel=1e-12)
        assert found.confidence == 0.5


@pytest.mark.parametrize("stretch", [1.003, 1.004])
@pytest.mark.parametrize("side", [0, 1])
def test_of_what_is_far_from_orthonormal_nothing_is_said(stretch, side):
    """A defect of 1 % is the limit, on either side."""
    operator = Dense(known(9, 6, S)[0])
    U, V = (part[:, :2].copy() for part in known(9, 6, S)[1:])
    (U, V)[side][:] *= stretch
    between = values_between(operator, 3, "eckart_young", {})
    found = triple_bounds(operator, U, S[:2], V, between, 1.0)
    told = math.sqrt(2.0) * (stretch**2 - 1.0) < 1e-2
    assert told == (stretch == 1.003)
    assert (found.sines.max() < 1.0) == told
    assert (found.subspace_sine < math.sqrt(2.0)) == told


def test_gaps_that_are_closed_tell_nothing():
    operator = Dense(known(9, 6, S)[0])
    U, V = (part[:, :3] for part in known(9, 6, S)[1:])
    s, lower, upper = S[:3], S[:4] - 1e-9, S[:4] + 1e-9
    for ahead, behind, told in (
        (lower, upper, [True, True, True]),
        (lower, np.array([1.0, 0.7, 0.4, 0.3]), [True, True, True]),
        (lower, np.array([1.0, 1.0, 0.4, 0.3]), [False, True, True]),  # its neighbour may be as large
        (np.array([0.6, 0.5, 0.3, 0.1]), upper, [True, False, True]),  # the one ahead may be as small
        (lower, np.array([1.0, 0.7, 0.4, 0.4]), [True, True, False]),
    ):
        found = triple_bounds(operator, U, s, V, (ahead, behind), 1.0)
        assert (found.sines < 1.0).tolist() == told
        assert (found.subspace_sine < math.sqrt(3.0)) == (behind[3] < s[2])
    # the other half of the spectrum, at minus s, is as near as s itself
    far = np.array([1.0, 0.6, 0.36, -3.0])
    alone = triple_bounds(operator, U[:, :1], s[:1], V[:, :1], (far[[0, 3]], far[[0, 3]]), 1.0)
    assert alone.sines[0] == pytest.approx(alone.residuals[0], rel=1e-9, abs=0.0)
    assert alone.subspace_sine == pytest.approx(alone.residuals[0], rel=1e-9, abs=0.0)
    three = triple_bounds(operator, U, s, V, (far, far), 1.0)
    assert three.subspace_sine == pytest.approx(np.linalg.norm(three.residuals) / 0.36, rel=1e-9, abs=0.0)
    nothing = triple_bounds(operator, U, 0.0 * s, V, (lower, upper), 1.0)
    assert nothing.sines.tolist() == [1.0, 1.0, 1.0]
    assert nothing.subspace_sine == math.sqrt(3.0)


def test_the_limit_of_a_defect_is_none_itself(monkeypatch):
    operator = Dense(known(9, 6, S)[0])
    U, V = (part[:, :2] for part in known(9, 6, S)[1:])
    defect = max(singular_triples._defect(part) for part in (U, V)) + (9 + 4) * operator.eps
    between = values_between(operator, 3, "eckart_young", {})
    for limit, told in ((defect, False), (math.nextafter(defect, 1.0), True)):
        monkeypatch.setattr(singular_triples, "DEFECT", limit)
        found = triple_bounds(operator, U, S[:2], V, between, 1.0)
        assert bool(found.sines.max() < 1.0) == told


def test_an_error_larger_than_a_value_leaves_no_bound_from_below():
    operator = Dense(known(9, 6, S)[0])
    U, V = (part[:, :3] for part in known(9, 6, S)[1:])
    found = triple_bounds(operator, U, S[:3], V, (S[:4], S[:4]), 1.0, error=0.5)
    assert found.lower == pytest.approx([0.5, 0.1, 0.0], rel=1e-12)
    assert found.lower[2] == 0.0
