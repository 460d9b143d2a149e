"""Removing inputs of a layer: below the truth, each hypothesis asked, and every allowance pinned or needed."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

from infimum.errors import VerificationError
from infimum.proof.theorems import narrowing
from infimum.proof.theorems.narrowing import Narrowing, row_tails
from infimum.proof.theorems.weighted_tail import EPS, eigenvalue_allowance, error, lower_root
from tests.theorems.test_weighted_tail import SQUARES, WEIGHTS, cases, exact, moment

GOOD = np.array([[2.0, 1.0], [1.0, 2.0]])


def truth(W: np.ndarray, C: np.ndarray, G: np.ndarray | None, width: int) -> list[mpmath.mpf]:
    """The least error with the first inputs alone at rank 0, 1, ..., in 60 digits: the formulas with inverses."""
    with mpmath.workdps(60):
        A, moments = mpmath.matrix(W.tolist()), mpmath.matrix(C.tolist())
        if G is not None:
            A = mpmath.cholesky(mpmath.matrix(G.tolist())).T * A
        across = moments[:width, :]
        predicted = A * across.T * moments[:width, :width] ** -1 * across * A.T
        lost = A * moments * A.T - predicted
        values = sorted(max(value, mpmath.mpf(0)) for value in mpmath.eigsy(predicted, eigvals_only=True))
        trace = max(mpmath.fsum(lost[i, i] for i in range(A.rows)), mpmath.mpf(0))
        return [trace + mpmath.fsum(values[: max(0, A.rows - rank)]) for rank in range(min(A.rows, width) + 1)]


def test_below_the_truth() -> None:
    for W, C, G in cases(30):
        found = Narrowing.of(W, C, G)
        for width in range(1, W.shape[1] + 1):
            bounds = found.errors().bounds()[width] + found.tails(width).bounds()
            for bound, best in zip(bounds, truth(W, C, G, width), strict=True):
                assert mpmath.mpf(float(bound)) <= best


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(3, 5), (5, 3)])
def test_near_the_truth_and_reached(weighted: bool, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    W, C, G = rng.standard_normal(shape), moment(rng, shape[1], 1), moment(rng, shape[0], 1) if weighted else None
    found = Narrowing.of(W, C, G)
    assert found.errors().bounds()[0] == pytest.approx(np.sum((W @ C) * (W if G is None else G @ W)), rel=1e-9)
    assert found.errors().bounds()[-1] == 0.0
    for width in range(1, shape[1]):
        bounds = found.errors().bounds()[width] + found.tails(width).bounds()
        assert bounds == pytest.approx([float(best) for best in truth(W, C, G, width)], rel=1e-9, abs=1e-13)
        left, right = found.repaired(W, width), np.eye(width, shape[1])
        np.testing.assert_allclose(left, W @ C[:, :width] @ np.linalg.inv(C[:width, :width]), rtol=1e-8)
        assert error(W, left, right, C, G) == pytest.approx(found.errors().bounds()[width], rel=1e-9)


def test_without_moments_the_weight_stays() -> None:
    W = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(Narrowing.of(W, np.zeros((3, 3)), None).repaired(W, 2), W[:, :2])


def test_the_allowance_is_as_stated() -> None:
    rng = np.random.default_rng(2)
    for shape in ((3, 5), (5, 3)):
        W, C, G = rng.standard_normal(shape), moment(rng, shape[1], 1), moment(rng, shape[0], 1)
        for weighting in (None, G):
            (m, n), found = shape, Narrowing.of(W, C, weighting)
            L, R = lower_root(C), np.eye(m) if weighting is None else lower_root(weighting).T
            np.testing.assert_allclose(found.Y, R @ W @ L, rtol=1e-13, atol=1e-14)
            np.testing.assert_array_equal(found.L, L)
            entering = np.linalg.norm(W) * np.linalg.norm(L) * (1.0 if weighting is None else np.linalg.norm(R))
            product, norm = (m + n + 2) * EPS * entering, np.linalg.norm(found.Y)
            expected = product * (2 * norm + product) + (m + n) * min(m, n) ** 0.5 * EPS * norm**2
            assert found.allowance == pytest.approx(expected, rel=1e-13, abs=0.0)
            assert found.errors().rounding == found.allowance
            for width in range(1, n + 1):
                Y = found.Y[:, :width]
                values = np.linalg.eigvalsh(Y @ Y.T if m <= width else Y.T @ Y)
                tails = found.tails(width)
                assert tails.rounding == pytest.approx(
                    found.allowance + eigenvalue_allowance(values), rel=1e-12, abs=0.0
                )
                assert len(tails.sums) == min(m, width) + 1
                assert tails.sums[0] == pytest.approx(np.sum(Y**2), rel=1e-13, abs=0.0)
                assert tails.sums[-1] == 0.0
    # where Y nearly vanishes beside what enters, the square of the product's rounding counts
    W, C = np.array([[1.0, -1.0]]) * 1e8, moment(np.random.default_rng(3), 2, 0)
    assert Narrowing.of(0.0 * W, C, None).allowance == 0.0


def test_what_nearly_vanishes_is_allowed_for() -> None:
    """Y is rounding beside what enters: the square of that rounding is a part of the allowance."""
    W, L = np.array([[1.0, 1.0]]), np.array([[1.0, 0.0], [-1.0, 1e-9]])
    found = Narrowing.of(W, L @ L.T + 1e-9 * np.eye(2), None)
    product = 5 * EPS * np.linalg.norm(W) * np.linalg.norm(found.L)
    norm = np.linalg.norm(found.Y)
    assert found.allowance == pytest.approx(product * (2 * norm + product) + 3 * EPS * norm**2, rel=1e-13, abs=0.0)


def test_products_that_cancel_stay_below() -> None:
    """The root alone leaves more than these products round by: no input is known on which their allowance decides."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x = rng.integers(-999, 1000, (4, 2)).astype(float)
        C = x @ x.T + 1e-9 * np.eye(4) * np.sum(x**2)
        W = np.linalg.qr(x, mode="complete")[0][:, 2:].T * 1e3
        best = exact(W, C, None)
        assert mpmath.mpf(float(Narrowing.of(W, C, None).errors().bounds()[0])) <= best[0]


