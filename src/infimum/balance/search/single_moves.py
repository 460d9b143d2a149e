"""From any routing to a balanced one by the cheapest single moves: fast, not optimal."""

from __future__ import annotations

import numpy as np

from infimum.proof.theorems.assignment_dual import Limits


def repair(values: np.ndarray, member: np.ndarray, limits: Limits) -> np.ndarray | None:
    """Return `member` with the loads moved into their windows, or None where single moves do not suffice."""
    below = relieve(values, member, limits.high)
    if below is None:
        return None
    # an expert with too few tokens is one whose complement holds too many, of opposite value
    inside = relieve(-values, ~below, values.shape[0] - limits.low)
    return None if inside is None or not limits.admit((~inside).sum(axis=0)) else ~inside


def relieve(values: np.ndarray, member: np.ndarray, high: np.ndarray) -> np.ndarray | None:
    """Move tokens from experts above `high` to experts below it, those first that lose least."""
    member = member.copy()
    while True:
        loads = member.sum(axis=0)
        if np.all(loads <= high):
            return member
        tokens = np.flatnonzero(member[:, loads > high].any(axis=1))
        open_ = np.where((loads < high) & ~member[tokens], values[tokens], -np.inf)
        goal = open_.argmax(axis=1)
        best = open_[np.arange(tokens.size), goal]
        full = np.where((loads > high) & member[tokens], values[tokens], np.inf)
        source = full.argmin(axis=1)
        loss = full[np.arange(tokens.size), source] - best
        order = np.argsort(loss, kind="stable")
        order = order[np.isfinite(loss[order])]
        # among the moves from one expert, or to one, only as many as it may lose, or has room for
        order = order[_turn(source[order]) < (loads - high)[source[order]]]
        order = order[_turn(goal[order]) < (high - loads)[goal[order]]]
        if not order.size:
            return None
        member[tokens[order], source[order]] = False
        member[tokens[order], goal[order]] = True


def _turn(labels: np.ndarray) -> np.ndarray:
    """Return for every label how often it occurred before."""
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if labels.size else np.zeros(0, dtype=np.int64)
    turn = np.empty(labels.size, dtype=np.int64)
    turn[order] = np.arange(labels.size) - np.repeat(first, np.diff(np.r_[first, labels.size]))
    return turn
