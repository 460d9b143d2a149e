"""Ritz block bound: a lower bound on the Eckart-Young tail from one orthonormal block V and one more pass over M.

With Theta = V* M* M V diagonal, R = M* M V - V Theta and mu >= norm(M (I - V V*), 2)**2, every tau > mu gives: the sum
of the k largest squared singular values is at most that of the k largest of eig(Theta + R* R / (tau - mu)), tau, ...
Statement and proof: docs/theorems/ritz_block.md.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.optimize

from infimum._arrays import Array, Working, like_array, to_numpy
from infimum._linalg import adjoint, frobenius, gaussian, orthonormal_basis

# Every energy is a sum of products of length at most max(m, n): rounding moves it by less than
# ALLOWANCE * max(m, n) * eps of the whole.
ALLOWANCE = 8.0

PROBES, POWER = 8, 6  # random vectors and power steps of `spectral_norm_bound`: mu is then 1.4 to 1.7 times too large


class RitzBound(NamedTuple):
    """A lower bound on the tail, and whether a random draw takes part in it."""

    value: float
    probable: bool


def tail_bound(M: Working, basis: Array, rank: int, *, seed: int | None = None, delta: float = 0.0) -> RitzBound:
    """Lower bound on ``norm(M - X, "fro")`` over every X of rank at most `rank`, from any n x l block with l > rank.

    Columns of `basis` need not be orthonormal: their span counts, and a poor span only weakens the bound. Without
    `seed` it is deterministic: mu is all the energy outside the span. With `seed`, mu comes from Gaussian probes
    where that improves the bound, which then is true with probability ``1 - delta``.
    """
    total = frobenius(M.array) ** 2
    Q = orthonormal_basis(basis)
    theta, residual_gram, V = _ritz(M, Q)
    allowance = ALLOWANCE * max(M.array.shape) * M.eps * total
    interlacing = float(np.sum(theta[rank:]))
    outside = max(total - float(np.sum(theta)), 0.0) + allowance
    sure = max(interlacing, total - _largest_sum(theta, residual_gram, outside, rank, M.array.shape[1]))
    likely = -math.inf
    if seed is not None:
        mu = spectral_norm_bound(M, V, seed=seed, delta=delta)
        likely = total - _largest_sum(theta, residual_gram, mu + allowance, rank, M.array.shape[1])
    probable = likely > sure + allowance  # a probable bound must be worth its doubt
    return RitzBound(math.sqrt(max((likely if probable else sure) - allowance, 0.0)), probable)


def _ritz(M: Working, Q: Array) -> tuple[np.ndarray, np.ndarray, Array]:
    """Ritz values (descending), the Gram matrix of the Ritz residuals, and the Ritz basis."""
    image = M.array @ Q
    theta, W = scipy.linalg.eigh(to_numpy(adjoint(image) @ image))
    theta, W = np.maximum(theta[::-1], 0.0), W[:, ::-1].copy()
    rotation = like_array(W, Q)
    V = Q @ rotation
    residual = adjoint(M.array) @ (image @ rotation) - V * M.xp.astype(like_array(theta, Q), V.dtype)[None, :]
    return theta, to_numpy(adjoint(residual) @ residual), V


def _largest_sum(theta: np.ndarray, residual_gram: np.ndarray, mu: float, rank: int, n: int) -> float:
    """Upper bound on the sum of the `rank` largest squared singular values, minimised over tau > mu."""

    def bound(log_shift: float) -> float:
        shift = math.exp(log_shift)
        values = np.linalg.eigvalsh(np.diag(theta) + residual_gram / shift)
        rest = np.full(min(n - theta.size, rank), mu + shift)
        return float(np.sum(np.sort(np.concatenate([values, rest]))[::-1][:rank]))

    top = max(float(theta[0]), mu, 1e-100)  # the floor keeps the quotient finite for a zero matrix
    search = scipy.optimize.minimize_scalar(
        bound, bounds=(math.log(top) - 36.0, math.log(top) + 4.0), method="bounded", options={"xatol": 0.05}
    )
    return float(search.fun)  # every shift gives a valid bound, so the quality of the search is no matter of truth


def spectral_norm_bound(M: Working, V: Array, *, seed: int, delta: float) -> float:
    """Upper bound on ``norm(M @ (I - V V*), 2)**2`` with probability ``1 - delta`` over unit vectors drawn from `seed`.

    Power iteration from `PROBES` independent uniform unit vectors: each has a component of at least t along the leading
    direction except with probability ``delta**(1 / PROBES)``.
    """
    n = M.array.shape[1]
    complex_ = M.xp.isdtype(M.array.dtype, "complex floating")
    miss = delta ** (1.0 / PROBES)
    t = math.sqrt(miss / n) if complex_ else miss / math.sqrt(2.0 * n / math.pi)
    x = gaussian(np.random.default_rng(seed), (n, PROBES), like=M.array)
    x = x / M.xp.astype(M.xp.linalg.vector_norm(x, axis=0), x.dtype)
    log_growth = np.zeros(PROBES)
    x = _outside(x, V)
    for _ in range(POWER):
        x = _outside(adjoint(M.array) @ (M.array @ x), V)
        norms = M.xp.linalg.vector_norm(x, axis=0)
        host = to_numpy(norms).real
        if not np.all(host > np.finfo(float).tiny):  # nothing is left outside V, or less than any allowance
            return 0.0
        log_growth += np.log(host)
        x = x / M.xp.astype(norms, x.dtype)
    return math.exp((float(np.max(log_growth)) - math.log(t)) / POWER)


def _outside(x: Array, V: Array) -> Array:
    for _ in range(2):  # the second pass removes what rounding left of the first
        x = x - V @ (adjoint(V) @ x)
    return x
