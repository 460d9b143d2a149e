"""The tree of column choices: true on hostile matrices, exact where it is searched to its end."""

import math

import numpy as np
import pytest

import infimum
from infimum import lowrank
from infimum._arrays import working
from infimum.proof.theorems import column_subset, eckart_young
from tests.lowrank import exact
from tests.lowrank.hostile import matrices, with_spectrum


def wide(array):
    return array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)


@pytest.mark.parametrize("count", [96, pytest.param(7000, marks=pytest.mark.slow)])
def test_no_bound_is_false(count):
    rng = np.random.default_rng(1)
    for label, M in matrices(count, seed=21):
        rank = int(rng.integers(1, min(M.shape) + 1))
        scaled = working(wide(M))
        optimum = exact.best_columns(scaled.array, rank)
        bounds = [
            column_subset.search(M, rank, exponent=scaled.exponent, nodes=nodes).bound
            for nodes in (0, M.shape[1], 10, 10_000)
        ]
        assert max(bounds) <= optimum + 1e-13, (label, rank, bounds, optimum)
        result = lowrank.interpolative(M, rank, method="exact")
        assert math.ldexp(result.certificate.lower_bound, -scaled.exponent) <= optimum + 1e-13, (label, rank)
        assert optimum <= math.ldexp(result.certificate.value, -scaled.exponent) + 1e-13, (label, rank)
        infimum.verify(result, M)


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize(("m", "n", "rank"), [(14, 10, 3), (8, 12, 4), (6, 6, 5), (9, 9, 1)])
def test_exact_is_the_optimum_with_no_gap(m, n, rank, complex_):
    rng = np.random.default_rng(m * n)
    for _ in range(5):
        M = with_spectrum(rng, m, n, 0.8 ** np.arange(min(m, n)))
        M = M + 1j * with_spectrum(rng, m, n, 0.8 ** np.arange(min(m, n))) if complex_ else M
        certificate = lowrank.interpolative(M, rank, method="exact").certificate
        assert certificate.theorem == "column_subset"
        assert certificate.value == pytest.approx(exact.best_columns(M, rank), rel=1e-12)
        assert certificate.gap <= 1e-10 * certificate.value


def test_more_nodes_never_weaken_the_bound():
    M = with_spectrum(np.random.default_rng(5), 20, 16, 1.0 / np.arange(1, 17))
    exponent = working(M).exponent
    tail = eckart_young.tail_bound(working(M), 5)
    bounds = [
        column_subset.search(M, 5, exponent=exponent, nodes=nodes).bound for nodes in (0, 16, 50, 200, 1000, 9999)
    ]
    assert bounds == sorted(bounds)
    assert bounds[0] == pytest.approx(tail, rel=1e-9)
    assert bounds[1] > tail * 1.01


def test_one_column_is_exact_at_one_level():
    M = np.random.default_rng(6).standard_normal((9, 7))
    certificate = lowrank.interpolative(M, 1).certificate
    assert certificate.witness == {"nodes": 7}
    assert certificate.gap <= 1e-11 * certificate.value


def test_copies_of_columns_do_not_loosen_the_bound():
    M = np.random.default_rng(7).standard_normal((8, 6))
    copies = np.concatenate([M, -M, 4 * M, np.zeros((8, 2))], axis=1)
    certificate = lowrank.interpolative(copies, 3, method="exact").certificate
    assert certificate.gap <= 1e-10 * certificate.value


def test_a_tiny_column_keeps_its_direction():
    """Exactly, columns 1 and 2 span the plane, however tiny the second: no bound may say otherwise."""
    for tiny in (1e-20, 1e-200, 1e-300):
        M = np.array([[1.0, 0.0, 1.0], [0.0, tiny, 1.0]])
        result = lowrank.interpolative(M, 2, method="exact")
        assert result.certificate.lower_bound == 0.0
        assert result.certificate.value <= 1e-14


def test_tolerance_is_met_by_the_least_rank():
    M = with_spectrum(np.random.default_rng(8), 12, 9, 0.5 ** np.arange(9))
    goal = 0.1 * np.linalg.norm(M)
    result = lowrank.interpolative(M, tol=0.1, method="exact")
    assert result.certificate.value <= goal < exact.best_columns(M, result.rank - 1)
