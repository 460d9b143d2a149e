"""What every approximation of a matrix by a product of thin factors shares: its loss, its bounds, its dense form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infimum._arguments import RNGLike
from infimum._arrays import Array, namespace, scale_back, times_power_of_two, widen
from infimum.errors import ShapeError, VerificationError
from infimum.proof import evidence
from infimum.proof.certificate import Certificate
from infimum.proof.operators.dense import Dense
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
    M: Operator, left: Array, right: Array, theorem: str, bound: Bound, room: float = 1.0
) -> Certificate:
    """Measure ``norm(M - left @ right, "fro")``, and put it together with a (scaled) bound that a theorem gave.

    Solvers and `infimum.verify` both call this. A solver leaves the `room` that it claims to have.
    """
    if (left.shape[0], right.shape[1]) != M.shape or left.shape[1] != right.shape[0]:
        shapes = tuple(left.shape), tuple(right.shape)
        raise ShapeError(f"factors of a {M.shape} matrix were expected, got {shapes}")
    # the left factor carries the scale of M
    value = M.distance(times_power_of_two(widen(left), -M.exponent), widen(right), room)
    return Certificate(
        value=scale_back(value, M.exponent, toward=float("inf")),
        lower_bound=scale_back(bound.value, M.exponent, toward=0.0),
        theorem=theorem,
        rigour="probable" if bound.probable else "rounded",
        confidence=1.0 - float(bound.witness["delta"]) if bound.probable else 1.0,
        witness=bound.witness,
    )


def bound_of_any_matrix(
    M: Operator, rank: int, theorem: str, witness: Mapping[str, Any], rng: RNGLike = None, room: float = 1.0
) -> Bound:
    """Bound the error of every matrix of that rank by the theorem that a result names, from the input and a witness."""
    if theorem == ritz_block.THEOREM:
        return ritz_block.tail_bound(M, rank, witness, rng)
    if theorem != eckart_young.THEOREM:
        allowed = f"{eckart_young.THEOREM!r} or {ritz_block.THEOREM!r}"
        raise VerificationError(f"theorem must be {allowed} for a low-rank matrix, got {theorem!r}")
    if evidence.flag("gram of the witness", witness.get("gram", False)):
        return Bound(eckart_young.gram_tail_bound(M, rank, room=room), witness=witness)
    small = M if M.shape[1] <= M.shape[0] else M.adjoint()
    dense = small if isinstance(small, Dense) else Dense.of(small.compressed(), small)
    return Bound(eckart_young.tail_bound(dense.working, rank, shape=small.shape, room=room), witness=witness)
