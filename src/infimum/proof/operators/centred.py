"""A matrix less the mean of its rows, and what is lost by computing that mean and the differences in floating point.

For every vector c and matrix L, ``norm(M - 1 c* - L) >= norm(P M - P L)``, where P takes off means: so a bound for
matrices of rank r beside P M holds for every affine subspace, docs/theorems/eckart_young.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from infimum._arrays import (
    Array,
    as_floating_matrix,
    namespace,
    times_power_of_two,
    unscaled,
    working,
)
from infimum._linalg import frobenius
from infimum._scaling import share_of
from infimum.errors import LibraryError, RangeError
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
        The mean that was taken off, in working precision and not scaled: its size may be far from that of differences.
    mean_left : array (n,)
        The mean of what is left, scaled as `operator` is: that of rounding alone.
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

        The mean of what is left is known to m roundings of each column; the computed rows are off by one. A mean that
        others compute is a number of its own precision, too: half a spacing of it may be left for them.
        """
        scaled = working(self.mean[None, :])
        half = 0.5 * self.operator.eps * frobenius(scaled.array)
        with np.errstate(over="ignore"):
            spacing = float(np.ldexp(half, scaled.exponent - self.operator.exponent))
        return math.sqrt(self.operator.shape[0]) * (frobenius(self.mean_left[None, :]) + spacing) + self.rounding

    @property
    def rounding(self) -> float:
        """The part of `allowance` that is relative to the differences."""
        return (self.operator.shape[0] + 4) * self.difference


def centred(item: Any, name: str) -> Centred:
    """Return the rows of a checked input less their mean."""
    found = _tall(item, name)
    if found is not None:
        return found
    given = for_columns(item, name)
    if isinstance(given, RowBlocks):
        return _less_mean(partial(_blocks_less, given), given.mean_of_rows())
    if not isinstance(given, Dense):
        raise LibraryError(
            f"{name} must be in memory, or infimum.scale.RowBlocks, for center=True: without its mean a sparse matrix "
            f"or an operator of shape {given.shape} is dense; leave center out, or give it in blocks of rows"
        )
    # not as scaled by its largest entry, beside which other columns, and all differences, may vanish
    given = Dense(given.outer, unscaled(given.outer))
    return _less_mean(partial(_dense_less, given), _mean(given.array))


def _less_mean(take_off: Callable[[Array], Centred], mean: Array) -> Centred:
    """Take a computed mean off, and where that leaves more than rounding of the differences a better one."""
    found = take_off(mean)
    if math.sqrt(found.operator.shape[0]) * frobenius(found.mean_left[None, :]) <= found.rounding:
        return found
    return take_off(mean + times_power_of_two(found.mean_left, found.operator.exponent))


def _dense_less(given: Dense, mean: Array) -> Centred:
    with np.errstate(over="ignore", invalid="ignore"):
        operator = Dense(given.outer, working(given.array - mean[None, :]))
        if not math.isfinite(operator.energy):  # nor do its singular values
            raise RangeError("the matrix less its mean does not fit float64; scale the input down first")
    return Centred(operator, mean, _mean(operator.array))


def _blocks_less(given: RowBlocks, mean: Array) -> Centred:
    blocks = given.less(mean)
    return Centred(blocks, mean, times_power_of_two(blocks.mean_of_rows(), -blocks.exponent))


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
    share = share_of(array.shape[0])
    return ((share * namespace(array=array).ones_like(array[:, :1])).T @ array)[0, :] / (share * array.shape[0])
