"""References for the tests: the linear program as a general solver sees it, and instances of many kinds."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from fractions import Fraction
from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse
import torch

KINDS = ("continuous", "skewed", "two decimals", "bfloat16")


def scores(kind: str, tokens: int, experts: int, rng: np.random.Generator) -> np.ndarray:
    """Draw scores of a kind that routers have."""
    logits = rng.standard_normal((tokens, experts))
    if kind == "skewed":
        logits = logits + 1.5 * rng.standard_normal(experts)
    values = 1.0 / (1.0 + np.exp(-logits))
    if kind == "two decimals":
        return np.round(values, 2)
    if kind == "bfloat16":
        return torch.asarray(values, dtype=torch.bfloat16).double().numpy()
    return values


def best_score(values: np.ndarray, k: int, low: np.ndarray, high: np.ndarray) -> float:
    """Return the optimum of the linear program by HiGHS."""
    tokens, experts = values.shape
    by_token = scipy.sparse.kron(scipy.sparse.identity(tokens), np.ones((1, experts)), format="csr")
    by_expert = scipy.sparse.kron(np.ones((1, tokens)), scipy.sparse.identity(experts), format="csr")
    answer: Any = scipy.optimize.linprog(
        -values.ravel(),
        A_eq=by_token,
        b_eq=np.full(tokens, k),
        A_ub=scipy.sparse.vstack([by_expert, -by_expert]),
        b_ub=np.concatenate([high, -low]),
        bounds=(0.0, 1.0),
        method="highs",
    )
    assert answer.status == 0, answer.message
    return float(-answer.fun)


def exact_best_score(values: np.ndarray, k: int, low: np.ndarray, high: np.ndarray) -> Fraction | None:
    """Return the best score of all assignments within the windows, in rational numbers; None if there is no such."""
    best = {(0,) * len(low): Fraction(0)}
    for row in values.tolist():
        grown: dict[tuple[int, ...], Fraction] = {}
        for chosen in itertools.combinations([j for j, value in enumerate(row) if value > -np.inf], k):
            worth = sum((Fraction(row[j]) for j in chosen), Fraction(0))
            for loads, total in best.items():
                new = tuple(load + (j in chosen) for j, load in enumerate(loads))
                if all(a <= b for a, b in zip(new, high.tolist(), strict=True)):
                    grown[new] = max(grown.get(new, total + worth), total + worth)
        best = grown
    within = (total for loads, total in best.items() if all(a >= b for a, b in zip(loads, low.tolist(), strict=True)))
    return max(within, default=None)


def exact_least_cost(cost: np.ndarray) -> Fraction | None:
    """Return the least cost of an assignment of the shorter side, in rational numbers; None if there is no such."""
    wide = (cost if cost.shape[0] <= cost.shape[1] else cost.T).tolist()
    best: dict[frozenset[int], Fraction] = {frozenset(): Fraction(0)}
    for row in wide:
        grown: dict[frozenset[int], Fraction] = {}
        for taken, total in best.items():
            for j, entry in enumerate(row):
                if j not in taken and entry < np.inf:
                    new, sum_ = taken | {j}, total + Fraction(entry)
                    grown[new] = min(grown.get(new, sum_), sum_)
        best = grown
    return min(best.values(), default=None)


def without_numba(monkeypatch, module):
    """Return a module as it is where Numba is missing."""
    spec = importlib.util.spec_from_file_location("plain", module.__file__)
    plain = importlib.util.module_from_spec(spec)
    with monkeypatch.context() as context:
        context.setitem(sys.modules, "numba", None)
        spec.loader.exec_module(plain)
    return plain
