"""The true loss of an answer as it is stored, computed apart from infimum: what a claimed value must not fall below.

Each function also asserts that the answer is one of the problem at all: indices in range, loads within limits.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np

from tests.attack import exact, uniform
from tests.attack.exact import energy, matrices, rational, real, root

Loss = Callable[..., Any]


def svd(result: Any, M: np.ndarray) -> mpmath.mpf:
    assert np.all(np.asarray(result.s) >= 0), "singular values must not be negative"
    assert np.all(np.diff(result.s) <= 0), "singular values must descend"
    repeated, (target, U, s, Vh) = matrices(M, result.U, np.diag(result.s), result.Vh)
    return root(energy(target - (U @ s) @ Vh) / repeated)


def pinv(result: Any, A: np.ndarray) -> mpmath.mpf:
    repeated, (matrix, inverse, identity) = matrices(A, result.matrix, np.eye(len(A)))
    return root(energy(matrix @ inverse - identity) / repeated)


def interpolative(result: Any, M: np.ndarray) -> mpmath.mpf:
    by_columns = result.rows is None
    chosen = result.columns if by_columns else result.rows
    assert np.array_equal(result.skeleton, M[:, chosen] if by_columns else M[chosen]), "the skeleton is not of M"
    repeated, (target, skeleton, Z) = matrices(M, result.skeleton, result.coefficients)
    return root(energy(target - (skeleton @ Z if by_columns else Z @ skeleton)) / repeated)


def nystrom(result: Any, K: np.ndarray) -> mpmath.mpf:
    assert sorted(set(result.landmarks.tolist()) & set(range(len(K)))) == sorted(result.landmarks.tolist())
    repeated, (target, factor) = matrices(K, result.factor)
    return mpmath.fsum(abs(x) for x in exact.eigenvalues(target - factor @ factor.T, repeated))


def solve(result: Any, A: np.ndarray, B: np.ndarray) -> mpmath.mpf:
    assert result.matrix.ndim == B.ndim
    B, X = (item if item.ndim == 2 else item[:, None] for item in (B, result.matrix))
    repeated, (matrix, target, answer) = matrices(A, B, X)
    square = energy(matrix @ answer - target) + Fraction(result.ridge) * energy(answer)
    return root(square / repeated)


def cr(result: Any, X: np.ndarray, Y: np.ndarray) -> mpmath.mpf:
    assert np.array_equal(result.C, X[:, result.terms]), "C is not of X"
    assert np.array_equal(result.R, Y[result.terms]), "R is not of Y"
    weights = np.eye(len(result.terms)) if result.weights is None else np.asarray(result.weights)
    middle = np.diag(weights) if weights.ndim == 1 else weights
    repeated, (left, right, C, W, R) = matrices(X, Y, result.C, middle, result.R)
    return root(energy(left @ right - C @ (W @ R)) / repeated)


def cur(result: Any, M: np.ndarray) -> mpmath.mpf:
    assert np.array_equal(result.C, M[:, result.columns]), "C is not of M"
    assert np.array_equal(result.R, M[result.rows]), "R is not of M"
    repeated, (target, C, core, R) = matrices(M, result.C, result.core, result.R)
    return root(energy(target - C @ (core @ R)) / repeated)


def product_plus_remainder(result: Any, n: int) -> int:
    a, b, c = result.a, result.b, result.c
    assert min(a, b, c) >= 0
    assert a * b + c == n
    assert all(type(item) is int for item in (a, b, c, *result.cost))
    return sum(number * price for number, price in zip((a, b, c), result.cost, strict=True))


def product_plus_remainder_many(result: Any, values: np.ndarray) -> int:
    triples = [part.ravel().tolist() for part in (result.a, result.b, result.c)]
    for a, b, c, n in zip(*triples, values.ravel().tolist(), strict=True):
        assert min(a, b, c) >= 0
        assert a * b + c == n
    return sum(map(sum, triples))


def design(result: Any, target: np.ndarray) -> mpmath.mpf:
    """Weights by the unrolling of the recursion, in rational numbers."""
    lr, decay, wanted = (rational(item) for item in (result.lr, result.weight_decay, target))
    assert all(x >= 0 for x in (*lr, *decay))
    highest = rational(np.broadcast_to(np.asarray(result.max_lr, dtype=float), lr.shape))
    ramp = [min(Fraction(1), Fraction(j + 1, max(result.warmup, 1))) for j in range(len(lr))]
    # a cap is the product in float64
    assert all(x <= h * r * (1 + Fraction(1, 2**52)) for x, h, r in zip(lr, highest, ramp, strict=True)), (
        "above its cap"
    )
    weights, left = [], Fraction(1)
    for rate, lost in zip(lr[::-1], (lr * decay)[::-1], strict=True):
        weights.append(rate * left)
        left *= 1 - lost
    weights = np.array(weights[::-1], dtype=object)
    if result.beta1:
        b = Fraction(result.beta1)
        weights = np.array(
            [
                sum((1 - b) * b ** (i - j) / (1 - b ** (i + 1)) * weights[i] for i in range(j, len(weights)))
                for j in range(len(weights))
            ],
            dtype=object,
        )
    assert real(result.initial_share) >= real(left) * (1 - mpmath.mpf(10) ** -8)
    if result.objective == "ratio":
        quotients = weights / wanted
        return real(max(quotients) / min(quotients))
    assert result.objective == "tv"
    return real(sum(abs(x) for x in weights / sum(weights) - wanted / sum(wanted)) / 2)


def within(loads: list[int], load: Any) -> None:
    low, high = np.asarray(load).tolist()
    assert all(a <= x <= b for a, x, b in zip(low, loads, high, strict=True)), f"loads {loads} outside {low}, {high}"


def balanced_topk(result: Any, scores: np.ndarray) -> Fraction:
    tokens, experts = scores.shape
    rows = result.experts.tolist()
    assert len(rows) == tokens
    assert all(len(set(row)) == len(row) and set(row) <= set(range(experts)) for row in rows)
    loads = [sum(row.count(j) for row in rows) for j in range(experts)]
    assert loads == result.loads.tolist()
    within(loads, result.load)
    if result.groups is not None:
        count = np.asarray(result.group_load).shape[1]
        joint = [sum(n for n, g in zip(loads, result.groups.tolist(), strict=True) if g == i) for i in range(count)]
        within(joint, result.group_load)
    assert all(scores[i, j] > -np.inf for i, row in enumerate(rows) for j in row)
    score = sum((Fraction(float(scores[i, j])) for i, row in enumerate(rows) for j in row), Fraction(0))
    return best_entries(scores, len(rows[0])) - score


def best_entries(scores: np.ndarray, k: int) -> Fraction:
    """The k best admitted entries of every row, summed."""
    rows = (sorted((Fraction(x) for x in row if x > -np.inf), reverse=True)[:k] for row in scores.tolist())
    return sum((sum(row, Fraction(0)) for row in rows), Fraction(0))


def linear_assignment(result: Any, cost: np.ndarray) -> Fraction:
    pairs = [(i, j) for i, j in enumerate(result.columns.tolist()) if j != -1]
    columns = [j for _, j in pairs]
    assert len(set(columns)) == len(columns) == min(cost.shape)
    assert set(columns) <= set(range(cost.shape[1]))
    total = sum((Fraction(float(cost[i, j])) for i, j in pairs), Fraction(0))
    return -total if result.maximize else total


def threshold_routing(result: Any, scores: np.ndarray) -> Fraction:
    assert result.chosen.shape == scores.shape
    loads = result.chosen.sum(axis=0).tolist()
    assert loads == result.loads.tolist()
    within(loads, result.load)
    values = rational(scores)
    best = sorted(values.flat, reverse=True)[: sum(loads)]
    return sum(best, Fraction(0)) - sum(values[result.chosen], Fraction(0))


def distances(points: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Squared distances of all points to all codes, exactly."""
    P, C = rational(points), rational(codes)
    return np.array([[energy(p - c) for c in C] for p in P], dtype=object)


