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
from infimum.proof.theorems.nystrom_trace import DependentLandmarksError, cholesky_form

SOME = 500_000  # entries of a matrix of which landmarks are chosen, where the factor has more than twice as many
WIDE = 256  # proposals at once: most are kept as long as they are few beside the columns that the residual needs
PIVOT = 1e-9  # pivots below this part of the largest diagonal entry are rounding, or would amplify it


class Sample:
    """Some rows and columns of a matrix, drawn in proportion to its diagonal, as a matrix.

    What landmarks leave of it is, in the mean over the draws, what they leave of the whole: entries are divided by the
    probabilities with which their rows and columns are drawn.
    """

    def __init__(self, K: Entries, count: int, rng: np.random.Generator) -> None:
        weights, chances = np.maximum(K.diagonal, 0.0), np.zeros(K.shape[0])
        while count > np.sum(chances == 1.0) and np.any(weights):  # rows that are certain leave more to the others
            share = (count - np.sum(chances == 1.0)) * weights / np.sum(weights)
            chances = np.where(chances == 1.0, 1.0, np.minimum(share, 1.0))
            if not np.any(weights[share >= 1.0]):
                break
            weights = np.where(share >= 1.0, 0.0, weights)
        order = rng.permutation(weights.size)
        ends = np.floor(np.cumsum(chances[order]) + rng.random())
        self.K, self.rows = K, np.sort(order[np.diff(ends, prepend=0.0) > 0.0])
        self.shape, self.roots = (self.rows.size, self.rows.size), np.sqrt(chances[self.rows])
        self.diagonal = K.diagonal[self.rows] / self.roots**2

    def columns(self, indices: np.ndarray) -> np.ndarray:
        """Return its columns of these indices."""
        return self.K.part(self.rows, self.rows[indices]) / np.outer(self.roots, self.roots[indices])

    def block(self, indices: np.ndarray) -> np.ndarray:
        """Return its rows and columns of these indices."""
        return self.K.block(self.rows[indices]) / np.outer(self.roots[indices], self.roots[indices])


class PartialCholesky:
    """Cholesky factor F of the chosen columns, and the diagonal of what it leaves: ``K ≈ F F* + diag(residual)``."""

    def __init__(self, K: Entries | Sample) -> None:
        self.K, self.residual = K, np.maximum(K.diagonal, 0.0)
        self.chosen: list[int] = []
        self.accepted = np.zeros(0, dtype=np.int64)  # pivots that are drawn, but not eliminated yet
        self.F = np.zeros((K.shape[0], 0))
        self.least = PIVOT * float(np.max(K.diagonal))

    def append(self, indices: np.ndarray, factor: np.ndarray) -> None:
        """Append pivots whose part of the factor is known."""
        self.F = np.concatenate([self.F, factor], axis=1) if self.chosen else factor
        self.residual = np.maximum(self.residual - np.vecdot(factor, factor).real, 0.0)
        self.residual[indices] = 0.0
        self.residual[self.residual < self.least] = 0.0
        self.chosen += indices.tolist()

    def add(self, indices: np.ndarray) -> bool:
        """Eliminate the residual columns of some pivots, unless there are none or they depend on each other."""
        if not indices.size:
            return False
        columns = self.K.columns(indices)
        if self.chosen:
            columns = columns - self.F @ adjoint(self.F[indices])
        try:
            new = cholesky_form(columns, indices).F
        except DependentLandmarksError:
            return False
        self.append(indices, new)
        return True

    def draw(self, count: int, tol: float, rng: np.random.Generator) -> np.ndarray:
        """Draw pivots in proportion to the residual: blocks of proposals, of which rejection keeps the good ones.

        They are distributed as if drawn one at a time. Stops at `count` pivots in all, when the residual trace is at
        most `tol` times that of K, or when the rest is rounding. Returns all.
        """
        goal = tol * float(np.sum(self.K.diagonal))
        while (room := count - len(self.chosen) - self.accepted.size) > 0:
            self.settle()
            if not (np.sum(self.residual) > goal and np.any(self.residual)):
                break
            width = min(room + room // 2 + 8, WIDE) if tol == 0.0 else min(room, 16)
            proposals = rng.choice(self.K.shape[0], size=width, p=self.residual / np.sum(self.residual))
            self.accepted = proposals[self._accept(proposals, rng)[:room]]
            if not self.accepted.size:
                self.residual[proposals] = 0.0  # only rounding was left of them
        return np.append(np.asarray(self.chosen, dtype=np.int64), self.accepted)

    def settle(self) -> None:
        """Eliminate the pivots that were accepted last."""
        some, self.accepted = self.accepted, self.accepted[:0]
        # entries of low precision, or no semidefinite matrix: one may do where all of them do not
        if not (self.add(some) or self.add(some[:1])):
            self.residual[some] = 0.0

    def _accept(self, proposals: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Walk through the proposals; each is kept with the part of its residual that the ones kept before have left.

        The entries between them are all that is asked of K.
        """
        rows = self.F[proposals]
        block = self.K.block(proposals) - rows @ adjoint(rows)
        before = np.diagonal(block).real
        now, factor = before.copy(), np.zeros((0, proposals.size))
        kept: list[int] = []
        for i, chance in enumerate(rng.random(proposals.size)):
            if now[i] > self.least and chance * before[i] < now[i]:
                direction = (block[:, i] - factor[:, i].conj() @ factor) / np.sqrt(now[i])
                factor = np.concatenate([factor, direction[None, :]])
                now = now - np.abs(direction) ** 2
                kept.append(i)
        return np.asarray(kept, dtype=np.int64)

    def reduction(self, rng: np.random.Generator) -> tuple[Reduction, np.ndarray]:
        """Return ``F*`` as a matrix to choose columns of, and their indices: of many the pivots, and some at random.

        The squared Frobenius norm that columns leave of it is the trace norm that the same landmarks leave of K.
        """
        self.settle()
        whole = Reduction(np.ascontiguousarray(self.F.conj().T), self.residual)
        rows, n = whole.matrix.shape
        more = SOME // rows - 2 * rows
        if n * rows <= 2 * SOME or max(more, 0) + 2 * rows >= n:
            return whole, np.arange(n)
        others = rng.choice(np.delete(np.arange(n), self.chosen), size=max(more, 0), replace=False)
        some = np.append(self.chosen, others)
        return among(whole, some), some


def greedy(K: Entries, count: int, tol: float) -> np.ndarray:
    """Take the largest entry of the residual diagonal next (pivoted Cholesky)."""
    partial = PartialCholesky(K)
    goal = tol * float(np.sum(K.diagonal))
    while len(partial.chosen) < count and np.sum(partial.residual) > goal and np.any(partial.residual):
        pivot = np.asarray([np.argmax(partial.residual)])
        partial.add(pivot)
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


def independent(K: Entries | Sample, wanted: np.ndarray) -> np.ndarray:
    """Leave out the landmarks that depend on the others to rounding."""
    core = K.block(wanted)
    core = (core + adjoint(core)) / 2.0
    kept: list[int] = []
    least = PIVOT * float(np.max(K.diagonal))
    for _ in range(wanted.size):
        pivot = int(np.argmax(np.diagonal(core).real))
        if core[pivot, pivot].real <= least:
            break
        kept.append(pivot)
        core = core - np.outer(core[:, pivot], core[pivot, :]) / core[pivot, pivot].real
    return wanted[np.asarray(kept, dtype=np.int64)]
