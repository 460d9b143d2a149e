"""The ways to singular triples: full, Gram, block Krylov, subspace iteration; each with the bound that certifies it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np

from infimum._arrays import Array, like_array, namespace, narrow, real_part, times_power_of_two, to_numpy, widen
from infimum._linalg import adjoint, gaussian, orthonormal_basis
from infimum.errors import ToleranceError
from infimum.lowrank.krylov import BlockKrylov
from infimum.proof.operators.operator import Dense, Operator
from infimum.proof.rounding import energy_allowance, tails
from infimum.proof.theorems import eckart_young, ritz_block
from infimum.proof.theorems.ritz_block import Bound

PASSES = 3  # subspace iterations of `randomized`; each multiplies by M and its adjoint

Triples = tuple[Array, Array, Array]
Truncated = TypeVar("Truncated")


class Goal(NamedTuple):
    """What was asked for: a rank or a tolerance, the relative gap to prove, and the doubt that is allowed."""

    rank: int | None
    tol: float | None
    gap: float
    delta: float

    def reached(self, errors: np.ndarray) -> int | None:
        """Return the rank asked for, or the least one whose estimated error meets the tolerance, if any does."""
        if self.rank is not None:
            return self.rank if self.rank < errors.size else None
        meets = np.flatnonzero(errors[1:] <= float(self.tol or 0.0) * errors[0])
        return int(meets[0]) + 1 if meets.size else None


@dataclass(frozen=True)
class Spectrum:
    """Leading singular triples of a scaled operator, for every rank, and what certifies their truncations.

    Attributes
    ----------
    M : Operator
        What was decomposed.
    errors : array
        Estimated Frobenius error of each truncation, rank 0 first (scaled).
    triples : callable
        ``triples(rank)`` returns U, s, Vh in working precision (scaled).
    bound : callable
        ``bound(rank)``: lower bound on the error of every matrix of that rank (scaled).
    theorem : str
        As in the certificate.
    """

    M: Operator
    errors: np.ndarray
    triples: Callable[[int], Triples]
    bound: Callable[[int], Bound]
    theorem: str

    def adjoint(self) -> Spectrum:
        """Return the spectrum of the conjugate transpose."""

        def triples(rank: int) -> Triples:
            U, s, Vh = self.triples(rank)
            return adjoint(Vh), s, adjoint(U)

        return dataclasses.replace(self, M=self.M.adjoint(), triples=triples)

    def rounded(self, rank: int) -> Triples:
        """Return U, s, Vh at the original scale, in the dtype of the input."""
        outer = self.M.outer
        U, s, Vh = self.triples(rank)
        s = times_power_of_two(s, self.M.exponent)
        return narrow(U, outer, "U"), narrow(s, real_part(outer), "s"), narrow(Vh, outer, "Vh")


def scaled_left(U: Array, s: Array) -> Array:
    """Return ``U * s`` in working precision."""
    wide = widen(U)
    return wide * namespace(U=wide).astype(widen(s), wide.dtype)[None, :]


def least(spectrum: Spectrum, goal: Goal, truncate: Callable[[Spectrum, int], Truncated]) -> Truncated:
    """Truncate at the smallest rank whose certified error is at most ``tol * norm(M)``."""
    M, available = spectrum.M, spectrum.errors.size - 1
    limit = float(goal.tol or 0.0) * float(spectrum.errors[0]) * 2.0**M.exponent
    # `errors` are estimates before rounding to the dtype: start there, then trust only measured values
    for rank in range(goal.reached(spectrum.errors) or available, available + 1):
        result: Any = truncate(spectrum, rank)
        if result.certificate.value <= limit:
            return result  # type: ignore[no-any-return]
    raise ToleranceError(
        f"no rank up to {available} has a certified error of at most {limit:.3g} (tol = {goal.tol}) in "
        f"{M.outer.dtype}; the last one has {result.certificate.value:.3g}: raise tol or convert the input to a wider "
        "type"
    )


def exact(M: Operator) -> Spectrum:
    """Full singular value decomposition, of the matrix itself or of a triangle with the same right vectors."""
    dense = M if isinstance(M, Dense) else Dense.of(M.compressed(), M)
    U, s, Vh = dense.xp.linalg.svd(dense.array, full_matrices=False)
    values = to_numpy(s)

    def triples(rank: int) -> Triples:
        return (U[:, :rank], s[:rank], Vh[:rank, :]) if dense is M else _from_right(M, adjoint(Vh[:rank, :]))

    def bound(rank: int) -> Bound:
        return Bound(eckart_young.tail_bound(dense.working, rank, values, M.shape))

    return Spectrum(M, tails(values), triples, bound, "eckart_young")


def gram(M: Operator) -> Spectrum:
    """Eigenvectors of ``M* M``."""
    values, V = M.xp.linalg.eigh(M.gram())
    eigenvalues = to_numpy(values)

    def triples(rank: int) -> Triples:
        return _from_right(M, V[:, V.shape[1] - rank :])

    def bound(rank: int) -> Bound:
        value = eckart_young.gram_tail_bound(M, rank, eigenvalues, room=ritz_block.ROOM)
        return Bound(value, witness={"gram": True})

    captured = np.concatenate([[0.0], np.cumsum(np.maximum(eigenvalues[::-1], 0.0))])
    errors = np.sqrt(np.maximum(M.energy - captured, 0.0))
    return Spectrum(M, errors, triples, bound, "eckart_young")


def _from_right(M: Operator, V: Array, image: Array | None = None) -> Triples:
    """Best triples whose right vectors lie in the span of the orthonormal V; ``image = M @ V``."""
    Q, R = M.xp.linalg.qr(M.times(V) if image is None else image, mode="reduced")
    u, s, wh = M.xp.linalg.svd(R, full_matrices=False)
    return Q @ u, s, wh @ adjoint(V)


def resolved(spectrum: Spectrum, goal: Goal) -> bool:
    """Tell whether a spectrum from squared singular values proves its errors to far better than the gap asked for."""
    rank = goal.reached(spectrum.errors)
    if rank is None or rank >= min(spectrum.M.shape):
        return False
    error, floor = float(spectrum.errors[rank]), spectrum.bound(rank).value
    return 0.0 < error <= (1.0 + 1e-5 * min(goal.gap, 1e-3)) * floor


def krylov(M: Operator, goal: Goal, rng: np.random.Generator, limit: int) -> Spectrum | None:
    """Grow a block Krylov space until the gap is proved; None when it would fill more than `limit` dimensions."""
    seed = int(rng.integers(2**63))
    # narrower blocks find more in fewer dimensions, but a pass over a large matrix takes them little less time
    space = BlockKrylov(M, min(20 + (goal.rank or 50) // 10, M.shape[1]), rng)
    witness: dict[str, Any] = {"seed": seed, "delta": goal.delta}
    mu, left = None, M.energy
    while True:
        block, W = space.ritz()
        captured = np.concatenate([[0.0], np.cumsum(block.theta)])
        errors = np.sqrt(np.maximum(M.energy - captured, 0.0))
        reached = goal.reached(errors)
        if reached is not None:
            error = float(errors[reached])
            floor = error / (1.0 + goal.gap)
            near = _lost(block, reached) <= 2.0 * goal.gap * error**2
            proved = near and ritz_block.bound(M, block, reached, mu)[0] >= floor
            # one draw for all sizes: it is made when what lies outside seems small enough, and stays true after;
            # not where growing by as many passes as it takes leaves so little that a bound needs no draw
            before, left = left, float(errors[-1]) ** 2
            steps = ritz_block.POWER
            fading = left ** (steps + 1) < block.theta[reached - 1] * before**steps
            planned = mu is None and near and not proved and not fading
            if planned and ritz_block.bound(M, block, reached, 1.5 * _guess(block))[0] >= floor:
                mu = ritz_block.spectral_norm_bound(M, space.basis, seed=seed, delta=goal.delta)
                witness["probed"] = space.size
                proved = ritz_block.bound(M, block, reached, mu)[0] >= floor
            if proved or _exhausted(M, block, reached, error**2 * goal.gap):
                break
        if not space.grow():
            break
        if space.size > limit:
            return None
    basis, image = space.basis, space.image
    witness["basis"] = basis

    def triples(rank: int) -> Triples:
        rotation = like_array(np.ascontiguousarray(W[:, :rank]), basis)
        return _from_right(M, basis @ rotation, image @ rotation)

    return Spectrum(M, errors, triples, lambda rank: ritz_block.best_bound(M, block, rank, mu, witness), "ritz_block")


def _lost(block: ritz_block.Block, rank: int) -> float:
    """Estimate from below what the leading Ritz pairs lack of the largest squared singular values."""
    energies = np.diag(block.residual_gram).real[:rank]
    return float(np.sum(energies / np.maximum(block.theta[:rank], 1e-300)))


def _guess(block: ritz_block.Block) -> float:
    """Estimate the largest squared singular value outside the space: the first Ritz value that has not converged."""
    energies = np.diag(block.residual_gram).real
    return float(block.theta[int(np.argmax(energies > 0.01 * np.square(block.theta)))])


def _exhausted(M: Operator, block: ritz_block.Block, rank: int, wanted: float) -> bool:
    """Tell whether rounding hides the part of the squared error that is `wanted`, and all that is left to gain."""
    allowance = energy_allowance(M.shape, M.eps, rank, M.energy)
    return wanted <= 2.0 * allowance and _lost(block, rank) <= 0.01 * allowance


def randomized(M: Operator, goal: Goal, rng: np.random.Generator) -> Spectrum:
    """Subspace iteration; with a tolerance, the subspace doubles until the rank that meets it is inside."""
    limit = min(M.shape)
    seed = int(rng.integers(2**63))
    rank = goal.rank or min(16, limit)
    while True:
        # half as wide again as the rank: the certificate needs that room
        width = min(rank + max(10, rank // 2), limit)
        basis = orthonormal_basis(gaussian(rng, (M.shape[1], width), like=M.like))
        for _ in range(PASSES):
            # without orthonormalising at every half step the small directions drown in rounding (float32 above all)
            basis = orthonormal_basis(M.adjoint_times(orthonormal_basis(M.times(basis))))
        U, s, Vh = _from_right(M, basis)
        captured = np.concatenate([[0.0], np.cumsum(np.square(to_numpy(s)))])
        errors = np.sqrt(np.maximum(M.energy - captured, 0.0))
        if goal.rank is not None or rank == limit or errors[rank] <= float(goal.tol or 0.0) * errors[0]:
            break
        rank = min(2 * rank, limit)
    block = ritz_block.measure(M, basis)
    mu = ritz_block.spectral_norm_bound(M, basis, seed=seed, delta=goal.delta)
    witness = {"basis": basis, "seed": seed, "delta": goal.delta, "probed": width}

    def bound(rank: int) -> Bound:
        return ritz_block.best_bound(M, block, rank, mu, witness)

    return Spectrum(M, errors, lambda r: (U[:, :r], s[:r], Vh[:r, :]), bound, "ritz_block")
