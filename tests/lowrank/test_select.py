"""Every strategy: distinct columns, both axes, every dtype, sketches of large matrices, and what each is known for."""

import itertools

import array_api_strict
import numpy as np
import pytest
import torch

import infimum
from infimum import errors, lowrank
from infimum.lowrank.columns.greedy import improved
from infimum.lowrank.columns.pivoting import coefficients
from infimum.lowrank.columns.reduction import Reduction, among, reduction, sketched, whole
from infimum.lowrank.columns.skeleton import Skeleton
from infimum.lowrank.columns.strategies import STRATEGIES, by_error
from infimum.proof.operators.dense import Dense
from tests.lowrank.hostile import kahan, matrices, with_spectrum

NAMES = ["auto", *STRATEGIES]


def error(M, columns):
    Q = np.linalg.qr(M[:, columns])[0]
    return float(np.linalg.norm(M - Q @ (Q.conj().T @ M)))


@pytest.fixture(scope="module")
def decaying():
    return with_spectrum(np.random.default_rng(0), 60, 80, 1.0 / np.arange(1, 61))


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_distinct_columns_by_seed(decaying, name, complex_):
    M = decaying * (1 + np.arange(80) * 1j) / 80 if complex_ else decaying
    first, again = (lowrank.select_columns(M, 17, name, rng=3) for _ in range(2))
    assert first.dtype == np.int64
    assert len(set(first.tolist())) == 17
    assert np.array_equal(first, again)
    assert np.array_equal(lowrank.select_columns(M.T, 17, name, axis=0, rng=3), first)


@pytest.mark.parametrize("name", NAMES)
def test_hostile_matrices(name):
    for label, M in matrices(48, seed=5):
        for count in {1, (min(M.shape) + 1) // 2, min(M.shape)}:
            chosen = lowrank.select_columns(M, count, name, rng=0).tolist()
            assert len(set(chosen)) == count, label
            assert all(0 <= j < M.shape[1] for j in chosen), label


BLIND = {"norm", "norm_sampling", "uniform", "kmeans", "leverage", "leverage_sampling"}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in BLIND])
def test_better_than_uniform_on_average(name):
    """Whatever takes account of the columns already chosen beats draws, by the mean over several matrices."""
    rng = np.random.default_rng(1)
    ratios = []
    for _ in range(8):
        M = with_spectrum(rng, 40, 60, 0.8 ** np.arange(40)) * rng.uniform(0.2, 3.0, 60)
        blind = [error(M, rng.permutation(60)[:10]) for _ in range(20)]
        ratios.append(error(M, lowrank.select_columns(M, 10, name, rng=0)) / np.mean(blind))
    assert np.mean(ratios) < 0.95


def test_osinsky_keeps_its_promise():
    for label, M in matrices(96, seed=6):
        wide = Dense(M).array
        s = np.linalg.svd(wide, compute_uv=False)
        for count in range(1, min(M.shape) + 1):
            tail = np.linalg.norm(s[count:])
            found = error(wide, lowrank.select_columns(M, count, "osinsky"))
            assert found <= np.sqrt(count + 1) * tail + 1e-12, (label, count)


def test_deim_and_leverage_by_definition(decaying):
    V = np.linalg.svd(decaying, full_matrices=False)[2][:6].T
    scores = np.sum(V**2, axis=1)
    assert lowrank.select_columns(decaying, 6, "leverage").tolist() == np.argsort(-scores)[:6].tolist()
    chosen = lowrank.select_columns(decaying, 6, "deim").tolist()
    assert chosen[0] == np.argmax(np.abs(V[:, 0]))
    for k in range(1, 6):
        left = V[:, k] - V[:, :k] @ np.linalg.solve(V[chosen[:k], :k], V[chosen[:k], k])
        assert chosen[k] == np.argmax(np.abs(left))


def test_kmeans_finds_separate_groups():
    rng = np.random.default_rng(0)
    centres = 10 * rng.standard_normal((30, 4))
    groups = rng.integers(0, 4, 100)
    M = centres[:, groups] + 0.01 * rng.standard_normal((30, 100))
    assert sorted(groups[lowrank.select_columns(M, 4, "kmeans", rng=1)]) == [0, 1, 2, 3]


