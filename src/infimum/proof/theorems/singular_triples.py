"""Singular triples: between what bounds each singular value of M lies, and how far computed vectors are from true ones.

Bounds on the values by Cauchy, Weyl, and the block inequality of `ritz_block`; angles from residuals and gaps by Davis
and Kahan. Statement and proof: docs/theorems/singular_triples.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from infimum._arguments import RNGLike
from infimum._arrays import Array, namespace, to_numpy
from infimum._display import Shown
from infimum._linalg import adjoint, as_row
from infimum.errors import VerificationError
from infimum.proof.operators.dense import Dense
from infimum.proof.operators.operator import Operator
from infimum.proof.rounding import rounding_allowance
from infimum.proof.theorems import eckart_young, ritz_block

THEOREM = "singular_triples"
WEIGHT = 0.01  # w in ``(a + b)* (a + b) <= (1 + w) a* a + (1 + 1/w) b* b``
SHIFTS = 12  # values of tau that are tried; every one is valid
DEFECT = 1e-2  # from orthonormal columns, beyond which nothing is said of angles


@dataclass(frozen=True)
class TripleBounds(Shown):
    """What the singular triples of an answer are worth, derived from the input.

    Attributes
    ----------
    lower, upper : array (rank,)
        Bounds on the singular values of the input, descending: the i-th largest lies between the i-th of both.
    residuals : array (rank,)
        Upper bounds on ``sqrt(norm(M v - s u)**2 + norm(M* u - s v)**2)``.
    sines : array (rank,)
        Upper bounds on the sine of the angle between u and a true left singular vector, and between v and its right
        one; 1 where gaps are too small to tell.
    subspace_sine : float
        Upper bound on the root of the sum of the squared sines of the angles between the span of all vectors, of either
        side, and that of the true leading ones.
    confidence : float
        1.0, or that of a "probable" certificate.
    """

    lower: np.ndarray
    upper: np.ndarray
    residuals: np.ndarray
    sines: np.ndarray
    subspace_sine: float
    confidence: float


def values_between(
    M: Operator, count: int, theorem: str, witness: Mapping[str, Any], rng: RNGLike = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return lower and upper bounds on the `count` largest singular values, by what a certificate names."""
    if theorem == ritz_block.THEOREM:
        side, block, mu = ritz_block.block_of(M, witness, rng)
        inner, allowance = ritz_block.inner_values(side, block)
        lower, upper = inner - allowance, np.sqrt(_upper_squares(side, block, mu, count))
    elif theorem != eckart_young.THEOREM:
        raise VerificationError(f"no theorem {theorem!r} bounds the singular values of a low-rank matrix")
    else:
        small = M if M.shape[1] <= M.shape[0] else M.adjoint()
        dense = small if isinstance(small, Dense) else Dense.of(small.compressed(), small)
        values = to_numpy(dense.xp.linalg.svdvals(dense.array))
        allowance = rounding_allowance(M.shape, M.eps, float(values[0]))
        lower, upper = values - allowance, values + allowance
    missing = max(0, count - lower.size)
    return np.maximum(np.append(lower, np.zeros(missing))[:count], 0.0), np.append(upper, np.zeros(missing))[:count]


def _upper_squares(M: Operator, block: ritz_block.Block, mu: float | None, count: int) -> np.ndarray:
    """Bound the largest eigenvalues of ``M* M``: those of ``Theta + R* R / (tau - mu)`` and tau, for any tau > mu."""
    outside = ritz_block.outside_norm(M, block, mu)
    defect = ritz_block.products(M, block.theta.size) + block.dropped
    rounding = ritz_block.products(M, block.theta.size)
    rest = M.shape[1] - block.theta.size
    best = np.full(count, math.inf)
    for tau in _choices_of_tau(block.theta, outside, count, defect):
        shift = tau - outside
        raised = np.diag(block.theta) + (1.0 + WEIGHT) * block.residual_gram / shift
        values = np.linalg.eigvalsh(raised)[::-1]
        lengths = float(np.sum(ritz_block.energies(block)))
        hidden = M.shape[1] * M.eps * math.sqrt(block.theta.size) * lengths / shift
        hidden += (1.0 + 1.0 / WEIGHT) * defect**2 / shift + ritz_block.eigenvalues_allowance(values, M.eps)
        whole = np.sort(np.concatenate([values + hidden, np.full(min(rest, count), tau)]))[::-1][:count]
        best = np.minimum(best, np.append(whole, np.zeros(count - whole.size)) + rounding)
    return np.asarray(np.maximum(best, 0.0))


def _choices_of_tau(theta: np.ndarray, outside: float, count: int, defect: float) -> list[float]:
    """Return values of tau above what lies outside: the Ritz values that matter, and some just above it."""
    least = max(outside * 1e-3, defect, 1e-300)
    ritz = theta[: count + 1]
    above = ritz[ritz > outside + least]
    some = above[np.unique(np.linspace(0, above.size - 1, SHIFTS).astype(int))] if above.size else above
    return [outside + least * step for step in (1.0, 30.0, 1000.0)] + [float(value) for value in some]


def triple_bounds(
    M: Operator,
    U: Array,
    s: np.ndarray,
    V: Array,
    between: tuple[np.ndarray, np.ndarray],
    confidence: float,
    error: float = 0.0,
) -> TripleBounds:
    """Bound residuals and angles of computed triples (scaled as M); `between` are bounds for one value more than these.

    M may differ by `error` from the matrix that is meant, in the Frobenius norm.
    """
    lower, upper = between[0] - error, between[1] + error
    like = as_row(s, U)
    with np.errstate(over="ignore", invalid="ignore"):  # a stranger's vectors may be of any length
        parts = (M.times(V) - U * like, M.adjoint_times(U) - V * like)
        doubt = (max(M.shape) + 8) * M.eps * (math.sqrt(M.energy) + s) + error
        # of both parts, for vectors of lengths up to the square root of 2
        doubt = 2.0 * doubt * np.maximum(np.maximum(_lengths(U), _lengths(V)) / math.sqrt(2.0), 1.0)
        residuals = np.hypot(*map(_lengths, parts)) * (1.0 + sum(M.shape) * M.eps) + doubt
    residuals = np.where(np.isnan(residuals), math.inf, residuals)
    ahead, behind = np.append(math.inf, lower[: s.size - 1]), upper[1 : s.size + 1]
    gaps = np.minimum(np.minimum(ahead - s, s - behind), s)
    defect = max(_defect(U), _defect(V)) + (max(M.shape) + 4) * M.eps
    told = defect < DEFECT
    sines = np.where(told & (gaps > 0.0), residuals / (np.maximum(gaps, 1e-300) * (1.0 - min(defect, DEFECT))), 1.0)
    gap = min(float(s[-1] - behind[-1]), float(s[-1])) * (1.0 - min(defect, DEFECT))
    whole = float(np.linalg.norm(residuals)) / gap if told and gap > 0.0 else math.inf
    return TripleBounds(
        np.maximum(lower[: s.size], 0.0),
        upper[: s.size],
        residuals,
        np.minimum(sines, 1.0),
        min(whole, math.sqrt(s.size)),
        confidence,
    )


def _lengths(columns: Array) -> np.ndarray:
    return np.asarray(to_numpy(namespace(columns=columns).linalg.vector_norm(columns, axis=0)).real)


def _defect(columns: Array) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        gram = to_numpy(adjoint(columns) @ columns)
        return float(np.linalg.norm(gram - np.eye(len(gram))))
