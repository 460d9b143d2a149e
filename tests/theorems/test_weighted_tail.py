"""Eckart-Young in a weighted norm: below the truth, each hypothesis asked, and every allowance pinned or needed."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.linalg

from infimum.errors import VerificationError
from infimum.proof.rounding import rounding_allowance
from infimum.proof.theorems import weighted_tail
from infimum.proof.theorems.weighted_tail import (
    EPS,
    Tails,
    allowance,
    ask,
    eigenvalue_allowance,
    error,
    lower_root,
    lowered,
    semidefinite,
    split,
    tails,
)


def moment(rng: np.random.Generator, size: int, decades: float) -> np.ndarray:
    Q = np.linalg.qr(rng.standard_normal((size, size)))[0]
    return semidefinite((Q * 10.0 ** (-rng.random(size) * decades)) @ Q.T)


def bounds(W: np.ndarray, C: np.ndarray, G: np.ndarray | None, room: float = 1.0) -> np.ndarray:
    _, T = split(W, G)
    values = scipy.linalg.eigvalsh(T @ C @ T.T)
    return tails(values, W.shape, allowance(W, T, C, G)).bounds(room)


def exact(W: np.ndarray, C: np.ndarray, G: np.ndarray | None) -> list[mpmath.mpf]:
    """The optimum of every rank, in 60 digits."""
    with mpmath.workdps(60):
        A, root = mpmath.matrix(W.tolist()), mpmath.eye(W.shape[0])
        if G is not None:
            root = mpmath.cholesky(mpmath.matrix(G.tolist())).T
        values = mpmath.eigsy(root * A * mpmath.matrix(C.tolist()) * A.T * root.T, eigvals_only=True)
        kept = sorted(max(value, mpmath.mpf(0)) for value in values)[max(0, W.shape[0] - W.shape[1]) :]
        return [mpmath.fsum(kept[: len(kept) - rank]) for rank in range(len(kept) + 1)]


def exact_error(W: np.ndarray, left: np.ndarray, right: np.ndarray, C: np.ndarray, G: np.ndarray | None) -> mpmath.mpf:
    with mpmath.workdps(60):
        D = mpmath.matrix(W.tolist()) - mpmath.matrix(left.tolist()) * mpmath.matrix(right.tolist())
        weighted = D * mpmath.matrix(C.tolist())
        weighted = weighted if G is None else mpmath.matrix(G.tolist()) * weighted
        return mpmath.fsum(weighted[i, j] * D[i, j] for i in range(D.rows) for j in range(D.cols))


def cases(count: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """Weights that often nearly cancel with both moments, tall, wide and square, at any scale."""
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray | None]] = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        m, n = (int(size) for size in rng.integers(1, 6, 2))
        C = moment(rng, n, rng.choice([0, 6, 16]))
        G = moment(rng, m, rng.choice([0, 6, 12])) if seed % 3 else None
        W = rng.standard_normal((m, n)) * 10.0 ** rng.choice([-12, 0, 0, 12])
        if seed % 2:
            P = np.linalg.eigh(C)[1][:, -max(1, n // 2) :]
            W = W - (W @ P) @ P.T
        found.append((W, C, G))
    return found


def test_below_the_truth_and_near_it() -> None:
    for W, C, G in cases(40):
        truth = exact(W, C, G)
        assert all(mpmath.mpf(float(bound)) <= best for bound, best in zip(bounds(W, C, G), truth, strict=True))
    rng = np.random.default_rng(7)
    for shape in ((6, 9), (9, 6)):
        W, C, G = rng.standard_normal(shape), moment(rng, shape[1], 2), moment(rng, shape[0], 2)
        assert bounds(W, C, G) == pytest.approx([float(best) for best in exact(W, C, G)], rel=1e-9, abs=1e-12)


def test_values_are_above_the_truth_and_near_it() -> None:
    rng = np.random.default_rng(1)
    for W, C, G in cases(40):
        rank = int(rng.integers(1, 4))
        size = np.abs(W).max()
        left, right = rng.standard_normal((W.shape[0], rank)) * size, rng.standard_normal((rank, W.shape[1]))
        for right_factor in (right, np.linalg.lstsq(left, W)[0]):
            value, truth = error(W, left, right_factor, C, G), exact_error(W, left, right_factor, C, G)
            assert mpmath.mpf(value) >= truth
        assert error(W, left, right, C, G) == pytest.approx(float(exact_error(W, left, right, C, G)), rel=1e-9)


# --- hypotheses ------------------------------------------------------------------------------------------------------

GOOD = np.array([[2.0, 1.0], [1.0, 2.0]])
SQUARES: dict[str, tuple[Any, str]] = {
    "indefinite": (np.diag([1.0, -1e-9]), "positive semidefinite beyond rounding"),
    "singular": (np.diag([1.0, 0.0]), "positive semidefinite beyond rounding"),
    "negative": (-GOOD, "positive semidefinite beyond rounding"),
    "trace 0": (np.array([[0.0, 1.0], [1.0, 0.0]]), "positive semidefinite beyond rounding"),
    "not symmetric": (np.array([[2.0, 1.0], [1.0 + 1e-15, 2.0]]), "symmetric"),
    "not finite": (np.array([[2.0, np.nan], [np.nan, 2.0]]), "NaN or infinity|finite"),
    "complex": (GOOD + 0j, "real numbers"),
    "whole": (GOOD.astype(int), "real numbers"),
    "bool": (GOOD.astype(bool), "real numbers"),
    "float32": (GOOD.astype(np.float32), "must be float64"),
    "another size": (np.eye(3), "shape"),
    "not square": (np.ones((2, 3)), "shape|square"),
    "a vector": (np.ones(2), "shape"),
    "a list": ([[1.0, 0.0], [0.0, 1.0]], "array"),
}


@pytest.mark.parametrize("name", SQUARES)
@pytest.mark.parametrize("which", ["C", "G"])
def test_moments_are_asked(name: str, which: str) -> None:
    bad, message = SQUARES[name]
    C, G = (bad, GOOD) if which == "C" else (GOOD, bad)
    for run in (
        lambda: ask(GOOD, C, G),
        lambda: allowance(GOOD, GOOD, C, G),
        lambda: error(GOOD, GOOD, GOOD, C, G),
    ):
        with pytest.raises(VerificationError, match=message) as caught:
            run()
        assert str(caught.value).startswith(which)


WEIGHTS: dict[str, Any] = {
    "complex": GOOD + 0j,
    "whole": GOOD.astype(int),
    "float32": GOOD.astype(np.float32),
    "not finite": np.full((2, 2), np.inf),
    "a vector": np.ones(2),
    "a list": [[1.0, 2.0], [3.0, 4.0]],
    "broadcast": np.ones((1, 2)),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_and_factors_are_asked(name: str) -> None:
    bad = WEIGHTS[name]
    broken = [lambda: error(GOOD, bad, GOOD, GOOD, None), lambda: error(GOOD, GOOD, bad, GOOD, None)]
    broken += [lambda: error(bad, GOOD, GOOD, GOOD, GOOD), lambda: ask(bad, GOOD, GOOD)]
    broken += [] if name == "broadcast" else [lambda: allowance(GOOD, bad, GOOD, None)]
    for run in broken:
        with pytest.raises(VerificationError):
            run()


@pytest.mark.parametrize("size", [0.0, -1.0, np.nan, True, "1"])
def test_allowance_and_eigenvalues_are_asked(size: Any) -> None:
    if size != 0.0:
        with pytest.raises(VerificationError, match="allowance"):
            tails(np.ones(2), (2, 2), size)
        with pytest.raises(VerificationError, match="distance"):
            lowered(np.ones(2), size)
    for bad in (np.ones(3), np.ones((2, 1)), np.ones(2, dtype=int), np.array([1.0, np.nan])):
        with pytest.raises(VerificationError, match="eigenvalues"):
            tails(bad, (2, 5), 0.0)
    for bad in (np.array([-1.0]), np.array([1.0, -1.0]), np.array([np.inf]), np.ones(1, dtype=complex)):
        with pytest.raises(VerificationError, match="errors"):
            lowered(bad, 0.0)


def test_moments_that_cannot_be_ones() -> None:
    for trace in (1.0, 2.0):  # one negative number is enough, whatever the trace
        with pytest.raises(VerificationError, match="diagonal"):
            semidefinite(np.diag([trace, -0.5]))
    with pytest.raises(VerificationError, match="diagonal"):
        semidefinite(np.array([[0.0, 1.0], [1.0, 0.0]]))
    for bad in (np.ones((2, 3)), np.full((2, 2), np.nan), np.eye(2, dtype=int), np.eye(2) + 0j):
        with pytest.raises(VerificationError, match="moment"):
            semidefinite(bad)


# --- moments ---------------------------------------------------------------------------------------------------------


def test_the_shift_is_as_stated() -> None:
    C = np.array([[2.0, 0.5], [0.25, 1.0]])
    shift = 8.0 * 3 * EPS * 3.0
    np.testing.assert_array_equal(semidefinite(C), (C + C.T) / 2 + shift * np.eye(2))
    assert not semidefinite(np.zeros((3, 3))).any()
    # not semidefinite but for a shift of 4 ** 6 times as much
    bad = np.diag([1.0, 2.0]) - 0.0
    bad[0, 1] = bad[1, 0] = np.sqrt(2.0) * (1.0 + 1e-12)
    fixed = semidefinite(bad)
    with mpmath.workdps(40):
        assert min(mpmath.eigsy(mpmath.matrix(fixed.tolist()), eigvals_only=True)) > 0
    lower_root(fixed)
    step = (fixed - bad)[0, 0] / (8.0 * 3 * EPS * 3.0)
    assert np.log2(step) / 2 == pytest.approx(round(np.log2(step) / 2), abs=1e-3)
    assert 1e-12 < (fixed - bad)[0, 0] < 2e-11


def test_the_shift_grows_where_half_of_it_is_too_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand, with a coarse spacing: the smallest eigenvalue is -20, or -28, of these, and half a shift is 24."""
    monkeypatch.setattr(weighted_tail, "EPS", 1e-6)
    for below, shift in ((20e-6, 48e-6), (28e-6, 192e-6)):
        C = np.array([[1.0, 1.0 + below], [1.0 + below, 1.0]])
        np.testing.assert_array_equal(semidefinite(C), C + 8.0 * 3 * 1e-6 * 2.0 * (shift / 48e-6) * np.eye(2))


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_a_trace_out_of_range_is_refused() -> None:
    with pytest.raises(VerificationError, match="positive semidefinite beyond rounding"):
        lower_root(np.diag([1e308, 1e308]))


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_weights_whose_squares_are_out_of_range_are_refused() -> None:
    with pytest.raises(VerificationError, match="allowance"):
        bounds(np.full((3, 2), 1e200), np.eye(2), None)


