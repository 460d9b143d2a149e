"""The best factor of one layer, its bound, and the forms in which it is stored."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from infimum.compress.menu.forms import PivotForm  # noqa: E402
from infimum.compress.menu.ranks import Weighting, curve, decompose, spectrum  # noqa: E402
from infimum.compress.search.matrices import to_form  # noqa: E402
from infimum.proof.theorems import weighted_tail  # noqa: E402


def moment(rng: np.random.Generator, size: int, decades: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a moment with eigenvalues over so many decades, and its eigenvectors, leading ones first."""
    Q = np.linalg.qr(rng.standard_normal((size, size)))[0]
    values = np.sort(10.0 ** (-rng.random(size) * decades))[::-1]
    return weighted_tail.semidefinite((Q * values) @ Q.T), Q


def hostile(seed: int) -> tuple[np.ndarray, Weighting]:
    """Return a weight that often nearly cancels with both moments, at any scale."""
    rng = np.random.default_rng(seed)
    m, n = (int(size) for size in rng.integers(1, 9, 2))
    C, inputs = moment(rng, n, rng.choice([0, 6, 16]))
    G, outputs = moment(rng, m, rng.choice([0, 6, 12]))
    W = rng.standard_normal((m, n))
    if rng.random() < 0.6:
        P, Q = inputs[:, : rng.integers(1, n + 1)], outputs[:, : rng.integers(1, m + 1)]
        W = W - (W @ P) @ P.T
        W = W - Q @ (Q.T @ W)
    W *= 10.0 ** rng.choice([-12, 0, 0, 12])
    return W, Weighting(C, G + 10.0 ** rng.choice([-2, -8, -13]) / m * np.trace(G) * np.eye(m))


def exact_tails(W: np.ndarray, norm: Weighting) -> list[mpmath.mpf]:
    """Return the true optimum of every rank, in 80 digits."""
    with mpmath.workdps(80):
        L, C, G = mpmath.matrix(W.tolist()), mpmath.matrix(norm.C.tolist()), norm.G
        root = mpmath.eye(W.shape[0]) if G is None else mpmath.cholesky(mpmath.matrix(G.tolist())).T
        values = mpmath.eigsy(root * L * C * L.T * root.T, eigvals_only=True)
        kept = sorted(max(value, mpmath.mpf(0)) for value in values)[max(0, W.shape[0] - W.shape[1]) :]
        return [mpmath.fsum(kept[: len(kept) - rank]) for rank in range(len(kept) + 1)]


@pytest.mark.parametrize("start", range(0, 300, 50))
def test_bound_optimum_and_value_are_ordered_on_hostile_layers(start: int) -> None:
    for seed in range(start, start + 50):
        W, norm = hostile(seed)
        decomposition, truth = decompose(W, norm), exact_tails(W, norm)
        bounds = spectrum(W, norm).bounds()
        assert all(mpmath.mpf(float(bound)) <= best for bound, best in zip(bounds, truth, strict=True)), seed
        for rank in range(1, min(W.shape) + 1):
            left, right = decomposition.left[:, :rank], decomposition.right[:rank]
            value = weighted_tail.error(W, left, right, norm.C, norm.G)
            assert truth[rank] <= mpmath.mpf(value), seed


def test_zero_optimum_gets_a_zero_bound() -> None:
    # rows of W are orthogonal to every input, exactly, in integers far from zero
    v = np.array([[999.0, -1.0], [1.0, 999.0], [998.0, 1000.0], [-7.0, 13.0]])
    rows = [[(-1.0) ** k * round(np.linalg.det(np.delete(w, k, 0))) for k in range(3)] for w in (v[:3], v[1:])]
    W = np.array([[*rows[0], 0.0], [0.0, *rows[1]], [*rows[0][:1], *np.add(rows[0][1:], rows[1][:2]), rows[1][2]]])
    assert not (W @ v).any()
    norm = Weighting(weighted_tail.semidefinite(v @ v.T), np.diag([1.0, 1e-3, 7.0]))
    # the shift that makes the moment provably semidefinite is all that is left to be lost
    assert all(bound <= best for bound, best in zip(spectrum(W, norm).bounds(), exact_tails(W, norm), strict=True))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_no_rival_beats_the_bound(seed: int, rank: int) -> None:
    W, norm = hostile(seed)
    rng = np.random.default_rng([seed, rank])
    rank = min(rank, *W.shape)
    best, bound = decompose(W, norm), spectrum(W, norm).bounds()[rank]
    left, right = best.left[:, :rank], best.right[:rank]
    rivals = [
        (left, right),
        (np.nextafter(left, np.inf), right),
        (left + 1e-3 * rng.standard_normal(left.shape) * np.abs(left).max(initial=0.0), right),
        (rng.standard_normal((W.shape[0], rank)), rng.standard_normal((rank, W.shape[1]))),
        (W[:, :rank], np.eye(rank, W.shape[1])),
    ]
    for rival in rivals:
        assert weighted_tail.error(W, *rival, norm.C, norm.G) >= bound


