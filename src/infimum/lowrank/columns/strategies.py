"""The strategies by name, and "auto": the best of a few, improved by exchanges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np

from infimum._arguments import one_of
from infimum.lowrank.columns import greedy, leverage, pivoting, sampling
from infimum.lowrank.columns.reduction import Reduction

Strategy: TypeAlias = Callable[[Reduction, int, np.random.Generator], np.ndarray]
"""``strategy(reduction, count, rng)`` returns `count` different columns, the first taken first."""
STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        "norm": sampling.by_norm,
        "norm_sampling": sampling.by_norm_sampling,
        "uniform": sampling.by_uniform,
        "column_sampling": sampling.by_column_sampling,
        "kmeans": sampling.by_kmeans,
        "leverage": leverage.by_leverage,
        "leverage_sampling": leverage.by_leverage_sampling,
        "ridge_leverage": leverage.by_ridge_leverage,
        "deim": leverage.by_deim,
        "qdeim": leverage.by_qdeim,
        "adaptive_pivoting": leverage.by_adaptive_pivoting,
        "osinsky": leverage.by_osinsky,
        "pivoted_qr": pivoting.by_pivoted_qr,
        "lupp": pivoting.by_lupp,
        "strong_rrqr": pivoting.by_strong_rrqr,
        "greedy": greedy.by_greedy,
    }
)
StrategyName: TypeAlias = Literal[
    "norm",
    "norm_sampling",
    "uniform",
    "column_sampling",
    "kmeans",
    "leverage",
    "leverage_sampling",
    "ridge_leverage",
    "deim",
    "qdeim",
    "adaptive_pivoting",
    "osinsky",
    "pivoted_qr",
    "lupp",
    "strong_rrqr",
    "greedy",
    "auto",
]
LARGE = 1_000_000  # entries of a reduction from which on "auto" has one start only
ENTRIES = 6e7  # entries of the reduction that the exchanges of "auto" may read
STARTS = ("osinsky", "greedy", "pivoted_qr")  # each wins on some inputs, the first on most and never by far behind


def by_error(M: Reduction, count: int, rng: np.random.Generator) -> np.ndarray:
    """Start from the best of three strategies, or from the first, and exchange columns while that lowers the error."""
    one = M.matrix.size > LARGE or np.any(M.outside)
    orders = [STRATEGIES[name](M, count, rng) for name in STARTS[: 1 if one else 3]]
    best = orders[0] if one else min(orders, key=lambda order: float(M.errors(order)[-1]))
    # the first exchanges gain most: a large matrix, of which every trial reads all entries a few times, gets fewer
    trials = min(4 * count, max(count // 4, int(ENTRIES / M.matrix.size)))
    return greedy.improved(M, best, trials)


def strategy_named(name: str) -> Strategy:
    """Return the strategy of that name; "auto" is `by_error`."""
    one_of("strategy", name, ("auto", *STRATEGIES))
    return by_error if name == "auto" else STRATEGIES[name]