@pytest.mark.parametrize("trace", [1.0, 1e-150, 1e150])
def test_the_root_is_never_above(trace: float) -> None:
    for seed in range(8):
        rng = np.random.default_rng(seed)
        C = trace * moment(rng, 4, 16)
        L = lower_root(C)
        assert not np.triu(L, 1).any()
        with mpmath.workdps(60):
            exact_L = mpmath.matrix(L.tolist())
            rest = mpmath.matrix(C.tolist()) - exact_L * exact_L.T
            assert min(mpmath.eigsy(rest, eigvals_only=True)) >= 0
            assert max(mpmath.eigsy(rest, eigvals_only=True)) <= 8 * EPS * np.trace(C)
    assert not lower_root(np.zeros((2, 2))).any()


def test_the_root_leaves_as_much_as_stated() -> None:
    C = np.diag([1.0, 3.0])
    np.testing.assert_allclose(lower_root(C) ** 2, C - 3 * EPS * 4.0 * np.eye(2), rtol=0, atol=1e-15)
    assert lower_root(np.eye(1))[0, 0] ** 2 == pytest.approx(1.0 - 2 * EPS, abs=EPS / 2)


def test_a_plain_cholesky_factor_would_be_above() -> None:
    above = 0
    for seed in range(20):
        C = moment(np.random.default_rng(seed), 4, 3)
        L = np.linalg.cholesky(C)
        with mpmath.workdps(60):
            exact_L = mpmath.matrix(L.tolist())
            above += min(mpmath.eigsy(mpmath.matrix(C.tolist()) - exact_L * exact_L.T, eigvals_only=True)) < 0
    assert above > 10


