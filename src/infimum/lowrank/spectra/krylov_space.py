"""Block Krylov spaces of ``M* M``, grown block by block, with the residuals that certify them."""

from __future__ import annotations

import math

import numpy as np

from infimum._arrays import Array, like_array, to_numpy
from infimum._linalg import adjoint, gaussian, orthonormal_basis
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
        self.M = M
        self.basis = orthonormal_basis(gaussian(rng, (M.shape[1], width), like=M.like))
        self.image, product = M.gram_times(self.basis)
        self.gram = to_numpy(adjoint(self.image) @ self.image)
        self.dropped = 0.0  # squared norm of the directions that were dropped
        self._set_residual(product, width)

    @property
    def size(self) -> int:
        """Dimension of the space."""
        return int(self.basis.shape[1])

    def _set_residual(self, product: Array, width: int) -> None:
        self.product_norm = float(np.max(np.linalg.norm(to_numpy(product), axis=0)))
        self.residual = product - self.basis @ (adjoint(self.basis) @ product)
        self.width = width  # of the last block

    def grow(self) -> bool:
        """Add one block; return False when nothing is left to add."""
        block = self._next_block()
        if block.shape[1] == 0:
            return False
        xp = self.M.xp
        image, product = self.M.gram_times(block)
        corner, edge = to_numpy(adjoint(image) @ image), to_numpy(adjoint(self.image) @ image)
        self.gram = np.block([[self.gram, edge], [edge.conj().T, corner]])
        self.basis = xp.concat([self.basis, block], axis=1)
        self.image = xp.concat([self.image, image], axis=1)
        self._set_residual(product, int(block.shape[1]))
        return True

    def _next_block(self) -> Array:
        """Orthonormalise the residual, without its directions that are rounding noise."""
        Q, R = self.M.xp.linalg.qr(self.residual, mode="reduced")
        u, s, _ = np.linalg.svd(to_numpy(R))
        noise = NOISE * self.M.eps * math.sqrt(self.M.shape[1]) * self.product_norm
        kept = int(np.sum(s > max(noise, np.finfo(float).tiny)))
        kept = min(kept, self.M.shape[1] - self.size)
        self.dropped += float(np.sum(np.square(s[kept:])))
        block = Q @ like_array(u[:, :kept], Q)
        # the second projection comes after the scaling, so that small directions are as orthogonal as large ones
        block = block - self.basis @ (adjoint(self.basis) @ block)
        return orthonormal_basis(block) if kept else block

    def ritz(self) -> tuple[Block, np.ndarray]:
        """Return what the Ritz block bound needs, and the Ritz vectors in terms of the basis."""
        # NumPy's, not SciPy's: that one brings a BLAS of its own, whose waiting threads would take turns with NumPy's
        theta, W = np.linalg.eigh(self.gram)
        theta, W = np.maximum(theta[::-1], 0.0), W[:, ::-1]
        # rotated before it is squared: the short residuals of converged pairs would drown in the squares of long ones
        rotated = to_numpy(self.M.xp.linalg.qr(self.residual, mode="reduced")[1]) @ W[-self.width :, :]
        return Block(theta, rotated.conj().T @ rotated, math.sqrt(self.dropped), self.image), W
