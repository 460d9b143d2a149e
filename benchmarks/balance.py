"""Balanced routing and assignment against general solvers; ``python -m benchmarks.balance``: where rules stall."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import scipy.cluster.vq
import scipy.optimize
import scipy.sparse
import scipy.spatial

from benchmarks.harness import Comparison
from infimum import balance
from infimum.balance.search.load_windows import limits
from infimum.balance.search.sweeps import aim, sweep
from infimum.proof.theorems.assignment_dual import Bias, dual

ROUNDING = 1e-12  # relative gap that the rounding of a bias to float64 may leave


def comparisons() -> Iterator[Comparison]:
    """Yield every comparison of the balance room."""
    yield routing("skewed sigmoid scores", 16384, 256, 8)
    yield routing("skewed sigmoid scores", 65536, 64, 8)
    yield routing("skewed sigmoid scores", 65536, 256, 8)
    yield routing("skewed sigmoid scores", 256, 32, 4, peers={"scipy linprog, highs": highs})
    yield routing("skewed sigmoid scores", 1024, 16, 1, peers={"scipy LSA, repeated columns": repeated_columns})
    for kind in ("uniform", "whole numbers to 100", "distances"):
        for size in (64, 128, 256, 512, 1024, 2000):
            yield square(kind, size)
    yield thresholds("skewed sigmoid scores", 256, 32, 4)
    yield codebook(1024, 16, 8)


def scores_like(kind: str, tokens: int, experts: int, seed: int = 0) -> np.ndarray:
    """Draw scores: sigmoid of normal logits, with popular experts if `kind` says skewed, rounded if it says so."""
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((tokens, experts))
    if "skewed" in kind:
        logits += rng.standard_normal(experts)
    values = 1.0 / (1.0 + np.exp(-logits))
    if "decimals" in kind:
        return np.round(values, 2)
    if "bf16" in kind:  # the upper half of a float32, rounded to nearest
        bits = values.astype(np.float32).view(np.uint32)
        return ((bits + 0x8000) & 0xFFFF0000).view(np.float32).astype(np.float64)
    return values


def routing(
    kind: str,
    tokens: int,
    experts: int,
    k: int,
    *,
    peers: dict[str, Callable[[np.ndarray, int], np.ndarray]] | None = None,
) -> Comparison:
    """Compare ways to a balanced routing by the score that it gives up."""
    scores = scores_like(kind, tokens, experts)
    best = balance.balanced_topk(scores, k)
    free = best.score + best.certificate.value
    contenders: dict[str, Any] = {
        "infimum exact": lambda seed: balance.balanced_topk(scores, k).experts,
        "infimum, tol = 1e-3": lambda seed: balance.balanced_topk(scores, k, tol=1e-3).experts,
    }
    for rule, steps in (("midpoint", 20), ("quantile", 20)):
        run = partial(balance.balanced_topk, scores, k, method=rule, steps=steps)
        contenders[f"infimum {rule}, {steps} sweeps"] = lambda seed, run=run: run().experts
    for name, peer in (peers or {}).items():
        contenders[name] = lambda seed, peer=peer: peer(scores, k)
    return Comparison(
        problem="balance",
        input=f"{kind} {tokens} x {experts}",
        task=f"k = {k}, equal loads",
        contenders=contenders,
        loss=lambda chosen: free - np.take_along_axis(scores, chosen, axis=1).sum(),
        floor=best.certificate.lower_bound,
        rounds=3,
        seconds=30.0,
    )


def highs(scores: np.ndarray, k: int) -> np.ndarray:
    """Solve the linear program of balanced routing with a general solver."""
    tokens, experts = scores.shape
    rows = scipy.sparse.kron(scipy.sparse.identity(tokens), np.ones((1, experts)))
    columns = scipy.sparse.kron(np.ones((1, tokens)), scipy.sparse.identity(experts))
    answer = scipy.optimize.linprog(
        -scores.ravel(),
        A_eq=scipy.sparse.vstack([rows, columns], format="csr"),
        b_eq=np.concatenate([np.full(tokens, k), np.full(experts, tokens * k / experts)]),
        bounds=(0.0, 1.0),
        method="highs",
    )
    return np.argsort(-answer.x.reshape(scores.shape), axis=1, kind="stable")[:, :k]


def repeated_columns(scores: np.ndarray, k: int) -> np.ndarray:
    """Balance one expert per token with the assignment solver, every expert repeated as often as its load."""
    tokens, experts = scores.shape
    _, columns = scipy.optimize.linear_sum_assignment(np.repeat(scores, tokens // experts, axis=1), maximize=True)
    return columns[:, None] // (tokens // experts)


def square(kind: str, size: int) -> Comparison:
    """Compare solvers of the assignment problem; ours also returns duals and a certificate."""
    rng = np.random.default_rng(0)
    if kind == "distances":
        cost = scipy.spatial.distance.cdist(rng.random((size, 2)), rng.random((size, 2)))
    else:
        cost = rng.random((size, size)) if kind == "uniform" else rng.integers(0, 100, (size, size)).astype(float)
    result = balance.linear_assignment(cost)
    # every round has another order of the same costs, since users solve a matrix once: a processor learns its branches
    rounds = 15 if size <= 1024 else 7
    orders = [(rng.permutation(size), rng.permutation(size)) for _ in range(rounds + 1)]
    shuffled = [np.ascontiguousarray(cost[rows][:, columns]) for rows, columns in orders]
    return Comparison(
        problem="assign",
        input=f"{kind} {size} x {size}",
        task="least total",
        contenders={
            "infimum": lambda seed: (seed, balance.linear_assignment(shuffled[seed]).columns),
            "scipy linear_sum_assignment": lambda seed: (
                seed,
                scipy.optimize.linear_sum_assignment(shuffled[seed])[1],
            ),
        },
        loss=lambda answer: shuffled[answer[0]][np.arange(size), answer[1]].sum(),
        floor=result.certificate.lower_bound,
        certify=lambda answer: result.recheck(cost),
        rounds=rounds,
        seconds=15.0,
    )


def thresholds(kind: str, tokens: int, experts: int, k: int) -> Comparison:
    """Compare choices of so many entries within balanced loads by the score that they give up."""
    scores = scores_like(kind, tokens, experts)
    best = balance.threshold_routing(scores, k)
    free = best.score + best.certificate.value

    def program(seed: int) -> np.ndarray:
        columns = scipy.sparse.kron(np.ones((1, tokens)), scipy.sparse.identity(experts), format="csr")
        loads = np.full(experts, tokens * k / experts)
        answer = scipy.optimize.linprog(-scores.ravel(), A_eq=columns, b_eq=loads, bounds=(0.0, 1.0), method="highs-ds")
        return answer.x.reshape(scores.shape) > 0.5

    return Comparison(
        problem="threshold",
        input=f"{kind} {tokens} x {experts}",
        task=f"k = {k} on average, equal loads",
        contenders={
            "infimum": lambda seed: balance.threshold_routing(scores, k).chosen,
            "scipy linprog, highs-ds": program,
        },
        loss=lambda chosen: free - scores[chosen].sum(),
        floor=best.certificate.lower_bound,
        certify=lambda chosen: best.recheck(scores),
        rounds=3,
    )


def codebook(points: int, codes: int, dimensions: int) -> Comparison:
    """Compare codes for equally many points each by the squared distances; no bound holds for all codes."""
    data = np.random.default_rng(0).standard_normal((points, dimensions))

    def distances(answer: tuple[np.ndarray, np.ndarray]) -> float:
        found, labels = answer
        return float(np.square(data - found[labels]).sum())

    def ours(seed: int) -> tuple[np.ndarray, np.ndarray]:
        result = balance.balanced_codebook(data, codes, rng=seed)
        return result.codes, result.labels

    def means_first(seed: int) -> tuple[np.ndarray, np.ndarray]:
        means, _ = scipy.cluster.vq.kmeans2(data, codes, minit="++", seed=seed)
        squares = np.square(data[:, None, :] - means).sum(axis=2)
        labels = repeated_columns(-squares, 1)[:, 0]
        return np.stack([data[labels == code].mean(axis=0) for code in range(codes)]), labels

    return Comparison(
        problem="codebook",
        input=f"Gaussian {points} x {dimensions}",
        task=f"{codes} codes, equal loads",
        contenders={"infimum": ours, "scipy kmeans2, then the best assignment": means_first},
        loss=distances,
        floor=0.0,
        rounds=3,
    )


# ---------------------------------------------------------------- where alternating rules stop


def stall(count: int = 240, sweeps: int = 100) -> Iterator[str]:
    """Iterate the published rule and the midpoint rule on fixed batches; tell how many end at the optimum."""
    kinds = ("skewed", "skewed, bf16", "skewed, two decimals")
    outcomes: dict[tuple[str, str], list[tuple[float, bool]]] = {}
    for seed in range(count):
        rng = np.random.default_rng(1000 + seed)
        kind = kinds[max(0, seed % 4 - 1)]  # half of them continuous
        experts, k = int(rng.choice([8, 16])), int(rng.integers(1, 5))
        tokens = int(rng.choice([128, 256, 512]))
        scores = scores_like(kind, tokens, experts, seed)
        within = limits(scores.shape, tokens * k, None)
        best = Fraction(0) + sum(map(Fraction, _chosen(scores, balance.balanced_topk(scores, k).experts)))
        for rule in ("quantile", "midpoint"):
            bias, fixed = _iterate(scores, k, within, sweeps, midpoint=rule == "midpoint")
            bound = dual(scores, k, within, Bias(bias[None])).bound
            outcomes.setdefault((rule, kind), []).append((float((bound - best) / best), fixed))
    yield f"{'rule':10s} {'scores':22s} {'optimal':>9s} {'stuck at a worse point':>24s} {'worst relative gap':>20s}"
    for (rule, kind), rows in sorted(outcomes.items()):
        optimal = sum(gap <= ROUNDING for gap, _ in rows)
        stuck = sum(fixed and gap > ROUNDING for gap, fixed in rows)
        worst = max(gap for gap, _ in rows)
        yield f"{rule:10s} {kind:22s} {optimal:4d}/{len(rows):<4d} {stuck:24d} {worst:20.1e}"


def _chosen(scores: np.ndarray, experts: np.ndarray) -> list[float]:
    return list(np.take_along_axis(scores, experts, axis=1).ravel().tolist())


def _iterate(scores: np.ndarray, k: int, within: Any, sweeps: int, *, midpoint: bool) -> tuple[np.ndarray, bool]:
    columns, goal = np.ascontiguousarray(scores.T), aim(within, scores.shape[0] * k)
    bias = np.zeros(scores.shape[1])
    for _ in range(sweeps):
        before, (bias, _) = bias, sweep(scores, columns, k, goal, bias, midpoint=midpoint)
        if np.abs(bias - before).max() <= 1e-15:
            return bias, True
    return bias, False


if __name__ == "__main__":
    for line in stall(int(sys.argv[1]) if len(sys.argv) > 1 else 240):
        print(line)