# --- the split -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4)])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_split_is_one(shape: tuple[int, int], weighted: bool) -> None:
    rng = np.random.default_rng(3)
    W, G = rng.standard_normal(shape), moment(rng, shape[0], 2) if weighted else None
    L, T = split(W, G)
    np.testing.assert_allclose(L @ T, W, atol=1e-12)
    np.testing.assert_allclose(L.T @ (L if G is None else G @ L), np.eye(L.shape[1]), atol=1e-12)
    assert T.shape[0] == min(shape)
    if shape[0] <= shape[1] and not weighted:
        assert T is W


def test_directions_below_rounding_are_left_out() -> None:
    rng = np.random.default_rng(4)
    W = rng.standard_normal((7, 2)) @ rng.standard_normal((2, 4))
    for G in (None, np.eye(7)):
        L, T = split(W, G)
        assert T.shape[0] == 2
        np.testing.assert_allclose(L @ T, W, atol=1e-12)
    assert split(np.zeros((5, 2)), None)[1].shape == (0, 2)
    # one direction just above and one just below n * eps of the largest
    for tiny, kept in ((2.5, 2), (1.5, 1)):
        W = np.zeros((3, 2))
        W[0, 0], W[1, 1] = 1.0, np.sqrt(tiny * EPS)
        for scale in (1.0, 1e-12, 1e12):
            assert split(W * scale, None)[1].shape[0] == kept


