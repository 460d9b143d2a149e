"""Which columns to keep: the strategies, each an order of columns with the error estimated after each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import numpy as np

from infimum._arrays import Working, to_numpy
from infimum._linalg import adjoint, frobenius, gaussian, orthonormal_basis, pivoted_qr
from infimum.bounds.eckart_young import tails


class Selection(NamedTuple):
    """Columns in the order in which they were taken, and the estimated error after 0, 1, ... of them (scaled)."""

    order: np.ndarray
    errors: np.ndarray


Strategy: TypeAlias = Callable[[Working, int, np.random.Generator], Selection]


def by_pivoted_qr(M: Working, count: int, rng: np.random.Generator) -> Selection:
    """Take the column with the longest residual next (Businger-Golub pivoting)."""
    pivots, triangle = pivoted_qr(M.array)
    return Selection(pivots[:count], _trailing_norms(triangle)[: count + 1])


def by_greedy(M: Working, count: int, rng: np.random.Generator) -> Selection:
    """Take the column that leaves the least total residual of all columns next (post 10501), on the Gram matrix."""
    gram = to_numpy(adjoint(M.array) @ M.array).copy()
    start = np.maximum(np.diagonal(gram).real, 0.0)
    floor = float(np.max(start)) * gram.shape[0] * M.eps
    taken = np.zeros(gram.shape[0], dtype=bool)
    order, energies = [], [float(np.sum(start))]
    for _ in range(count):
        diagonal = np.diagonal(gram).real
        reduction = np.sum(np.abs(gram) ** 2, axis=0) / np.maximum(diagonal, floor or 1.0)
        # below the floor the Gram matrix is rounding noise: then take what is longest, and never a column twice
        reduction = np.where(diagonal > floor, reduction, -1.0 + np.clip(diagonal, 0.0, floor) / (2.0 * (floor or 1.0)))
        best = int(np.argmax(np.where(taken, -np.inf, reduction)))
        taken[best] = True
        order.append(best)
        if diagonal[best] > floor:
            direction = gram[:, best] / np.sqrt(diagonal[best])
            gram = gram - np.outer(direction, direction.conj())
        energies.append(float(np.sum(np.maximum(np.diagonal(gram).real, 0.0))))
    return Selection(np.asarray(order), np.sqrt(np.asarray(energies)))


def by_sketch(M: Working, count: int, rng: np.random.Generator) -> Selection:
    """Pivot on a Gaussian sketch of the rows, sharpened by one power step; only the sketch goes to the host."""
    width = min(2 * count + 10, *M.array.shape)
    rows = adjoint(gaussian(rng, (M.array.shape[0], width), like=M.array))
    row_space = orthonormal_basis(adjoint(rows @ M.array))
    image = orthonormal_basis(M.array @ row_space)
    small = adjoint(image) @ M.array
    pivots, triangle = pivoted_qr(small)
    outside = max(frobenius(M.array) ** 2 - frobenius(small) ** 2, 0.0)
    return Selection(pivots[:count], np.sqrt(_trailing_norms(triangle)[: count + 1] ** 2 + outside))


def _trailing_norms(triangle: np.ndarray) -> np.ndarray:
    """Frobenius norms of the trailing blocks of R: the errors after 0, 1, ... pivots."""
    return tails(np.linalg.norm(triangle, axis=1))


STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {"pivoted_qr": by_pivoted_qr, "greedy": by_greedy, "sketch": by_sketch}
)
