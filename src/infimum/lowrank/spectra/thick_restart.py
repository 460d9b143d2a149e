"""Singular triples to any accuracy from a block Lanczos space that is restarted: it never fills more than it is given.

K. Wu, H. Simon, "Thick-restart Lanczos method for large symmetric eigenvalue problems", SIAM J. Matrix Anal. Appl. 22
(2000); the same in blocks, for ``M* M``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from infimum._arrays import Array, like_array, to_numpy
from infimum._linalg import adjoint, gaussian, orthonormal_basis, row_chunks, thin_svd
from infimum.lowrank.spectra import ritz_claims
from infimum.lowrank.spectra.krylov_space import NOISE
from infimum.lowrank.spectra.spectrum import Goal, Spectrum, Triples, from_right
from infimum.proof.operators.operator import Operator
from infimum.proof.theorems import ritz_block

RESTARTS = 100  # after which what was found is returned, whatever its residuals
LOOK = 1.1  # growth of a space between two looks at its residuals
AGAIN = 7  # blocks that a new start is given before its space is looked at
SAME = 1e-6  # growth of the sum of the leading squared singular values, up to which a new start has found nothing
HALF = 0.5  # of its length, which a vector keeps where a projection leaves it orthogonal to rounding
PROJECTIONS = 3  # that are made at most: the first may leave rounding, the second is of that
PANEL = 8  # blocks that are put together: wide products take less time for each column


def capacity(rank: int, width: int) -> int:
    """Return the dimension at which a space is restarted: the more, the fewer products, and the dearer each."""
    return max(4 * rank, rank + 8 * width)


def thick_restart(M: Operator, rank: int, goal: Goal, width: int, rng: np.random.Generator) -> Spectrum:
    """Find the leading triples with residuals as short as was asked for, or as so many restarts let them be."""
    space, limit = _Lanczos(M, width, rng), capacity(rank, width)
    sum_before = -math.inf
    for _ in range(RESTARTS):
        if not _filled(space, rank, limit, goal):
            space.restart((rank + limit) // 2)
            continue
        sum_found = float(np.sum(space.ritz()[0][:rank]))
        if sum_found <= (1.0 + SAME) * sum_before:
            break
        # of equal singular values a space holds no more vectors than it began with: another one may find others
        sum_before = sum_found
        space.restart(rank, anew=True)
    # a bound needs some more than it speaks of
    return _measured_again(M, space.ritz_vectors(rank + rank // 4 + width), rank, goal)


def _filled(space: _Lanczos, rank: int, limit: int, goal: Goal) -> bool:
    """Grow the space until residuals are as short as is wanted, or rounding lets them be, or it is full; tell which."""
    look = rank + AGAIN * space.next.shape[1]
    while True:
        space.grow()
        full = space.size + space.next.shape[1] > limit
        if full or space.size >= look:
            look = LOOK * space.size
            theta, W = space.ritz()
            lengths = np.linalg.norm(space.link_of(W[:, :rank]), axis=0)
            settled = goal.settled(theta, lengths, space.M.eps)
            if full or settled:
                return settled


def _measured_again(M: Operator, basis: Array, rank: int, goal: Goal) -> Spectrum:
    """Measure what was found, once more and from the start: nothing that is claimed rests on how it was found."""
    basis = ritz_block.orthonormal(M, basis)
    block = ritz_block.measure(M, basis)
    errors = np.sqrt(np.maximum(M.energy - np.concatenate([[0.0], np.cumsum(block.theta)]), 0.0))
    witness: dict[str, Any] = {"basis": basis}
    mu = None
    if ritz_claims.best_choice(M, block, rank, None)[0] < float(errors[rank]) / (1.0 + goal.gap):
        mu = ritz_claims.drawn_norm(M, basis, goal.delta)
        witness.update(delta=goal.delta, probed=int(basis.shape[1]))

    def triples(count: int) -> Triples:
        return from_right(M, basis[:, :count], block.image()[:, :count])

    return Spectrum(
        M, errors, triples, lambda count: ritz_claims.best_bound(M, block, count, mu, witness), ritz_block.THEOREM
    )


class _Lanczos:
    """Orthonormal B and Q with ``H B = B G + Q L``, ``H = M* M``, where L vanishes but on the last of the blocks of B.

    After a restart the Ritz vectors that were kept are one block, and the last.
    """

    def __init__(self, M: Operator, width: int, rng: np.random.Generator) -> None:
        self.M, self.width, self.rng = M, width, rng
        self.blocks: list[Array] = []
        self.gram = np.zeros((0, 0))
        self._begin()

    @property
    def size(self) -> int:
        """Dimension of the space."""
        return len(self.gram)

    def grow(self) -> None:
        """Add Q to the space, and find the next one."""
        X = self.next
        Z = self.M.gram_times(X)[1]
        noise = NOISE * self.M.eps * math.sqrt(self.M.shape[1]) * float(np.max(np.linalg.norm(to_numpy(Z), axis=0)))
        edge = self.link.conj().T
        if self.blocks:
            Z = Z - self.blocks[-1] @ like_array(edge, Z)
        corner = np.zeros((X.shape[1], X.shape[1]))
        for _ in range(2):  # the second time removes what rounding left
            part = adjoint(X) @ Z
            Z, corner = Z - X @ part, corner + to_numpy(part)
        edge = np.concatenate([np.zeros((self.size - len(edge), X.shape[1])), edge])
        self.gram = np.block([[self.gram, edge], [edge.conj().T, (corner + corner.conj().T) / 2.0]])
        self._admit(X)
        self._follow(Z, noise)

    def _admit(self, X: Array) -> None:
        self.blocks.append(X)
        single = [block for block in self.blocks[:-1] if block.shape[1] <= X.shape[1]]
        if len(single) >= PANEL:
            first = len(self.blocks) - 1 - len(single)
            self.blocks[first:-1] = [self.M.xp.concat(self.blocks[first:-1], axis=1)]

    def _follow(self, Z: Array, noise: float) -> None:
        """Orthonormalise what comes next, without its directions that are rounding; where none is left begin anew."""
        Q, s, vh = thin_svd(Z)
        kept = int(np.sum(to_numpy(s) > max(noise, np.finfo(float).tiny)))
        if not kept:
            return self._begin()
        # after the scaling, so that small directions are as orthogonal as large ones
        self.next, rotation = self._outside(Q[:, :kept])
        self.link = rotation @ (to_numpy(s)[:kept, None] * to_numpy(vh)[:kept, :])

    def ritz(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the Ritz values, descending, and the Ritz vectors in terms of B."""
        theta, W = np.linalg.eigh(self.gram)
        return np.maximum(theta[::-1], 0.0), np.array(W[:, ::-1])  # a copy: tensors have no negative strides

    def link_of(self, W: np.ndarray) -> np.ndarray:
        """Return ``L @ W``, whose columns are as long as the residuals of Ritz vectors."""
        return np.asarray(self.link @ W[self.size - self.link.shape[1] :, :])

    def ritz_vectors(self, count: int) -> Array:
        """Return the leading Ritz vectors."""
        return self._rotated(self.ritz()[1][:, :count])

    def _rotated(self, W: np.ndarray) -> Array:
        """Return ``B @ W``, a few rows at a time: no second copy of B is made."""
        rotation = like_array(np.ascontiguousarray(W), self.blocks[0])
        concat = self.M.xp.concat
        few = row_chunks(self.blocks[0])
        return concat([concat([block[rows, :] for block in self.blocks], axis=1) @ rotation for rows in few], axis=0)

    def restart(self, kept: int, anew: bool = False) -> None:
        """Keep the leading Ritz vectors alone; go on from where they led, or from a random block."""
        theta, W = self.ritz()
        self.blocks, self.link = [self._rotated(W[:, :kept])], self.link_of(W[:, :kept])
        self.gram = np.diag(theta[:kept])
        if anew:
            self._begin()

    def _begin(self) -> None:
        """Go on from a random block: orthogonal to the space, which is invariant as far as is known."""
        self.next = self._outside(
            orthonormal_basis(gaussian(self.rng, (self.M.shape[1], self.width), like=self.M.like))
        )[0]
        self.link = np.zeros((self.width, self.blocks[-1].shape[1] if self.blocks else 0))

    def _outside(self, Q: Array) -> tuple[Array, np.ndarray]:
        """Return an orthonormal basis of the part of Q outside of the space, and the coordinates of that part."""
        whole = np.eye(Q.shape[1])
        for _ in range(PROJECTIONS):
            for block in self.blocks:
                Q = Q - block @ (adjoint(block) @ Q)
            Q, s, vh = thin_svd(Q)
            whole = to_numpy(s)[:, None] * (to_numpy(vh) @ whole)
            if float(s[-1]) > HALF:
                break
        return Q, whole
