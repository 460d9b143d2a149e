"""A matrix less the mean of its rows, and what is lost by computing that mean and the differences in floating point.

For every vector c and matrix L, ``norm(M - 1 c* - L) >= norm(P M - P L)``, where P takes off means: so a bound for
matrices of rank r beside P M holds for every affine subspace, docs/theorems/eckart_young.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from infimum._arrays import (
    Array,
    Working,
    as_floating_matrix,
    namespace,
    times_power_of_two,
    unscaled,
    working,
)
from infimum._linalg import frobenius
from infimum.errors import LibraryError
from infimum.proof.operators.dense import Dense
from infimum.proof.operators.differences import Differences
from infimum.proof.operators.energies import worth_it
from infimum.proof.operators.inputs import for_columns
from infimum.proof.operators.row_blocks import RowBlocks

SAMPLE = 1000  # rows that tell about where the mean is


@dataclass(frozen=True)
class Centred:
    """Rows less their mean.

    Attributes
    ----------
    operator : Operator
        The differences as computed, scaled.
    mean : array (n,)
        The mean that was taken off, in working precision, scaled as `operator` is.
    mean_left : array (n,)
        The mean of what is left: that of rounding alone.
    """

    operator: Dense | RowBlocks
    mean: Array
    mean_left: Array

    @property
    def difference(self) -> float:
        """Bound on the norm of the difference between the computed rows and rows less any one vector exactly."""
        return self.operator.eps * math.sqrt(self.operator.energy)

    @property
    def allowance(self) -> float:
        """Bound on the norm of the difference between the computed rows and the matrix without its mean.

        The mean of what is left is known to m roundings of each column; the computed rows are off by one.
        """
        rows, size = self.operator.shape[0], math.sqrt(self.operator.energy)
        return math.sqrt(rows) * frobenius(self.mean_left[None, :]) + (rows + 4) * self.operator.eps * size


def centred(item: Any, name: str) -> Centred:
    """Return the rows of a checked input less their mean."""
    found = _tall(item, name)
    if found is not None:
        return found
    given = for_columns(item, name)
    if isinstance(given, RowBlocks):
        mean = given.sum_of_rows() / given.shape[0]
        blocks = given.less(mean)
        left = blocks.sum_of_rows() / given.shape[0]
        return Centred(blocks, *(times_power_of_two(vector, -blocks.exponent) for vector in (mean, left)))
    if not isinstance(given, Dense):
        raise LibraryError(
            f"{name} must be in memory, or infimum.scale.RowBlocks, for center=True: without its mean a sparse matrix "
            f"or an operator of shape {given.shape} is dense; leave center out, or give it in blocks of rows"
        )
    mean = _mean(given.array)
    scaled: Working = working(given.array - mean[None, :])
    operator = Dense(given.outer, scaled._replace(exponent=given.exponent + scaled.exponent))
    mean = times_power_of_two(mean, -scaled.exponent)
    return Centred(operator, mean, _mean(operator.array))


def _tall(item: Any, name: str) -> Centred | None:
    """Return differences that are formed a few at a time; None where that does not pay, or they have to be scaled."""
    if not isinstance(item, np.ndarray):
        return None
    matrix = as_floating_matrix(item, name)
    if not worth_it(matrix.shape):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        given = Dense(matrix, unscaled(matrix))
        near = _mean(given.array[:: len(matrix) // SAMPLE])
    less = Differences(given, near)
    if not less.ordinary:
        less = Differences(given, less.mean)
    return Centred(less, less.mean, less.mean_left) if less.ordinary else None


def _mean(array: Array) -> Array:
    """Return the mean of the rows, by a product: libraries take longer for sums along the first axis."""
    return (namespace(array=array).ones_like(array[:, :1]).T @ array)[0, :] / array.shape[0]
