"""Landmarks of a positive semidefinite matrix, from its diagonal and a few of its columns."""

from __future__ import annotations

import numpy as np
import scipy.cluster.vq
import scipy.linalg

from infimum._arrays import to_numpy
from infimum._linalg import adjoint
from infimum._threads import no_warnings
from infimum.lowrank.columns.reduction import Reduction, among
from infimum.proof.operators.kernel import Entries

SOME = 500_000  # entries of a matrix of which landmarks are chosen, where the factor has more than twice as many
PIVOT = 1e-9  # pivots below this part of the largest diagonal entry are rounding, or would amplify it


class PartialCholesky:
    """Cholesky factor F of the chosen columns, and the diagonal of what it leaves: ``K ≈ F F* + diag(residual)``."""

    def __init__(self, K: Entries) -> None:
        self.K, self.residual = K, np.maximum(K.diagonal, 0.0)
        self.chosen: list[int] = []
        self.F = np.zeros((K.shape[0], 0))
        self.least = PIVOT * float(np.max(K.diagonal))

    def block(self, indices: np.ndarray) -> np.ndarray:
        """Return the residual between `indices`, from the columns of K and the factor."""
        columns = self.K.columns(indices)
        return np.asarray(columns - self.F @ self.F[indices].conj().T)

    def add(self, indices: np.ndarray, columns: np.ndarray) -> None:
        """Eliminate the residual columns of accepted pivots."""
        core = columns[indices]
        L = scipy.linalg.cholesky((core + core.conj().T) / 2, lower=True, check_finite=False)
        new = adjoint(scipy.linalg.solve_triangular(L, adjoint(columns), lower=True, check_finite=False))
        self.F = np.concatenate([self.F, new], axis=1)
        self.residual = np.maximum(self.residual - np.sum(np.abs(new) ** 2, axis=1), 0.0)
        self.residual[indices] = 0.0
        self.residual[self.residual < self.least] = 0.0
        self.chosen += [int(i) for i in indices]

    def draw(self, count: int, tol: float, rng: np.random.Generator) -> np.ndarray:
        """Draw pivots in proportion to the residual: blocks of proposals, of which rejection keeps the good ones.

        They are distributed as if drawn one at a time. Stops at `count` pivots in all, when the residual trace is at
        most `tol` times that of K, or when the rest is rounding. Returns all.
        """
        goal = tol * float(np.sum(self.K.diagonal))
        while len(self.chosen) < count and np.sum(self.residual) > goal and np.any(self.residual):
            room = count - len(self.chosen)
            width = max(1, min(room if tol == 0.0 else 16, 64))
            weights = self.residual / np.sum(self.residual)
            proposals = rng.choice(self.K.shape[0], size=width, p=weights)
            columns = self.block(proposals)
            kept = _accept(columns[proposals], self, rng)[:room]
            if kept.size:
                try:
                    self.add(proposals[kept], columns[:, kept])
                except np.linalg.LinAlgError:  # entries of low precision, or no semidefinite matrix: one is safe
                    self.add(proposals[kept[:1]], columns[:, kept[:1]])
            else:
                self.residual[proposals] = 0.0  # only rounding was left of them
        return np.asarray(self.chosen, dtype=np.int64)

    def reduction(self, rng: np.random.Generator) -> tuple[Reduction, np.ndarray]:
        """Return ``F*`` as a matrix to choose columns of, and their indices: of many the pivots, and some at random.

        The squared Frobenius norm that columns leave of it is the trace norm that the same landmarks leave of K.
        """
        whole = Reduction(np.ascontiguousarray(self.F.conj().T), self.residual)
        rows, n = whole.matrix.shape
        more = SOME // rows - 2 * rows
        if n * rows <= 2 * SOME or more >= n - rows:
            return whole, np.arange(n)
        others = rng.choice(np.delete(np.arange(n), self.chosen), size=max(more, 0), replace=False)
        some = np.append(self.chosen, others)
        return among(whole, some), some


def _accept(block: np.ndarray, partial: PartialCholesky, rng: np.random.Generator) -> np.ndarray:
    """Walk through the proposals; each is kept with the part of its residual that the ones kept before have left."""
    block, before = block.copy(), np.diagonal(block).real.copy()
    kept = []
    for i in range(block.shape[0]):
        now = float(block[i, i].real)
        if now > partial.least and rng.random() * before[i] < now:
            kept.append(i)
            direction = block[:, i] / np.sqrt(now)
            block = block - np.outer(direction, direction.conj())
    return np.asarray(kept, dtype=np.int64)


def greedy(K: Entries, count: int, tol: float) -> np.ndarray:
    """Take the largest entry of the residual diagonal next (pivoted Cholesky)."""
    partial = PartialCholesky(K)
    goal = tol * float(np.sum(K.diagonal))
    while len(partial.chosen) < count and np.sum(partial.residual) > goal and np.any(partial.residual):
        pivot = np.asarray([np.argmax(partial.residual)])
        column = partial.block(pivot)
        if column[pivot[0], 0].real > partial.least:
            partial.add(pivot, column)
        partial.residual[pivot] = 0.0
    return np.asarray(partial.chosen, dtype=np.int64)


def uniform(K: Entries, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw indices at random, all alike."""
    return rng.choice(K.shape[0], size=count, replace=False)


def clusters(K: Entries, count: int, rng: np.random.Generator) -> np.ndarray:
    """Take the point nearest to each centre of a k-means clustering of the points, or of the rows of an array."""
    points = to_numpy(K.kernel.points) if K.kernel is not None else K.columns(np.arange(K.shape[0]))
    points = np.concatenate([points.real, points.imag], axis=1) if np.iscomplexobj(points) else points
    points = points.astype(np.float64)
    with no_warnings():  # an empty cluster keeps its centre
        centres, _ = scipy.cluster.vq.kmeans2(points, count, iter=20, minit="++", rng=rng)
    return np.unique([int(np.argmin(np.sum((points - centre) ** 2, axis=1))) for centre in centres])


def independent(K: Entries, wanted: np.ndarray) -> np.ndarray:
    """Leave out the landmarks that depend on the others to rounding."""
    core = K.columns(wanted)[wanted]
    kept: list[int] = []
    least = PIVOT * float(np.max(K.diagonal))
    for _ in range(wanted.size):
        pivot = int(np.argmax(np.diagonal(core).real))
        if core[pivot, pivot].real <= least:
            break
        kept.append(pivot)
        core = core - np.outer(core[:, pivot], core[pivot, :]) / core[pivot, pivot].real
    return wanted[np.asarray(kept, dtype=np.int64)]
