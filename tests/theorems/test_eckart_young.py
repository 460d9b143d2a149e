"""Eckart-Young: the tail against multi-precision references, and the size of every allowance against the page."""

import math

import numpy as np
import pytest

from infimum._arrays import working
from infimum._linalg import longest_sum
from infimum.proof.operators.dense import Dense
from infimum.proof.rounding import DEFLATION, REDUCTION, energy_allowance, rounding_allowance, tails
from infimum.proof.theorems import eckart_young
from tests.lowrank import exact
from tests.lowrank.hostile import matrices, with_spectrum

EPS = float(np.finfo(float).eps)


@pytest.mark.parametrize("room", [1.0, 3.0])
def test_true_on_hostile_matrices(room):
    for label, M in matrices(72, seed=31):
        scaled = working(M.astype(np.complex128 if np.iscomplexobj(M) else np.float64))
        operator = Dense(M)
        squares = exact.squared_tails(scaled.array)
        for rank in range(min(M.shape) + 1):
            assert exact.at_most(eckart_young.tail_bound(scaled, rank, room=room), squares[rank]), (label, rank)
            assert exact.at_most(eckart_young.gram_tail_bound(operator, rank, room=room), squares[rank]), (label, rank)


def test_constants_are_those_of_the_page():
    assert (DEFLATION, REDUCTION) == (200.0, 16.0)
    assert rounding_allowance((9, 4), EPS, 3.0) == pytest.approx((200.0 + 16.0 * 3.0) * EPS * 3.0, rel=1e-12)
    assert rounding_allowance((4, 25), 1.0, 1.0) == 280.0
    assert energy_allowance((9, 4), EPS, 4, 2.0) == pytest.approx((8.0 + 2.0) * 9 * EPS * 2.0, rel=1e-12)
    assert energy_allowance((4, 25), 1.0, 9, 1.0) == 275.0
    assert tails(np.array([3.0, 4.0, 12.0])).tolist() == [13.0, math.sqrt(160.0), 12.0, 0.0]


def test_a_tight_cluster_moves_by_more_than_a_tenth_of_the_allowance():
    """Values off by 43 spacings were seen: values so far off must still give a true bound; 20 + 1.6 sqrt(n) would not.

    They are handed in as a backward stable solver may return them: those of M + E with norm(E, 2) of 43 eps.
    """
    s = np.ones(40)
    M = working(np.diag(s))
    computed = np.linalg.svd(M.array, compute_uv=False) * (1.0 + 43.0 * EPS)
    true = float(np.linalg.norm(np.diagonal(M.array)[5:]))
    assert float(tails(computed)[5]) - (20.0 + 1.6 * 40**0.5) * EPS * float(computed[0]) * 35**0.5 > true
    assert eckart_young.tail_bound(M, 5, computed) <= true


def test_the_allowance_is_taken_off_as_often_as_room_says():
    """With a coarse spacing the allowance is large, and seen to many digits."""
    rng = np.random.default_rng(0)
    values = np.concatenate([np.ones(8), 0.9 ** np.arange(1, 13)])
    M = working(with_spectrum(rng, 30, 20, values))._replace(eps=1e-6)
    for rank in (0, 3, 12, 19):
        tail = float(tails(values)[rank])
        magnitude = min(float(np.linalg.norm(values)), (20 - rank) ** 0.5)
        for shape in (None, (500, 20)):
            allowance = (200.0 + 16.0 * max(shape or (30, 20)) ** 0.5) * 1e-6 * magnitude
            for room in (1.0, 3.0):
                bound = eckart_young.tail_bound(M, rank, values, shape, room)
                assert tail - bound == pytest.approx(room * allowance, rel=1e-9, abs=0.0)
            assert eckart_young.tail_bound(M, rank, values, shape) == eckart_young.tail_bound(
                M, rank, values, shape, 1.0
            )


def test_the_allowance_of_the_gram_matrix():
    rng = np.random.default_rng(1)
    for shape in ((30, 20), (20, 30)):
        M = Dense(with_spectrum(rng, *shape, 0.9 ** np.arange(20)))
        small = M if shape[1] == 20 else M.adjoint()
        values = np.linalg.eigvalsh(small.gram())
        for rank in (1, 5, 16):
            solver = rounding_allowance(M.shape, M.eps, float(np.linalg.norm(values))) * rank**0.5
            allowance = energy_allowance((longest_sum(30), 20), M.eps, rank, M.energy) + solver
            for room in (1.0, 3.0):
                squared = eckart_young.gram_tail_bound(M, rank, room=room) ** 2
                assert M.energy - np.sum(values[-rank:]) - squared == pytest.approx(room * allowance, rel=2e-2, abs=0.0)
                again = eckart_young.gram_tail_bound(M, rank, values, room)
                assert again == pytest.approx(math.sqrt(squared), rel=1e-10)
            assert eckart_young.gram_tail_bound(M, rank) == eckart_young.gram_tail_bound(M, rank, room=1.0)


def test_ends_of_the_range():
    M = working(np.diag([3.0, 2.0]))
    assert eckart_young.tail_bound(M, 2) == eckart_young.tail_bound(M, 7) == 0.0
    assert eckart_young.tail_bound(working(np.zeros((3, 2))), 1) == 0.0
    assert eckart_young.gram_tail_bound(Dense(np.zeros((3, 2))), 1) == 0.0
    assert eckart_young.THEOREM == "eckart_young"
