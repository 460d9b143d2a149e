"""Polynomial iterations for the matrix sign and matrix roots: the best schedules, and a check of any other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from infimum._arguments import whole_number
from infimum._arrays import ArrayLike
from infimum.errors import OptionError, RangeError
from infimum.minimax.composition.arguments import as_table, checked_interval, checked_options, count, real
from infimum.minimax.composition.best_step import best_nodes, best_step
from infimum.proof.answers.composition import Composition, certify_composition
from infimum.proof.theorems import composition
from infimum.proof.theorems.composition import MAX_POWER, MAX_STEPS, MAX_TERMS


def msign_schedule(
    lower: float,
    steps: int = 5,
    degree: int | tuple[int, ...] = 5,
    *,
    upper: float = 1.0,
    cushion: float = 0.0,
    safety: float = 1.0,
    recentre: bool = True,
) -> Composition:
    """Odd polynomials whose composition sends all singular values in [lower, upper] closest to 1.

    Minimises the largest distance from 1 over the interval, over all compositions of odd polynomials of these degrees.
    Applied to a matrix whose singular values lie in the interval (``X <- a X + b X Xᵀ X + ...``) it gives the matrix
    sign, the orthogonal factor of the polar decomposition, to that error in the spectral norm. Taking the best
    polynomial for what the steps before have left is optimal as a whole.

    Parameters
    ----------
    lower : float
        Smallest singular value that should be sent to 1, above 0.
    steps : int
        Number of steps, 1 to 100.
    degree : int or tuple of int
        Odd degree of every step, or one for each.
    upper : float
        Largest singular value; 1 after division by the Frobenius norm.
    cushion : float
        Optimise a step for no smaller value than `cushion` times the largest. The first steps then do not push some
        values towards 0, where rounding would lose them. [1]_ and [2]_ use 0.02407327424182761; 0 is optimal in exact
        arithmetic.
    safety : float
        Divide the argument of every step but the last by this, so that rounding above the interval does no harm.
        [2]_ uses 1.01; 1 is optimal in exact arithmetic.
    recentre : bool
        Scale each step so that what it leaves is centred at 1; it only matters with a cushion.

    Returns
    -------
    Composition
        `table` (steps, terms) of float64; `certificate`, which holds for the rounded coefficients as returned.

    Raises
    ------
    OptionError, DTypeError, NonFiniteError
        Each says what was expected, what came, and what to do.
    RangeError
        The interval is too wide for coefficients in double precision.

    References
    ----------
    .. [1] Su Jianlin, Scientific Spaces 10996 (the matrix sign by Newton-Schulz, 2), https://kexue.fm/archives/10996.
    .. [2] N. Amsel, D. Persson, C. Musco, R. M. Gower, "The Polar Express: optimal matrix sign methods and their
       application to the Muon algorithm", arXiv:2505.16932.

    Examples
    --------
    >>> from infimum import minimax
    >>> schedule = minimax.msign_schedule(1e-3, 5)
    >>> print(schedule.certificate)
    0.113448 <= optimum <= 0.113448 (composition, enclosed)
    >>> [round(c, 4) for c in schedule.coefficients[0]]
    [8.4703, -25.1081, 18.6293]
    """
    steps = count("steps", steps, MAX_STEPS)
    degrees = _each("degree", degree, steps)
    if any(d % 2 == 0 for d in degrees):
        raise OptionError(f"degree must be odd: the steps are odd polynomials, got {degree}")
    counts = [count("(degree + 1) / 2", (d + 1) // 2, MAX_TERMS) for d in degrees]
    return _design(lower, upper, 2, 1, counts, cushion, safety, recentre)


def root_schedule(
    r: int,
    s: int = 1,
    *,
    lower: float = 1e-4,
    steps: int = 5,
    terms: int | tuple[int, ...] = 3,
    upper: float = 1.0,
    cushion: float = 0.0,
    safety: float = 1.0,
    recentre: bool = True,
) -> Composition:
    """Polynomials for ``G P**(-s/r)``, where P has eigenvalues in [lower, upper]: roots and inverse roots of matrices.

    Minimises the largest relative error of ``P**(-s/r)`` over the interval, over all iterations
    ``G <- G q(P)**s``, ``P <- P q(P)**r`` with polynomials q of so many coefficients. In ``x = P**(1/r)`` a step is
    ``x <- x q(x**r)``, and ``G`` ends as ``G_0 P_0**(-s/r) y**s`` with y the composition.

    Parameters
    ----------
    r, s : int
        The exponent is ``-s/r``; ``G_0 = P`` and ``s = r - 1`` gives the root ``P**(1/r)`` itself.
    lower, upper : float
        Smallest and largest eigenvalue of P, above 0.
    steps : int
        Number of steps, 1 to 100.
    terms : int or tuple of int
        Number of coefficients of q in every step, or one for each.
    cushion, safety, recentre
        As for `msign_schedule`, in terms of x. [1]_ uses a cushion of 0.1.

    Returns
    -------
    Composition
        `table` (steps, terms) of float64, `lower` and `upper` in terms of x, rounded outwards; `certificate`.

    Raises
    ------
    OptionError, DTypeError, NonFiniteError
        Each says what was expected, what came, and what to do.

    References
    ----------
    .. [1] Su Jianlin, Scientific Spaces 11175 (r-th roots of matrices), https://kexue.fm/archives/11175.

    Examples
    --------
    >>> from infimum import minimax
    >>> schedule = minimax.root_schedule(3, lower=0.01, steps=3)
    >>> print(schedule.certificate)
    2.01641e-05 <= optimum <= 2.01641e-05 (composition, enclosed)
    >>> P = G = 0.5
    >>> for a, b, c in schedule.coefficients:
    ...     q = a + b * P + c * P**2
    ...     G, P = G * q, P * q**3
    >>> abs(G / 0.5 ** (2 / 3) - 1) < schedule.certificate.value
    True
    """
    r, s = count("r", r, MAX_POWER), count("s", s, MAX_POWER)
    steps = count("steps", steps, MAX_STEPS)
    counts = [count("terms", number, MAX_TERMS) for number in _each("terms", terms, steps)]
    low, high = checked_interval(lower, upper)
    return _design(_root(low, r, -1), _root(high, r, 1), r, s, counts, cushion, safety, recentre)


def verify_schedule(
    table: Composition | ArrayLike,
    lower: float,
    upper: float = 1.0,
    noise: float = 0.0,
    *,
    power: int = 2,
    numerator: int = 1,
) -> Composition:
    """Certify any table of coefficients: its largest error over [lower, upper], and what the best table could do.

    Parameters
    ----------
    table : sequence of sequences, or array (steps, terms)
        Coefficients ``(a, b, c, ...)`` of every step ``x <- a x + b x**(r + 1) + c x**(2 r + 1) + ...``. Zeros at the
        end count: they are coefficients that the bound may use.
    lower, upper : float
        Interval of the singular values, 0 < lower <= upper.
    noise : float
        Widen the interval by this much at both ends after every step, for rounding in low precision (2**-9 is half a
        spacing of bfloat16 just below 1). The bound holds for any noise.
    power, numerator : int
        r and s of `root_schedule`; 2 and 1 are the matrix sign.

    Returns
    -------
    Composition
        The table with its `certificate`.

    Raises
    ------
    OptionError, DTypeError, NonFiniteError
        Each says what was expected, what came, and what to do.
    RangeError
        The steps blow up beyond the range of double precision.

    Examples
    --------
    >>> from infimum import minimax
    >>> jordan = minimax.verify_schedule([(3.4445, -4.7750, 2.0315)] * 5, 1e-3)
    >>> print(jordan.certificate)
    0.113448 <= optimum <= 0.529456 (composition, enclosed)
    """
    low, high = checked_interval(lower, upper)
    return _certified(as_table(table), low, high, *checked_options(power, numerator, noise))


def _each(name: str, values: Any, steps: int) -> list[int]:
    """Return one number for each step."""
    listed = list(values) if isinstance(values, list | tuple | np.ndarray) else [values] * steps
    if len(listed) != steps:
        raise OptionError(f"{name} must be one number or one for each of {steps} steps, got {len(listed)}")
    return [whole_number(name, value, 1) for value in listed]


def _design(
    lower: Any,
    upper: Any,
    power: int,
    numerator: int,
    terms: Sequence[int],
    cushion: Any,
    safety: Any,
    recentre: bool,
) -> Composition:
    low, high = checked_interval(lower, upper)
    cushion, safety = real("cushion", cushion), real("safety", safety)
    if not 0.0 <= cushion < 1.0:
        raise OptionError(f"cushion must be at least 0 and below 1, got {cushion}")
    if safety < 1.0:
        raise OptionError(f"safety must be at least 1, got {safety}")
    interval, rows = (Fraction(low), Fraction(high)), []
    for number, size in enumerate(terms, 1):
        last = number == len(terms)
        widened = (max(interval[0], Fraction(cushion) * interval[1]), interval[1])
        step = best_step(widened, power, size)
        if recentre:
            step = _recentred(step, power, interval, numerator if last else 1)
        divisor = 1.0 if last else safety
        row = [c / divisor ** (power * k + 1) for k, c in enumerate(_floats(step))]
        least, largest = composition.image(row, power, interval)
        if not least > 0:
            raise RangeError(
                f"step {number} sends some values of [{low}, {high}] to 0: double precision has no coefficients for an "
                "interval as wide; raise lower, or give a cushion"
            )
        interval = (least, max(largest, 2 - least))  # as much room above 1 as below
        rows.append(row)
    return _certified(as_table(rows), low, high, power, numerator, 0.0)


def _recentred(step: list[Fraction], power: int, interval: composition.Interval, numerator: int) -> list[Fraction]:
    """Scale a step so that the powers of the largest and the smallest value that it leaves have the mean 1."""
    low, high = composition.image(_floats(step), power, interval)
    mean = (low**numerator + high**numerator) / 2
    factor = 1 / mean if numerator == 1 else Fraction(float(mean) ** (-1.0 / numerator))
    return [c * factor for c in step]


def _floats(step: Sequence[Fraction]) -> list[float]:
    try:
        return [float(c) for c in step]
    except OverflowError as error:
        raise RangeError("a coefficient is beyond double precision: scale the input so that upper is near 1") from error


def _root(number: float, r: int, direction: int) -> float:
    """r-th root of a number, rounded down (direction -1) or up (1)."""
    root = math.pow(number, 1.0 / r)
    while (Fraction(root) ** r - Fraction(number)) * direction < 0:
        root = math.nextafter(root, direction * math.inf)
    return root


def _certified(
    table: tuple[np.ndarray, np.ndarray], lower: float, upper: float, power: int, numerator: int, noise: float
) -> Composition:
    """Find the witness for a table, and certify it."""
    padded, terms = table
    rows = [row[:size] for row, size in zip(padded.tolist(), terms.tolist(), strict=True)]
    nodes = best_nodes(Fraction(lower), Fraction(upper), power, [len(row) for row in rows])
    certificate = certify_composition(rows, lower, upper, power, numerator, noise, nodes)
    return Composition(
        table=padded,
        terms=terms,
        lower=lower,
        upper=upper,
        power=power,
        numerator=numerator,
        noise=noise,
        certificate=certificate,
    )
