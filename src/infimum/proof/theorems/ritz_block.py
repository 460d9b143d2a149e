"""Ritz block bound: a lower bound on the Eckart-Young tail from one orthonormal block V and one more pass over M.

With Theta = V* M* M V diagonal, R = M* M V - V Theta and mu >= norm(M (I - V V*), 2)**2, every tau > mu gives: the sum
of the k largest squared singular values is at most that of the k largest of eig(Theta + R* R / (tau - mu)), tau, ...
Statement and proof: docs/theorems/ritz_block.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import scipy.special

from infimum._arrays import Array, to_numpy
from infimum._linalg import adjoint, frobenius, gaussian, orthonormal_basis
from infimum.proof.operators.operator import Operator
from infimum.proof.rounding import energy_allowance, rounding_allowance, tails

WEIGHT = 0.01  # w in the splits of `largest_sum`
FAINT = 1e5  # a squared tail below so many allowances is worth a look that squares nothing
ROOM = 1.25  # allowance of a claim, relative to that of its check
PROBES, POWER = 32, 3  # random vectors and power steps of `spectral_norm_bound`: mu is then 1.2 to 1.4 times too large


class Bound(NamedTuple):
    """A lower bound on the tail, whether a random draw takes part in it, and what derives it again from the input."""

    value: float
    probable: bool = False
    witness: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Block:
    """What the bound needs of an orthonormal block.

    Attributes
    ----------
    theta : array (l,)
        Ritz values, descending.
    residual_gram : array (l, l)
        ``R* R``, in the Ritz basis.
    defect : float
        Bound on the norm of what rounding, or dropping directions, has left out of R.
    image : array (m, l)
        ``M @ V``, V any orthonormal basis of the block.
    """

    theta: np.ndarray
    residual_gram: np.ndarray
    defect: float
    image: Array


class Choice(NamedTuple):
    """Free parameters of the bound: tau - mu, and how many leading Ritz pairs count as converged."""

    shift: float
    converged: int


def smaller_side(M: Operator, basis: Array) -> Operator:
    """Return M, or its adjoint where the block lives on that side."""
    return M if basis.shape[0] == M.shape[1] else M.adjoint()


def tail_bound(M: Operator, basis: Array, rank: int, witness: Mapping[str, Any]) -> Bound:
    """Lower bound on ``norm(M - X, "fro")`` over every X of rank at most `rank`, from any n x l block with l > rank.

    Columns of `basis` need not be orthonormal: their span counts, and a poor span only weakens the bound. A block of
    m rows, m other than n, is one of the adjoint. `witness` gives tau - mu as `shift` and the number of `converged`
    pairs, both free to choose. Without a `seed` in it the bound is deterministic: mu is all the energy outside the
    span. With one, mu comes from Gaussian probes outside the span of the first `probed` columns, and the bound is true
    with probability ``1 - delta``.
    """
    M = smaller_side(M, basis)
    Q = orthonormal_basis(basis)
    mu = None
    if "seed" in witness:
        outside = Q[:, : int(witness["probed"])]
        mu = spectral_norm_bound(M, outside, seed=int(witness["seed"]), delta=float(witness["delta"]))
    choice = Choice(float(witness["shift"]), int(witness["converged"]))
    block = measure(M, Q)
    value = max(bound(M, block, rank, mu, choice)[0], interlacing_bound(M, block, rank))
    return Bound(value, "seed" in witness, witness)


def claim(M: Operator, basis: Array, rank: int, witness: Mapping[str, Any]) -> Bound:
    """Best bound from a block, with the free parameters added to `witness` (a basis, and maybe seed and delta)."""
    M = smaller_side(M, basis)
    Q, mu = orthonormal_basis(basis), None
    if "seed" in witness:
        witness = {**witness, "probed": int(Q.shape[1])}
        mu = spectral_norm_bound(M, Q, seed=witness["seed"], delta=witness["delta"])
    return best_bound(M, measure(M, Q), rank, mu, witness)


def measure(M: Operator, Q: Array) -> Block:
    """Ritz values and residuals of an orthonormal block, by two products with M and its adjoint."""
    image, product = M.gram_times(Q)
    theta, W = np.linalg.eigh(to_numpy(adjoint(image) @ image))
    theta, W = np.maximum(theta[::-1], 0.0), W[:, ::-1]
    residual = product - Q @ (adjoint(Q) @ product)
    gram = W.conj().T @ to_numpy(adjoint(residual) @ residual) @ W
    return Block(theta, gram, energy_allowance(M.shape, M.eps, theta.size, M.energy), image)


def interlacing_bound(M: Operator, block: Block, rank: int, room: float = 1.0) -> float:
    """Lower bound from the singular values of ``M @ V`` alone, which are at most those of M.

    No difference of energies takes part, so it reaches far below ``1e-6 * norm(M)``, where `bound` ends; but it needs a
    spectrum that decays inside the block.
    """
    values = to_numpy(M.xp.linalg.svdvals(M.xp.linalg.qr(block.image, mode="reduced")[1]))
    # entry by entry the product is off by max(m, n) unit roundoffs of abs(M) @ abs(V), whose norm is at most that of M
    # times sqrt(l); the basis is off from orthonormal by no more than that
    product = max(M.shape) * math.sqrt(values.size) * M.eps * math.sqrt(M.energy)
    solver = rounding_allowance(M.shape, M.eps, float(np.linalg.norm(values)))
    return max(float(tails(values)[min(rank, values.size)]) - room * (product + solver), 0.0)


def bound(
    M: Operator, block: Block, rank: int, mu: float | None, choice: Choice | None = None, room: float = 1.0
) -> tuple[float, Choice]:
    """Lower bound from a measured block, and the choice that gives it: the best of a few where none is given.

    `mu` is a bound on the squared norm of M outside the block; None takes all the energy there. A `room` above 1
    takes off more than rounding needs, so that a second derivation, which rounds differently, reaches the bound too.
    """
    allowance = room * energy_allowance(M.shape, M.eps, rank, M.energy)
    outside = _outside_norm(M, block, mu)
    choices = [choice] if choice else _choices(block, rank, outside)
    tail, best = float(np.sum(block.theta[rank:])), choices[0]  # by interlacing
    for item in choices:
        # the residuals only add to the sum: no need to look at them where it is too large without
        if M.energy - _largest(block.theta, block, outside, rank, M.shape[1], item) > tail:
            candidate = M.energy - largest_sum(block, outside, rank, M.shape[1], item)
            tail, best = (candidate, item) if candidate > tail else (tail, best)
    return math.sqrt(max(tail - allowance, 0.0)), best


def _outside_norm(M: Operator, block: Block, mu: float | None) -> float:
    left = max(M.energy - float(np.sum(block.theta)), 0.0)
    return (left if mu is None else mu) + energy_allowance(M.shape, M.eps, block.theta.size, M.energy)


def largest_sum(block: Block, mu: float, rank: int, n: int, choice: Choice) -> float:
    """Upper bound on the sum of the `rank` largest eigenvalues of ``M* M``, with ``tau = mu + shift``.

    ``R* R`` is split: converged pairs are paid for as a whole, the rest enters an eigenproblem, which stays small. With
    ``norm(E) <= defect`` for what is missing in R, both splits rest on
    ``(a + b)* (a + b) <= (1 + 1/w) a* a + (1 + w) b* b``.
    """
    shift, converged = choice
    leading = max(float(np.sum(_energies(block)[:converged])), 0.0)
    paid = (1.0 + 1.0 / WEIGHT) * ((1.0 + WEIGHT) * leading + rank * block.defect**2)
    rest = (1.0 + WEIGHT) ** 2 * block.residual_gram[converged:, converged:]
    raised = np.linalg.eigvalsh(np.diag(block.theta[converged:]) + rest / shift)
    inside = np.concatenate([block.theta[:converged], raised])
    return _largest(inside, block, mu, rank, n, choice) + paid / shift


def _largest(inside: np.ndarray, block: Block, mu: float, rank: int, n: int, choice: Choice) -> float:
    """Sum of the `rank` largest of some values and of as many tau as there are dimensions outside."""
    outside = np.full(min(n - block.theta.size, rank), mu + choice.shift)
    return float(np.sum(np.sort(np.concatenate([inside, outside]))[::-1][:rank]))


def _choices(block: Block, rank: int, mu: float) -> list[Choice]:
    """Shifts and splits to try in `largest_sum`: every one is valid, so their quality is no matter of truth."""
    energies = _energies(block)
    weighted = np.cumsum(energies / np.maximum(block.theta, 1e-300))
    # what the converged pairs cost must not count beside what the `rank` leading ones lose anyway
    converged = int(np.sum(weighted <= 1e-4 * weighted[min(rank, energies.size) - 1]))
    reference = max(float(block.theta[min(rank, energies.size) - 1]), 1e-30 * float(block.theta[0]), 1e-100)
    # tau just reaches the rank-th Ritz value, or stays below; around mu where it cannot
    room = reference - mu
    shifts = [f * room for f in (1.0, 0.5, 0.1)] if room > 0.05 * reference else [f * mu for f in (1.0, 0.3, 0.1, 0.03)]
    return [Choice(shift, converged) for shift in shifts]


def _energies(block: Block) -> np.ndarray:
    return np.asarray(np.diag(block.residual_gram).real)


def best_bound(M: Operator, block: Block, rank: int, mu: float | None, witness: Mapping[str, Any]) -> Bound:
    """Return the deterministic bound, or with `mu` the probable one where it is worth its doubt, with its witness.

    `witness` is what both share and what the probable one needs besides: basis, seed, delta, probed.
    """
    candidates = []
    for size in (None, mu) if mu is not None else (None,):
        value, choice = bound(M, block, rank, size, room=ROOM)
        parts = {"basis": witness["basis"]} if size is None else dict(witness)
        parts.update(shift=choice.shift, converged=choice.converged)
        candidates.append(Bound(value, size is not None, parts))
    sure, likely = candidates[0], candidates[-1]
    allowance = energy_allowance(M.shape, M.eps, rank, M.energy)
    if max(sure.value, likely.value) ** 2 < FAINT * allowance:
        sure = sure._replace(value=max(sure.value, interlacing_bound(M, block, rank, room=ROOM)))
    return likely if likely.value**2 > sure.value**2 + allowance else sure


def spectral_norm_bound(M: Operator, V: Array, *, seed: int, delta: float) -> float:
    """Upper bound on ``norm(M @ (I - V V*), 2)**2`` with probability ``1 - delta`` over a Gaussian block from `seed`.

    Power iteration: what the block holds of the leading direction has a chi-squared distribution, and each step
    multiplies it by the norm that is sought.
    """
    degrees = PROBES * (2 if M.complex else 1)
    held = 2.0 * float(scipy.special.gammaincinv(degrees / 2, delta)) / (2 if M.complex else 1)
    x = _outside(gaussian(np.random.default_rng(seed), (M.shape[1], PROBES), like=M.like), V)
    log_growth = -0.5 * math.log(held)
    for _ in range(POWER):
        x = _outside(M.gram_times(x)[1], V)
        size = frobenius(x)
        if size <= np.finfo(float).tiny:  # less than any allowance is left outside V
            return size
        log_growth += math.log(size)
        x = x / size
    largest = float(np.linalg.eigvalsh(to_numpy(adjoint(x) @ x))[-1])
    return math.exp((log_growth + 0.5 * math.log(largest)) / POWER)


def _outside(x: Array, V: Array) -> Array:
    for _ in range(2):  # the second pass removes what rounding left of the first
        x = x - V @ (adjoint(V) @ x)
    return x
