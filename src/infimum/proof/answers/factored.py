"""What every approximation of a matrix by a product of thin factors shares: its loss, its bounds, its dense form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infimum._arrays import Array, namespace, scale_back, times_power_of_two, widen
from infimum.errors import ShapeError, VerificationError
from infimum.proof.certificate import Certificate
from infimum.proof.operators.dense import Dense
from infimum.proof.operators.inputs import as_operator
from infimum.proof.operators.operator import Operator
from infimum.proof.result import Result
from infimum.proof.theorems import eckart_young, ritz_block
from infimum.proof.theorems.ritz_block import Bound


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


def certify_factors(
    M: Any, left: Array, right: Array, theorem: str, witness: Mapping[str, Any], bound: Bound | None = None
) -> Certificate:
    """Measure ``norm(M - left @ right, "fro")`` and bound it from below for every matrix of that rank.

    Solvers and `infimum.verify` both call this. A solver that has the block or the spectrum at hand on which the bound
    rests gives the (scaled) `bound` that follows from it; `verify` derives it from the input and the witness. A block
    without a `shift` in the witness makes a new claim.
    """
    operator = as_operator(M, "M")
    if (left.shape[0], right.shape[1]) != operator.shape or left.shape[1] != right.shape[0]:
        shapes = tuple(left.shape), tuple(right.shape)
        raise ShapeError(f"factors of a {operator.shape} matrix were expected, got {shapes}")
    # the left factor carries the scale of M
    value = operator.distance(times_power_of_two(widen(left), -operator.exponent), widen(right))
    if bound is None:
        bound = _lower_bound(operator, left.shape[1], theorem, witness)
    return Certificate(
        value=scale_back(value, operator.exponent, toward=float("inf")),
        lower_bound=scale_back(bound.value, operator.exponent, toward=0.0),
        theorem=theorem,
        rigour="probable" if bound.probable else "rounded",
        confidence=1.0 - float(bound.witness["delta"]) if bound.probable else 1.0,
        witness=bound.witness,
    )


def _lower_bound(M: Operator, rank: int, theorem: str, witness: Mapping[str, Any]) -> Bound:
    if theorem == "eckart_young" and witness.get("gram"):
        return Bound(eckart_young.gram_tail_bound(M, rank), witness=witness)
    if theorem == "eckart_young":
        small = M if M.shape[1] <= M.shape[0] else M.adjoint()
        dense = small if isinstance(small, Dense) else Dense.of(small.compressed(), small)
        return Bound(eckart_young.tail_bound(dense.working, rank, shape=small.shape), witness=witness)
    if theorem == "ritz_block":
        derive = ritz_block.tail_bound if "shift" in witness else ritz_block.claim
        return derive(M, widen(witness["basis"]), rank, witness)
    raise VerificationError(f"theorem must be 'eckart_young' or 'ritz_block' for a low-rank matrix, got {theorem!r}")
