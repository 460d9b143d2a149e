"""What every approximation of a matrix by a product of thin factors shares: its loss, its bounds, its dense form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infimum._arrays import Array, Working, namespace, scale_back, times_power_of_two, widen, working
from infimum.bounds import eckart_young, ritz_block
from infimum.certificate import Certificate
from infimum.errors import ShapeError, VerificationError
from infimum.result import Result


class Factored(Result):
    """Abstract base of results that approximate a matrix by a product of two factors."""

    def factors(self) -> tuple[Array, Array]:
        """Return the left and the right factor."""
        raise NotImplementedError

    def to_dense(self) -> Array:
        """Multiply the factors out: an (m, n) array, computed in working precision and rounded to the stored dtype."""
        left, right = self.factors()
        dense = widen(left) @ widen(right)
        return namespace(dense=dense).astype(dense, right.dtype)

    def __matmul__(self, other: Array) -> Array:
        """Multiply the approximation by a vector or a matrix without forming it."""
        left, right = self.factors()
        return left @ (right @ other)


def certify(M: Array, left: Array, right: Array, theorem: str, witness: Mapping[str, Any]) -> Certificate:
    """Measure ``norm(M - left @ right, "fro")`` and bound it from below for every matrix of that rank.

    Solvers and `infimum.verify` both call this: it sees the input, the answer and the witness, and no solver.
    """
    scaled = working(M)
    if (left.shape[0], right.shape[1]) != tuple(M.shape) or left.shape[1] != right.shape[0]:
        shapes = tuple(left.shape), tuple(right.shape)
        raise ShapeError(f"factors of a {tuple(M.shape)} matrix were expected, got {shapes}")
    # the left factor carries the scale of M
    value = eckart_young.residual_norm(scaled, times_power_of_two(widen(left), -scaled.exponent), widen(right))
    bound, probable = _lower_bound(scaled, left.shape[1], theorem, witness)
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
