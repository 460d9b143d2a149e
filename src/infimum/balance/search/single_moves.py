"""From any routing to a balanced one by the cheapest single moves: fast, not optimal."""

from __future__ import annotations

import numpy as np

from infimum._compiled import compiled_or
from infimum.proof.theorems.assignment_dual import Limits


def repair(values: np.ndarray, member: np.ndarray, limits: Limits) -> np.ndarray | None:
    """Return `member` with the loads moved into their windows, or None where single moves do not suffice."""
    below = relieve(values, member, limits.high)
    if below is None or limits.admit(below.sum(axis=0)):
        return below
    # an expert with too few tokens is one whose complement holds too many, of opposite value
    inside = relieve(-values, ~below, values.shape[0] - limits.low)
    return None if inside is None or not limits.admit((~inside).sum(axis=0)) else ~inside


def relieve(values: np.ndarray, member: np.ndarray, high: np.ndarray) -> np.ndarray | None:
    """Move tokens from experts above `high` to experts below it, those first that lose least."""
    member = member.copy()
    loads = member.sum(axis=0)
    while np.any(loads > high):
        loss, source, goal = cheapest_moves(values, member, loads - high)
        tokens = np.flatnonzero(np.isfinite(loss))
        tokens = tokens[np.argsort(loss[tokens], kind="stable")]
        # among the moves from one expert, or to one, only as many as it may lose, or has room for
        tokens = tokens[_turn(source[tokens]) < (loads - high)[source[tokens]]]
        tokens = tokens[_turn(goal[tokens]) < (high - loads)[goal[tokens]]]
        if not tokens.size:
            return None
        member[tokens, source[tokens]] = False
        member[tokens, goal[tokens]] = True
        loads += np.bincount(goal[tokens], minlength=loads.size) - np.bincount(source[tokens], minlength=loads.size)
    return member


def _cheapest_moves_of_arrays(
    values: np.ndarray, member: np.ndarray, excess: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    index = np.arange(values.shape[0])
    free = np.where((excess < 0) & ~member, values, -np.inf)
    held = np.where((excess > 0) & member, values, np.inf)
    goal, source = free.argmax(axis=1), held.argmin(axis=1)
    return held[index, source] - free[index, goal], source, goal


@compiled_or(_cheapest_moves_of_arrays)
def cheapest_moves(
    values: np.ndarray, member: np.ndarray, excess: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what every token loses at least by a move from an expert in excess to one with room: loss, from, to.

    The loss is infinite where there is no such move.
    """
    tokens, experts = values.shape
    loss, source, goal = np.empty(tokens), np.zeros(tokens, np.int64), np.zeros(tokens, np.int64)
    for token in range(tokens):
        least, best = np.inf, -np.inf
        for expert in range(experts):
            if excess[expert] > 0 and member[token, expert]:
                if values[token, expert] < least:
                    least, source[token] = values[token, expert], expert
            elif excess[expert] < 0 and not member[token, expert] and values[token, expert] > best:
                best, goal[token] = values[token, expert], expert
        loss[token] = least - best
    return loss, source, goal


def _turn(labels: np.ndarray) -> np.ndarray:
    """Return for every label how often it occurred before."""
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if labels.size else np.zeros(0, dtype=np.int64)
    turn = np.empty(labels.size, dtype=np.int64)
    turn[order] = np.arange(labels.size) - np.repeat(first, np.diff(np.r_[first, labels.size]))
    return turn
