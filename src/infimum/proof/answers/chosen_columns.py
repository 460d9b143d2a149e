"""What answers made of columns of the input share: that they are its columns, and the bound over all choices."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from infimum._arrays import Array, ArrayLike, namespace, to_numpy
from infimum._scaling import scale_back
from infimum.errors import OptionError, VerificationError
from infimum.proof import evidence
from infimum.proof.answers.factored import as_rows, bound_of_any_matrix, certify_factors
from infimum.proof.certificate import Certificate
from infimum.proof.operators.dense import Dense
from infimum.proof.operators.operator import Operator
from infimum.proof.theorems import column_subset, eckart_young

FEW = 64  # up to so many columns, the bound looks at the choices that contain each of them
NODES = 200_000  # partial choices that the exact method bounds before it gives up, and the most that a check bounds


def check_skeleton(M: Operator, name: str, columns: Array, skeleton: Array) -> int:
    """Raise `VerificationError` unless `skeleton` is ``M[:, columns]`` for different columns; return their number."""
    order = evidence.indices(name, columns, M.shape[1])
    if not 1 <= order.size <= min(M.shape):
        raise VerificationError(f"{name} must be from 1 to {min(M.shape)} indices, got {order.size}")
    part = evidence.array(f"the matrix of {name}", skeleton, (M.shape[0], order.size), kind_of(M), like=M.outer)
    if not M.holds(part, order, axis=1):
        raise VerificationError(f"the matrix of {name} must hold those of the input: it differs from them")
    return int(order.size)


ONLY_ROWS = "rows of the matrix were chosen, and new rows have none of them: choose columns with axis=1"


def taken_columns(rows: ArrayLike, columns: Array | None, like: Array) -> Array:
    """Return the chosen columns of new rows, which are as long as those of `like`."""
    if columns is None:
        raise OptionError(ONLY_ROWS)
    rows = as_rows(rows, like)
    return namespace(rows=rows).take(rows, columns, axis=1)


def chosen_names(names: tuple[str, ...] | None, chosen: Array) -> tuple[str, ...] | None:
    """Return the names at the chosen indices, where there are any."""
    return None if names is None else tuple(names[i] for i in to_numpy(chosen))


def kind_of(M: Operator) -> evidence.Kind:
    """Return what numbers an answer may hold: complex ones where the input does."""
    return "complex" if M.complex else "real"


def search_tree(
    M: Operator, count: int, nodes: int, at_most: float = math.inf, room: float = 1.0
) -> column_subset.Proof:
    """Bound the error of every choice of `count` columns, in units of ``2**M.exponent``."""
    if isinstance(M, Dense):  # each column keeps its digits at whatever scale
        return column_subset.search(M.outer, count, exponent=M.exponent, nodes=nodes, at_most=at_most, room=room)
    rows = M.shape[0]
    return column_subset.search(M.compressed(), count, exponent=0, nodes=nodes, at_most=at_most, rows=rows, room=room)


def nodes_of(witness: Mapping[str, Any], most: int) -> int:
    """Return how many partial choices a witness asks to be bounded: no more than a solver would."""
    return evidence.whole("nodes of the witness", witness.get("nodes"), least=0, most=most)


def certify_columns(M: Operator, skeleton: Array, Z: Array, nodes: int, room: float = 1.0) -> Certificate:
    """Measure the error of columns with their coefficients, and bound that of every other choice by a tree of them."""
    rank = int(skeleton.shape[1])
    of_any = bound_of_any_matrix(M, rank, eckart_young.THEOREM, {}, room=room)
    certificate = certify_factors(M, skeleton, Z, column_subset.THEOREM, of_any, room)
    reached = math.ldexp(certificate.value, -M.exponent)
    bound = max(of_any.value, search_tree(M, rank, nodes, reached, room).bound)
    lower_bound = scale_back(bound, M.exponent, toward=0.0)
    return dataclasses.replace(certificate, lower_bound=lower_bound, witness={"nodes": nodes})
