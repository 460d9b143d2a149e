"""A search in single precision for what is proved in double: no claim depends on a product of the search.

Residuals are of second order in the bound, so those that single precision leaves are far below what a gap may be.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from infimum._arrays import Array, like_array, to_numpy, widen
from infimum._linalg import adjoint
from infimum.lowrank.spectra import ritz_claims
from infimum.lowrank.spectra.krylov_space import BlockKrylov
from infimum.lowrank.spectra.spectrum import Goal, Spectrum, copied, from_right
from infimum.proof.operators.dense import Dense
from infimum.proof.operators.operator import Operator
from infimum.proof.theorems import ritz_block
from infimum.proof.theorems.ritz_block import Block

TOGETHER = 32  # vectors that a product takes little more time for than for one
EPS = float(np.finfo(np.float32).eps)
DROPPED = 4.0  # spacings of the largest squared singular value, below which a direction is noise
LEAST = 1e-300  # squared lengths below are none
WIDTHS = (1.25, 1.6, 2.0, 2.5, 3.0)  # of the block that is proved, in units of the rank
HALVES = 3  # products that its probes are followed for
GUESS = 3.0  # times the first Ritz value left out: what those probes find outside, roughly
MOST = 100  # rank up to which the proof takes little of the time that single precision saves
MARGIN = 0.8  # share of the gap that is asked of estimates
LOST = 0.03  # share of the gap, in squares, that the leading triples may lack themselves
HOPELESS = 0.1  # share of the gap that noise alone may fill


class Found(NamedTuple):
    """A basis, orthonormal in double, that seems enough to prove the gap at a rank, and whether without a draw."""

    basis: Array
    rank: int
    sure: bool


class _Coarse(Dense):
    """A matrix in memory whose products are formed in single precision; blocks of vectors stay in double."""

    def __init__(self, M: Dense) -> None:
        super().__init__(M.outer, M.working._replace(eps=EPS * (2 if M.complex else 1)))
        self._dtype = M.xp.complex64 if M.complex else M.xp.float32
        self._coarse = M.xp.astype(M.array if M.exponent else M.outer, self._dtype, copy=False)

    def times(self, X: Array) -> Array:
        """Multiply from the left; the product stays in single precision."""
        return self._coarse @ self.xp.astype(X, self._dtype)

    def adjoint_times(self, Y: Array) -> Array:
        """Multiply by the conjugate transpose."""
        return widen(adjoint(self._coarse) @ self.xp.astype(Y, self._dtype))


class _CoarseSpace(BlockKrylov):
    """A block Krylov space of such products, from a sketch, which is half a step ahead of a random block."""

    @property
    def noise(self) -> float:
        """Length below which a direction is noise: a few spacings, since nothing is proved by the others."""
        return DROPPED * self.M.eps

    def _start(self, rng: np.random.Generator) -> Array:
        return self.M.sketch(self.width, rng)

    def _factors(self, residual: Array) -> tuple[Array, Array]:
        """Factor a residual by its Gram matrix, whose digits in double are all that single precision has."""
        squares, u = np.linalg.eigh(to_numpy(adjoint(residual) @ residual))
        lengths, u = np.sqrt(np.maximum(squares[::-1], LEAST)), u[:, ::-1]
        return residual @ like_array(u / lengths, residual), lengths[:, None] * u.conj().T


def in_single(M: Operator, goal: Goal, rng: np.random.Generator, limit: int) -> Spectrum | None:
    """Search in single precision what came in no wider one, and prove the gap in double; None where it does not do."""
    if not isinstance(M, Dense) or not 1 <= (goal.rank or 0) <= MOST or goal.residual < np.inf:
        return None
    if not M.eps < EPS <= float(M.xp.finfo(M.outer.dtype).eps):
        return None
    found = _basis_in_single(M, _Coarse(M), goal, rng, limit)
    return None if found is None else _proved(M, found, goal)


def _basis_in_single(M: Dense, coarse: _Coarse, goal: Goal, rng: np.random.Generator, limit: int) -> Found | None:
    rank = int(goal.rank or 0)
    space = _CoarseSpace(coarse, min(TOGETHER + rank // 10, M.shape[1]), rng)
    left = math.inf
    while space.size <= limit:
        block, W = space.ritz()
        before, left = left, max(M.energy - float(np.sum(block.theta)), 0.0)
        noise = coarse.eps * float(block.theta[0])
        if left <= 0.0 or _hopeless(M, block.theta, goal, noise, (left / before) ** (1.0 / space.width)):
            return None
        if space.size > rank:
            block = Block(block.theta, block.residual_gram + noise**2 * np.eye(space.size), 0.0, block.image)
            # growing by as many passes as the probes take leaves so little that a bound needs no draw
            fading = left * (left / before) ** (HALVES / 2) < block.theta[rank - 1]
            width, sure = _enough(M, block, goal, fading)
            if width:
                return Found(space.basis() @ like_array(W[:, :width], M.array), rank, sure)
        if not space.grow():
            return None
    return None


def _hopeless(M: Dense, theta: np.ndarray, goal: Goal, noise: float, fall: float) -> bool:
    """Tell whether the noise of the search alone would fill the gap; `fall` is what a dimension leaves of the energy.

    Where the rank is not reached what is left is taken to go on falling like that.
    """
    rank = int(goal.rank or 0)
    rest = max(M.energy - float(np.sum(theta[:rank])), 0.0)
    least = float(theta[rank - 1]) if theta.size >= rank else rest * fall ** (rank - theta.size) * (1.0 - fall)
    rest *= fall ** max(rank - theta.size, 0)
    return fall > 0.0 and rank * noise**2 > HOPELESS * goal.gap * rest * least


def _enough(M: Dense, block: Block, goal: Goal, fading: bool) -> tuple[int, bool]:
    """Return how many leading Ritz vectors seem to prove the gap, and whether without a draw, which `fading` forbids.

    None do where the number is 0.
    """
    rank = int(goal.rank or 0)
    error = math.sqrt(max(M.energy - float(np.sum(block.theta[:rank])), 0.0))
    lengths = np.diag(block.residual_gram).real[:rank]
    if not block.theta[rank - 1] > 0.0 or np.sum(lengths / block.theta[:rank]) > LOST * goal.gap * error**2:
        return 0, False
    floor = error / (1.0 + MARGIN * goal.gap)
    widths = sorted({min(int(share * rank) + 1, block.theta.size) for share in WIDTHS} | {block.theta.size})
    for sure in (True,) if fading else (True, False):
        for width in widths:
            part = Block(block.theta[:width], block.residual_gram[:width, :width], 0.0, block.image)
            guess = None if sure else GUESS * float(block.theta[min(width, block.theta.size - 1)])
            if ritz_claims.best_choice(M, part, rank, guess)[0] >= floor:
                return width, sure
    return 0, False


def _proved(M: Dense, found: Found, goal: Goal) -> Spectrum | None:
    """Prove the gap of a basis, by as few products as that takes; None where it is not enough."""
    basis, rank = found.basis, found.rank
    mu: float | None = None
    witness: dict[str, Any] = {"basis": basis}
    if found.sure:
        block = ritz_block.measure(M, basis)
    else:
        block, mu, witness = ritz_claims.examined(M, basis, basis, goal.delta, HALVES)
    captured = np.concatenate([[0.0], np.cumsum(block.theta)])
    errors = np.sqrt(np.maximum(M.energy - captured, 0.0))
    wanted = float(errors[rank]) / (1.0 + goal.gap)
    if mu is not None and ritz_claims.best_choice(M, block, rank, mu)[0] < wanted:
        mu, witness["halves"] = ritz_claims.drawn_norm(M, basis, goal.delta), 2 * ritz_block.POWER
    if ritz_claims.best_choice(M, block, rank, mu)[0] < wanted:
        return None
    U, s, Vh = from_right(M, basis, block.image())
    return Spectrum(
        M,
        errors,
        lambda r: (copied(U[:, :r]), s[:r], copied(Vh[:r, :])),
        lambda r: ritz_claims.best_bound(M, block, r, mu, witness),
        ritz_block.THEOREM,
    )
