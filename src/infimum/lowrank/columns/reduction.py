"""A matrix made small for choosing columns: what the strategies see, on the host, in NumPy.

Which columns are good depends on the Gram matrix ``M* M`` alone. A tall matrix is replaced by the triangular factor of
its QR, which has the same; a large one by ``Q* M``, Q a basis of its leading column space found from a Gaussian sketch
where the data lives. So nothing of the size of a large matrix leaves its device, which need not have a pivoted QR.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from infimum._arrays import like_array, to_numpy
from infimum._linalg import adjoint, orthonormal_basis
from infimum.proof.operators.operator import Operator
from infimum.proof.rounding import tails

WHOLE = 600  # a smaller side up to this is not worth a sketch


class Reduction(NamedTuple):
    """``M* M ≈ matrix* @ matrix + diag(outside)``, with equality and ``outside == 0`` when nothing was left out.

    What the sketch leaves of the columns is taken to be orthogonal, as the tails of long columns nearly are: a column
    that lies outside for the most part then counts as what it is, one that serves few others.
    """

    matrix: np.ndarray
    outside: np.ndarray  # squared lengths, one a column
    fixed: int = 0  # columns at the end that stand for all others, and cannot be taken

    @property
    def free(self) -> int:
        """Number of columns that can be taken: the first ones."""
        return int(self.matrix.shape[1]) - self.fixed

    def with_rows_for(self, columns: np.ndarray) -> np.ndarray:
        """Return `matrix` with one more row for each of the columns, which holds what lies outside of it."""
        if not np.any(self.outside):
            return self.matrix
        rows = np.zeros((len(columns), self.matrix.shape[1]), dtype=self.matrix.dtype)
        rows[np.arange(len(columns)), columns] = np.sqrt(self.outside[columns])
        return np.concatenate([self.matrix, rows])

    def errors(self, order: np.ndarray) -> np.ndarray:
        """Estimate the error after the first 0, 1, ..., len(order) columns."""
        explicit = self.with_rows_for(order)
        Q = np.linalg.qr(explicit[:, order])[0]
        image = Q.conj().T @ explicit
        rest = np.linalg.norm(explicit - Q @ image) ** 2 + np.sum(np.delete(self.outside, order))
        return tails(np.append(np.linalg.norm(image, axis=1), np.sqrt(rest)))[:-1]


def among(M: Reduction, columns: np.ndarray) -> Reduction:
    """Keep these columns to choose of; as many others as there are rows stand for all that are left out.

    What a choice leaves inside is the same, since the Gram matrix of the rows is.
    """
    free = M.matrix[:, columns]
    values, vectors = np.linalg.eigh(M.matrix @ M.matrix.conj().T - free @ free.conj().T)
    others = vectors * np.sqrt(np.maximum(values, 0.0))
    outside = np.append(M.outside[columns], np.zeros(len(values)))
    return Reduction(np.concatenate([free, others], axis=1), outside, len(values))


def reduction(M: Operator, count: int, rng: np.random.Generator) -> Reduction:
    """Reduce a matrix from which `count` columns are to be chosen."""
    width = max(2 * count + 10, count + 60)
    smaller = min(M.shape)
    if M.compressible and (smaller <= WHOLE or 2 * width > smaller):
        return whole(M)
    width = min(width, smaller)
    return squared(M, width) if M.dear and smaller <= M.gram_limit else sketched(M, width, rng)


def whole(M: Operator) -> Reduction:
    """Leave nothing out: the triangular factor of a tall matrix, a wide one as it is."""
    matrix = M.compressed()
    if matrix.shape[0] > matrix.shape[1]:
        matrix = M.xp.linalg.qr(matrix).R
    return Reduction(to_numpy(matrix), np.zeros(matrix.shape[1]))


def squared(M: Operator, width: int) -> Reduction:
    """Keep the coordinates in the leading space of that dimension, found from the Gram matrix: one pass."""
    small = M if M.compressible else M.adjoint()
    products = to_numpy(small.gram())
    values, vectors = (part[..., : -width - 1 : -1] for part in np.linalg.eigh(products))
    if small is M:
        matrix = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.conj().T
        energies = np.diagonal(products).real
    else:
        matrix = to_numpy(adjoint(small.times(like_array(vectors, small.like))))
        energies = M.energies(0)
    return Reduction(matrix, np.maximum(energies - np.linalg.norm(matrix, axis=0) ** 2, 0.0))


def sketched(M: Operator, width: int, rng: np.random.Generator) -> Reduction:
    """Keep the coordinates in a `width`-dimensional space, found from a Gaussian sketch and one power step."""
    row_space = orthonormal_basis(M.sketch(width, rng))
    image = orthonormal_basis(M.times(row_space))
    matrix = to_numpy(adjoint(M.adjoint_times(image)))
    return Reduction(matrix, np.maximum(M.energies(0) - np.linalg.norm(matrix, axis=0) ** 2, 0.0))
