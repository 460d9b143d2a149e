"""Factors of few bits: what they stand for, and that rounding one makes up for rounding the other."""

import numpy as np
import pytest

pytest.importorskip("torch")

from infimum.compress.menu.alternatives import Alternative
from infimum.compress.menu.grid_loops import Shape
from infimum.compress.menu.ranks import Weighting, decompose
from infimum.compress.menu.rounded_factors import balanced, round_factors
from infimum.compress.menu.rounding import Factors, factors
from infimum.nn.packed import packed_width


def case(seed: int, m: int = 24, n: int = 32) -> tuple[np.ndarray, Weighting]:
    rng = np.random.default_rng(seed)
    C, G = (a @ a.T for a in (rng.standard_normal((n, 2 * n)), rng.standard_normal((m, 2 * m))))
    W = rng.standard_normal((m, 10)) @ rng.standard_normal((10, n)) + 0.3 * rng.standard_normal((m, n))
    return W, Weighting(C, G)


def pair_of(norm: Weighting) -> tuple[Factors, Factors | None]:
    return factors(norm.C, 0.0), None if norm.G is None else factors(norm.G, 0.0)


def loss(D: np.ndarray, norm: Weighting) -> float:
    return float(np.sum((norm.G @ D @ norm.C) * D))


@pytest.mark.parametrize("seed", range(5))
def test_six_bits_cost_little(seed: int) -> None:
    W, norm = case(seed)
    best = decompose(W, norm)
    exact = loss(W - best.left[:, :6] @ best.right[:6], norm)
    rounded = round_factors(W, norm, pair_of(norm), best, 6, Shape(6, 8))
    assert exact < loss(W - rounded.matrix(), norm) < 1.02 * exact
    plain = [
        part - np.rint(part / step) * step
        for part in balanced(best.left[:, :6], best.right[:6])
        for step in [(part.max() - part.min()) / 63]
    ]
    left, right = (part - lost for part, lost in zip(balanced(best.left[:, :6], best.right[:6]), plain, strict=True))
    assert loss(W - rounded.matrix(), norm) < loss(W - left @ right, norm)


def test_factors_fit_their_alternative() -> None:
    W, norm = case(0)
    one = Alternative(6, 8, 5)
    made = round_factors(W, norm, pair_of(norm), decompose(W, norm), one.rank, Shape(one.bits, one.group))
    assert (made.left.integers.shape, made.right.integers.shape) == ((24, 5), (5, 32))
    assert (made.left.grid.scales.shape, made.right.grid.scales.shape) == ((24, 1), (5, 4))
    left = 24 * (packed_width(5, 6) + packed_width(1, 6) + 2)
    right = 5 * (packed_width(32, 6) + packed_width(4, 6) + 8)
    assert one.bytes(W.shape) == left + right


def test_a_zero_weight_has_factors() -> None:
    _, norm = case(1)
    made = round_factors(np.zeros((24, 32)), norm, pair_of(norm), decompose(np.zeros((24, 32)), norm), 3, Shape(6, 8))
    assert not made.matrix().any()


def test_balance_keeps_the_product() -> None:
    rng = np.random.default_rng(2)
    left, right = 1e4 * rng.standard_normal((7, 3)), 1e-4 * rng.standard_normal((3, 9))
    left[:, 1] = right[1] = 0.0
    one, two = balanced(left, right)
    np.testing.assert_allclose(one @ two, left @ right, rtol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(one, axis=0), np.linalg.norm(two, axis=1), rtol=1e-12)


def test_directions_that_are_rounding_are_left_out() -> None:
    """What lies beyond the rank of a matrix is different on every machine: no factor depends on it."""
    rng = np.random.default_rng(3)
    _, norm = case(3)
    W = rng.standard_normal((24, 3)) @ rng.standard_normal((3, 32))
    noisy = W + 1e-9 * rng.standard_normal(W.shape)
    one, other = (
        round_factors(M, norm, pair_of(norm), decompose(M, norm), 6, Shape(6, 8)).matrix() for M in (W, noisy)
    )
    assert np.linalg.matrix_rank(one) == np.linalg.matrix_rank(other) == 3
    assert loss(one - other, norm) < 1e-6 * loss(W, norm)
