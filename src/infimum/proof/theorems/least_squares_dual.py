"""Least squares from below: any Y that the columns of A cannot see bounds ``norm(A @ X - B)`` for every X.

For every Y and X with ``norm(X) <= radius`` (Frobenius): ``norm(A @ X - B) >= (Re <Y, B> - norm(A* Y) * radius) /
norm(Y)``; with a ridge the radius drops out. Statement and proof: docs/theorems/least_squares_dual.md.
"""

from __future__ import annotations

import math

from infimum._arrays import Array, is_complex, namespace, working
from infimum._linalg import frobenius
from infimum.proof import evidence
from infimum.proof.operators.operator import Operator

THEOREM = "least_squares_dual"


def lower_bound(A: Operator, B: Array, dual: Array, *, ridge: float, radius: float, room: float = 1.0) -> float:
    """Lower bound on ``sqrt(norm(A @ X - B)**2 + ridge * norm(X)**2)``, rounded downwards.

    Over every X if `ridge` is above 0, else over every X with ``norm(X) <= radius``.
    """
    kind: evidence.Kind = "complex" if A.complex or is_complex(B) else "real"
    rows = A.shape[0]
    B = evidence.array("B", B, (rows, None), kind)
    dual = evidence.array("the dual", dual, (rows, B.shape[1]), kind, like=B)
    ridge = evidence.number("ridge", ridge, least=0.0)
    radius = evidence.number("the radius", radius, least=0.0)
    scaled = working(dual)  # the bound does not change with the scale of Y
    Y, unit = scaled.array, room * max(A.eps, scaled.eps)
    xp, length, size = namespace(B=B, Y=Y), frobenius(Y), frobenius(B)
    if length == 0.0:
        return 0.0
    # rows first: the sum of m x k products is off by at most m + k unit roundoffs of the product of the norms
    products = xp.sum(xp.conj(Y) * B if is_complex(Y) else Y * B, axis=0)
    inner = float(xp.sum(xp.real(products) if is_complex(products) else products))
    reached = inner - sum(B.shape) * unit * length * size
    # entry by entry A* Y is off by at most m unit roundoffs of abs(A)* abs(Y)
    seen = frobenius(A.adjoint_times(Y)) * (1.0 + (sum(A.shape) + B.shape[1]) * unit)
    seen += rows * unit * math.sqrt(A.energy) * length
    length *= 1.0 + sum(B.shape) * unit
    if ridge > 0.0:
        return float(max(reached, 0.0) / math.hypot(length, seen / math.sqrt(ridge)) * (1.0 - 8 * unit))
    paid = seen * radius * (1.0 + sum(B.shape) * unit)
    return float(max(reached - paid, 0.0) / length * (1.0 - 8 * unit))
