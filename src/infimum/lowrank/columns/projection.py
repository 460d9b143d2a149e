"""Columns by pivoting on few random combinations of the rows (Su Jianlin, Scientific Spaces 10501)."""

from __future__ import annotations

import numpy as np
import scipy.fft

from infimum._linalg import pivoted_qr
from infimum.lowrank.columns.reduction import Reduction

OVERSAMPLED = 10  # combinations beyond the number of columns
SIGNS = 8  # combinations in which a row takes part, of a sparse projection


def by_gaussian_projection(M: Reduction, count: int, rng: np.random.Generator) -> np.ndarray:
    """Pivoted QR of Gaussian combinations of the rows (Liberty and others 2007)."""
    rows = M.matrix
    return pivoted_qr(rng.standard_normal((count + OVERSAMPLED, len(rows))) @ rows)[0][:count]


def by_sparse_sign_projection(M: Reduction, count: int, rng: np.random.Generator) -> np.ndarray:
    """Pivoted QR after every row was added to, or taken off, eight of the combinations (Martinsson and Tropp 2020)."""
    rows, few = M.matrix, count + OVERSAMPLED
    mixed: np.ndarray = np.zeros((few, rows.shape[1]), dtype=rows.dtype)
    for row, signs in zip(rows, rng.choice([-1.0, 1.0], (len(rows), min(SIGNS, few))), strict=True):
        mixed[rng.permutation(few)[: signs.size]] += signs[:, None] * row
    return pivoted_qr(mixed)[0][:count]


def by_cosine_projection(M: Reduction, count: int, rng: np.random.Generator) -> np.ndarray:
    """Pivoted QR of some frequencies of the rows with random signs (Woolfe, Liberty, Rokhlin, Tygert 2008)."""
    rows = M.matrix
    mixed = scipy.fft.dct(rng.choice([-1.0, 1.0], len(rows))[:, None] * rows, axis=0, norm="ortho")
    return pivoted_qr(mixed[np.sort(rng.permutation(len(rows))[: count + OVERSAMPLED])])[0][:count]
