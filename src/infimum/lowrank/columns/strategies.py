"""The strategies by name, and "auto": the best of a few, improved by exchanges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from infimum._arguments import one_of
from infimum._arrays import as_array, to_numpy
from infimum.errors import OptionError
from infimum.lowrank.columns import greedy, leverage, pivoting, projection, sampling
from infimum.lowrank.columns.reduction import Reduction

Strategy: TypeAlias = Callable[[Reduction, int, np.random.Generator], np.ndarray]
"""``strategy(reduction, count, rng)`` returns `count` different columns, the first taken first."""
Chooser: TypeAlias = Callable[[np.ndarray, int, np.random.Generator], Any]
"""A function of the user: ``strategy(matrix, count, rng)`` returns `count` different columns of a NumPy matrix."""
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
    "gaussian_projection",
    "sparse_sign_projection",
    "cosine_projection",
    "greedy",
    "auto",
]
HOMES = (sampling, leverage, pivoting, projection, greedy)
STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        name: next(getattr(home, f"by_{name}") for home in HOMES if hasattr(home, f"by_{name}"))
        for name in get_args(StrategyName)
        if name != "auto"
    }
)
LARGE = 1_000_000  # entries of a reduction from which on "auto" has one start only
ENTRIES = 6e7  # entries of the reduction that the exchanges of "auto" may read
STARTS = ("osinsky", "greedy", "pivoted_qr")  # each wins on some inputs, the first on most and never by far behind


def by_error(M: Reduction, count: int, rng: np.random.Generator, entries: float = ENTRIES) -> np.ndarray:
    """Start from the best of three strategies, or from the first, and exchange columns while that lowers the error."""
    one = M.matrix.size > LARGE or M.fixed or np.any(M.outside)
    orders = [STRATEGIES[name](M, count, rng) for name in STARTS[: 1 if one else 3]]
    best = orders[0] if one else min(orders, key=lambda order: float(M.errors(order)[-1]))
    # the first exchanges gain most: a large matrix, of which every trial reads all entries a few times, gets fewer
    trials = min(4 * count, max(count // 4, int(entries / M.matrix.size)))
    return greedy.improved(M, best, trials)


def strategy_named(strategy: str | Chooser) -> Strategy:
    """Return the strategy of that name, or that a function is; "auto" is `by_error`."""
    if callable(strategy):
        return partial(_by_function, strategy)
    one_of("strategy", strategy, ("auto", *STRATEGIES))
    return by_error if strategy == "auto" else STRATEGIES[strategy]


def known(name: str, strategy: object, *others: str) -> None:
    """Raise `OptionError` unless `strategy` is a function, the name of a strategy, or one of the others."""
    if not callable(strategy):
        one_of(name, strategy, ("auto", *others, *STRATEGIES))


def _by_function(choose: Chooser, M: Reduction, count: int, rng: np.random.Generator) -> np.ndarray:
    """Ask a function of the user, and look at what it returns."""
    found = to_numpy(as_array(choose(M.matrix.copy(), count, rng), "what the strategy returns"))
    width = M.matrix.shape[1]
    whole = found.dtype.kind in "iu" and found.shape == (count,)
    if not whole or np.unique(found).size != count or found.min() < 0 or found.max() >= width:
        raise OptionError(
            f"a strategy must return {count} different indices below {width}, the first taken first; got "
            f"{found.tolist()[:8]} of shape {found.shape}"
        )
    return found.astype(np.int64)
