"""The answer of `infimum.minimax.msign_schedule`: a composition of polynomial steps, its loss, and what it proves."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import axes, whole_number
from infimum._arrays import Array
from infimum.errors import DTypeError, NonFiniteError, OptionError, RangeError, VerificationError
from infimum.proof import wording
from infimum.proof.certificate import Certificate
from infimum.proof.result import Result
from infimum.proof.theorems import composition

MAX_STEPS, MAX_TERMS, MAX_POWER = 100, 8, 12  # exact arithmetic takes seconds beyond
MIN_RATIO = 1e-60  # of the ends of an interval: double precision holds the results of no more


@dataclass(frozen=True)
class Composition(Result):
    """Steps ``x <- c[0] x + c[1] x**(r + 1) + c[2] x**(2 r + 1) + ...`` that send [lower, upper] towards 1.

    The answer of `msign_schedule`, `root_schedule` and `verify_schedule`; call it to apply it to numbers.

    Attributes
    ----------
    table : array (steps, terms)
        Coefficients of every step, padded with zeros.
    terms : array (steps,) of int
        Number of coefficients of every step; the bound ranges over compositions with as many.
    lower, upper : float
        Interval of the singular values (of ``x``) before the first step.
    power : int
        r: 2 for the matrix sign, where all steps are odd.
    numerator : int
        s: the loss is the largest ``abs(y**s - 1)`` over the results y.
    noise : float
        How far rounding may move a value after each step.
    certificate : Certificate
        `value` is the loss over the whole interval, `lower_bound` holds for *every* composition of steps with these
        numbers of coefficients.
    """

    problem: ClassVar[str] = "minimax.msign_schedule"
    inputs: ClassVar[tuple[str, ...]] = ("lower",)
    table: Array
    terms: Array
    lower: float
    upper: float
    power: int
    numerator: int
    noise: float

    @property
    def steps(self) -> int:
        """Number of steps."""
        return int(self.table.shape[0])

    @property
    def coefficients(self) -> tuple[tuple[float, ...], ...]:
        """The table as tuples, without the padding: what `infimum.optim.Muon` and others take."""
        rows = zip(self.table.tolist(), self.terms.tolist(), strict=True)
        return tuple(tuple(row[:size]) for row, size in rows)

    @property
    def intervals(self) -> tuple[tuple[float, float], ...]:
        """Where the values lie before the first step and after every one, rounded outwards."""
        exact = composition.images(self.coefficients, self.power, *map(Fraction, (self.lower, self.upper, self.noise)))
        return tuple((composition.downwards(low), composition.upwards(high)) for low, high in exact)

    @property
    def floors(self) -> tuple[float, ...]:
        """Lower bounds on the loss after 1, 2, ... steps, for any composition of as many of these steps."""
        bounds = _floors(self.lower, self.upper, self.power, self.certificate.witness["nodes"])
        return tuple(composition.downwards(composition.final_floor(bound, self.numerator)) for bound in bounds)

    def __call__(self, x: Array | float) -> Any:
        """Apply all steps to numbers or to every element of an array, of any library."""
        for row in self.coefficients:
            t, value = x**self.power, row[-1]
            for coefficient in row[-2::-1]:
                value = value * t + coefficient
            x = value * x
        return x

    def recheck(self, lower: float) -> Certificate:
        """Derive the certificate of a schedule from the answer and the witness alone."""
        if lower != self.lower:
            raise VerificationError(f"the schedule is for the interval from {self.lower!r}, not from {lower!r}")
        table, terms = as_table(self.coefficients)
        if not np.array_equal(table, self.table) or not np.array_equal(terms, self.terms):
            raise VerificationError("table and terms do not fit each other")
        low, high = checked_interval(self.lower, self.upper)
        power, numerator, noise = checked_options(self.power, self.numerator, self.noise)
        return certify_composition(self.coefficients, low, high, power, numerator, noise, self.certificate.witness)

    def plot(self, ax: Any = None) -> Any:
        """Draw the loss over the interval after every step, and the certified floor of the last."""
        ax = axes(ax)
        x = np.geomspace(self.lower, self.upper, 2000)
        values, rows = x, self.coefficients
        for number, row in enumerate(rows, 1):
            values = np.sum([c * values ** (self.power * k + 1) for k, c in enumerate(row)], axis=0)
            last = number == len(rows)
            style = {"color": "C0", "lw": 1.5} if last else {"color": "0.6", "lw": 0.7}
            ax.loglog(x, np.maximum(np.abs(values**self.numerator - 1.0), 1e-17), **style)
        ax.axhline(max(self.certificate.lower_bound, 1e-17), color="C1", ls="--", label="floor")
        ax.set(
            xlabel="singular value" if self.power == 2 else "x",
            ylabel="distance from 1",
            title=f"{self.steps} steps: {wording.error_and_floor(self.certificate)}",
        )
        ax.legend()
        return ax


def certify_composition(
    rows: Sequence[Sequence[float]],
    lower: float,
    upper: float,
    power: int,
    numerator: int,
    noise: float,
    witness: Any,
) -> Certificate:
    """Measure the loss of a table over the whole interval; bound that of every table with as many coefficients."""
    ends = composition.images(rows, power, *map(Fraction, (lower, upper, noise)))[-1]
    if [len(marks) - 1 for marks in witness["nodes"]] != [len(row) for row in rows]:
        raise VerificationError("the witness must have one node more than coefficients for every step")
    floor = _floors(lower, upper, power, witness["nodes"])[-1]
    try:
        value = composition.upwards(composition.error(ends, numerator))
    except OverflowError as error:
        raise RangeError(
            "the table sends the interval beyond the range of double precision: its coefficients are for another "
            f"interval than [{lower}, {upper}], or not in the order a, b, c, ..."
        ) from error
    bound = composition.downwards(composition.final_floor(floor, numerator))
    return Certificate(value, bound, "composition", "enclosed", witness=witness)


def _floors(lower: float, upper: float, power: int, nodes: Any) -> list[Fraction]:
    return composition.floors(Fraction(lower), Fraction(upper), power, nodes)


def as_table(table: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return a table of coefficients, rows of any length, padded with zeros, and the lengths."""
    if isinstance(table, Composition):
        return table.table, table.terms
    try:
        rows = [[float(c) for c in row] for row in (table.tolist() if hasattr(table, "tolist") else table)]
    except (TypeError, ValueError) as error:
        raise DTypeError(f"table must hold one row of real coefficients for each step ({error})") from error
    count("the number of steps", len(rows), MAX_STEPS)
    for number, row in enumerate(rows, 1):
        count(f"the number of coefficients of step {number}", len(row), MAX_TERMS)
        if not np.all(np.isfinite(row)):
            raise NonFiniteError(f"table must be finite, but step {number} is {row}")
    terms = np.array([len(row) for row in rows], dtype=np.int64)
    padded = np.zeros((len(rows), int(terms.max())))
    for row, target in zip(rows, padded, strict=True):
        target[: len(row)] = row
    return padded, terms


