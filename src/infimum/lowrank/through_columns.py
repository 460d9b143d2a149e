"""The search behind `interpolative` and `cur`: columns by a strategy, coefficients, and the certificate of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from infimum._arrays import Array, Working, like_array, narrow, scale_back, working
from infimum._linalg import frobenius, least_squares
from infimum.certificate import Certificate
from infimum.errors import ToleranceError
from infimum.lowrank.factored import certify
from infimum.lowrank.pivoting import bounded, coefficients
from infimum.lowrank.reduction import Reduction, reduction
from infimum.lowrank.select import strategy_named

SPECTRUM = 1000  # up to this smaller side all singular values are computed for the bound
DELTA = 1e-6  # failure probability of the bound beyond that


@dataclass(frozen=True)
class ThroughColumns:
    """Chosen columns, the coefficients of all columns on them, and the certificate."""

    order: np.ndarray
    skeleton: Array
    coefficients: Array
    certificate: Certificate


def search(
    M: Array,
    rank: int | None,
    tol: float | None,
    method: str,
    max_coefficient: float | None,
    rng: np.random.Generator,
) -> ThroughColumns:
    """Choose columns by a method, as many as `rank` says or `tol` needs."""
    scaled = working(M)
    if rank is not None:
        reduced = reduction(scaled, rank, rng)
        return answer(M, scaled, reduced, strategy_named(method)(reduced, rank, rng), max_coefficient, rng)
    goal = (tol or 0.0) * scale_back(frobenius(scaled.array), scaled.exponent, toward=0.0)
    for reduced, order in _growing(scaled, tol or 0.0, method, rng):
        last = answer(M, scaled, reduced, order, max_coefficient, rng)
        if last.certificate.value <= goal:
            return last
    raise ToleranceError(
        f"no {min(M.shape)} columns have a certified error of at most {goal:.3g} (tol = {tol}) in {M.dtype}; "
        f"the last choice has {last.certificate.value:.3g}: raise tol or convert the input to a wider type"
    )


def _growing(M: Working, tol: float, method: str, rng: np.random.Generator) -> Iterator[tuple[Reduction, np.ndarray]]:
    """Yield longer and longer choices, from the one on that meets `tol` by its estimate."""
    limit, strategy = min(M.array.shape), strategy_named(method)
    tried, count = 0, min(16, limit)
    while tried < limit:
        reduced = reduction(M, count, rng)
        order = strategy(reduced, count, rng)
        errors = reduced.errors(order)
        meets = np.flatnonzero(errors <= tol * errors[0])
        first = max(1, int(meets[0])) if meets.size else count if count == limit else count + 1
        for candidate in range(max(first, tried + 1), count + 1):
            yield reduced, order[:candidate]
            tried = candidate
        count = min(2 * count, limit)


def answer(
    M: Array,
    scaled: Working,
    reduced: Reduction,
    order: np.ndarray,
    max_coefficient: float | None,
    rng: np.random.Generator,
) -> ThroughColumns:
    """Find the coefficients for the chosen columns, round them, and certify what is returned."""
    xp = scaled.xp
    if max_coefficient is None:
        columns = like_array(order.astype(np.int64), M)
        rtol = max(M.shape) * float(xp.finfo(M.dtype).eps)
        Z = least_squares(xp.take(scaled.array, columns, axis=1), scaled.array, rtol)
    else:
        order = bounded(reduced, order, max_coefficient)
        columns = like_array(order.astype(np.int64), M)
        Z = like_array(_clipped(coefficients(reduced, order), max_coefficient, float(xp.finfo(M.dtype).eps)), M)
    # A chosen column is itself, exactly; least squares would return the identity only up to rounding.
    chosen = columns[:, None] == xp.arange(M.shape[1], dtype=xp.int64, device=columns.device)[None, :]
    Z = xp.where(xp.any(chosen, axis=0)[None, :], xp.astype(chosen, Z.dtype), Z)
    Z = narrow(Z, M, "a coefficient")
    skeleton = xp.take(M, columns, axis=1)
    theorem, witness = _proof(scaled, reduced, order.size, rng)
    return ThroughColumns(order, skeleton, Z, certify_columns(M, skeleton, Z, theorem, witness))


def _clipped(Z: np.ndarray, largest: float, eps: float) -> np.ndarray:
    """Take off what rounding, also that to the caller's dtype, may add to a coefficient of the largest size."""
    size = np.abs(Z)
    return np.asarray(
        np.where(size > largest * (1.0 - 2.0 * eps), Z * (largest * (1.0 - 2.0 * eps) / np.maximum(size, 1.0)), Z)
    )


def _proof(M: Working, reduced: Reduction, rank: int, rng: np.random.Generator) -> tuple[str, Mapping[str, Any]]:
    """Choose the theorem for the lower bound by what it costs, and make its witness."""
    if min(M.array.shape) <= SPECTRUM or reduced.matrix.shape[0] <= rank or not np.any(reduced.outside):
        return "eckart_young", {}
    basis = like_array(np.ascontiguousarray(reduced.matrix.conj().T), M.array)
    return "ritz_block", {"basis": basis, "seed": int(rng.integers(2**63)), "delta": DELTA}


def certify_columns(M: Array, skeleton: Array, Z: Array, theorem: str, witness: Mapping[str, Any]) -> Certificate:
    """Measure the error of columns with their coefficients and bound that of every other choice from below."""
    return certify(M, skeleton, Z, theorem, witness)
