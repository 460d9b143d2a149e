"""Inputs of every kind as operators: arrays, sparse matrices, linear operators, blocks of rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.sparse.linalg

from infimum._arrays import as_floating_matrix, working
from infimum._scaling import scale_back
from infimum.proof.operators.dense import Dense
from infimum.proof.operators.linear_operator import Products
from infimum.proof.operators.operator import Operator
from infimum.proof.operators.sparse import Sparse, is_sparse, sparse_operator


def as_operator(item: Any, name: str) -> Operator:
    """Return a checked input as an operator in working precision."""
    if isinstance(item, Operator):
        return item.anew()
    if is_sparse(item):
        return sparse_operator(item, name)
    if isinstance(item, scipy.sparse.linalg.LinearOperator):
        # it is looked at along its smaller side
        return Products(item, name) if item.shape[0] <= item.shape[1] else Products(item.adjoint(), name).adjoint()
    matrix = as_floating_matrix(item, name)
    return Dense(matrix, working(matrix, name))


def for_columns(item: Any, name: str) -> Operator:
    """Return a checked input of which columns are to be chosen.

    A sparse matrix of moderate size gets its zeros: in memory there are more methods, and tighter bounds.
    """
    operator = as_operator(item, name)
    if isinstance(operator, Sparse) and operator.small:
        return Dense(operator.take(np.arange(operator.shape[1]), axis=1))
    return operator


def size(M: Any) -> float:
    """Frobenius norm of an input of any kind."""
    operator = as_operator(M, "M")
    return scale_back(math.sqrt(operator.energy), operator.exponent, toward=0.0)