@pytest.mark.parametrize("complex_", [False, True])
def test_greedy_takes_the_least_total_error(decaying, complex_):
    M = decaying[:, :30] * (np.exp(1j * np.arange(30)) if complex_ else 1.0) + (1j * np.eye(60, 30) if complex_ else 0)
    chosen = lowrank.select_columns(M, 5, "greedy").tolist()
    for k in range(5):
        errors_ = [error(M, [*chosen[:k], j]) for j in range(30)]
        assert errors_[chosen[k]] <= min(errors_) * (1 + 1e-9)


def test_exchanges_end_where_no_single_one_helps(decaying):
    """The first candidate to be dropped is the one that serves least, so this is a local optimum of all exchanges."""
    M = decaying[:, :20]
    chosen = improved(whole(Dense(M)), np.arange(5), trials=1000).tolist()
    here = error(M, chosen)
    for i, j in itertools.product(range(5), set(range(20)) - set(chosen)):
        assert error(M, [*chosen[:i], *chosen[i + 1 :], j]) >= here * (1 - 1e-9)


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize("name", ["osinsky", "greedy", "auto"])
def test_columns_among_some_are_judged_by_what_they_leave_of_all(name, complex_):
    rng = np.random.default_rng(3)
    M = rng.standard_normal((20, 300)) * np.logspace(0, -2, 20)[:, None]
    M = M + 1j * rng.permutation(M, axis=1) if complex_ else M
    some = rng.choice(300, 30, replace=False)
    reduced = among(Reduction(M, np.zeros(300)), some)
    assert (reduced.free, reduced.fixed) == (30, 20)
    chosen = STRATEGIES[name](reduced, 6, rng) if name in STRATEGIES else by_error(reduced, 6, rng)
    assert len(set(chosen.tolist())) == 6
    assert np.max(chosen) < 30
    assert reduced.errors(chosen)[-1] == pytest.approx(error(M, some[chosen]), rel=1e-9)
    if name == "greedy":  # the first is the best of those that may be taken
        assert some[chosen[0]] == min(some, key=lambda j: error(M, [int(j)]))
    if name == "auto":  # as good as all columns that may be taken, one by one
        others = np.setdiff1d(np.arange(30), chosen)
        best = min(error(M, some[[*np.delete(chosen, i), j]]) for i in range(6) for j in others)
        assert best >= 0.97 * error(M, some[chosen])


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize("outside", [False, True])
def test_skeleton_after_exchanges_is_that_of_the_columns(complex_, outside):
    rng = np.random.default_rng(2)
    B = rng.standard_normal((12, 30)) + (1j * rng.standard_normal((12, 30)) if complex_ else 0)
    M = Reduction(B, rng.uniform(0, 1, 30) if outside else np.zeros(30))
    skeleton = Skeleton(M, np.arange(6))
    for _ in range(40):
        i, j = int(rng.integers(6)), int(rng.choice(np.setdiff1d(np.arange(30), skeleton.columns)))
        skeleton.exchange(i, j)
    fresh = Skeleton(M, skeleton.columns)
    for name in ("dual", "coefficients", "residual", "energy", "outside"):
        np.testing.assert_allclose(getattr(skeleton, name), getattr(fresh, name), atol=1e-9, err_msg=name)
    gram = B.conj().T @ B + np.diag(M.outside)
    chosen = skeleton.columns
    np.testing.assert_allclose(
        skeleton.coefficients, np.linalg.solve(gram[np.ix_(chosen, chosen)], gram[chosen]), atol=1e-9
    )


@pytest.mark.parametrize("n", [30, 90])
def test_strong_rrqr_on_kahan(n):
    """Pivoted QR takes the Kahan matrix as it comes; exchanges find the column that it must leave out."""
    M = kahan(n)
    strong = lowrank.select_columns(M, n - 1, "strong_rrqr")
    Z = np.linalg.lstsq(M[:, strong], M)[0]
    assert np.max(np.abs(Z)) <= 2.0 + 1e-6
    s = np.linalg.svd(M, compute_uv=False)
    smallest = np.linalg.svd(M[:, strong], compute_uv=False)[-1]
    assert smallest >= s[n - 2] / np.sqrt(1 + 4 * (n - 1))


