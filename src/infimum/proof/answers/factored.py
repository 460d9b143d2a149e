"""What every approximation of a matrix by a product of thin factors shares: its loss, its bounds, its dense form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infimum._arguments import RNGLike
from infimum._arrays import Array, ArrayLike, as_matrix, namespace, times_power_of_two, widen
from infimum._scaling import scale_back
from infimum._tables import labels
from infimum.errors import ShapeError, VerificationError
from infimum.proof import evidence
from infimum.proof.certificate import Certificate
from infimum.proof.operators.dense import Dense
from infimum.proof.operators.operator import Operator
from infimum.proof.result import Result
from infimum.proof.theorems import eckart_young, ritz_block
from infimum.proof.theorems.ritz_block import Bound
from infimum.proof.thin_product import Multiplies


class Factored(Multiplies, Result):
    """Abstract base of results that approximate a matrix by a product of thin factors."""

    def factors(self) -> tuple[Array, Array]:
        """Return the left and the right factor."""
        raise NotImplementedError

    def chain(self) -> tuple[Array, ...]:
        """Return the factors as they are stored."""
        return self.factors()

    def to_dense(self) -> Array:
        """Multiply the factors out: an (m, n) array, computed in working precision and rounded to the stored dtype."""
        left, right = self.factors()
        dense = widen(left) @ widen(right)
        return namespace(dense=dense).astype(dense, right.dtype)


def as_rows(rows: ArrayLike, like: Array, names: tuple[str, ...] | None = None) -> Array:
    """Return new rows as a matrix with as many columns as `like`, of its library; their names must be those known."""
    came = labels(rows, axis=1)
    if None not in (came, names) and came != names:
        odd = next((pair for pair in zip(names or (), came or (), strict=False) if pair[0] != pair[1]), None)
        where = f": {odd[0]!r} was expected where {odd[1]!r} came" if odd else f", in number {len(names or ())}"
        raise ShapeError(f"rows must have the columns of the matrix, in that order{where}; reorder them")
    rows = as_matrix(rows, "rows")
    if rows.shape[1] != like.shape[-1]:
        raise ShapeError(f"rows of {like.shape[-1]} entries were expected, got shape {tuple(rows.shape)}")
    namespace(rows=rows, answer=like)
    return rows


def check_names(name: str, claimed: Any, true: tuple[str, ...] | None, count: int) -> None:
    """Raise `VerificationError` unless claimed names are so many, and those of the input where it has any."""
    if claimed is None:
        return
    whole = isinstance(claimed, tuple) and len(claimed) == count and all(isinstance(item, str) for item in claimed)
    if not whole or (true is not None and claimed != true):
        raise VerificationError(f"{name} must be the {count} names that the input has, got {evidence.shown(claimed)}")


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
    return certificate_of(
        M, M.distance(times_power_of_two(widen(left), -M.exponent), widen(right), room), theorem, bound
    )


def certificate_of(M: Operator, value: float, theorem: str, bound: Bound) -> Certificate:
    """Put a (scaled) value and a (scaled) bound that a theorem gave together."""
    return Certificate(
        value=scale_back(value, M.exponent, toward=float("inf")),
        lower_bound=scale_back(bound.value, M.exponent, toward=0.0),
        theorem=theorem,
        rigour="probable" if bound.probable else "rounded",
        confidence=1.0 - float(bound.witness["delta"]) if bound.probable else 1.0,
        witness=dict(bound.witness),
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