def balanced_codebook(result: Any, points: np.ndarray) -> Fraction:
    labels = result.labels.tolist()
    assert len(labels) == len(points)
    loads = [labels.count(j) for j in range(len(result.codes))]
    assert loads == result.loads.tolist()
    within(loads, result.load)
    table = distances(points, result.codes)
    return sum((table[i, j] for i, j in enumerate(labels)), Fraction(0))


LOSSES: dict[str, Loss] = {
    "lowrank.svd": svd,
    "lowrank.pinv": pinv,
    "lowrank.interpolative": interpolative,
    "lowrank.nystrom": nystrom,
    "lowrank.solve": solve,
    "lowrank.cr": cr,
    "lowrank.cur": cur,
    "integers.product_plus_remainder": product_plus_remainder,
    "integers.product_plus_remainder_many": product_plus_remainder_many,
    "memory.design": design,
    "balance.balanced_topk": balanced_topk,
    "balance.linear_assignment": linear_assignment,
    "balance.threshold_routing": threshold_routing,
    "balance.balanced_codebook": balanced_codebook,
    "minimax.polynomial": uniform.polynomial_loss,
    "minimax.rational": uniform.rational_loss,
    "minimax.rounded": uniform.rounded_loss,
    "minimax.msign_schedule": uniform.schedule_loss,
}
