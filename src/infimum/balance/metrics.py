"""How even the loads of the experts are, what of it is mere sampling noise, and what rounding does to a bias."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from scipy import special

from infimum._arguments import one_of, whole_number
from infimum._arrays import Array, ArrayLike, as_array, namespace, require_finite, to_numpy, widen
from infimum._display import Shown
from infimum.balance.rules import checked_counts, wanted_load
from infimum.errors import DTypeError, OptionError, ShapeError

Narrow: TypeAlias = Literal["bfloat16", "float16"]


def max_violation(counts: ArrayLike, *, load: ArrayLike | float | None = None, two_sided: bool = False) -> float:
    """MaxVio: by how much the most loaded expert exceeds its share, relative to it; 0 is balance.

    Parameters
    ----------
    counts : array (..., n)
        Tokens that each expert received; of one batch for the "batch" metric, summed over a whole validation set for
        the "global" one. Leading axes are layers: their violations are averaged.
    load : array (..., n) or float, optional
        Wanted counts; default: the mean of the counts.
    two_sided : bool
        Take the largest absolute deviation instead. Some code bases do; the paper's is the signed maximum.

    Returns
    -------
    float
        0 if nothing was counted.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, OptionError
        Bad counts, or a `load` that is not positive everywhere.

    References
    ----------
    .. [1] Wang et al., arXiv:2408.15664.

    Examples
    --------
    >>> import numpy as np
    >>> max_violation(np.array([3, 1, 1, 1])), max_violation(np.array([3, 3, 3, 0]), two_sided=True)
    (1.0, 1.0)
    """
    counts = _counts(counts)
    xp = namespace(counts=counts)
    target = xp.mean(widen(counts), axis=-1, keepdims=True) if load is None else wanted_load(load, counts)
    if load is not None and bool(xp.any(target <= 0)):
        raise OptionError("every load must be above 0, since violations are relative to it")
    excess = widen(counts) / xp.where(target > 0, target, xp.ones_like(target)) - 1.0
    excess = xp.where(target + xp.zeros_like(excess) > 0, excess, xp.zeros_like(excess))
    return float(xp.mean(xp.max(xp.abs(excess) if two_sided else excess, axis=-1)))


def load_entropy(counts: ArrayLike) -> float:
    """Entropy of the loads over that of even loads: 1 is balance, 0 is one expert for all.

    Parameters
    ----------
    counts : array (..., n)
        Tokens that each expert received; leading axes (layers) are averaged.

    Returns
    -------
    float
        Between 0 and 1; 1 if nothing was counted, or for a single expert.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, OptionError
        Bad counts.
    """
    values = to_numpy(widen(_counts(counts)))
    n = values.shape[-1]
    total = values.sum(axis=-1, keepdims=True)
    shares = np.divide(values, total, out=np.full_like(values, 1.0 / n), where=total > 0)
    entropy = special.entr(shares).sum(axis=-1)
    return float(np.mean(entropy / math.log(n))) if n > 1 else 1.0


def dead_experts(counts: ArrayLike, *, below: float = 0.0) -> int:
    """Count the experts whose load is at most `below` times the mean; by default, those that received nothing.

    Parameters
    ----------
    counts : array (..., n)
        Tokens that each expert received; leading axes (layers) are added up.
    below : float
        From 0 up to, but not including, 1.

    Returns
    -------
    int
        0 if nothing was counted.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, OptionError
        Bad counts or a bad threshold.
    """
    if not 0.0 <= below < 1.0:
        raise OptionError(f"below must be from 0 up to 1, got {below!r}")
    values = to_numpy(widen(_counts(counts)))
    mean = values.mean(axis=-1, keepdims=True)
    return int(np.sum((values <= below * mean) & (mean > 0)))


@dataclass(frozen=True)
class NoiseFloor(Shown):
    """What finite batches alone do to the loads of a perfectly balanced router.

    Attributes
    ----------
    deviation : float
        Standard deviation of a load, relative to its mean.
    max_violation : float
        Expected MaxVio of a batch.
    """

    deviation: float
    max_violation: float


def sampling_noise(m: int, n: int, k: int) -> NoiseFloor:
    """Noise floor of the loads: m independent tokens, each to k of n experts, all experts equally likely.

    A load is then binomial with relative deviation sqrt((n - k) / (m k)). MaxVio is given in the normal approximation,
    with the correlation that the fixed sum of the loads enforces. Tokens of one text are not independent, so real
    batches lie above; a router whose batches lie at this floor cannot be told from a perfect one.

    Parameters
    ----------
    m, n, k : int
        Tokens in the batch, experts, experts of a token.

    Returns
    -------
    NoiseFloor
        Deviation and expected MaxVio.

    Raises
    ------
    OptionError, DTypeError
        A number is not whole or below 1, or k > n.

    Examples
    --------
    >>> sampling_noise(2048, 32, 4)
    NoiseFloor(deviation=0.0584..., max_violation=0.122...)
    """
    m, n, k = whole_number("m", m, 1), whole_number("n", n, 1), whole_number("k", k, 1)
    if k > n:
        raise OptionError(f"k must be at most n = {n}, got {k}")
    deviation = math.sqrt((n - k) / (m * k))
    if n == 1:
        return NoiseFloor(deviation, 0.0)

    # E[max of n standard normals] = integral of x n phi(x) Phi(x)^(n - 1); deviations from the mean have less variance.
    # Equal steps are exact to rounding: the integrand and all its derivatives vanish at both ends.
    x, step = np.linspace(-12.0, 12.0, 4801, retstep=True)
    density = n * np.exp(-0.5 * x**2 + (n - 1) * special.log_ndtr(x)) / math.sqrt(2.0 * math.pi)
    largest = float(step * np.sum(x * density))
    return NoiseFloor(deviation, deviation * math.sqrt(n / (n - 1)) * largest)


@dataclass(frozen=True)
class BiasPrecision(Shown):
    """What rounding to a 16-bit format does to a bias, as it is and with its mean subtracted.

    Attributes
    ----------
    distinct : int
        Distinct values before rounding.
    rounded_distinct, centered_distinct : int
        Distinct values after rounding.
    rounded_error, centered_error : float
        Largest change by rounding.
    spread : float
        Largest value less the smallest: what the errors are to be compared with.
    """

    distinct: int
    rounded_distinct: int
    centered_distinct: int
    rounded_error: float
    centered_error: float
    spread: float


def bias_precision(bias: ArrayLike, dtype: Narrow = "bfloat16") -> BiasPrecision:
    """Check what storing a bias in 16 bits would destroy.

    A common constant does not change top-k routing, yet it eats the digits: around 7 neighbouring bfloat16 numbers are
    0.03 apart, thirty steps of the usual update. Keep the bias in float32; where 16 bits cannot be avoided, subtract
    the mean first.

    Parameters
    ----------
    bias : array (n,)
        The bias.
    dtype : {"bfloat16", "float16"}
        Format to round to.

    Returns
    -------
    BiasPrecision
        Distinct values and largest errors, with and without the mean.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, OptionError
        The bias is not a finite real vector, or the format is another.

    Examples
    --------
    >>> import numpy as np
    >>> check = bias_precision(np.linspace(6.817, 7.063, 238))
    >>> check.distinct, check.rounded_distinct, check.centered_distinct
    (238, 9, 238)
    """
    one_of("dtype", dtype, get_args(Narrow))
    bias = as_array(bias, "bias")
    if bias.ndim != 1 or bias.shape[0] == 0:
        raise ShapeError(f"bias must be a vector with at least one entry, got shape {tuple(bias.shape)}")
    require_finite(bias, "bias")
    values = to_numpy(bias)
    if values.dtype.kind not in "fiu":
        raise DTypeError(f"bias must be real, got dtype {values.dtype}")
    values = values.astype(np.float64)
    centered = values - values.mean()
    rounded, rounded_centered = _round(values, dtype), _round(centered, dtype)
    return BiasPrecision(
        distinct=len(np.unique(values)),
        rounded_distinct=len(np.unique(rounded)),
        centered_distinct=len(np.unique(rounded_centered)),
        rounded_error=float(np.max(np.abs(rounded - values))),
        centered_error=float(np.max(np.abs(rounded_centered - centered))),
        spread=float(np.ptp(values)),
    )


def _round(values: np.ndarray, dtype: str) -> np.ndarray:
    """Round to the nearest number of 11 (float16) or 8 (bfloat16) significant bits, ties to even."""
    if dtype == "float16":
        with np.errstate(over="ignore"):
            return values.astype(np.float16).astype(np.float64)
    mantissa, exponent = np.frexp(values)
    return np.asarray(np.ldexp(np.rint(np.ldexp(mantissa, 8)), exponent - 8))


def _counts(counts: Array) -> Array:
    counts = checked_counts(counts)
    if counts.ndim == 0 or 0 in counts.shape:
        raise ShapeError(f"counts must have the shape (..., n), n at least 1, got {tuple(counts.shape)}")
    return counts
