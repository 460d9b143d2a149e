"""Removing inputs of a layer: the bound against the truth, the order, and the layers that allow it."""

from __future__ import annotations

import itertools
from pathlib import Path

import mpmath
import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from infimum import compress  # noqa: E402
from infimum.compress.menu.ranks import Weighting, decompose, spectrum  # noqa: E402
from infimum.compress.model.channels import channels_of  # noqa: E402
from infimum.compress.search.elimination import eliminate  # noqa: E402
from infimum.proof.theorems import weighted_tail  # noqa: E402
from infimum.proof.theorems.narrowing import Narrowing, row_tails  # noqa: E402
from infimum.proof.theorems.weighted_tail import lower_root  # noqa: E402
from tests.compress.conftest import tiny_bert, tiny_llama, write  # noqa: E402
from tests.compress.test_factor import exact_tails, hostile, moment  # noqa: E402


def exact(W: np.ndarray, norm: Weighting, kept: list[int]) -> list[mpmath.mpf]:
    """Return the true least error with these inputs at rank 0, 1, ..., in 60 digits: the formulas with inverses."""
    with mpmath.workdps(60):
        A, C = mpmath.matrix(W.tolist()), mpmath.matrix(norm.C.tolist())
        if norm.G is not None:
            A = mpmath.cholesky(mpmath.matrix(norm.G.tolist())).T * A
        inside = mpmath.matrix([[C[i, j] for j in kept] for i in kept])
        across = mpmath.matrix([[C[i, j] for j in kept] for i in range(C.rows)])
        predicted = A * across * inside**-1 * across.T * A.T
        lost = A * C * A.T - predicted
        values = sorted(max(value, mpmath.mpf(0)) for value in mpmath.eigsy(predicted, eigvals_only=True))
        trace = max(mpmath.fsum(lost[i, i] for i in range(A.rows)), mpmath.mpf(0))
        return [trace + mpmath.fsum(values[: max(0, A.rows - rank)]) for rank in range(A.rows + 1)]


@pytest.mark.parametrize("start", range(0, 60, 20))
def test_the_bound_is_below_the_truth_on_hostile_layers(start: int) -> None:
    for seed in range(start, start + 20):
        W, norm = hostile(seed)
        order = np.random.default_rng(seed).permutation(W.shape[1])
        found = Narrowing.of(W[:, order], norm.C[np.ix_(order, order)], norm.G)
        for width in range(1, W.shape[1] + 1):
            bounds = found.errors().bounds()[width] + found.tails(width).bounds()
            for bound, truth in zip(bounds, exact(W, norm, order[:width].tolist()), strict=False):
                assert mpmath.mpf(float(bound)) <= truth, (seed, width)


@pytest.mark.parametrize("damped", [False, True])
def test_bound_and_repair_meet(damped: bool) -> None:
    rng = np.random.default_rng(2)
    W, C, G = rng.standard_normal((5, 8)), moment(rng, 8, 3)[0], moment(rng, 5, 2)[0] if damped else None
    found = Narrowing.of(W, C, G)
    for width in range(1, 8):
        repaired = found.repaired(W, width)
        best = decompose(repaired, Weighting(C[:width, :width], G))
        for rank in range(1, min(5, width) + 1):
            right = np.zeros((rank, 8))
            right[:, :width] = best.right[:rank]
            value = weighted_tail.error(W, best.left[:, :rank], right, C, G)
            assert value == pytest.approx(found.errors().bounds()[width] + found.tails(width).bounds()[rank], rel=1e-9)
            assert value >= found.errors().bounds()[width] + found.tails(width).bounds()[rank]


def test_no_rival_beats_the_bound() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        W, norm = hostile(seed)
        found, width = Narrowing.of(W, norm.C, norm.G), int(rng.integers(1, W.shape[1] + 1))
        rank = int(rng.integers(1, min(W.shape[0], width) + 1))
        best = decompose(found.repaired(W, width), Weighting(norm.C[:width, :width], norm.G))
        left, right = best.left[:, :rank], best.right[:rank]
        size = np.abs(left @ right).max(initial=0.0)
        rivals = [
            (left, right),
            (np.nextafter(left, np.inf), right),
            (left + 1e-4 * size * rng.standard_normal(left.shape), right),
            (rng.standard_normal(left.shape), rng.standard_normal(right.shape)),
            (W[:, :rank], np.eye(rank, width)),
        ]
        for left, right in rivals:
            padded = np.pad(right, ((0, 0), (0, W.shape[1] - width)))
            value = weighted_tail.error(W, left, padded, norm.C, norm.G)
            assert value >= found.errors().bounds()[width] + found.tails(width).bounds()[rank]


@pytest.mark.parametrize("trace", [0.0, 1.0, 1e-150, 1e150])
def test_the_root_is_never_above(trace: float) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        C = moment(rng, 6, 16)[0]
        if seed % 2:
            C[:, 2] = C[2] = 0.0
        C = trace * weighted_tail.semidefinite(C)
        order = rng.permutation(6)
        L = lower_root(C[np.ix_(order, order)])
        with mpmath.workdps(60):
            exact_L = mpmath.matrix(L.tolist())
            rest = mpmath.matrix(C[np.ix_(order, order)].tolist()) - exact_L * exact_L.T
            assert min(mpmath.eigsy(rest, eigvals_only=True)) >= -(mpmath.mpf(10) ** -50) * trace
        assert (trace == 0.0) == (not L.any())


