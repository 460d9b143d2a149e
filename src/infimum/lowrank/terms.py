"""Which terms of a product to keep: every rule works on the Gram matrix of the terms."""

from __future__ import annotations

import numpy as np

from infimum.bounds.gram import Gram
from infimum.lowrank.sampling import draw, largest


def by_norm(G: Gram, kept: int, rng: np.random.Generator) -> np.ndarray:
    """Keep the terms of largest norm: optimal where the terms are orthogonal."""
    return largest(G.norms, kept)


def by_sampling(G: Gram, kept: int, rng: np.random.Generator) -> np.ndarray:
    """Draw different terms in proportion to their norms."""
    return draw(G.norms, kept, rng)


def by_tuple(G: Gram, kept: int, rng: np.random.Generator) -> np.ndarray:
    """Drop the pair with the shortest sum, again and again (post 10427); a single last one by its norm."""
    size = len(G.norms)
    first, second = np.triu_indices(size, 1)
    squares = np.diagonal(G.matrix).real
    sums = squares[first] + squares[second] + 2.0 * G.matrix.real[first, second]
    left = np.ones(size, dtype=bool)
    excess = size - kept
    for pair in np.argsort(sums, kind="stable"):
        if excess < 2:
            break
        i, j = first[pair], second[pair]
        if left[i] and left[j]:
            left[i] = left[j] = False
            excess -= 2
    remaining = np.flatnonzero(left)
    return np.asarray(remaining[largest(G.norms[remaining], kept)])


def by_greedy(G: Gram, kept: int, rng: np.random.Generator) -> np.ndarray:
    """Drop the term whose loss adds least to the total loss, again and again."""
    matrix = G.matrix.real
    squares = np.diagonal(matrix)
    left, image = np.ones(len(squares), dtype=bool), np.zeros(len(squares))
    for _ in range(len(squares) - kept):
        drop = int(np.argmin(np.where(left, squares + 2.0 * image, np.inf)))
        left[drop] = False
        image += matrix[drop]
    return np.flatnonzero(left)


def by_swap(G: Gram, kept: int, rng: np.random.Generator) -> np.ndarray:
    """Drop greedily, then exchange a kept and a dropped term, the best pair first, while that lowers the loss."""
    matrix = G.matrix.real
    squares = np.diagonal(matrix)
    left = np.zeros(len(squares), dtype=bool)
    left[by_greedy(G, kept, rng)] = True
    for _ in range(4 * len(squares)):
        inside, outside = np.flatnonzero(left), np.flatnonzero(~left)
        if not outside.size:
            break
        image = matrix[:, outside].sum(axis=1)
        change = (squares + 2.0 * image)[inside][:, None] + (squares - 2.0 * image)[outside][None, :]
        change -= 2.0 * matrix[np.ix_(inside, outside)]
        i, j = np.unravel_index(int(np.argmin(change)), change.shape)
        if change[i, j] >= -1e-12 * np.sum(squares):
            break
        left[inside[i]], left[outside[j]] = False, True
    return np.flatnonzero(left)


STRATEGIES = {
    "norm": by_norm,
    "sampling": by_sampling,
    "tuple": by_tuple,
    "greedy": by_greedy,
    "swap": by_swap,
}
