"""Rounding to a grid so that errors make up for each other, in a norm that weights both sides."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg

from infimum.compress.menu.grid_loops import Shape, round_tile
from infimum.proof.grid import Grid
from infimum.proof.theorems.grid_rounding import is_below

ROWS, COLUMNS = 32, 128  # of a tile: what lies between tiles are products of matrices
SINGULAR = 1e-9  # of the mean eigenvalue: what is added to a moment without a factor
RANGES = 16  # fractions of a group's range that are tried, down to the one for so many bits
NARROWEST = {1: 0.3, 2: 0.35, 3: 0.45, 4: 0.55, 5: 0.7, 6: 0.8, 7: 0.85, 8: 0.9}


class Rounded(NamedTuple):
    """A matrix on a grid, and what scales and offsets of its blocks are multiples of, (m, blocks, 2), if they are."""

    integers: np.ndarray
    grid: Grid
    units: np.ndarray | None = None

    def matrix(self) -> np.ndarray:
        """Return the numbers that the integers stand for."""
        return self.grid.values(self.integers)

    def loss(self, W: np.ndarray, C: np.ndarray, G: np.ndarray) -> float:
        """Return ``tr(G (W - Q) C (W - Q)')`` as computed: to compare by, not to claim."""
        D = W - self.matrix()
        return max(0.0, float(np.sum((G @ D @ C) * D)))


class Factors(NamedTuple):
    """``M = unit diag(weights) unit'`` with a lower triangular `unit` that has ones on its diagonal."""

    unit: np.ndarray
    weights: np.ndarray


def factors(moment: np.ndarray, damping: float) -> Factors:
    """Factorise a moment with `damping` times its mean eigenvalue added; beyond all bounds, the identity is left."""
    n, mean = len(moment), float(np.trace(moment)) / len(moment)
    if damping == np.inf or mean == 0.0:
        return Factors(np.eye(n), np.ones(n))
    damped = moment + damping * mean * np.eye(n)
    try:
        root = scipy.linalg.cholesky(damped, lower=True, check_finite=False)
    except np.linalg.LinAlgError:
        root = scipy.linalg.cholesky(damped + SINGULAR * mean * np.eye(n), lower=True, check_finite=False)
    diagonal = np.diag(root)
    return Factors(np.ascontiguousarray(root / diagonal), diagonal**2)


def round_matrix(W: np.ndarray, right: Factors, left: Factors | None, shape: Shape) -> Rounded:
    """Return integers and grid that make ``tr(G (W - Q) C (W - Q)')`` small, for the moments of the factors.

    `left` None is any diagonal: each row by itself.

    With ``G = L D L'`` and ``C = R H R'`` the loss is the sum of ``D_i H_j (L' (W - Q) R)_ij**2``, and entry (i, j) of
    that matrix is ``(W - Q)_ij`` plus what depends on later rows and columns alone. So from the last entry to the first
    each is rounded with the others' errors added: in exact arithmetic with the nearest number the term is as small as
    the step allows. With the identity for both this rounds to nearest; with the identity for G it is the adaptive
    rounding of GPTQ and LDLQ.

    References
    ----------
    .. [1] E. Frantar et al., "GPTQ", ICLR 2023. J. Chee et al., "QuIP", NeurIPS 2023 (one side).
    .. [2] A. Tseng et al., "Model-preserving adaptive rounding", arXiv 2505.22988 (both sides).
    """
    m, n = W.shape
    ranges = np.linspace(1.0, NARROWEST[shape.bits], RANGES)
    loops = shape._replace(precision=None)  # compiled once for all precisions
    integers, lost, rest = (np.zeros((m, n)) for _ in range(3))
    grids, units = np.zeros((m, n // shape.group, 3)), np.zeros((m, n // shape.span, 2))
    width = shape.span * max(1, COLUMNS // shape.span)
    for stop in range(m, 0, -ROWS):
        rows = slice(max(stop - ROWS, 0), stop)
        row_wise = W[rows] if left is None else W[rows] + left.unit[stop:, rows].T @ lost[stop:]
        unit = np.eye(stop - rows.start) if left is None else left.unit[rows, rows]
        for end in range(n, 0, -width):
            columns = slice(max(end - width, 0), end)
            groups, blocks = (slice(columns.start // size, end // size) for size in (shape.group, shape.span))
            base = np.ascontiguousarray(row_wise[:, columns])
            tile = round_tile(
                base + rest[rows, end:] @ right.unit[end:, columns],
                base,
                np.ascontiguousarray(W[rows, columns]),
                np.ascontiguousarray(unit),
                np.ascontiguousarray(right.unit[columns, columns]),
                right.weights[columns],
                ranges,
                loops,
            )
            integers[rows, columns], grids[rows, groups], units[rows, blocks] = tile[:3]
            lost[rows, columns], rest[rows, columns] = tile[3:]
    scales, zeros, offsets = np.moveaxis(grids, -1, 0)
    grid = Grid(shape.bits, scales.copy(), zeros.copy(), shape.precision, offsets.copy() if shape.offset else None)
    return Rounded(integers, grid, units if shape.block else None)


def diagonal_below(moment: np.ndarray, rooms: float) -> np.ndarray:
    """Return e with ``diag(e) <= moment``, as proved with `rooms` allowances to spare; zeros where none is found.

    A vector is a diagonal: it is below itself. Of a matrix,
    with P the inverse and D its diagonal, ``e = 1 / (D mu)`` for mu the largest eigenvalue of ``D^-1/2 P D^-1/2``.
    """
    n = len(moment)
    if moment.ndim == 1:
        return moment
    try:
        root = scipy.linalg.cholesky(moment, lower=True, check_finite=False)
    except np.linalg.LinAlgError:
        return np.zeros(n)
    inverse = scipy.linalg.solve_triangular(root, np.eye(n), lower=True, check_finite=False)
    P = inverse.T @ inverse
    scaled = np.sqrt(np.diag(P))
    largest = float(scipy.linalg.eigvalsh(P / np.outer(scaled, scaled), subset_by_index=[n - 1, n - 1])[0])
    for spared in (1e-12, 1e-9, 1e-6, 1e-3):
        e = (1.0 - spared) / (np.diag(P) * largest)
        if is_below(e, moment, rooms):
            return np.asarray(e)
    return np.zeros(n)