@pytest.mark.parametrize(
    "C", [np.zeros((6, 6)), np.diag([1.0, 0, 0, 0, 0, 0]), np.ones((6, 6))], ids=["0", "1", "ones"]
)
@pytest.mark.parametrize("W", [np.zeros((4, 6)), np.arange(24.0).reshape(4, 6)], ids=["zero", "whole"])
def test_moments_without_full_rank(C: np.ndarray, W: np.ndarray) -> None:
    C = weighted_tail.semidefinite(C)
    order = eliminate(W, C, np.eye(4), 1)
    assert sorted(order) == list(range(6))
    found = Narrowing.of(W[:, order], C[np.ix_(order, order)], np.eye(4))
    assert found.errors().bounds()[1] <= 1e-9  # one input determines all
    right = np.zeros((1, 6))
    right[0, order[0]] = 1.0
    value = weighted_tail.error(W, found.repaired(W[:, order], 1), right, C, np.eye(4))
    assert found.errors().bounds()[1] <= value <= 1e-8


def test_the_order_gives_up_what_is_not_missed() -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((400, 9))
    x[:, 4] = 0.0  # dead
    x[:, 7] = 2.0 * x[:, 1] - x[:, 3]  # determined by others
    W = rng.standard_normal((5, 9))
    W[:, 6] = 1e-9  # not read
    C = weighted_tail.semidefinite(x.T @ x / 400)
    order = eliminate(W, C, np.eye(5), 2)
    assert {4, 6} <= set(order[6:].tolist())
    assert {1, 3, 7} & set(order[6:].tolist())
    assert Narrowing.of(W[:, order], C[np.ix_(order, order)], np.eye(5)).errors().bounds()[6] < 1e-9


def test_backward_elimination_is_near_the_best_choice() -> None:
    ratios = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        W, norm = rng.standard_normal((4, 6)), Weighting(moment(rng, 6, 2)[0], moment(rng, 4, 1)[0])
        order = eliminate(W, norm.C, norm.G, 1)
        errors = Narrowing.of(W[:, order], norm.C[np.ix_(order, order)], norm.G).errors().bounds()
        for width in range(1, 6):
            best = min(float(exact(W, norm, list(kept))[-1]) for kept in itertools.combinations(range(6), width))
            ratios.append(errors[width] / best)
            assert errors[width] >= best * (1 - 1e-6)
    assert np.median(ratios) < 1.2


def test_blocks_do_not_change_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    W, C, G = rng.standard_normal((7, 40)), moment(rng, 40, 3)[0], moment(rng, 7, 2)[0]
    order = eliminate(W, C, G, 3)
    monkeypatch.setattr("infimum.compress.search.elimination.BLOCK", 1)
    np.testing.assert_array_equal(eliminate(W, C, G, 3), order)


# --- which layers of a model have channels between them ------------------------------------------------------------


MODELS = {
    "bert": (tiny_bert, [("encoder.layer.0", 1), ("encoder.layer.1", 1)]),
    "llama": (tiny_llama, [("model.layers.0.mlp", 2), ("model.layers.1.mlp", 2)]),
}


@pytest.mark.parametrize("name", MODELS)
def test_channels_are_found_by_what_modules_compute(name: str, tmp_path: Path) -> None:
    make, expected = MODELS[name]
    found = channels_of(compress.open_checkpoint(write(make(), tmp_path / "model")))
    assert [(channels.name, len(channels.producers)) for channels in found] == expected
    assert all(channels.count == 40 for channels in found)


@pytest.mark.parametrize("start", range(0, 60, 20))
def test_rows_of_low_rank_are_bounded_on_hostile_layers(start: int) -> None:
    for seed in range(start, start + 20):
        W, norm = hostile(seed)
        widths = list(range(1, len(W) + 1))
        for width, tails in zip(widths, row_tails(W, norm.C, norm.G, widths), strict=True):
            G = None if norm.G is None else norm.G[:width, :width]
            truth = exact_tails(W[:width], Weighting(norm.C, G))
            assert all(mpmath.mpf(float(b)) <= best for b, best in zip(tails.bounds(), truth, strict=False))


@pytest.mark.parametrize("damped", [False, True])
def test_row_tails_are_weighted_tails(damped: bool) -> None:
    rng = np.random.default_rng(5)
    W, C, G = rng.standard_normal((9, 5)), moment(rng, 5, 3)[0], moment(rng, 9, 2)[0] if damped else None
    for width, found in zip((2, 5, 8), row_tails(W, C, G, (2, 5, 8)), strict=True):
        bounds, tails = (
            found.bounds(),
            spectrum(W[:width], Weighting(C, None if G is None else G[:width, :width])).bounds(),
        )
        np.testing.assert_allclose(bounds[: len(tails)], tails, rtol=1e-9, atol=1e-12 * tails[0])