def test_the_optimum_is_reached() -> None:
    rng = np.random.default_rng(5)
    for shape in ((9, 14), (14, 9), (12, 12)):
        C, G = moment(rng, shape[1], 3)[0], moment(rng, shape[0], 2)[0]
        W = rng.standard_normal(shape)
        best, bounds = decompose(W, Weighting(C, G)), spectrum(W, Weighting(C, G)).bounds()
        for rank in range(1, 9):
            value = weighted_tail.error(W, best.left[:, :rank], best.right[:rank], C, G)
            assert value == pytest.approx(bounds[rank], rel=1e-8)


def test_plain_is_eckart_young() -> None:
    W = np.random.default_rng(6).standard_normal((7, 10))
    singular = np.linalg.svd(W, compute_uv=False)
    tails = spectrum(W, Weighting(np.eye(10), None)).bounds()
    np.testing.assert_allclose(tails[:7], [np.sum(singular[rank:] ** 2) for rank in range(7)], rtol=1e-10)


MOMENTS = [np.zeros((6, 6)), weighted_tail.semidefinite(np.diag([1.0, 0, 0, 0, 0, 0]))]


@pytest.mark.parametrize("C", MOMENTS, ids=["zero", "rank one"])
@pytest.mark.parametrize("m", [4, 9])
def test_moments_without_full_rank(C: np.ndarray, m: int) -> None:
    W = np.random.default_rng(7).standard_normal((m, 6))
    G = np.eye(m)
    best = decompose(W, Weighting(C, G))
    stored = to_form(best, 2, "pivot")
    value = weighted_tail.error(W, *stored.factors(), C, G)
    assert spectrum(W, Weighting(C, G)).bounds()[2] <= value <= 1e-11


@pytest.mark.parametrize("form", ["pivot", "factors"])
@pytest.mark.parametrize("shape", [(9, 6), (6, 9), (5, 5)])
def test_a_zero_weight_has_a_form(form: str, shape: tuple[int, int]) -> None:
    norm = Weighting(np.eye(shape[1]), np.eye(shape[0]))
    stored = to_form(decompose(np.zeros(shape), norm), 2, form)
    left, right = stored.factors()
    assert left.shape == (shape[0], 2)
    assert right.shape == (2, shape[1])
    assert not (left @ right).any()


@pytest.mark.parametrize("form", ["pivot", "factors"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_forms_keep_the_matrix(form: str, dtype: torch.dtype) -> None:
    rng = np.random.default_rng(8)
    W = rng.standard_normal((11, 7))
    norm = Weighting(moment(rng, 7, 2)[0], moment(rng, 11, 2)[0])
    best = decompose(W, norm)
    stored = to_form(best, 4, form).rounded(dtype)
    left, right = stored.factors()
    tolerance = 64 * torch.finfo(dtype).eps
    np.testing.assert_allclose(left @ right, best.left[:, :4] @ best.right[:4], atol=tolerance * np.abs(W).max())
    numbers = sum(part.numel() for name, part in stored.tensors().items() if name != "order")
    assert numbers == (4 * (11 + 7 - 4) if form == "pivot" else 4 * (11 + 7))
    assert numbers == curve(spectrum(W, norm).bounds(), (11, 7), form).costs[3] or form == "factors"


def test_pivot_coefficients_stay_small() -> None:
    W = np.random.default_rng(9).standard_normal((60, 40)) * np.logspace(0, -6, 40)
    stored = to_form(decompose(W, Weighting(np.eye(40), np.eye(60))), 20, "pivot")
    assert isinstance(stored, PivotForm)
    assert float(stored.coefficients.abs().max()) < 50.0