def test_the_root_of_a_singular_weighting_has_a_floor() -> None:
    L, T = split(np.eye(2), np.diag([1.0, 0.0]))
    assert np.abs(T[1, 1]) == pytest.approx(np.sqrt(EPS))
    assert np.abs(L[1, 1]) == pytest.approx(1 / np.sqrt(EPS))


# --- allowances ------------------------------------------------------------------------------------------------------


def test_the_allowance_is_as_stated() -> None:
    rng = np.random.default_rng(5)
    for shape in ((3, 5), (5, 3)):
        W, C, G = rng.standard_normal(shape), moment(rng, shape[1], 1), moment(rng, shape[0], 1)
        for weighting in (None, G):
            _, T = split(W, weighting)
            (m, n), p = shape, T.shape[0]
            squares = np.linalg.norm(T) ** 2
            measured = np.linalg.norm(T.T @ T - W.T @ (W if weighting is None else weighting @ W))
            weight = 1.0 if weighting is None else np.linalg.norm(weighting)
            defect = measured + EPS * (p * squares + 2 * m * weight * np.linalg.norm(W) ** 2)
            product = 2 * n * EPS * squares * np.linalg.norm(C) * p**0.5
            expected = product + (0.0 if T is W else defect * np.trace(C))
            assert allowance(W, T, C, weighting) == pytest.approx(expected, rel=1e-13, abs=0.0)
    W, C = np.array([[1.0, 2.0]]), np.eye(2)
    assert allowance(W, W, C, np.array([[1.0]])) > 2 * allowance(W, W.copy(), C, None) > 0.0


def test_a_defect_is_paid_for() -> None:
    """A split that is wrong by a millionth gives a bound that is wrong by a millionth, less what it is found to be."""
    rng = np.random.default_rng(6)
    W, C = rng.standard_normal((3, 5)), moment(rng, 5, 1)
    T = W * (1.0 + 1e-6)
    values = scipy.linalg.eigvalsh(T @ C @ T.T)
    truth = exact(W, C, None)
    assert mpmath.mpf(float(tails(values, W.shape, 0.0).bounds()[0])) > truth[0]
    assert all(
        mpmath.mpf(float(b)) <= best
        for b, best in zip(tails(values, W.shape, allowance(W, T, C, None)).bounds(), truth, strict=True)
    )


def test_products_that_cancel_need_their_allowance() -> None:
    """Rows of W are orthogonal to the inputs, far from zero: what is computed is rounding, and none of it is error."""
    false = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.integers(-999, 1000, (4, 2)).astype(float)
        C = semidefinite(x @ x.T)
        W = np.linalg.qr(x, mode="complete")[0][:, 2:].T * 1e3
        values, truth = scipy.linalg.eigvalsh(W @ C @ W.T), exact(W, C, None)
        false += mpmath.mpf(float(np.sum(np.maximum(values, 0.0)))) > truth[0]
        assert mpmath.mpf(float(tails(values, W.shape, allowance(W, W, C, None)).bounds()[0])) <= truth[0]
    assert false > 0


def test_the_eigensolvers_share_is_as_stated() -> None:
    values = np.array([3.0, -4.0, 12.0])
    norm = 13.0
    expected = 3**0.5 * (rounding_allowance((3, 3), EPS, norm) + 2 * 3 * EPS * norm)
    assert eigenvalue_allowance(values) == pytest.approx(expected, rel=1e-14, abs=0.0)
    found = tails(np.array([1.0, 5.0, -2.0]), (3, 4), 0.25)
    np.testing.assert_array_equal(found.sums, [6.0, 1.0, 0.0, 0.0])
    assert found.rounding == pytest.approx(0.25 + eigenvalue_allowance(np.array([1.0, 5.0, -2.0])), rel=1e-14)
    assert tails(values, (3, 4), 0.0).rounding == eigenvalue_allowance(values)
    padded = tails(np.array([2.0]), (3, 2), 0.0)
    np.testing.assert_array_equal(padded.sums, [2.0, 0.0, 0.0])


