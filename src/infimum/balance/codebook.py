"""Balanced codebooks: k-means whose cells all have their share of the points."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import RNGLike, axes, whole_number
from infimum._arrays import Array, as_matrix, like_array, namespace, narrow, scale_back, to_numpy
from infimum.balance.approach import approach
from infimum.balance.host import float_type, host
from infimum.balance.loads import limits
from infimum.balance.routing import witnessed
from infimum.balance.solver import exact
from infimum.balance.sweeps import aim
from infimum.errors import OptionError, RangeError, ShapeError, VerificationError
from infimum.proof.certificate import Certificate
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
        bias = witnessed(self.certificate, within)
        if not bool(xp.all(xp.astype(like_array(bias.high, self.bias), self.bias.dtype) == self.bias)):
            raise VerificationError("bias must be that of the witness, rounded")
        return certify(values, codes, labels, within, bias)

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


def balanced_codebook(
    points: Array, n_codes: int, *, load: Any = None, codes: Array | None = None, steps: int = 30, rng: RNGLike = None
) -> BalancedCodebook:
    """Find codes that stand for points, each for its share of them: balanced k-means.

    Minimises the sum of squared distances of the points to their codes, in turns over the assignments within the limits
    of the loads (exactly, by the paths of `balanced_topk`) and over the codes (their means). The assignment is optimal
    for the codes returned; the codes themselves are a local optimum.

    Parameters
    ----------
    points : array (m, d)
        Real, finite.
    n_codes : int
        Number of codes, from 1 to m.
    load : array (n,), tuple (low, high), or array (2, n), optional
        Points of every code, as in `balanced_topk`; by default m / n, rounded down or up.
    codes : array (n, d), optional
        Where to start, instead of points drawn at random.
    steps : int
        Rounds of assigning and averaging at most; they end earlier when no label changes.
    rng : int or numpy.random.Generator, optional
        Seed of the start.

    Returns
    -------
    BalancedCodebook
        `codes` (n, d), `labels` (m,), `bias` (n,), `loads` (n,): library and device of `points`.

    Raises
    ------
    ShapeError, NonFiniteError, DTypeError, LibraryError, OptionError
        Each says what was expected, what came, and what to do.
    InfeasibleError
        The loads cannot be met.
    RangeError
        Squared distances are beyond the range of float64.

    References
    ----------
    .. [1] Su Jianlin, Scientific Spaces 10489, 10519 and 10757, on codebooks that collapse, and the bias against it.
    .. [2] F. Aurenhammer, F. Hoffmann, B. Aronov, "Minkowski-type theorems and least-squares clustering", Algorithmica
       20 (1998), 61-76.

    Examples
    --------
    >>> import numpy as np, infimum
    >>> points = np.array([[0.0], [1.0], [2.0], [9.0]])
    >>> result = infimum.balance.balanced_codebook(points, 2, rng=0)
    >>> sorted(result.codes.ravel().tolist()), result.loads.tolist()
    ([0.5, 5.5], [2, 2])
    """
    points = as_matrix(points, "points")
    values = host(points, "points")
    n_codes = whole_number("n_codes", n_codes, 1)
    if n_codes > values.shape[0]:
        raise OptionError(f"n_codes must be at most the number of points, {values.shape[0]}, got {n_codes}")
    steps = whole_number("steps", steps, 0)
    within = limits((values.shape[0], n_codes), values.shape[0], load)
    xp = namespace(points=points)
    if codes is None:
        start = values[np.sort(np.random.default_rng(rng).choice(values.shape[0], n_codes, replace=False))]
    else:
        start = host(codes, "codes")
        if start.shape != (n_codes, values.shape[1]):
            raise ShapeError(f"codes must have shape {(n_codes, values.shape[1])}, got {start.shape}")

    def rounded(wide: np.ndarray) -> np.ndarray:
        return to_numpy(narrow(like_array(wide, points), points, "a code")).astype(np.float64)

    found, labels, bias = _alternate(values, start, within, rounded, steps)
    certificate = certify(values, found, labels, within, bias)
    return BalancedCodebook(
        codes=xp.astype(like_array(found, points), points.dtype),
        labels=like_array(labels, points),
        bias=xp.astype(like_array(bias.high, points), float_type(points)),
        loads=like_array(np.bincount(labels, minlength=n_codes), points),
        load=like_array(np.stack([within.low, within.high]), points),
        certificate=certificate,
    )


def _alternate(
    points: np.ndarray, codes: np.ndarray, within: Limits, rounded: Callable[[np.ndarray], np.ndarray], steps: int
) -> tuple[np.ndarray, np.ndarray, Bias]:
    """Assign and average in turns until no label changes; the labels returned are optimal for the codes returned."""
    goal, bias, labels = aim(within, points.shape[0]), np.zeros(codes.shape[0]), np.zeros(0, dtype=np.int64)
    codes = rounded(codes)
    for remaining in range(steps, -1, -1):
        exponent = _exponent(points, codes)
        scores = -squares(points, codes, exponent)
        routing = exact(scores, 1, within, approach(scores, 1, goal, np.ldexp(bias, -2 * exponent)))
        found = Bias(*(np.ldexp(part, 2 * exponent) for part in routing.bias[:2]))
        before, labels, bias = labels, routing.member.argmax(axis=1), found.high
        if not remaining or np.array_equal(before, labels):
            break
        loads = np.bincount(labels, minlength=codes.shape[0])
        sums = np.stack([np.bincount(labels, weights=axis, minlength=loads.size) for axis in points.T], axis=1)
        codes = rounded(np.where(loads[:, None] > 0, sums / np.maximum(loads, 1)[:, None], codes))
    return codes, labels, found


def squares(points: np.ndarray, codes: np.ndarray, exponent: int) -> np.ndarray:
    """Return the squared distances of all points to all codes, both divided by ``2**exponent``."""
    points, codes = np.ldexp(points, -exponent), np.ldexp(codes, -exponent)
    return np.stack([np.square(points - code).sum(axis=1) for code in codes], axis=1)


def _exponent(*arrays: np.ndarray) -> int:
    """Return the power of two by which the arrays are divided, so that squares neither overflow nor vanish."""
    exponent = math.frexp(max(float(np.abs(array).max()) for array in arrays))[1]
    if exponent > LARGEST:
        raise RangeError(
            f"points must be at most 2**{LARGEST} in size, or their squares overflow; scale them down first"
        )
    return exponent


def certify(points: np.ndarray, codes: np.ndarray, labels: np.ndarray, within: Limits, bias: Bias) -> Certificate:
    """Return the certificate of an assignment to given codes."""
    exponent = _exponent(points, codes)
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
