"""The answer of `solve`: a least-squares solution, with a ridge or no longer than it is, and its loss."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import axes, whole_numbers
from infimum._arrays import (
    Array,
    as_array,
    as_matrix,
    is_complex,
    namespace,
    times_power_of_two,
    to_numpy,
    widen,
    working,
)
from infimum._linalg import frobenius, residual_norm
from infimum._scaling import scale_back
from infimum.errors import RangeError, ShapeError
from infimum.proof import evidence, wording
from infimum.proof.certificate import Certificate
from infimum.proof.operators.dense import Dense
from infimum.proof.operators.inputs import for_columns
from infimum.proof.operators.operator import Operator
from infimum.proof.result import Result
from infimum.proof.theorems import least_squares_dual


@dataclass(frozen=True)
class Solution(Result):
    """The best X of ``A @ X ≈ B``, the answer of `solve`.

    Attributes
    ----------
    matrix : array (n, k) or (n,)
        X, a vector where B is one.
    ridge : float
        Weight of ``norm(X)**2`` in the loss.
    certificate : Certificate
        `value` is ``sqrt(norm(A @ X - B)**2 + ridge * norm(X)**2)`` (Frobenius); `lower_bound` holds for every X, or
        without a ridge for every X that is no longer than `matrix`.
    """

    problem: ClassVar[str] = "lowrank.solve"
    inputs: ClassVar[tuple[str, ...]] = ("A", "B")
    matrix: Array
    ridge: float

    def recheck(self, A: Any, B: Array) -> Certificate:
        """Derive the certificate of a least-squares solution from the inputs, the answer and the dual."""
        columns = tuple(int(length) for length in as_array(B, "B").shape[1:])
        A, B = checked_system(A, B)
        kind: evidence.Kind = "complex" if is_complex(B) else "real"
        matrix = as_columns(evidence.array("matrix", self.matrix, (A.shape[1], *columns), kind, like=B))
        ridge = evidence.number("ridge", self.ridge, least=0.0)
        dual = evidence.array("the dual", self.certificate.witness["dual"], tuple(B.shape), kind, like=B)
        return certify_solution(A, B, matrix, ridge, dual)

    def plot(self, ax: Any = None) -> Any:
        """Draw the length of each column of the solution."""
        ax = axes(ax)
        lengths = np.linalg.norm(to_numpy(as_columns(self.matrix)).astype(np.complex128), axis=0)
        ax.bar(np.arange(lengths.size), lengths)
        certificate = self.certificate
        ax.set(
            xlabel="right-hand side",
            ylabel="length of the solution",
            title=wording.error_and_floor(certificate),
        )
        whole_numbers(ax.xaxis)
        return ax


def as_columns(B: Array) -> Array:
    """Return a vector as a matrix of one column."""
    return B[:, None] if B.ndim == 1 else B


def checked_system(A: Any, B: Array) -> tuple[Operator, Array]:
    """Return A as an operator and B as a matrix that fit; B is complex where A is."""
    M, B = for_columns(A, "A"), as_matrix(as_columns(as_array(B, "B")), "B")
    xp = namespace(A=M.outer, B=B)
    if M.shape[0] != B.shape[0]:
        raise ShapeError(f"A and B must have equally many rows, got {M.shape[0]} and {B.shape[0]}")
    if M.complex and not is_complex(B):
        B = xp.astype(B, M.outer.dtype)
    return M, B


def in_parts(A: Operator, X: Array) -> Array:
    """Return real and imaginary parts side by side where A is real, so that all are real; else as it is."""
    xp = namespace(X=X)
    return xp.concat([xp.real(X), xp.imag(X)], axis=1) if is_complex(X) and not A.complex else X


def scaled_ridge(ridge: float, exponent: int) -> float:
    """Return the ridge that goes with a matrix scaled down by ``2**exponent``."""
    try:
        weight = math.ldexp(ridge, -2 * exponent)
    except OverflowError:
        weight = math.inf
    if ridge and not 1e-290 < weight < 1e290:
        raise RangeError(f"ridge {ridge:.3g} is out of all proportion to the squares of the entries of A")
    return weight


def certify_solution(A: Operator, B: Array, matrix: Array, ridge: float, dual: Array, room: float = 1.0) -> Certificate:
    """Measure the loss of the answer; bound that of every other one by the dual."""
    right, own = working(B), working(matrix)
    weight, shift = scaled_ridge(ridge, A.exponent), A.exponent - right.exponent
    target, X = in_parts(A, right.array), in_parts(A, times_power_of_two(widen(matrix), shift))
    eps = max(A.eps, right.eps)
    radius = scale_back(frobenius(own.array), own.exponent + shift, toward=math.inf)
    radius *= 1.0 + room * sum(X.shape) * eps
    value = math.hypot(_residual(A, X, target, eps, room), math.sqrt(weight) * radius)
    bound = least_squares_dual.lower_bound(A, target, in_parts(A, widen(dual)), ridge=weight, radius=radius, room=room)
    return Certificate(
        value=scale_back(value * (1.0 + 4 * room * eps), right.exponent, toward=math.inf),
        lower_bound=scale_back(bound, right.exponent, toward=0.0),
        theorem=least_squares_dual.THEOREM,
        rigour="rounded",
        witness={"dual": dual},
    )


def _residual(A: Operator, X: Array, B: Array, eps: float, room: float) -> float:
    """Norm of ``A @ X - B``, rounded upwards; of a product by what `residual_norm` says of one in memory."""
    if isinstance(A, Dense):
        return residual_norm(B, A.array, X, eps, room)
    unit = eps / 2
    terms = math.sqrt(A.energy) * frobenius(X) * (1.0 + 2 * room * (sum(A.shape) + X.shape[1]) * unit)
    rounding = (A.shape[1] + 4) * unit * (terms + frobenius(B))
    return float((frobenius(A.times(X) - B) + room * rounding) * (1.0 + 2 * room * sum(B.shape) * unit))
