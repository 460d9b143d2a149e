"""Ritz block bound: a lower bound on the Eckart-Young tail from one orthonormal block V and one more pass over M.

With Theta = V* M* M V diagonal, R = M* M V - V Theta and mu >= norm(M (I - V V*), 2)**2, every tau > mu gives: the sum
of the k largest squared singular values is at most that of the k largest of eig(Theta + R* R / (tau - mu)), tau, ...
Statement, proof, and where every allowance for rounding comes from: docs/theorems/ritz_block.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import array_api_compat
import numpy as np
import scipy.special

from infimum._arguments import RNGLike
from infimum._arrays import Array, namespace, to_numpy, widen
from infimum._linalg import adjoint, frobenius, gaussian, orthonormal_basis, reduced_qr
from infimum.errors import VerificationError
from infimum.proof import draws, evidence
from infimum.proof.operators.operator import Operator
from infimum.proof.rounding import rounding_allowance, tails

THEOREM = "ritz_block"
WEIGHT = 0.01  # w in the splits of `largest_sum`
PROBES = 32  # random vectors of `spectral_norm_bound`
POWER = 3  # its power steps where a witness says nothing: mu is then 1.2 to 1.4 times too large
CAREFUL = 12  # power steps where a verifier draws anew: mu comes out below what an honest prover found
TINY = 2.0**-900  # a block as short as that is nothing; the products of a longer one keep all their digits
LEAST_DELTA, MOST_DELTA = 1e-15, 0.1  # doubt that a witness may ask for


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
        ``R* R``, in the Ritz basis, each entry accurate relative to the lengths of its two columns of R.
    dropped : float
        Bound on the norm of what was knowingly left out of R.
    image : callable
        Returns ``M @ V`` (m, l), V any orthonormal basis of the block.
    """

    theta: np.ndarray
    residual_gram: np.ndarray
    dropped: float
    image: Callable[[], Array]


class Choice(NamedTuple):
    """Free parameters of the bound: tau - mu, and how many leading Ritz pairs count as converged."""

    shift: float
    converged: int


def tail_bound(M: Operator, rank: int, witness: Mapping[str, Any], rng: RNGLike = None) -> Bound:
    """Lower bound on ``norm(M - X, "fro")`` over every X of rank at most `rank`, from a stranger's witness.

    `basis`: a block of n rows and at most as many columns; they need not be orthonormal: their span counts, and a poor
    span only weakens the bound. A block of m rows, m other than n, is one of the adjoint. `shift` > 0 is tau - mu, and
    the first `converged` pairs count as converged; both are free to choose. With `interlacing` the values inside count
    as well, which tails below about ``1e-6 * norm(M)`` need. Without a `delta` the bound is deterministic: mu is all
    the energy outside the span. With one, mu comes from Gaussian probes outside the span of
    the first `probed` columns, and the bound is true with probability ``1 - delta``: the draws follow from a hash of
    what the prover chose, or from `rng`, and then there are more power steps. `halves` is the number of products that
    a draw is followed for, two to a step: what makes one of these bounds true makes all of them true.
    """
    M, block, mu = block_of(M, witness, rng)
    shift = evidence.number("shift of the witness", witness.get("shift"), above=0.0)
    converged = evidence.whole("converged of the witness", witness.get("converged"), least=0, most=block.theta.size)
    value = bound(M, block, rank, mu, Choice(shift, converged))
    if evidence.flag("interlacing of the witness", witness.get("interlacing", True)):
        value = max(value, interlacing_bound(M, block, rank))
    return Bound(value, mu is not None, witness)


def block_of(M: Operator, witness: Mapping[str, Any], rng: RNGLike = None) -> tuple[Operator, Block, float | None]:
    """Measure the block of a witness; return M or its adjoint, the block, and mu where the witness asks for probes."""
    M, basis = _side_and_basis(M, witness.get("basis"))
    Q = orthonormal(M, basis)
    if "delta" in witness:
        delta = evidence.number("delta of the witness", witness["delta"], least=LEAST_DELTA, most=MOST_DELTA)
        probed = evidence.whole("probed of the witness", witness.get("probed"), least=0, most=basis.shape[1])
        halves = evidence.whole("halves of the witness", witness.get("halves", 2 * POWER), least=2, most=2 * CAREFUL)
        steps = halves / 2 if rng is None else CAREFUL
        return M, *measure_and_probe(M, Q, probed, probes(basis[:, :probed], delta, rng), delta, steps)
    return M, measure(M, Q), None


def _side_and_basis(M: Operator, item: Any) -> tuple[Operator, Array]:
    """Return M or its adjoint, whichever the block belongs to, and the block in working precision."""
    basis = evidence.array("basis of the witness", item, (None, None), "complex" if M.complex else "real", like=M.like)
    rows, columns = (int(length) for length in basis.shape)
    if rows not in M.shape or not 1 <= columns <= rows:
        raise VerificationError(
            f"basis of the witness must have {M.shape[1]} or {M.shape[0]} rows and from 1 to as many columns, "
            f"got shape {(rows, columns)}"
        )
    wide = widen(basis)
    return M if rows == M.shape[1] else M.adjoint(), M.xp.astype(wide, M.like.dtype, copy=False)


