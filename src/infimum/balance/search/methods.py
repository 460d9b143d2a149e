"""The search for a balanced routing: a rule finds a bias, then moves along paths, or single moves, do the rest."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np

from infimum._arrays import Array, namespace, widen
from infimum._spread import on_device
from infimum.balance.search.augmenting_paths import first_choice
from infimum.balance.search.exact_paths import Routing, exact_routing
from infimum.balance.search.single_moves import repair
from infimum.balance.search.subsampled_sweeps import nearly_balancing_bias, roughly_balancing_bias
from infimum.balance.search.sweeps import aim, best_constant, gradient_steps, midpoint_sweeps, quantile_sweeps
from infimum.errors import RangeError
from infimum.proof.largest_entries import k_largest
from infimum.proof.real_arrays import LARGEST
from infimum.proof.theorems.assignment_dual import Bias, Limits, dual, exact_sum, two_sum, unbalanced

Method: TypeAlias = Literal["auto", "exact", "midpoint", "quantile", "sign", "rms", "sgd"]
METHODS = get_args(Method)
FAR = 4.0  # spans of the scores by which what is not admitted lies below them in the sweeps


def search(
    scores: np.ndarray,
    k: int,
    limits: Limits,
    bias: np.ndarray,
    *,
    given: Array,
    method: Method,
    tol: float,
    steps: int | None,
    rate: float,
) -> Routing:
    """Find a balanced routing by the method asked for, starting from a bias.

    `scores` are those `given`, on the host. What looks for a bias works where they were given.
    """
    swept = _swept(scores, given)
    if method in ("sign", "rms", "sgd"):
        return feasible(scores, k, limits, gradient_steps(swept, k, limits, bias, method, steps, rate))
    filled = with_far_scores(swept)
    if method == "quantile":
        return feasible(scores, k, limits, quantile_sweeps(filled, k, limits, bias, steps))
    goal = aim(limits, scores.shape[0] * k)
    if method == "midpoint":
        return feasible(scores, k, limits, midpoint_sweeps(filled, k, goal, bias, steps=steps))
    for improved in (roughly_balancing_bias, nearly_balancing_bias):
        bias = improved(filled, k, goal, bias)
        if method == "auto" and tol > 0.0:
            routing = feasible(scores, k, limits, bias)
            score, left = float(scores[routing.member].sum()), gap(scores, k, limits, routing)
            # the unbalanced score is no less, and takes a pass over all scores
            if left <= tol * score or left <= tol * abs(unbalanced(scores, k)):
                return routing
    return exact_routing(scores, k, limits, bias)


def _swept(scores: np.ndarray, given: Array) -> Array:
    """Return scores as given where they lie on a device that has float64, those on the host otherwise."""
    if not on_device(given):
        return scores
    wide = widen(given)
    return wide if wide.dtype == namespace(given=given).float64 else scores


def with_far_scores(scores: Array) -> Array:
    """Return scores with finite ones, far below all others, in place of -inf: the sweeps average what they meet."""
    xp = namespace(scores=scores)
    if float(xp.min(scores)) > -np.inf:
        return scores
    admitted = scores > -np.inf
    low, high = float(xp.min(xp.where(admitted, scores, np.inf))), float(xp.max(scores))
    return xp.where(admitted, scores, low - FAR * ((high - low) or 1.0))


def gap(scores: np.ndarray, k: int, limits: Limits, routing: Routing) -> float:
    """Return how far a routing is from the bound of its bias, but for rounding: when to stop is no matter of proof."""
    if limits.groups is not None:
        return float(dual(scores, k, limits, routing.bias).bound - exact_sum(scores[routing.member]))
    bias = routing.bias.parts.sum(axis=0)
    best = np.take_along_axis(scores, columns := k_largest(scores, k, bias).columns, axis=1)
    surplus = np.bincount(columns.ravel(), minlength=bias.size) - np.where(bias > 0.0, limits.low, limits.high)
    return float(best.sum() - scores[routing.member].sum() + (surplus * bias).sum())


def feasible(scores: np.ndarray, k: int, limits: Limits, bias: np.ndarray) -> Routing:
    """Route by the k best of ``scores + bias`` and balance that by single moves, or by paths where they fail."""
    if not np.abs(bias).max() <= LARGEST:
        raise RangeError(f"the bias outgrew 2**1000, by scores, a start or a rate up to {np.abs(bias).max():.3g}")
    wishes = scores + bias
    member = repair(wishes, first_choice(wishes, k, limits), limits) if limits.groups is None else None
    if member is None:
        member = exact_routing(scores, k, limits, bias).member
    constant = best_constant(bias, limits.low, limits.high, scores.shape[0] * k)
    return Routing(member, Bias(np.stack(two_sum(bias, np.full_like(bias, constant)))))
