"""Columns by what each is alone: its length, a draw, or a cluster it stands in the middle of."""

from __future__ import annotations

import numpy as np

from infimum._linalg import pivoted_qr
from infimum.lowrank.columns.reduction import Reduction


def by_norm(M: Reduction, count: int, rng: np.random.Generator) -> np.ndarray:
    """Take the longest columns."""
    return largest_scores(energy(M), count)


def by_norm_sampling(M: Reduction, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw columns with probabilities proportional to their squared lengths (Frieze, Kannan, Vempala 2004)."""
    return draw(energy(M), count, rng)


def by_uniform(M: Reduction, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw columns uniformly."""
    return np.asarray(rng.permutation(M.matrix.shape[1])[:count])


def by_column_sampling(M: Reduction, count: int, rng: np.random.Generator) -> np.ndarray:
    """Pivoted QR of a uniform draw of twice as many columns and ten (Optim-RID, arXiv:2105.07076)."""
    drawn = rng.permutation(M.matrix.shape[1])[: 2 * count + 10]
    return np.asarray(drawn[pivoted_qr(M.matrix[:, drawn])[0][:count]])


def by_kmeans(M: Reduction, count: int, rng: np.random.Generator) -> np.ndarray:
    """Take the medoids of k-means clusters of the columns: the column nearest to each centre, largest cluster first."""
    points = M.matrix.T
    centres = points[_spread_out(points, count, rng)]
    for _ in range(30):
        nearest = np.argmin(_squared_distances(points, centres), axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, points)
        sizes = np.bincount(nearest, minlength=count)
        moved = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    distances = _squared_distances(points, centres)
    medoids: list[int] = []
    for centre in np.argsort(-sizes, kind="stable"):
        distances[medoids, centre] = np.inf  # a column stands for one cluster only
        medoids.append(int(np.argmin(distances[:, centre])))
    return np.asarray(medoids)


def _spread_out(points: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw starting centres far from each other (k-means++, Arthur and Vassilvitskii 2007)."""
    chosen = [int(rng.integers(len(points)))]
    nearest = _squared_distances(points, points[chosen])[:, 0]
    for _ in range(count - 1):
        nearest[chosen] = 0.0
        chosen.append(int(draw(nearest, 1, rng, but=chosen)[0]))
        nearest = np.minimum(nearest, _squared_distances(points, points[chosen[-1:]])[:, 0])
    return np.asarray(chosen)


def _squared_distances(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    products = (points @ centres.conj().T).real
    lengths = np.linalg.norm(points, axis=1)[:, None] ** 2 + np.linalg.norm(centres, axis=1) ** 2
    return np.asarray(np.maximum(lengths - 2.0 * products, 0.0))


def energy(M: Reduction) -> np.ndarray:
    """Squared lengths of the columns."""
    return np.asarray(np.linalg.norm(M.matrix, axis=0) ** 2 + M.outside)


def largest_scores(scores: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of the largest scores, ties in the order of the columns."""
    return np.argsort(-scores, kind="stable")[:count]


def draw(weights: np.ndarray, count: int, rng: np.random.Generator, but: list[int] | None = None) -> np.ndarray:
    """Draw `count` different indices in proportion to their weights, those of weight 0 last; never one of `but`."""
    # the race of exponential clocks: ranking E_i / w_i is drawing without replacement
    with np.errstate(over="ignore"):
        arrival = rng.exponential(size=weights.size) / np.maximum(weights, np.finfo(float).tiny)
    arrival[but or []] = np.inf
    return np.argsort(arrival, kind="stable")[:count]
