"""Block Krylov spaces of ``M* M``, grown block by block, with the residuals that certify them."""

from __future__ import annotations

import math

import numpy as np

from infimum._arrays import Array, like_array, to_numpy
from infimum._linalg import adjoint, gaussian, orthonormal_basis, reduced_qr
from infimum.proof.operators.operator import Operator
from infimum.proof.theorems.ritz_block import Block

# A direction of a new block is kept if it stands out of the rounding of the product that made it.
NOISE = 100.0


class BlockKrylov:
    """Orthonormal basis B of span(X, H X, H**2 X, ...), ``H = M* M``, X a Gaussian block; grown by `grow`.

    Each new block is H times the last one, less its projection on the basis. So ``H B - B (B* H B)`` vanishes except on
    the last block, where it is what the next block is made of: the residual of the Ritz block bound comes for free.
    Dependent directions are dropped, and counted in the defect.
    """

    def __init__(self, M: Operator, width: int, rng: np.random.Generator) -> None:
        self.M, self.width, self.rng = M, width, rng
        self.blocks: list[Array] = []  # of the basis; put together once, since the image of all is large
        self.images: list[Array] = []
        self.gram = np.zeros((0, 0))
        self.dropped = 0.0  # squared norm of the directions that were dropped
        self._append(orthonormal_basis(self._start(rng)))

    @property
    def noise(self) -> float:
        """Length below which a direction is noise, relative to the longest product that made it."""
        return NOISE * self.M.eps * math.sqrt(self.M.shape[1])

    def _start(self, rng: np.random.Generator) -> Array:
        return gaussian(rng, (self.M.shape[1], self.width), like=self.M.like)

    @property
    def size(self) -> int:
        """Dimension of the space."""
        return len(self.gram)

    def basis(self) -> Array:
        """Return B."""
        return self.M.xp.concat(self.blocks, axis=1)

    def image(self) -> Array:
        """Return ``M @ B``."""
        return self.M.xp.concat(self.images, axis=1)

    def image_of(self, rotation: Array) -> Array:
        """Return ``M @ B @ rotation``."""
        ends = np.cumsum([0, *(block.shape[1] for block in self.blocks)]).tolist()
        return sum(part @ rotation[a:b, :] for part, a, b in zip(self.images, ends, ends[1:], strict=False))

    def grow(self) -> bool:
        """Add one block; return False when nothing is left to add."""
        block = self._next_block()
        if block.shape[1]:
            self._append(block)
        return bool(block.shape[1])

    def begin_anew(self) -> bool:
        """Add a random block where nothing was left to add: the space is invariant, but may have missed some vectors.

        Of equal singular values it holds no more vectors than it began with. Return False where it is the whole space.
        """
        count = min(self.width, self.M.shape[1] - self.size)
        if count:
            random = gaussian(self.rng, (self.M.shape[1], count), like=self.M.like)
            self._append(orthonormalised(self._projected(orthonormal_basis(self._projected(random)[1]))[1]))
        return bool(count)

    def _append(self, block: Array) -> None:
        image, product = self.M.gram_times(block)
        self.blocks.append(block)
        self.images.append(image)
        self.product_norm = float(np.max(np.linalg.norm(to_numpy(product), axis=0)))
        edge, residual = self._projected(product)
        edge, corner = edge[: self.size], edge[self.size :]
        self.gram = np.block([[self.gram, edge], [edge.conj().T, (corner + corner.conj().T) / 2.0]])
        self.residual = self._factors(residual)

    def _factors(self, residual: Array) -> tuple[Array, Array]:
        """Factor a residual: orthonormal columns times a square matrix."""
        return reduced_qr(residual)

    def _projected(self, X: Array) -> tuple[np.ndarray, Array]:
        """Return ``B* X`` and X less its projection on the basis."""
        coordinates = []
        for block in self.blocks:
            coordinates.append(adjoint(block) @ X)
            X = X - block @ coordinates[-1]
        return np.concatenate([to_numpy(part) for part in coordinates]), X

    def _next_block(self) -> Array:
        """Orthonormalise the residual, without its directions that are rounding noise."""
        Q, R = self.residual
        u, s, _ = np.linalg.svd(to_numpy(R))
        kept = int(np.sum(s > max(self.noise * self.product_norm, np.finfo(float).tiny)))
        kept = min(kept, self.M.shape[1] - self.size)
        self.dropped += float(np.sum(np.square(s[kept:])))
        if not kept:
            return Q[:, :0]
        # the second projection comes after the scaling, so that small directions are as orthogonal as large ones
        return orthonormalised(self._projected(Q @ like_array(u[:, :kept], Q))[1])

    def ritz(self) -> tuple[Block, np.ndarray]:
        """Return what the Ritz block bound needs, and the Ritz vectors in terms of the basis."""
        # NumPy's, not SciPy's: that one brings a BLAS of its own, whose waiting threads would take turns with NumPy's
        theta, W = np.linalg.eigh(self.gram)
        theta, W = np.maximum(theta[::-1], 0.0), np.array(W[:, ::-1])  # a copy: tensors have no negative strides
        # rotated before it is squared: the short residuals of converged pairs would drown in the squares of long ones
        rotated = to_numpy(self.residual[1]) @ W[-self.blocks[-1].shape[1] :, :]
        return Block(theta, rotated.conj().T @ rotated, math.sqrt(self.dropped), self.image), W


def orthonormalised(basis: Array) -> Array:
    """Return an orthonormal basis of columns that are nearly orthonormal, or of any columns at the price of a QR."""
    gram = to_numpy(adjoint(basis) @ basis)
    if not np.linalg.norm(gram - np.eye(len(gram))) < 0.01:
        return orthonormal_basis(basis)
    return basis @ like_array(np.linalg.inv(np.linalg.cholesky(gram)).conj().T, basis)
