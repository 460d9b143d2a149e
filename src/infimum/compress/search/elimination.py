"""In which order the inputs of a linear layer are given up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.linalg

from infimum._threads import together
from infimum.compress.measure.processes import spread
from infimum.compress.measure.progress import Progress, Steps
from infimum.compress.measure.side_by_side import two_by_two
from infimum.compress.menu.judging import crosswise, of_width
from infimum.compress.menu.ranks import Damping, damped
from infimum.compress.menu.task import Task
from infimum.compress.menu.widths import Group, partition, widths_of
from infimum.compress.model.layer import Layer
from infimum.proof.theorems.weighted_tail import lower_root

BLOCK = 32  # eliminations between two updates of the large matrices
RIDGE = 1e-6  # added to C, times its mean eigenvalue: of inputs that determine each other, any may go first
ORDERING, REPAIR = (0.0, 0.1, 1.0), (0.1, 1.0)  # dampings of C that are tried
TINY = float(np.finfo(np.float64).tiny)


def ordered_groups(task: Task, on_progress: Progress | None) -> list[Group]:
    """Group the layers that may be replaced; find the order in which the channels between some are given up."""
    steps = Steps(on_progress if task.settings.narrows else None, "channels")

    def ordered(some: Sequence[tuple[Layer, ...]]) -> list[Group]:
        return two_by_two(lambda layers: _ordered(task, layers), some, lambda layers: layers, steps)

    return spread(partition(task), ordered)


def _ordered(task: Task, layers: tuple[Layer, ...]) -> Group:
    """Find an order, where a half of the text judges the best of some: how much C should be damped differs much."""
    if len(layers) == 1 or not task.settings.narrows:
        return Group(layers)
    steps, (W, norm) = task.settings.widths, task.maker(layers[-1]) if task.settings.rounds else task.member(layers[-1])
    least = widths_of(W.shape[1], steps)[-1]

    def group(damping: float) -> Group:
        return Group(layers, eliminate(W, damped(norm.C, damping), norm.G, least), steps)

    if task.moments.judge is None or task.settings.objective != "two-sided":
        return group(0.0)

    def seen(one: Group) -> float:
        trial = of_width(task, one)
        return min(crosswise(task, layers[-1], trial, Damping(repair, 0.0))[0] for repair in REPAIR)

    groups = together(group, ORDERING)
    errors = together(seen, groups)
    return groups[errors.index(min(errors))]


def eliminate(W: np.ndarray, C: np.ndarray, G: np.ndarray | None, least: int) -> np.ndarray:
    """Order the inputs of W so that the first k are good ones to keep, for every k from `least` on.

    Backward elimination in the norm ``tr(G dW C dW')``: again and again the input goes that costs least, the others
    repaired. With B the repaired ``G^(1/2) W`` and P the inverse of C on what is left, input i costs
    ``|b_i|^2 / P_ii``; without it, B loses ``b_i P_i / P_ii`` and P loses ``P_i' P_i / P_ii``.

    References
    ----------
    .. [1] B. Hassibi, D. Stork, "Second order derivatives for network pruning: optimal brain surgeon", NIPS 1992.
    """
    n = W.shape[1]
    B = W if G is None else lower_root(G).T @ W
    ridge = RIDGE * float(np.trace(C)) / n or 1.0  # inputs that are all zero are all alike
    root = scipy.linalg.solve_triangular(lower_root(C + ridge * np.eye(n)), np.eye(n), lower=True, check_finite=False)
    P = root.T @ root
    left = np.arange(n)
    gone: list[int] = []
    while left.size > least:
        block = min(BLOCK, left.size - least)
        order, U, V = _cheapest(B, P, block)
        gone.extend(left[order])
        kept = np.setdiff1d(np.arange(left.size), order)
        left, B, P = left[kept], (B - V @ U)[:, kept], (P - U.T @ U)[np.ix_(kept, kept)]
    return np.array([*left, *reversed(gone)], dtype=np.int64)


def _cheapest(B: np.ndarray, P: np.ndarray, count: int) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Choose `count` inputs one after the other; ``B - V U`` and ``P - U' U`` are what is left without them."""
    U, V = np.zeros((count, P.shape[0])), np.zeros((B.shape[0], count))
    squares, pivots = np.sum(B**2, axis=0), np.diag(P).copy()
    order: list[int] = []
    for step in range(count):
        costs = squares / pivots
        costs[order] = np.inf
        i = int(np.argmin(costs))
        order.append(i)
        u = P[i] - U[:step, i] @ U[:step]
        root = max(float(u[i]), TINY) ** 0.5
        u, v = u / root, (B[:, i] - V[:, :step] @ U[:step, i]) / root
        U[step], V[:, step] = u, v
        along = v @ B - (v @ V[:, :step]) @ U[:step]
        squares = np.maximum(squares - 2.0 * u * along + u**2 * float(v @ v), 0.0)
        pivots = np.maximum(pivots - u**2, TINY)
    return order, U, V
