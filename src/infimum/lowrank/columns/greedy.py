"""Columns by the total error that they leave: forward greedy, and exchanges that lower it further."""

from __future__ import annotations

import numpy as np

from infimum._linalg import subtract_outer
from infimum._threads import one_thread
from infimum.lowrank.columns.pivoting import independent
from infimum.lowrank.columns.reduction import Reduction
from infimum.lowrank.columns.skeleton import Skeleton

REFRESH = 1e-6  # squared lengths that have shrunk by this factor have lost as many of their digits


class _Residual:
    """The residual E of all columns and the squared row norms of its Gram matrix, which is not formed."""

    def __init__(self, matrix: np.ndarray, outside: np.ndarray) -> None:
        self.matrix = np.array(matrix, order="F")
        self.outside = outside.copy()
        self.refresh()

    def refresh(self) -> None:
        """Compute both sums anew: updates lose what they cancel."""
        image = (self.matrix @ self.matrix.conj().T) @ self.matrix
        inside = np.linalg.norm(self.matrix, axis=0) ** 2
        self.energy = inside + self.outside
        squares = np.real(np.sum(self.matrix.conj() * image, axis=0))
        self.gram_squares = squares + 2.0 * inside * self.outside + self.outside**2
        self.scale = float(np.max(self.energy))

    def growth(self, products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How both sums grow when ``outer(conj(products), products)`` is added to G."""
        conjugate = products.conj()
        image = self.matrix.conj().T @ (self.matrix @ conjugate) + self.outside * conjugate
        squares = np.abs(products) ** 2
        return squares, 2.0 * np.real(products * image) + squares * np.sum(squares)

    def take(self, column: np.ndarray) -> None:
        """Take the direction of a residual column out of all columns."""
        unit = column / np.linalg.norm(column)
        products = unit.conj() @ self.matrix
        self.matrix = subtract_outer(self.matrix, unit, products)
        self.shrink(products)

    def shrink(self, products: np.ndarray) -> None:
        """Update both sums after ``outer(conj(products), products)`` was taken from G."""
        squares, gram_squares = self.growth(products)
        self.energy -= squares
        self.gram_squares -= gram_squares


def by_greedy(M: Reduction, count: int, rng: np.random.Generator) -> np.ndarray:
    """Take the column that leaves the least total residual of all columns next (Farahat et al. 2011; post 10501).

    Taking column j lowers the squared error by ``norm(E* e_j)**2 / norm(e_j)**2``, E the residual.
    """
    rows, n = M.matrix.shape
    room = count if np.any(M.outside) else 0  # a taken column needs a row for what lies outside
    E = _Residual(np.concatenate([M.matrix, np.zeros((room, n), dtype=M.matrix.dtype)]), M.outside)
    noise = E.scale * n * (sum(M.matrix.shape) * np.finfo(float).eps) ** 2
    taken = np.arange(n) >= M.free
    order: list[int] = []
    with one_thread():
        for step in range(count):
            if np.max(E.energy, where=~taken, initial=0.0) < REFRESH * E.scale and E.scale > noise:
                E.refresh()
            # columns far shorter than the longest hold rounding noise: they are taken last, the longest first
            clear = E.energy > REFRESH * max(E.scale, noise)
            gain = np.where(clear, E.gram_squares / np.where(clear, E.energy, 1.0), E.energy * REFRESH)
            best = int(np.argmax(np.where(taken, -np.inf, gain)))
            taken[best] = True
            order.append(best)
            if room:
                E.matrix[rows + step, best] = np.sqrt(E.outside[best])
                E.outside[best] = 0.0
            if clear[best]:
                E.take(E.matrix[:, best])
            E.energy[best] = 0.0
    return np.asarray(order)


def improved(M: Reduction, columns: np.ndarray, trials: int) -> np.ndarray:
    """Exchange single columns while that lowers the total error, those that serve least first.

    Each of at most `trials` trials drops one column and finds the best to take instead.
    """
    full = independent(M, columns, rtol=1e-10)
    if full.size < columns.size:  # dependent columns: the error is at rounding already
        return columns
    skeleton = Skeleton(M, columns)
    if np.sum(skeleton.energy) <= 1e-20 * (np.sum(M.outside) + np.linalg.norm(M.matrix) ** 2):
        return columns
    settled: set[int] = set()
    E = _Residual(skeleton.residual, skeleton.outside)
    increases = skeleton.increases()
    with one_thread():
        for _ in range(trials):
            increase = increases.copy()
            increase[list(settled)] = np.inf
            i = int(np.argmin(increase))
            if np.isinf(increase[i]):
                break
            grown = E.growth(skeleton.direction(i)[1])
            energy, gram_squares = E.energy + grown[0], E.gram_squares + grown[1]
            open_ = energy > REFRESH * E.scale
            open_[np.delete(skeleton.columns, i)] = open_[M.free :] = False
            gain = np.where(open_, gram_squares / np.where(open_, energy, 1.0), 0.0)
            j = int(np.argmax(gain))
            if gain[j] <= increase[i] ** 2 * (1.0 + 1e-9) or j == skeleton.columns[i]:
                settled.add(i)
                continue
            skeleton.exchange(i, j)
            increases = skeleton.increases()
            settled = set()
            E.matrix, E.outside, E.energy, E.gram_squares = skeleton.residual, skeleton.outside, energy, gram_squares
            E.shrink(skeleton.direction(i)[1])
    return skeleton.columns
