"""A fast way to nearly balanced loads: sweeps over a part of the tokens, then over the few experts that matter to each.

Nothing depends on how well it works: the paths that follow are exact from any bias. Scores of any library stay where
they are, as in `sweeps`, and candidates with them.
"""

from __future__ import annotations

import numpy as np

from infimum._arrays import Array, like_array, namespace
from infimum.balance.search.sweeps import Aim, expert_step, midpoint_sweeps, occurrences, route
from infimum.proof.largest_entries import k_largest

STRIDES = (16, 4)  # parts of the tokens for the first sweeps
SEEN = 32  # tokens of an expert that a part must have for its order statistics to mean something
ROUNDS, SWEEPS, PATIENCE = 3, 24, 4


def roughly_balancing_bias(scores: Array, k: int, goal: Aim, bias: np.ndarray) -> np.ndarray:
    """Return a bias that balances a part of the tokens; as it was where there are too few of them."""
    for stride in _strides(scores, k):
        bias = midpoint_sweeps(scores[::stride, :], k, goal.scaled(1.0 / stride), bias, steps=4)
    return bias


def nearly_balancing_bias(scores: Array, k: int, goal: Aim, bias: np.ndarray) -> np.ndarray:
    """Return a bias by which few assignments are misplaced, a fraction of the number of experts if all goes well.

    It starts from what `roughly_balancing_bias` returns.
    """
    experts = scores.shape[1]
    enough, width = experts / 4.0, k + max(k, 8)  # candidates of a token: as many again as it takes
    for _ in range(
        ROUNDS if _strides(scores, k) and 2 * width <= experts else 0
    ):  # only from a bias that is not far off
        candidates = Candidates(scores, bias, width)
        if goal.missed(candidates.route(k, bias)[1]) <= experts:
            return bias
        bias = candidates.sweeps(k, goal, bias, enough=enough)
    return midpoint_sweeps(scores, k, goal, bias, enough=enough)


def _strides(scores: Array, k: int) -> list[int]:
    tokens, experts = scores.shape
    return [stride for stride in STRIDES if tokens * k >= SEEN * stride * experts]


class Candidates:
    """The experts with the largest biased scores of every token, and the same entries expert by expert."""

    def __init__(self, scores: Array, bias: np.ndarray, width: int) -> None:
        xp, experts = namespace(scores=scores), scores.shape[1]
        found = k_largest(scores, width, like_array(bias, scores)).columns
        self.scores = xp.take_along_axis(scores, found, axis=1)
        # short integers are sorted by radix
        self.expert = found.astype(np.min_scalar_type(experts)) if isinstance(found, np.ndarray) else found
        label = xp.reshape(self.expert, (-1,))
        order, count = xp.argsort(label, stable=True), occurrences(label, experts)
        place = like_array(np.arange(count.max()), scores)
        size = label.shape[0]
        first, count = (like_array(numbers, scores)[:, None] for numbers in (np.cumsum(count) - count, count))
        entry = xp.clip(first + place, max=size - 1)
        self.rows = xp.where(place < count, order[entry], size)  # one entry more stands for "none"

    def route(self, k: int, bias: np.ndarray) -> tuple[Array, np.ndarray]:
        """Return the threshold of every token, and the loads."""
        level, chosen = route(self.scores + like_array(bias, self.scores)[self.expert], k, midpoint=True)
        taken = namespace(chosen=chosen).take_along_axis(self.expert, chosen, axis=1)
        return level, occurrences(taken, bias.size)

    def sweeps(self, k: int, goal: Aim, bias: np.ndarray, *, enough: float) -> np.ndarray:
        """Apply the midpoint rule until at most `enough` assignments are missed, or no gain is made."""
        xp, none = namespace(scores=self.scores), like_array(np.array([-np.inf]), self.scores)
        best, least, since = bias, np.inf, 0
        for _ in range(SWEEPS):
            level, loads = self.route(k, bias)
            left = goal.missed(loads)
            best, least, since = (bias, left, 0) if left < least else (best, least, since + 1)
            if least <= enough or since == PATIENCE:
                break
            margins = xp.concat([xp.reshape(self.scores - level[:, None], (-1,)), none])
            moved = expert_step(margins[self.rows], goal, midpoint=True)
            bias = np.where(np.isfinite(moved), moved, bias)  # an expert with too few candidates waits for the rest
        return best
