"""What answers made of columns of the input share: that they are its columns, and the bound over all choices."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from infimum._arrays import (
    Array,
    namespace,
    scale_back,
    to_numpy,
)
from infimum.errors import VerificationError
from infimum.proof.answers.factored import certify_factors
from infimum.proof.certificate import Certificate
from infimum.proof.operators.dense import Dense
from infimum.proof.operators.operator import Operator
from infimum.proof.theorems import column_subset

FEW = 64  # up to so many columns, the bound looks at the choices that contain each of them


def check_skeleton(M: Operator, columns: Array, skeleton: Array) -> None:
    """Raise `VerificationError` unless `skeleton` is ``M[:, columns]`` for distinct columns."""
    order = to_numpy(columns)
    valid = order.ndim == 1 and np.unique(order).size == order.size and np.all((order >= 0) & (order < M.shape[1]))
    if not valid:
        raise VerificationError(f"distinct indices below {M.shape[1]} were expected, got {order.tolist()}")
    xp = namespace(M=M.outer, columns=columns, skeleton=skeleton)
    if skeleton.shape != (M.shape[0], order.size) or not bool(xp.all(skeleton == M.take(order, axis=1))):
        raise VerificationError("skeleton must be M[:, columns], or M[rows, :]: it differs from it")


def search_tree(M: Operator, count: int, nodes: int, at_most: float = math.inf) -> column_subset.Proof:
    """Bound the error of every choice of `count` columns, in units of ``2**M.exponent``."""
    if isinstance(M, Dense):  # each column keeps its digits at whatever scale
        return column_subset.search(M.outer, count, exponent=M.exponent, nodes=nodes, at_most=at_most)
    return column_subset.search(M.compressed(), count, exponent=0, nodes=nodes, at_most=at_most, rows=M.shape[0])


def certify_columns(M: Operator, skeleton: Array, Z: Array, theorem: str, witness: Mapping[str, Any]) -> Certificate:
    """Measure the error of columns with their coefficients and bound that of every other choice from below."""
    if theorem != "column_subset":
        return certify_factors(M, skeleton, Z, theorem, witness)
    any_matrix = certify_factors(M, skeleton, Z, "eckart_young", {})
    reached = math.ldexp(any_matrix.value, -M.exponent)
    tree = search_tree(M, int(skeleton.shape[1]), int(witness["nodes"]), reached)
    bound = max(any_matrix.lower_bound, scale_back(tree.bound, M.exponent, toward=0.0))
    return dataclasses.replace(any_matrix, lower_bound=bound, theorem=theorem, witness={"nodes": int(witness["nodes"])})
