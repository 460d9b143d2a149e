"""Which terms of a product to keep: every rule works on the Gram matrix of the terms."""

from __future__ import annotations

import math

import numpy as np
import scipy.linalg

from infimum.bounds.gram import Gram, Relaxation
from infimum.errors import OptionError
from infimum.lowrank.sampling import draw, largest

ITERATIONS = 300  # of the search for a tangent point
SUBSETS = 10_000_000  # of terms, all of which "tuple" compares


def by_norm(G: Gram, kept: int, rng: np.random.Generator) -> np.ndarray:
    """Keep the terms of largest norm: optimal where the terms are orthogonal."""
    return largest(G.norms, kept)


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
    "greedy": by_greedy,
    "swap": by_swap,
}


def witness(G: Gram, kept: int) -> dict[str, np.ndarray]:
    """Make the diagonal and the point of a good lower bound: the largest multiple of diag(G), the minimum of f."""
    smallest = scipy.linalg.eigvalsh(G.unit, subset_by_index=[0, 0], check_finite=False)[0]
    diagonal = np.full(len(G.norms), min(max(float(smallest), 0.0), 1.0))
    relaxation = Relaxation(G, diagonal)
    point = _minimum(relaxation, len(diagonal) - kept)
    return {"diagonal": diagonal, "point": point}


def _minimum(relaxation: Relaxation, dropped: int) -> np.ndarray:
    """Minimise f over ``0 <= g <= 1, sum g = dropped`` by accelerated projected gradients; keep the best tangent."""
    size = len(relaxation.d)
    lipschitz = 2.0 * float(np.max(np.sum(np.abs(relaxation.H), axis=1))) or 1.0
    vector = np.ones(size)
    for _ in range(30):  # the power method needs no precision: too long a step is noticed below
        image = relaxation.H @ vector
        vector = image / (np.linalg.norm(image) or 1.0)
    lipschitz = min(lipschitz, 2.2 * float(np.linalg.norm(relaxation.H @ vector)) or lipschitz)
    point = ahead = _project(np.full(size, dropped / size), dropped)
    best, where, momentum = -1.0, point, 1.0
    for step in range(ITERATIONS):
        after = _project(ahead - relaxation.tangent(ahead) / lipschitz, dropped)
        faster = (1.0 + np.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
        if (ahead - after) @ (after - point) > 0.0:  # overshot: start the momentum anew
            faster = 1.0
        ahead, point, momentum = after + (momentum - 1.0) / faster * (after - point), after, faster
        if step % 10 == 9:
            bound = relaxation.bound(point, dropped)
            if bound <= best * (1.0 + 1e-6):
                break
            best, where = bound, point
    return where


def _project(point: np.ndarray, total: int) -> np.ndarray:
    """Project onto ``0 <= g <= 1, sum g = total``: the shift is found by bisection."""
    low, high = float(np.min(point)) - 1.0, float(np.max(point))
    for _ in range(60):
        middle = (low + high) / 2.0
        if np.sum(np.clip(point - middle, 0.0, 1.0)) > total:
            low = middle
        else:
            high = middle
    return np.clip(point - high, 0.0, 1.0)
