"""References for the tests: the linear program as a general solver sees it, and instances of many kinds."""

from __future__ import annotations

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
