"""Arithmetic without rounding for small matrices, and roots and eigenvalues to 60 digits."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
import numpy as np

mpmath.mp.dps = 60


def real(number: Any) -> mpmath.mpf:
    """Return a whole number, a float or a fraction to 60 digits."""
    fraction = Fraction(number)
    return mpmath.mpf(fraction.numerator) / mpmath.mpf(fraction.denominator)


def rational(values: Any) -> np.ndarray:
    """Return real numbers of any dtype as fractions."""
    array = np.asarray(values)
    fractions = np.empty(array.size, dtype=object)
    fractions[:] = [Fraction(item) for item in array.ravel().tolist()]
    return fractions.reshape(array.shape)


def matrices(*arrays: Any) -> tuple[int, list[np.ndarray]]:
    """Return matrices as fractions; complex ones, and all beside them, in their real form of twice the size.

    The first item is how often the real form repeats a singular value: 1 or 2.
    """
    arrays = tuple(np.asarray(item) for item in arrays)
    if not any(np.iscomplexobj(item) for item in arrays):
        return 1, [rational(item) for item in arrays]
    embedded = []
    for item in arrays:
        re, im = rational(item.real), rational(np.imag(item))
        embedded.append(np.block([[re, -im], [im, re]]))
    return 2, embedded


def energy(matrix: np.ndarray) -> Fraction:
    """Sum of the squares of the entries."""
    return sum((x * x for x in matrix.flat), Fraction(0))


def root(square: Fraction) -> mpmath.mpf:
    return mpmath.sqrt(real(square))


def eigenvalues(symmetric: np.ndarray, repeated: int = 1) -> list[mpmath.mpf]:
    """Eigenvalues of a symmetric matrix of fractions, descending; of each group of `repeated` one."""
    size = len(symmetric)
    table = mpmath.matrix(size, size)
    for i in range(size):
        for j in range(size):
            table[i, j] = real(symmetric[i, j])
    return sorted(mpmath.eigsy(table, eigvals_only=True), reverse=True)[::repeated]


def singular_squares(matrix: Any) -> list[mpmath.mpf]:
    """Squared singular values, descending, as many as the shorter side has."""
    repeated, (M,) = matrices(matrix)
    M = M if M.shape[0] <= M.shape[1] else M.T
    return [max(value, mpmath.mpf(0)) for value in eigenvalues(M @ M.T, repeated)]


def projector(columns: np.ndarray) -> np.ndarray:
    """Orthogonal projector on the space of the columns, by Gram and Schmidt without roots."""
    total = np.full((len(columns), len(columns)), Fraction(0), dtype=object)
    for column in columns.T:
        rest = column - total @ column
        square = rest @ rest
        if square:
            total = total + np.outer(rest, rest) / square
    return total
