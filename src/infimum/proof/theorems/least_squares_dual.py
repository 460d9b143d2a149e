"""Least squares from below: any Y that the columns of A cannot see bounds ``norm(A @ X - B)`` for every X.

For every Y and X with ``norm(X) <= radius`` (Frobenius): ``norm(A @ X - B) >= (Re <Y, B> - norm(A* Y) * radius) /
norm(Y)``; with a ridge the radius drops out. Statement and proof: docs/theorems/least_squares_dual.md.
"""

from __future__ import annotations

import math

from infimum._arrays import Array, Working, namespace
from infimum._linalg import adjoint, frobenius


def lower_bound(A: Working, B: Array, dual: Array, *, ridge: float, radius: float) -> float:
    """Lower bound on ``sqrt(norm(A @ X - B)**2 + ridge * norm(X)**2)``, rounded downwards.

    Over every X if `ridge` is above 0, else over every X with ``norm(X) <= radius``.
    """
    xp = namespace(A=A.array, B=B, dual=dual)
    length = frobenius(dual)
    if length == 0.0:
        return 0.0
    # dot products of length n are off by at most n unit roundoffs of the product of the norms, in any order
    products = dual * (xp.conj(B) if xp.isdtype(B.dtype, "complex floating") else B)
    inner = xp.sum(xp.real(products) if xp.isdtype(products.dtype, "complex floating") else products)
    reached = float(inner) - sum(B.shape) * A.eps * length * frobenius(B)
    seen = frobenius(adjoint(A.array) @ dual) * (1.0 + sum(A.array.shape) * A.eps)
    seen += A.array.shape[0] * A.eps * frobenius(A.array) * length
    length *= 1.0 + sum(B.shape) * A.eps
    if ridge > 0.0:
        return float(max(reached, 0.0) / math.hypot(length, seen / math.sqrt(ridge)) * (1.0 - 8 * A.eps))
    return float(max(reached - seen * radius * (1.0 + sum(B.shape) * A.eps), 0.0) / length * (1.0 - 8 * A.eps))