@pytest.mark.parametrize("name", NAMES)
def test_large_matrices_are_sketched(name):
    M = with_spectrum(np.random.default_rng(3), 700, 650, 0.7 ** np.arange(650))
    scaled = Dense(M)
    reduced = reduction(scaled, 10, np.random.default_rng(0))
    assert reduced.matrix.shape == (70, 650)
    chosen = lowrank.select_columns(M, 10, name, rng=0)
    assert error(M, chosen) == pytest.approx(reduced.errors(chosen)[-1] * 2.0**scaled.exponent, rel=1e-2)


def test_reduction_keeps_lengths_and_estimates_errors():
    M = with_spectrum(np.random.default_rng(4), 300, 200, 1.0 / np.arange(1, 201))
    scaled = Dense(M)
    for reduced in (whole(scaled), sketched(scaled, 60, np.random.default_rng(0))):
        lengths = np.linalg.norm(reduced.matrix, axis=0) ** 2 + reduced.outside
        np.testing.assert_allclose(lengths, np.linalg.norm(scaled.array, axis=0) ** 2, rtol=1e-12)
        order = np.arange(20)
        estimates = [error(scaled.array, order[:k]) for k in range(21)]
        np.testing.assert_allclose(reduced.errors(order), estimates, rtol=0.05)


def test_coefficients_leave_dependent_columns_out():
    M = np.ones((3, 4))
    Z = coefficients(whole(Dense(M)), np.array([1, 3]))
    assert np.array_equal(np.sum(Z, axis=0), np.ones(4))
    assert np.count_nonzero(np.any(Z != 0, axis=1)) == 1


def test_library_and_device_are_kept():
    tensor = lowrank.select_columns(torch.eye(4), 2, "pivoted_qr")
    assert isinstance(tensor, torch.Tensor)
    M = array_api_strict.asarray(np.eye(4), device=array_api_strict.Device("device1"))
    assert lowrank.select_columns(M, 2).device == M.device


@pytest.mark.parametrize(
    ("call", "error_", "message"),
    [
        (lambda: lowrank.select_columns(np.eye(3), 2, "best"), errors.OptionError, "'qdeim'"),
        (lambda: lowrank.select_columns(np.eye(3), 4), errors.RankError, "from 1 to 3"),
        (lambda: lowrank.select_columns(np.eye(3), 2, axis=2), errors.OptionError, "axis"),
        (lambda: lowrank.select_columns(np.ones(3), 1), errors.ShapeError, "matrix"),
    ],
)
def test_bad_input(call, error_, message):
    with pytest.raises(error_, match=message):
        call()


def test_a_function_is_a_strategy(decaying):
    def last(matrix, count, rng):
        assert isinstance(matrix, np.ndarray)
        matrix[:] = 0.0  # a copy: what it is used for does no harm
        return list(range(matrix.shape[1] - count, matrix.shape[1]))

    assert lowrank.select_columns(decaying, 5, last).tolist() == [75, 76, 77, 78, 79]
    assert lowrank.select_columns(torch.asarray(decaying), 5, last).tolist() == [75, 76, 77, 78, 79]
    assert lowrank.select_columns(decaying, 5, last, axis=0).tolist() == [55, 56, 57, 58, 59]
    for result in (lowrank.interpolative(decaying, 5, method=last), lowrank.cur(decaying, 5, select=last)):
        assert result.columns.tolist() == [75, 76, 77, 78, 79]
        infimum.verify(result, decaying)
    assert lowrank.interpolative(decaying, tol=0.9, method=last).rank >= 1


@pytest.mark.parametrize("wrong", [[0, 1], [0, 0, 1], [0, 1, 80], [-1, 0, 1], [0.0, 1.0, 2.0], "abc", None])
def test_functions_that_return_something_else_are_told(decaying, wrong):
    with pytest.raises(errors.InfimumError, match=r"3 different indices|strategy returns"):
        lowrank.select_columns(decaying, 3, lambda matrix, count, rng: wrong)


def test_projections_are_as_good_as_pivoted_qr_on_average():
    """They see the same pivots but for what ten more combinations than columns leave to chance."""
    rng = np.random.default_rng(6)
    M = with_spectrum(rng, 200, 120, 0.8 ** np.arange(120))
    reference = error(M, lowrank.select_columns(M, 20, "pivoted_qr"))
    for name in ("gaussian_projection", "sparse_sign_projection", "cosine_projection"):
        errors_ = [error(M, lowrank.select_columns(M, 20, name, rng=seed)) for seed in range(5)]
        assert np.median(errors_) < 1.5 * reference
