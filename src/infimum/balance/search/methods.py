"""The search for a balanced routing: a rule finds a bias, then moves along paths, or single moves, do the rest."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from infimum.balance.search.augmenting_paths import ExpertGraph, GridOverflowError, first_choice
from infimum.balance.search.integer_scores import WIDE, Grid, grid
from infimum.balance.search.single_moves import repair
from infimum.balance.search.subsampled_sweeps import nearly_balancing_bias
from infimum.balance.search.sweeps import aim, best_constant, gradient_steps, midpoint_sweeps, quantile_sweeps
from infimum.errors import RangeError
from infimum.proof.real_arrays import LARGEST
from infimum.proof.theorems.assignment_dual import Bias, Limits, biased, dual, exact_sum, two_sum, unbalanced

Method: TypeAlias = Literal["auto", "exact", "midpoint", "quantile", "sign", "rms", "sgd"]
METHODS = get_args(Method)


class Routing(NamedTuple):
    """Which experts every token has, and the bias that speaks for it."""

    member: np.ndarray  # (m, n) bool
    bias: Bias


def search(
    scores: np.ndarray,
    k: int,
    limits: Limits,
    bias: np.ndarray,
    *,
    method: Method,
    tol: float,
    steps: int | None,
    rate: float,
) -> Routing:
    """Find a balanced routing by the method asked for, starting from a bias."""
    if method in ("sign", "rms", "sgd"):
        return feasible(scores, k, limits, gradient_steps(scores, k, limits, bias, method, steps, rate))
    if method == "quantile":
        return feasible(scores, k, limits, quantile_sweeps(scores, k, limits, bias, steps))
    goal = aim(limits, scores.shape[0] * k)
    if method == "midpoint":
        return feasible(scores, k, limits, midpoint_sweeps(scores, k, goal, bias, steps=steps))
    bias = nearly_balancing_bias(scores, k, goal, bias)
    if method == "auto" and tol > 0.0:
        routing = feasible(scores, k, limits, bias)
        if gap(scores, k, limits, routing) <= tol * abs(unbalanced(scores, k)):
            return routing
    return exact_routing(scores, k, limits, bias)


def gap(scores: np.ndarray, k: int, limits: Limits, routing: Routing) -> float:
    """Return how far a routing is from the bound of its bias, at most."""
    return float(dual(scores, k, limits, routing.bias).bound - exact_sum(scores[routing.member]))


def exact_routing(scores: np.ndarray, k: int, limits: Limits, bias: np.ndarray) -> Routing:
    """Find an optimum from any bias; the better the bias, the less there is to do."""
    for bits in (WIDE, WIDE - 1 - math.ceil(math.log2(bias.size + 2))):  # the second cannot overflow
        units = grid(scores, bits)
        try:
            graph = ExpertGraph(units.values, k, limits, units.round(bias))
            graph.solve()
        except GridOverflowError:
            continue
        return Routing(graph.member, _bias(scores, units, graph.middle()))
    raise AssertionError("potentials stay below the number of nodes times the largest score")


def _bias(scores: np.ndarray, units: Grid, potential: np.ndarray) -> Bias:
    """Return potentials as a bias; its digits beyond float64 only where scores + bias can hold them."""
    experts = scores.shape[1]
    high, low = units.split(potential[:-1])
    groups = np.stack([high[experts:], low[experts:]]) if high.size > experts else None
    bias = Bias(high[:experts], low[:experts], groups)
    if not bias.low.any():
        return bias
    try:
        for start in range(0, scores.shape[0], 4096):
            biased(scores[start : start + 4096], bias)
    except RangeError:
        return bias._replace(low=np.zeros(experts))
    return bias


def feasible(scores: np.ndarray, k: int, limits: Limits, bias: np.ndarray) -> Routing:
    """Route by the k best of ``scores + bias`` and balance that by single moves, or by paths where they fail."""
    if not np.abs(bias).max() <= LARGEST:
        raise RangeError(f"the bias outgrew 2**1000, by scores, a start or a rate up to {np.abs(bias).max():.3g}")
    wishes = scores + bias
    member = repair(wishes, first_choice(wishes, k, limits), limits) if limits.groups is None else None
    if member is None:
        member = exact_routing(scores, k, limits, bias).member
    constant = best_constant(bias, limits.low, limits.high, scores.shape[0] * k)
    return Routing(member, Bias(*two_sum(bias, np.full_like(bias, constant))))
