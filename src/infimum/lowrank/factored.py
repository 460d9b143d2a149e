"""What every approximation of a matrix by a product of thin factors shares: its loss, its bounds, its dense form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infimum._arrays import Array, Working, namespace, scale_back, times_power_of_two, widen, working
from infimum._linalg import product
from infimum.bounds import eckart_young, ritz_block
from infimum.certificate import Certificate
from infimum.errors import ShapeError, VerificationError
from infimum.result import Result


class Factored(Result):
    """Abstract base of results that approximate a matrix by a product of factors."""

    def factors(self) -> tuple[Array, ...]:
        """Return the factors, left to right, as stored (in the caller's dtype)."""
        raise NotImplementedError

    def to_dense(self) -> Array:
        """Multiply the factors out: an (m, n) array, computed in working precision and rounded to the stored dtype."""
        factors = self.factors()
        dense = product(tuple(widen(factor) for factor in factors))
        return namespace(dense=dense).astype(dense, factors[-1].dtype)

    def __matmul__(self, other: Array) -> Array:
        """Multiply the approximation by a vector or a matrix, from right to left, without forming it."""
        for factor in reversed(self.factors()):
            other = factor @ other
        return other


def certify(M: Array, factors: tuple[Array, ...], rank: int, theorem: str, witness: Mapping[str, Any]) -> Certificate:
    """Measure ``norm(M - product of factors, "fro")`` and bound it from below for every matrix of that rank.

    Solvers and `infimum.verify` both call this: it sees the input, the answer and the witness, and no solver.
    """
    scaled = working(M)
    widened = tuple(widen(factor) for factor in factors)
    # Only the first factor carries the scale of M; the others are of ordinary size.
    ready = (times_power_of_two(widened[0], -scaled.exponent), *widened[1:])
    if (ready[0].shape[0], ready[-1].shape[1]) != tuple(M.shape):
        raise ShapeError(f"factors of a {tuple(M.shape)} matrix were expected, got {[tuple(f.shape) for f in factors]}")
    value = eckart_young.residual_norm(scaled, ready)
    bound, probable = _lower_bound(scaled, rank, theorem, witness)
    if not probable:  # the seed took no part, so it is no part of the witness
        witness = {name: item for name, item in witness.items() if name == "basis"}
    return Certificate(
        value=scale_back(value, scaled.exponent, toward=float("inf")),
        lower_bound=scale_back(bound, scaled.exponent, toward=0.0),
        theorem=theorem,
        rigour="probable" if probable else "rounded",
        confidence=1.0 - float(witness["delta"]) if probable else 1.0,
        witness=witness,
    )


def _lower_bound(scaled: Working, rank: int, theorem: str, witness: Mapping[str, Any]) -> tuple[float, bool]:
    if theorem == "eckart_young":
        return eckart_young.tail_bound(scaled, rank), False
    if theorem == "ritz_block":
        drawn = {name: item for name, item in witness.items() if name != "basis"}
        return ritz_block.tail_bound(scaled, widen(witness["basis"]), rank, **drawn)
    raise VerificationError(f"theorem must be 'eckart_young' or 'ritz_block' for a low-rank matrix, got {theorem!r}")
