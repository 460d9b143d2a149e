"""Balanced codebooks: the codes and labels, the sum of squared distances, and the proof."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import axes
from infimum._arrays import Array, as_matrix, like_array, namespace, scale_back, to_numpy
from infimum.errors import RangeError, VerificationError
from infimum.proof.answers.balanced_topk import bias_of
from infimum.proof.certificate import Certificate
from infimum.proof.real_arrays import host
from infimum.proof.result import Result
from infimum.proof.theorems.assignment_dual import Bias, Limits, dual, exact_sum, outward

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
        cells are the power cells of semi-discrete optimal transport.
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
        xp = namespace(points=as_matrix(points, "points"), codes=self.codes)
        values, codes, labels = host(points, "points"), host(self.codes, "codes"), to_numpy(self.labels)
        number = codes.shape[0]
        if labels.shape != values.shape[:1] or not np.all((labels >= 0) & (labels < number)):
            raise VerificationError(f"labels must be indices below {number}, one for every point")
        loads, within = np.bincount(labels, minlength=number), Limits(*to_numpy(self.load))
        if not np.array_equal(loads, to_numpy(self.loads)) or not within.admit(loads):
            raise VerificationError("loads must be those of the labels, within their limits")
        bias = bias_of(self.certificate, within)
        if not bool(xp.all(xp.astype(like_array(bias.high, self.bias), self.bias.dtype) == self.bias)):
            raise VerificationError("bias must be that of the witness, rounded")
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
    """Return the squared distances of all points to all codes, both divided by ``2**exponent``."""
    points, codes = np.ldexp(points, -exponent), np.ldexp(codes, -exponent)
    return np.stack([np.square(points - code).sum(axis=1) for code in codes], axis=1)


def common_exponent(*arrays: np.ndarray) -> int:
    """Return the power of two by which the arrays are divided, so that squares neither overflow nor vanish."""
    exponent = math.frexp(max(float(np.abs(array).max()) for array in arrays))[1]
    if exponent > LARGEST:
        raise RangeError(
            f"points must be at most 2**{LARGEST} in size, or their squares overflow; scale them down first"
        )
    return exponent


def certify_codebook(
    points: np.ndarray, codes: np.ndarray, labels: np.ndarray, within: Limits, bias: Bias
) -> Certificate:
    """Return the certificate of an assignment to given codes."""
    exponent = common_exponent(points, codes)
    distances = squares(points, codes, exponent)
    scaled = Bias(*(np.ldexp(part, -2 * exponent) for part in bias[:2]))
    total = exact_sum(np.take_along_axis(distances, labels[:, None], axis=1))
    least = -dual(-distances, 1, within, scaled).bound
    # a sum of d rounded squares is off by d + 2 unit roundoffs of itself at most, and by what underflows
    error, lost = Fraction(points.shape[1] + 4) / 2**53, Fraction(points.size, 2**1060)
    value, bound = outward(total * (1 + error) + lost, max(least * (1 - error) - lost, Fraction(0)))
    value, bound = scale_back(value, 2 * exponent, math.inf), scale_back(bound, 2 * exponent, 0.0)
    witness = {"bias": bias.high, "bias_low": bias.low}
    return Certificate(value, bound, "assignment_dual", "rounded", witness=witness)
