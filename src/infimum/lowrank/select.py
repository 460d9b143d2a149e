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


REFRESH = 1e-6  # a Gram matrix whose entries have shrunk by this factor has lost as many of its digits

Strategy: TypeAlias = Callable[[Working, int, np.random.Generator], Selection]


def by_pivoted_qr(M: Working, count: int, rng: np.random.Generator) -> Selection:
    """Take the column with the longest residual next (Businger-Golub pivoting)."""
    pivots, triangle = pivoted_qr(M.array)
    return Selection(pivots[:count], _trailing_norms(triangle)[: count + 1])


def by_greedy(M: Working, count: int, rng: np.random.Generator) -> Selection:
    """Take the column that leaves the least total residual of all columns next (post 10501).

    Taking column j lowers the squared error by ``norm(E* e_j)**2 / norm(e_j)**2``, E the residual. Its Gram matrix is
    updated by rank-one terms and made anew from E when it has lost its digits.
    """
    residual = to_numpy(M.array if M.array.shape[0] <= M.array.shape[1] else M.xp.linalg.qr(M.array).R)
    noise = float(np.linalg.norm(residual)) * sum(residual.shape) * M.eps
    gram = residual.conj().T @ residual
    scale = float(np.max(np.diagonal(gram).real))
    taken = np.zeros(gram.shape[0], dtype=bool)
    order, errors = [], [float(np.linalg.norm(residual))]
    for _ in range(count):
        energy = np.where(taken, 0.0, np.maximum(np.diagonal(gram).real, 0.0))
        if np.max(energy) < REFRESH * scale and errors[-1] > noise:
            gram = residual.conj().T @ residual
            energy = np.where(taken, 0.0, np.diagonal(gram).real)
            scale = float(np.max(energy))
        # columns far shorter than the longest hold rounding noise: they are taken last, the longest first
        clear = energy > REFRESH * max(scale, noise**2)
        gain = np.where(clear, np.sum(np.abs(gram) ** 2, axis=0) / np.where(clear, energy, 1.0), energy * REFRESH)
        best = int(np.argmax(np.where(taken, -1.0, gain)))
        taken[best] = True
        order.append(best)
        residual = _without_direction(residual, residual[:, best])
        direction = gram[:, best] / np.sqrt(energy[best]) if clear[best] else np.zeros(len(gram))
        gram = gram - np.outer(direction, direction.conj())
        errors.append(float(np.linalg.norm(residual)))
    return Selection(np.asarray(order), np.asarray(errors))


def _without_direction(residual: np.ndarray, column: np.ndarray) -> np.ndarray:
    length = float(np.linalg.norm(column))
    if length == 0.0:
        return residual
    unit = column / length
    return np.asarray(residual - np.outer(unit, unit.conj() @ residual))


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