def checked_interval(lower: Any, upper: Any) -> tuple[float, float]:
    """Return two finite numbers 0 < lower <= upper."""
    low, high = real("lower", lower), real("upper", upper)
    if not 0.0 < low <= high:
        raise OptionError(
            f"lower must be above 0 and at most upper, got [{low}, {high}]; 0 itself stays at 0 in every step"
        )
    if low < MIN_RATIO * high:
        raise OptionError(f"lower must be at least {MIN_RATIO} times upper, got [{low}, {high}]: raise lower")
    return low, high


def checked_options(power: Any, numerator: Any, noise: Any) -> tuple[int, int, float]:
    """Return the exponents r and s, and a noise that is not negative."""
    power, numerator = count("power", power, MAX_POWER), count("numerator", numerator, MAX_POWER)
    noise = real("noise", noise)
    if noise < 0.0:
        raise OptionError(f"noise must be at least 0, got {noise}")
    return power, numerator, noise


def real(name: str, value: Any) -> float:
    """Return a finite real number."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise DTypeError(f"{name} must be a real number, got {value!r} of type {type(value).__name__}")
    if not np.isfinite(float(value)):
        raise NonFiniteError(f"{name} must be finite, got {value!r}")
    return float(value)


def count(name: str, value: Any, most: int) -> int:
    """Return a whole number from 1 to `most`."""
    number = whole_number(name, value, 1)
    if number > most:
        raise OptionError(f"{name} must be at most {most}, got {number}")
    return number