def test_room_is_taken_from_the_sums() -> None:
    found = Tails(np.array([5.0, 1.0, 0.1]), 0.25)
    np.testing.assert_array_equal(found.bounds(), [4.75, 0.75, 0.0])
    np.testing.assert_array_equal(found.bounds(2.0), [4.5, 0.5, 0.0])
    np.testing.assert_array_equal(found.bounds(0.0), found.sums)


def test_nearness_to_a_rank() -> None:
    errors = np.array([4.0, 1.0, 0.0])
    expected = np.maximum(np.sqrt(errors) - 0.5 - 4 * EPS * (np.sqrt(errors) + 0.5), 0.0) ** 2 * (1 - EPS)
    np.testing.assert_array_equal(lowered(errors, 0.25), expected)
    assert lowered(np.array(4.0), 1.0) == pytest.approx(1.0)
    assert lowered(np.array(4.0), 9.0) == 0.0
    with mpmath.workdps(40):
        for error_, distance in np.random.default_rng(8).exponential(size=(300, 2)):
            truth = max(mpmath.sqrt(error_) - mpmath.sqrt(distance), 0) ** 2
            assert mpmath.mpf(float(lowered(np.array(error_), distance))) <= truth


def test_the_rounding_of_a_value_is_as_stated() -> None:
    rng = np.random.default_rng(9)
    W, C, G = rng.standard_normal((3, 4)), moment(rng, 4, 1), moment(rng, 3, 1)
    left, right = rng.standard_normal((3, 2)), rng.standard_normal((2, 4))
    D = W - left @ right
    for weighting in (None, G):
        weighted = D @ C if weighting is None else weighting @ (D @ C)
        computed = np.sum(weighted * D)
        size = np.sum(np.linalg.norm(left, axis=0) * np.linalg.norm(right, axis=1)) + np.linalg.norm(W)
        weight = np.trace(C) * (1.0 if weighting is None else np.trace(weighting))
        norms = np.linalg.norm(C) * (1.0 if weighting is None else np.linalg.norm(weighting))
        rounding, own = 6 * EPS / 2 * size * weight**0.5, 7 * EPS * np.sum(D**2) * norms
        for room in (1.0, 3.0, 1e12):
            expected = ((computed + room * own) ** 0.5 + room * rounding) ** 2
            assert error(W, left, right, C, weighting, room=room) == pytest.approx(expected, rel=1e-13, abs=0.0)
    assert error(W, left, right, C, G) == error(W, left, right, C, G, room=1.0)


def test_a_sum_below_zero_counts_as_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounding may make it so; here a C that is none does. What the difference loses is added all the same."""
    monkeypatch.setattr(weighted_tail, "ask", lambda W, C, G: None)
    W, C, nothing = np.array([[0.0, 1.0]]), np.diag([1.0, -1e-10]), np.zeros((1, 1))
    rounding = 5 * EPS / 2 * 1.0 * np.trace(C) ** 0.5
    for room in (0.0, 1.0, 3.0):
        value = error(W, nothing, np.zeros((1, 2)), C, None, room=room)
        assert value == pytest.approx((room * rounding) ** 2, rel=1e-13, abs=0.0)


def test_a_value_without_its_allowances_would_be_false() -> None:
    """What the difference loses: W is the product rounded; what the sum loses: it may be negative."""
    below = {"difference": 0, "sum": 0}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        left, right = rng.standard_normal((4, 3)), rng.standard_normal((3, 4))
        W, C = left @ right, moment(rng, 4, 1)
        truth = exact_error(W, left, right, C, None)
        D = W - left @ right
        below["difference"] += mpmath.mpf(float(np.sum((D @ C) * D))) < truth
        assert mpmath.mpf(error(W, left, right, C, None)) >= truth
        W = rng.standard_normal((4, 4))
        truth = exact_error(W, left, right, C, None)
        D = W - left @ right
        below["sum"] += mpmath.mpf(float(np.sum((D @ C) * D))) < truth
        assert mpmath.mpf(error(W, left, right, C, None)) >= truth
    assert min(below.values()) > 10


def test_its_name() -> None:
    assert weighted_tail.THEOREM == "weighted_tail"
    assert EPS == 2.0**-52