def orthonormal(M: Operator, basis: Array) -> Array:
    """Return an orthonormal basis of a space that contains the block, and see that it is one."""
    most = 3.0 * max(M.shape) * M.eps  # what `products` allows for; not met by NaN
    if _defect(basis) <= most:  # as an honest one is
        return basis
    Q = orthonormal_basis(basis)
    defect = _defect(Q)
    if not defect <= most:
        raise VerificationError(f"basis of the witness has no orthonormal basis: QR leaves a defect of {defect:.1e}")
    return Q


def _defect(Q: Array) -> float:
    eye = namespace(Q=Q).eye(Q.shape[1], dtype=Q.dtype, device=array_api_compat.device(Q))
    with np.errstate(over="ignore", invalid="ignore"):  # columns of any length: then it is infinite or NaN
        return frobenius(adjoint(Q) @ Q - eye)


def measure(M: Operator, Q: Array) -> Block:
    """Ritz values and residuals of an orthonormal block, by two products with M and its adjoint."""
    return _measured(Q, *M.gram_times(Q))


def measure_and_probe(
    M: Operator, Q: Array, probed: int, draw: np.random.Generator, delta: float, steps: float, room: float = 1.0
) -> tuple[Block, float]:
    """Measure a block, and bound the norm outside its first `probed` columns, the first step in the same pass."""
    V, width = Q[:, :probed], Q.shape[1]
    x, held = _start(M, V, draw, delta)
    image, product = M.gram_times(M.xp.concat([Q, x], axis=1))
    mu = _norm_bound(M, V, (x, held), product[:, width:], steps, room)
    return _measured(Q, image[:, :width], product[:, :width]), mu


def _measured(Q: Array, image: Array, product: Array) -> Block:
    theta, W = np.linalg.eigh(to_numpy(adjoint(image) @ image))
    theta, W = np.maximum(theta[::-1], 0.0), W[:, ::-1]
    residual = to_numpy(product - Q @ (adjoint(Q) @ product))
    # rotated before it is squared: the short columns of converged pairs would drown in the squares of the long ones
    residual = residual @ W
    return Block(theta, residual.conj().T @ residual, 0.0, lambda: image)


def products(M: Operator, width: int) -> float:
    """Return what rounding may do to products with M, `width` columns wide: to Theta, to R and to a probe."""
    return (8.0 + 1.5 * math.sqrt(width)) * max(M.shape) * M.eps * M.energy


def eigenvalues_allowance(values: np.ndarray, eps: float) -> float:
    """Return how far an eigensolver's backward error may move the sum of some of these eigenvalues."""
    order = max(values.size, 1)
    return math.sqrt(order) * rounding_allowance((order, order), eps, float(np.linalg.norm(values)))


def interlacing_bound(M: Operator, block: Block, rank: int, room: float = 1.0) -> float:
    """Lower bound from the singular values of ``M @ V`` alone, which are at most those of M.

    No difference of energies takes part, so it reaches far below ``1e-6 * norm(M)``, where `bound` ends; but it needs a
    spectrum that decays inside the block.
    """
    values, allowance = inner_values(M, block)
    return max(float(tails(values)[min(rank, values.size)]) - room * allowance, 0.0)


def inner_values(M: Operator, block: Block) -> tuple[np.ndarray, float]:
    """Return the singular values of ``M @ V``, which are at most those of M, and how far rounding may move them."""
    values = to_numpy(M.xp.linalg.svdvals(reduced_qr(block.image())[1]))
    # entry by entry the product is off by max(m, n) unit roundoffs of abs(M) @ abs(V), whose norm is at most that of M
    # times sqrt(l); the basis is off from orthonormal by no more than 3 max(m, n) eps
    product = max(M.shape) * (3.0 + math.sqrt(values.size)) * M.eps * math.sqrt(M.energy)
    solver = rounding_allowance(M.shape, M.eps, float(np.linalg.norm(values)))
    return values, product + solver


def bound(M: Operator, block: Block, rank: int, mu: float | None, choice: Choice, room: float = 1.0) -> float:
    """Lower bound from a measured block; `mu` bounds the squared norm of M outside it, None takes all energy there."""
    width = block.theta.size
    if not (choice.shift > 0.0 and 0 <= choice.converged <= width):
        raise VerificationError(f"shift must be above 0 and converged from 0 to {width}, got {tuple(choice)}")
    allowance = products(M, width) + eigenvalues_allowance(block.theta, M.eps)
    tail = float(np.sum(block.theta[rank:]))  # by interlacing
    outside = outside_norm(M, block, mu, room)
    # the residuals only add to the sum: no need to look at them where it is too large without
    if M.energy - largest(block.theta, block, outside, rank, M.shape[1], choice) > tail:
        tail = max(tail, M.energy - largest_sum(M, block, outside, rank, choice, room))
    return math.sqrt(max(tail - room * allowance, 0.0))


