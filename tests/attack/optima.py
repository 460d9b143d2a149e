"""The least loss on tiny inputs, by trying everything, without rounding: what a claimed bound must not exceed.

Each function reads the options (rank, loads, caps) from the answer, as forged as they may be. None: too many choices.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np

from infimum.integers.brute_force import least_cost
from infimum.memory import brute_force
from tests.attack import exact, losses, uniform
from tests.attack.exact import energy, matrices, rational, real, root

MOST = 3000  # choices that are tried


def _frozen(array: np.ndarray) -> tuple[bytes, tuple[int, ...], str]:
    return array.tobytes(), array.shape, array.dtype.str


def _thawed(key: tuple[bytes, tuple[int, ...], str]) -> np.ndarray:
    return np.frombuffer(key[0], dtype=key[2]).reshape(key[1])


def remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    """Remember what was found for the same arrays and options."""

    @functools.lru_cache(maxsize=20_000)
    def of_keys(*keys: Any) -> Any:
        return function(*(_thawed(key) if isinstance(key, tuple) and len(key) == 3 else key for key in keys))

    @functools.wraps(function)
    def outer(*args: Any) -> Any:
        return of_keys(*(_frozen(item) if isinstance(item, np.ndarray) else item for item in args))

    return outer


@remembered
def tail(M: np.ndarray, rank: int) -> mpmath.mpf:
    return mpmath.sqrt(mpmath.fsum(squares(M)[rank:]))


squares = remembered(exact.singular_squares)


@remembered
def columns(M: np.ndarray, count: int) -> mpmath.mpf | None:
    """Least error over all choices of so many columns."""
    repeated, (whole,) = matrices(M)
    width = M.shape[1]
    if math.comb(width, count) > MOST or M.shape[0] > 8:
        return None
    total, best = energy(whole), Fraction(0)
    for chosen in itertools.combinations(range(width), count):
        picked = [j + shift for j in chosen for shift in ((0, width) if repeated == 2 else (0,))]
        best = max(best, energy(exact.projector(whole[:, picked]) @ whole))
    return root((total - best) / repeated)


@remembered
def rows_and_columns(M: np.ndarray, rows: int, count: int) -> mpmath.mpf | None:
    m, n = M.shape
    if math.comb(m, rows) * math.comb(n, count) > MOST or max(m, n) > 8 or np.iscomplexobj(M):
        return None
    whole = rational(M)
    left = [exact.projector(whole[:, list(c)]) @ whole for c in itertools.combinations(range(n), count)]
    right = [whole @ exact.projector(whole.T[:, list(c)]) for c in itertools.combinations(range(m), rows)]
    # of projectors P and Q the energy of P M Q is the inner product of P M and M Q
    return root(energy(whole) - max(np.sum(a * b) for a in left for b in right))


def interpolative(result: Any, M: np.ndarray) -> Any:
    if result.certificate.theorem != "column_subset":  # these bound every matrix of the rank
        return tail(M, result.skeleton.shape[1 if result.rows is None else 0])
    return columns(M, len(result.columns)) if result.rows is None else columns(M.conj().T, len(result.rows))


def cur(result: Any, M: np.ndarray) -> Any:
    counts = len(result.rows), len(result.columns)
    return rows_and_columns(M, *counts) if result.certificate.theorem == "column_subset" else tail(M, min(counts))


@remembered
def kernel_tail(K: np.ndarray, rank: int) -> mpmath.mpf:
    repeated, (whole,) = matrices(K)
    return mpmath.fsum(sorted((abs(x) for x in exact.eigenvalues(whole, repeated)), reverse=True)[rank:])


@remembered
def terms(X: np.ndarray, Y: np.ndarray, count: int) -> mpmath.mpf | None:
    size = X.shape[1]
    if math.comb(size, count) > MOST or np.iscomplexobj(X) or np.iscomplexobj(Y):
        return None
    parts = [np.outer(x, y) for x, y in zip(rational(X).T, rational(Y), strict=True)]
    dropped = itertools.combinations(range(size), size - count)
    zero = np.full((X.shape[0], Y.shape[1]), Fraction(0), dtype=object)
    return root(min(energy(sum((parts[j] for j in drop), zero)) for drop in dropped))


@remembered
def weighted(X: np.ndarray, Y: np.ndarray, count: int, single: bool) -> mpmath.mpf | None:
    """Least loss over all choices of so many terms, with one weight each or with any matrix between them."""
    size = X.shape[1]
    if math.comb(size, count) > MOST or np.iscomplexobj(X) or np.iscomplexobj(Y):
        return None
    whole, found = mpmath.matrix(X.tolist()) * mpmath.matrix(Y.tolist()), []
    if not count:
        return mpmath.mnorm(whole, "f")
    for S in map(list, itertools.combinations(range(size), count)):
        C, R = mpmath.matrix(X[:, S].tolist()), mpmath.matrix(Y[S].tolist())
        if single:
            terms = mpmath.matrix(
                [[x * y for x, y in zip(a, b, strict=True)] for a in C.tolist() for b in R.T.tolist()]
            )
            target = mpmath.matrix([entry for row in whole.tolist() for entry in row])
            found.append(mpmath.norm(target - _projected(terms, target)))
        else:
            found.append(mpmath.mnorm(whole - _projected(C, _projected(R.T, whole.T).T), "f"))
    return min(found)


def _projected(A: Any, B: Any) -> Any:
    """Project columns onto those of A, which are independent."""
    gram = A.T * A
    return A * ((gram**-1) * (A.T * B))


@remembered
def _whole_product(X: np.ndarray, Y: np.ndarray) -> list[mpmath.mpf]:
    repeated, (left, right) = matrices(X, Y)
    product = left @ right
    return exact.eigenvalues(product @ product.T, repeated)


def cr(result: Any, X: np.ndarray, Y: np.ndarray) -> Any:
    count = len(result.terms)
    if result.certificate.theorem == "gram":
        return terms(X, Y, count)
    if result.certificate.theorem in ("weighted_terms", "column_subset"):
        return weighted(X, Y, count, result.certificate.theorem == "weighted_terms")
    return mpmath.sqrt(mpmath.fsum(max(x, 0) for x in _whole_product(X, Y)[count:]))


def in_ball(s: list[Any], energies: list[Any], beyond: Any, radius: Any) -> Any:
    """Least ``norm(S x - b)`` with ``norm(x) <= radius``: the Tikhonov solution of that length."""
    pairs = [(x, e) for x, e in zip(s, energies, strict=True) if x > mpmath.mpf(10) ** -45 * s[0]]
    lost = beyond + mpmath.fsum(energies) - mpmath.fsum(e for _, e in pairs)

    def length(mu: Any) -> Any:
        return mpmath.fsum((x / (x * x + mu)) ** 2 * e for x, e in pairs)

    def loss(mu: Any) -> Any:
        return mpmath.sqrt(lost + mpmath.fsum((mu / (x * x + mu)) ** 2 * e for x, e in pairs))

    if not pairs or length(0) <= radius**2:
        return loss(0)
    low, high = mpmath.mpf(10) ** -90 * s[0] ** 2, mpmath.mpf(10) ** 90 * s[0] ** 2
    for _ in range(220):
        middle = mpmath.sqrt(low * high)
        low, high = (middle, high) if length(middle) > radius**2 else (low, middle)
    return loss(high)


def pinv(result: Any, A: np.ndarray) -> Any:
    repeated, (inverse,) = matrices(result.matrix)
    s = [mpmath.sqrt(x) for x in squares(A)]
    return in_ball(s, [mpmath.mpf(1)] * len(s), mpmath.mpf(A.shape[0] - len(s)), root(energy(inverse) / repeated))


@remembered
def _spectrum(A: np.ndarray, B: np.ndarray) -> tuple[list[Any], list[Any], Any]:
    """Singular values, what B has in each left singular direction, and what it has beyond them."""
    A, B = np.asarray(A, dtype=float), np.asarray(B, dtype=float)
    U, S, _ = mpmath.svd_r(mpmath.matrix(A.tolist()), full_matrices=False)
    images = U.T * mpmath.matrix((B if B.ndim == 2 else B[:, None]).tolist())
    energies = [mpmath.fsum(images[i, j] ** 2 for j in range(images.cols)) for i in range(images.rows)]
    return [S[i] for i in range(len(S))], energies, max(real(energy(rational(B))) - mpmath.fsum(energies), 0)


def solve(result: Any, A: np.ndarray, B: np.ndarray) -> Any:
    if np.iscomplexobj(A) or np.iscomplexobj(B):
        return None
    s, energies, beyond = _spectrum(A, B)
    if result.ridge:
        ridge = real(result.ridge)
        return mpmath.sqrt(beyond + mpmath.fsum(ridge * e / (x * x + ridge) for x, e in zip(s, energies, strict=True)))
    repeated, (answer,) = matrices(np.atleast_2d(result.matrix))
    return in_ball(s, energies, beyond, root(energy(answer) / repeated))


def many(result: Any, values: np.ndarray) -> int:
    return sum(_cost(n, (1, 1, 1)) for n in values.ravel().tolist())


@functools.lru_cache(maxsize=10_000)
def _cost(n: int, cost: tuple[int, ...]) -> int:
    return least_cost(n, cost)


def one(result: Any, n: int) -> int | None:
    return _cost(n, tuple(result.cost)) if n <= 1000 else None


def design(result: Any, target: np.ndarray) -> Any:
    if result.decay_law != "fixed":
        return _best_seen(result, target)
    return real(brute_force.exact_loss(result, target))


def _best_seen(result: Any, target: np.ndarray) -> Any:
    """Least loss of random schedules within the caps that follow the law: at least the optimum."""
    rng, steps = np.random.default_rng(0), len(target)
    caps = np.minimum(1.0, np.arange(1, steps + 1) / max(result.warmup, 1)) * np.asarray(result.max_lr)
    best, law = mpmath.inf, result.decay_law
    wanted = target / target.sum()
    at = np.asarray(result.lr, dtype=float)
    for round_ in range(2000):
        lr = np.clip(at * np.exp(rng.standard_normal(steps) * 0.5 ** (round_ // 200)), 0.0, caps)
        lost = (
            lr * lr * result.decay_rate if law == "proportional" else 1.0 - np.sqrt(1.0 - (lr / result.decay_rate) ** 2)
        )
        left = np.append(np.cumprod((1.0 - lost)[::-1])[::-1], 1.0)
        if left[0] > result.initial_share or not np.all(lr > 0.0):
            continue
        w = lr * left[1:]
        if result.beta1:
            b, i = result.beta1, np.arange(steps)
            ages = np.maximum(i - i[:, None], 0)
            w = (np.triu((1 - b) * b**ages) / (1 - b ** (i + 1))) @ w
        loss = (
            (w / wanted).max() / (w / wanted).min()
            if result.objective == "ratio"
            else abs(w / w.sum() - wanted).sum() / 2
        )
        if loss < best:
            best, at = loss, lr
    return best * (1 + 1e-9) if best < mpmath.inf else None


def _filled(
    rows: list[list[tuple[tuple[int, ...], Fraction]]], allowed: Callable[[tuple[int, ...]], bool], high: Any
) -> Any:
    """Largest total when every row gives one of its choices, by the loads so far."""
    states = {(0,) * len(high): Fraction(0)}
    for choices in rows:
        grown: dict[tuple[int, ...], Fraction] = {}
        for loads, total in states.items():
            for taken, worth in choices:
                new = tuple(a + b for a, b in zip(loads, taken, strict=True))
                if all(a <= b for a, b in zip(new, high, strict=True)):
                    grown[new] = max(grown.get(new, total + worth), total + worth)
        states = grown
    return max((total for loads, total in states.items() if allowed(loads)), default=None)


@remembered
def _topk(scores: np.ndarray, k: int, load: np.ndarray, groups: Any, group_load: Any) -> Fraction | None:
    low, high = load.tolist()
    experts = scores.shape[1]
    rows = []
    for row in scores.tolist():
        choices = itertools.combinations([j for j in range(experts) if row[j] > -np.inf], k)
        marks = [(tuple(int(j in c) for j in range(experts)), c) for c in choices]
        rows.append([(mark, sum((Fraction(row[j]) for j in c), Fraction(0))) for mark, c in marks])

    def allowed(loads: tuple[int, ...]) -> bool:
        if any(x < a for x, a in zip(loads, low, strict=True)):
            return False
        if groups is None:
            return True
        joint = [
            sum(x for x, g in zip(loads, groups.tolist(), strict=True) if g == i) for i in range(group_load.shape[1])
        ]
        return all(a <= x <= b for a, x, b in zip(*group_load.tolist()[:1], joint, group_load.tolist()[1], strict=True))

    best = _filled(rows, allowed, high)
    return None if best is None else losses.best_entries(scores, k) - best


def topk(result: Any, scores: np.ndarray) -> Any:
    if scores.size > 30:
        return None
    parts = (None if item is None else np.asarray(item) for item in (result.groups, result.group_load))
    return _topk(scores, result.experts.shape[1], np.asarray(result.load), *parts)


def assignment(result: Any, cost: np.ndarray) -> Fraction:
    wide = (-cost if result.maximize else cost).tolist()
    if cost.shape[0] > cost.shape[1]:
        wide = [list(column) for column in zip(*wide, strict=True)]
    orders = itertools.permutations(range(len(wide[0])), len(wide))
    chosen = ([wide[i][j] for i, j in enumerate(order)] for order in orders)
    return min(sum(map(Fraction, entries), Fraction(0)) for entries in chosen if np.inf not in entries)


def threshold(result: Any, scores: np.ndarray) -> Fraction | None:
    """Every expert takes its best tokens, as many as its load: only the loads are to be chosen."""
    low, high = np.asarray(result.load).tolist()
    values, total = rational(scores), int(result.chosen.sum())
    best: dict[int, Fraction] = {0: Fraction(0)}
    for j, (a, b) in enumerate(zip(low, high, strict=True)):
        column = sorted(values[:, j], reverse=True)
        grown: dict[int, Fraction] = {}
        for count in range(max(a, 0), min(b, len(column)) + 1):
            worth = sum(column[:count], Fraction(0))
            for taken, so_far in best.items():
                grown[taken + count] = max(grown.get(taken + count, so_far + worth), so_far + worth)
        best = grown
    if total not in best:
        return None
    return sum(sorted(values.flat, reverse=True)[:total], Fraction(0)) - best[total]


@remembered
def _codebook(points: np.ndarray, codes: np.ndarray, load: np.ndarray) -> Fraction | None:
    (low, high), number = load.tolist(), len(codes)
    marks = [tuple(int(i == j) for i in range(number)) for j in range(number)]
    rows = [[(mark, -d) for mark, d in zip(marks, row, strict=True)] for row in losses.distances(points, codes)]
    best = _filled(rows, lambda loads: all(x >= a for x, a in zip(loads, low, strict=True)), high)
    return None if best is None else -best


def codebook(result: Any, points: np.ndarray) -> Any:
    return _codebook(points, np.asarray(result.codes), np.asarray(result.load)) if len(points) <= 12 else None


OPTIMA: dict[str, losses.Loss] = {
    "lowrank.svd": lambda result, M: tail(M, result.rank),
    "lowrank.pinv": pinv,
    "lowrank.interpolative": interpolative,
    "lowrank.nystrom": lambda result, K: kernel_tail(K, result.rank),
    "lowrank.solve": solve,
    "lowrank.cr": cr,
    "lowrank.cur": cur,
    "integers.product_plus_remainder": one,
    "integers.product_plus_remainder_many": many,
    "memory.design": design,
    "balance.balanced_topk": topk,
    "balance.linear_assignment": assignment,
    "balance.threshold_routing": threshold,
    "balance.balanced_codebook": codebook,
    "minimax.polynomial": uniform.space_optimum,
    "minimax.rational": uniform.quotient_optimum,
    "minimax.rounded": uniform.space_optimum,
    "minimax.msign_schedule": uniform.schedule_optimum,
}
