"""Which terms of a product to keep: every rule works on the Gram matrix of the terms."""

from __future__ import annotations

import math

import numpy as np

from infimum.errors import OptionError
from infimum.lowrank.columns.sampling import draw, largest_scores
from infimum.proof.theorems.gram import Gram

SUBSETS = 10_000_000  # of terms, all of which "tuple" compares


def by_norm(G: Gram, kept: int, rng: np.random.Generator) -> np.ndarray:
    """Keep the terms of largest norm: optimal where the terms are orthogonal."""
    return largest_scores(G.norms, kept)


def by_sampling(G: Gram, kept: int, rng: np.random.Generator) -> np.ndarray:
    """Draw different terms in proportion to their norms."""
    return draw(G.norms, kept, rng)


def by_tuple(G: Gram, kept: int, size: int) -> np.ndarray:
    """Drop the `size` terms with the shortest sum, again and again (post 10427); what is left over likewise."""
    subsets = math.comb(len(G.norms), size)
    if subsets > SUBSETS:
        raise OptionError(
            f"{len(G.norms)} terms have {subsets:.2g} subsets of {size}, at most {SUBSETS:.0g} are compared: take a "
            "smaller tuple_size, or method='greedy', which drops one at a time by what all lose"
        )
    left = np.ones(len(G.norms), dtype=bool)
    while excess := int(np.sum(left)) - kept:
        size = min(size, excess)
        terms = np.flatnonzero(left)
        candidates, squares = _sums(G.matrix.real[np.ix_(terms, terms)], size)
        for subset in terms[candidates[np.argsort(squares, kind="stable")]]:
            if excess < size:
                break
            if np.all(left[subset]):
                left[subset] = False
                excess -= size
    return np.flatnonzero(left)


def _sums(matrix: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return all subsets of `size` terms, one a row, ascending, and the squared norms of their sums."""
    count, squares = len(matrix), np.diagonal(matrix)
    subsets, sums = np.arange(count)[:, None], squares
    for _ in range(size - 1):
        later = count - 1 - subsets[:, -1]  # terms that come after the last one
        grown = np.repeat(subsets, later, axis=0)
        last = np.arange(len(grown)) - np.repeat(np.cumsum(later) - later, later) + grown[:, -1] + 1
        sums = np.repeat(sums, later) + squares[last] + 2.0 * np.sum(matrix[grown, last[:, None]], axis=1)
        subsets = np.column_stack([grown, last])
    return subsets, sums


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
    inside = by_greedy(G, kept, rng)
    outside = np.delete(np.arange(len(squares)), inside)
    if not outside.size:
        return inside
    image, between = matrix[:, outside].sum(axis=1), -2.0 * matrix[np.ix_(inside, outside)]
    for _ in range(4 * len(squares)):
        change = between + (squares - 2.0 * image)[outside]
        change += (squares + 2.0 * image)[inside][:, None]
        i, j = np.unravel_index(int(np.argmin(change)), change.shape)
        if change[i, j] >= -1e-12 * np.sum(squares):
            break
        image += matrix[inside[i]] - matrix[outside[j]]
        inside[i], outside[j] = outside[j], inside[i]
        between[i], between[:, j] = -2.0 * matrix[inside[i], outside], -2.0 * matrix[inside, outside[j]]
    return np.sort(inside)


STRATEGIES = {
    "norm": by_norm,
    "sampling": by_sampling,
    "greedy": by_greedy,
    "swap": by_swap,
}