# --- rows ------------------------------------------------------------------------------------------------------------


def test_rows_are_weighted_tails() -> None:
    for W, C, G in cases(30):
        widths = list(range(1, W.shape[0] + 1))
        for width, found in zip(widths, row_tails(W, C, G, widths), strict=True):
            best = exact(W[:width], C, None if G is None else G[:width, :width])
            bounds = found.bounds()
            assert len(bounds) == min(width, W.shape[1]) + 1
            assert all(mpmath.mpf(float(b)) <= t for b, t in zip(bounds, best, strict=True))


@pytest.mark.parametrize("weighted", [False, True])
def test_rows_are_near_the_truth(weighted: bool) -> None:
    rng = np.random.default_rng(4)
    W, C, G = rng.standard_normal((7, 3)), moment(rng, 3, 1), moment(rng, 7, 1) if weighted else None
    for widths in ([1, 2, 3, 5, 7], [4], [2, 6]):
        for width, found in zip(widths, row_tails(W, C, G, widths), strict=True):
            best = exact(W[:width], C, None if G is None else G[:width, :width])
            assert found.bounds() == pytest.approx([float(b) for b in best], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_allowance_of_rows_is_as_stated(weighted: bool) -> None:
    rng = np.random.default_rng(5)
    W, C, G = rng.standard_normal((5, 3)), moment(rng, 3, 1), moment(rng, 5, 1) if weighted else None
    m, n = W.shape
    norms = np.linalg.norm(W) ** 2 * np.linalg.norm(C) * (np.linalg.norm(G) if weighted else 1.0)
    for index, (width, found) in enumerate(zip((2, 3, 5), row_tails(W, C, G, (2, 3, 5)), strict=True)):
        part = W[:width]
        if width <= n:
            M, L = part @ C @ part.T, np.eye(width) if G is None else lower_root(G)[:width, :width]
        else:
            M, L = part.T @ (part if G is None else G[:width, :width] @ part), lower_root(C)
        K = L.T @ M @ L
        products = 2 * len(K) * np.linalg.norm(L) ** 2 * np.linalg.norm(M)
        allowance = len(K) ** 0.5 * EPS * (2 * (m + n + index) * norms + products)
        assert found.rounding == pytest.approx(
            allowance + eigenvalue_allowance(np.linalg.eigvalsh(K)), rel=1e-12, abs=0.0
        )
        assert found.sums[0] == pytest.approx(np.trace(K), rel=1e-12, abs=0.0)


def test_rows_that_cancel_need_their_allowance() -> None:
    false = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.integers(-999, 1000, (4, 2)).astype(float)
        C = x @ x.T + 1e-9 * np.eye(4) * np.sum(x**2)
        W = np.linalg.qr(x, mode="complete")[0][:, 2:].T * 1e3
        for width, found in zip((1, 2), row_tails(W, C, None, (1, 2)), strict=True):
            best = exact(W[:width], C, None)
            false += mpmath.mpf(float(found.sums[0])) > best[0]
            assert mpmath.mpf(float(found.bounds()[0])) <= best[0]
    assert false > 0


# --- hypotheses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SQUARES)
@pytest.mark.parametrize("which", ["C", "G"])
def test_moments_are_asked(name: str, which: str) -> None:
    bad, message = SQUARES[name]
    C, G = (bad, GOOD) if which == "C" else (GOOD, bad)
    for run in (lambda: Narrowing.of(GOOD, C, G), lambda: row_tails(GOOD, C, G, (1, 2))):
        with pytest.raises(VerificationError, match=message):
            run()


@pytest.mark.parametrize("name", [name for name in WEIGHTS if name != "broadcast"])
def test_weights_are_asked(name: str) -> None:
    for run in (lambda: Narrowing.of(WEIGHTS[name], GOOD, None), lambda: row_tails(WEIGHTS[name], GOOD, None, (1,))):
        with pytest.raises(VerificationError, match="W"):
            run()


@pytest.mark.parametrize("width", [0, 3, -1, 1.0, True, "1"])
def test_widths_are_asked(width: Any) -> None:
    with pytest.raises(VerificationError, match="width"):
        Narrowing.of(GOOD, GOOD, None).tails(width)
    with pytest.raises(VerificationError, match="width"):
        row_tails(GOOD, GOOD, None, [width])


@pytest.mark.parametrize("widths", [(2, 1), (1, 1)])
def test_widths_must_increase(widths: tuple[int, ...]) -> None:
    with pytest.raises(VerificationError, match="increase"):
        row_tails(GOOD, GOOD, None, widths)


def test_its_name() -> None:
    assert narrowing.THEOREM == "narrowing"
