"""Balanced codebooks: the codes and labels, the sum of squared distances, and the proof."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import axes
from infimum._arrays import Array, to_numpy
from infimum._scaling import scale_back
from infimum.errors import RangeError
from infimum.proof.certificate import Certificate
from infimum.proof.evidence import array
from infimum.proof.real_arrays import float64_matrix
from infimum.proof.result import Result
from infimum.proof.routing_evidence import bias_of, integers, limits_of, require_loads, require_rounded
from infimum.proof.theorems.assignment_dual import THEOREM, Bias, Limits, dual, exact_sum, outward

LARGEST = 500  # exponent of the largest coordinate


@dataclass(frozen=True)
class BalancedCodebook(Result):
    """Codes, and the code of every point: the answer of `balanced_codebook`.

    Attributes
    ----------
    codes : array (n, d)
        The codes.
    labels : array (m,) of int64
        Code of every point.
    bias : array (n,)
        A point z has the code that maximises ``bias - |z - code|**2``, up to ties: keep it to encode new points. The
        cells are the power cells of semi-discrete optimal transport. In the dtype of the points, or the first wider
        one that holds squares of their size.
    loads : array (n,) of int64
        Points of every code.
    load : array (2, n) of int64
        The smallest and the largest load allowed.
    certificate : Certificate
        `value` is the sum of the squared distances; no assignment within the limits to *these codes* has a sum below
        `lower_bound`. Other codes may do better.
    """

    problem: ClassVar[str] = "balance.balanced_codebook"
    inputs: ClassVar[tuple[str, ...]] = ("points",)
    codes: Array
    labels: Array
    bias: Array
    loads: Array
    load: Array

    def recheck(self, points: Array) -> Certificate:
        """Derive the certificate of an assignment to the codes from points, codes, labels and the witness bias."""
        values = float64_matrix(points, "points")
        tokens, dimension = values.shape
        codes = float64_matrix(array("codes", self.codes, (None, dimension)), "codes")
        number = codes.shape[0]
        labels = integers("labels", self.labels, (tokens,), below=number)
        within = limits_of((tokens, number), self.load)
        require_loads(np.bincount(labels, minlength=number), self.loads, within, tokens)
        bias = bias_of(self.certificate.witness, within)
        require_rounded("bias", self.bias, bias.high)
        return certify_codebook(values, codes, labels, within, bias)

    def plot(self, ax: Any = None) -> Any:
        """Draw the codes in their first two coordinates (or the first against its index), sized by their load."""
        ax = axes(ax)
        codes, loads = to_numpy(self.codes).astype(float), to_numpy(self.loads)
        second = codes[:, 1] if codes.shape[1] > 1 else np.arange(loads.size)
        ax.scatter(codes[:, 0], second, s=10.0 + 90.0 * loads / loads.max())
        ax.set(
            xlabel="first coordinate",
            ylabel="second coordinate" if codes.shape[1] > 1 else "code",
            title=f"{loads.size} codes of {loads.min()} to {loads.max()} points",
        )
        return ax


def squares(points: np.ndarray, codes: np.ndarray, exponent: int) -> np.ndarray:
    """Return the squared distances of all points to all codes, both divided by ``2**exponent``.

    The coordinates are added in halves, entry by entry, so that every machine computes the same numbers.
    """
    columns, codes = np.ldexp(np.ascontiguousarray(points.T), -exponent), np.ldexp(codes, -exponent)
    distances = np.empty((codes.shape[0], points.shape[0]))
    for row, code in zip(distances, codes, strict=True):
        terms = columns - code[:, None]
        np.square(terms, out=terms)
        width = terms.shape[0]
        while width > 1:
            half = (width + 1) // 2
            terms[: width - half] += terms[half:width]
            width = half
        row[:] = terms[0]
    return np.ascontiguousarray(distances.T)


def common_exponent(*arrays: np.ndarray) -> int:
    """Return the power of two by which the arrays are divided, so that squares neither overflow nor vanish."""
    exponent = math.frexp(max(float(np.abs(array).max()) for array in arrays))[1]
    if exponent > LARGEST:
        raise RangeError(
            f"points must be at most 2**{LARGEST} in size, or their squares overflow; scale them down first"
        )
    return exponent


def certify_codebook(
    points: np.ndarray, codes: np.ndarray, labels: np.ndarray, within: Limits, bias: Bias, *, room: float = 1.0
) -> Certificate:
    """Return the certificate of an assignment to given codes, less `room` allowances for rounding."""
    exponent = common_exponent(points, codes)
    distances = squares(points, codes, exponent)
    scaled = Bias(np.ldexp(bias.parts, -2 * exponent))
    total = exact_sum(np.take_along_axis(distances, labels[:, None], axis=1))
    least = -dual(-distances, 1, within, scaled).bound
    error, lost = (Fraction(room) * part for part in allowance(points.shape))
    value, bound = outward(total * (1 + error) + lost, max(least * (1 - error) - lost, Fraction(0)))
    value, bound = scale_back(value, 2 * exponent, math.inf), scale_back(bound, 2 * exponent, 0.0)
    return Certificate(value, bound, THEOREM, "rounded", witness={"bias": bias.parts})


def allowance(shape: tuple[int, int]) -> tuple[Fraction, Fraction]:
    """Return how far a sum of squared distances may be off: relative to itself, and by what underflows.

    A square in d coordinates passes through d + 2 roundings: each off by ``gamma = n u / (1 - n u)`` of itself at most,
    with n = d + 2 and u = 2**-53, and so is every sum of them. The truth is within ``gamma / (1 - gamma)`` of the sum.
    Scaling, and each square, may lose less than 2**-1072 in every coordinate.
    """
    roundings = shape[1] + 2
    return Fraction(roundings, 2**53 - 2 * roundings), Fraction(shape[0] * shape[1], 2**1072)