def outside_norm(M: Operator, block: Block, mu: float | None, room: float = 1.0) -> float:
    """Upper bound on the squared norm outside the block."""
    left = max(M.energy - float(np.sum(block.theta)), 0.0)
    rounding = products(M, block.theta.size) + eigenvalues_allowance(block.theta, M.eps)
    return left + room * rounding if mu is None else mu


def largest_sum(M: Operator, block: Block, mu: float, rank: int, choice: Choice, room: float = 1.0) -> float:
    """Upper bound on the sum of the `rank` largest eigenvalues of ``M* M``, with ``tau = mu + shift``.

    ``R* R`` is split: converged pairs are paid for as a whole, the rest enters an eigenproblem, which stays small. With
    ``norm(E) <= defect`` for what is missing in R, both splits rest on
    ``(a + b)* (a + b) <= (1 + 1/w) a* a + (1 + w) b* b``.
    """
    shift, converged = choice
    defect = room * products(M, block.theta.size) + block.dropped
    lengths = energies(block)
    leading = float(np.sum(lengths[:converged]))
    paid = (1.0 + 1.0 / WEIGHT) * ((1.0 + WEIGHT) * leading + rank * defect**2)
    rest = (1.0 + WEIGHT) ** 2 * block.residual_gram[converged:, converged:]
    with np.errstate(over="ignore", invalid="ignore"):
        residual = np.diag(block.theta[converged:]) + rest / shift
    if not np.all(np.isfinite(residual)):
        return math.inf
    raised = np.linalg.eigvalsh(residual)
    inside = np.concatenate([block.theta[:converged], raised])
    # what rounding the squares, and the eigensolver of this matrix, may hide
    squares = M.shape[1] * M.eps * math.sqrt(block.theta.size) * float(np.sum(lengths)) / shift
    rounding = squares + eigenvalues_allowance(raised, M.eps)
    return largest(inside, block, mu, rank, M.shape[1], choice) + paid / shift + room * rounding


def largest(inside: np.ndarray, block: Block, mu: float, rank: int, n: int, choice: Choice) -> float:
    """Sum of the `rank` largest of some values and of as many tau as there are dimensions outside."""
    outside = np.full(min(n - block.theta.size, rank), mu + choice.shift)
    return float(np.sum(np.sort(np.concatenate([inside, outside]))[::-1][:rank]))


def energies(block: Block) -> np.ndarray:
    """Return the squared lengths of the residuals of the Ritz pairs."""
    return np.asarray(np.diag(block.residual_gram).real)


def probes(chosen: Array, delta: float, rng: RNGLike = None) -> np.random.Generator:
    """Return the generator of the draws that judge a block: a hash of the columns outside of which it looks."""
    return draws.generator(rng, THEOREM, chosen, float(delta))


def spectral_norm_bound(
    M: Operator, V: Array, draw: np.random.Generator, delta: float, steps: float = POWER, room: float = 1.0
) -> float:
    """Upper bound on ``norm(M @ (I - V V*), 2)**2`` with probability ``1 - delta`` over a Gaussian block.

    Power iteration: what the block holds of the leading direction has a chi-squared distribution, and each step
    multiplies it by the norm that is sought; half a step, at the end, by its root. What rounding may take is added.
    """
    start = _start(M, V, draw, delta)
    return _norm_bound(M, V, start, M.gram_times(start[0])[1], steps, room)


def _start(M: Operator, V: Array, draw: np.random.Generator, delta: float) -> tuple[Array, float]:
    """Draw a block outside V; return the square of what it holds at least of any one direction, too."""
    degrees = PROBES * (2 if M.complex else 1)
    held = 2.0 * float(scipy.special.gammaincinv(degrees / 2, delta)) / (2 if M.complex else 1)
    return _outside(gaussian(draw, (M.shape[1], PROBES), like=M.like), V), held


def _norm_bound(M: Operator, V: Array, start: tuple[Array, float], product: Array, steps: float, room: float) -> float:
    """Follow a block from its first `product` with ``M* M`` on."""
    (x, held), size = start, frobenius(start[0])
    # a step may lose `step` of the leading direction, of which the block, scaled to norm 1, holds `share` at least
    step, share = room * products(M, V.shape[1] + PROBES), math.sqrt(held) / max(size, math.sqrt(held))
    least = 4.0 * math.ceil(steps) * step / share
    if size <= TINY:  # nothing is left outside V
        return least
    x, log_growth = product / size, math.log(size) - 0.5 * math.log(held)
    for number in range(int(steps)):
        x = _outside(M.gram_times(x)[1] if number else x, V)
        size = frobenius(x)
        if size <= TINY:
            return least
        x, log_growth = x / size, log_growth + math.log(size)
    x = M.times(x) if steps % 1.0 else x
    largest_held = max(float(np.linalg.eigvalsh(to_numpy(adjoint(x) @ x))[-1]), TINY)
    mu = math.exp((log_growth + 0.5 * math.log(largest_held)) / steps)
    return max(mu + 2.0 * step / share, least)


def _outside(x: Array, V: Array) -> Array:
    for _ in range(2):  # the second pass removes what rounding left of the first
        x = x - V @ (adjoint(V) @ x)
    return x
