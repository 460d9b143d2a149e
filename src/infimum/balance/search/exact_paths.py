"""The exact optimum by shortest paths, digits by digits: the leading ones first, then what the next ones still decide.

An optimum for the leading digits of all scores has potentials that leave few tokens undecided: later digits change
no score by a unit, so no path by more than the number of nodes, and a token moves only where its reduced scores are
nearer to 0 than that. The next pass takes those tokens alone, with their reduced scores cut at a size that nothing
reaches, and the following digits. After the last digit of every token in question the optimum is exact, however far
apart the sizes of the scores are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from infimum.balance.search.augmenting_paths import ExpertGraph, GridOverflowError
from infimum.balance.search.integer_scores import (
    BARRED,
    CLIP,
    LEAST,
    WIDE,
    Digits,
    as_floats,
    clipped,
    cut_towards_zero,
    leading_digits,
)
from infimum.errors import RangeError
from infimum.proof.theorems.assignment_dual import BLOCK, Bias, Limits


class Routing(NamedTuple):
    """Which experts every token has, and the bias that speaks for it."""

    member: np.ndarray  # (m, n) bool
    bias: Bias


def exact_routing(scores: np.ndarray, k: int, limits: Limits, bias: np.ndarray) -> Routing:
    """Find an optimum from any bias; the better the bias, the less there is to do."""
    graph, digits = _first_pass(scores, k, limits, bias)
    member, values, rest = graph.member.copy(), digits.values, digits.rest
    total, exponent, tokens = graph.potential.astype(object), digits.exponent, np.arange(scores.shape[0])
    nodes = graph.root + 2
    bits = CLIP.bit_length() - 3 - math.ceil(math.log2(nodes))  # so that paths stay below what is cut
    while True:
        undecided = _undecided(graph, values, 4 * nodes)
        rest = rest[undecided]
        if not rest.any():
            return Routing(member, _bias(total, exponent, scores.shape[1]))
        reduced = _reduced_scores(graph, values, undecided)
        tokens, barred = tokens[undecided], values[undecided] == BARRED
        shift = exponent - max(math.frexp(float(np.abs(rest).max()))[1] - bits, LEAST)
        exponent -= shift
        digit, rest = cut_towards_zero(rest, exponent)
        values = np.where(barred, BARRED, clipped(reduced, shift) + digit)
        within = _without(limits, member.sum(axis=0) - member[tokens].sum(axis=0))
        graph = ExpertGraph(values, k, within, np.zeros(scores.shape[1], np.int64), clipped(graph.ahead(), shift))
        graph.solve()
        graph.centre()
        member[tokens] = graph.member
        total = total * 2**shift + graph.potential


def _first_pass(scores: np.ndarray, k: int, limits: Limits, bias: np.ndarray) -> tuple[ExpertGraph, Digits]:
    for bits in _widths(bias.size):
        digits = leading_digits(scores, bits)
        try:
            graph = ExpertGraph(digits.values, k, limits, digits.round(bias))
            graph.solve()
        except GridOverflowError:
            continue
        graph.centre()
        return graph, digits
    raise AssertionError("potentials stay below the number of nodes times the largest score")


def _widths(experts: int) -> Iterator[int]:
    yield WIDE
    yield WIDE - 1 - math.ceil(math.log2(experts + 2))  # cannot overflow


def _reduced_scores(graph: ExpertGraph, values: np.ndarray, tokens: np.ndarray | slice) -> np.ndarray:
    """Return scores plus potentials less the last chosen one of every token: what is chosen is at least 0."""
    biased = values[tokens] + graph.potential[: values.shape[1]]
    return np.asarray(biased - np.where(graph.member[tokens], biased, 2**62).min(axis=1, keepdims=True))


def _undecided(graph: ExpertGraph, values: np.ndarray, reach: int) -> np.ndarray:
    """Return the tokens that later digits may still move: a chosen and another expert are within `reach` units."""
    found, rows = [], max(1, BLOCK // values.shape[1])
    for start in range(0, values.shape[0], rows):
        part = slice(start, start + rows)
        other = np.where(graph.member[part], -(2**62), _reduced_scores(graph, values, part)).max(axis=1)
        found.append(start + np.flatnonzero(other >= -reach))
    return np.concatenate(found)


def _without(limits: Limits, loads: np.ndarray) -> Limits:
    """Return the windows that are left when so many tokens are placed."""
    groups = limits.groups
    if groups is not None:
        joint = np.bincount(groups.of, weights=loads, minlength=groups.low.size).astype(np.int64)
        groups = groups._replace(low=groups.low - joint, high=groups.high - joint)
    return Limits(limits.low - loads, limits.high - loads, groups)


def _bias(potential: np.ndarray, exponent: int, experts: int) -> Bias:
    try:
        parts = as_floats(potential[:-1].tolist(), exponent)
    except OverflowError:
        raise RangeError(
            "the bias of the optimum is beyond the range of float64; scale the scores down first"
        ) from None
    return Bias(parts[:, :experts], parts[:, experts:] if parts.shape[1] > experts else None)
