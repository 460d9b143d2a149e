"""The answer of `infimum.minimax.msign_schedule`: a composition of polynomial steps, its loss, and what it proves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import axes
from infimum._arrays import Array
from infimum.errors import VerificationError
from infimum.proof import evidence, wording
from infimum.proof.certificate import Certificate
from infimum.proof.evidence import shown
from infimum.proof.result import Result
from infimum.proof.theorems import composition
from infimum.proof.theorems.composition import MAX_POWER, MAX_STEPS, MAX_TERMS

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
        nodes = self.certificate.witness["nodes"]
        bounds = composition.floors(Fraction(self.lower), Fraction(self.upper), self.power, nodes)
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
        low = evidence.number("lower", self.lower, above=0.0)
        if evidence.number("the input", lower) != low:
            raise VerificationError(f"the schedule is for the interval from {low!r}, not from {shown(lower)}")
        high = evidence.number("upper", self.upper, least=low)
        if low < MIN_RATIO * high:
            raise VerificationError(f"lower must be at least {MIN_RATIO} times upper, got [{low}, {high}]")
        power = evidence.whole("power", self.power, least=1, most=MAX_POWER)
        numerator = evidence.whole("numerator", self.numerator, least=1, most=MAX_POWER)
        noise = evidence.number("noise", self.noise, least=0.0)
        nodes = self.certificate.witness.get("nodes")
        return certify_composition(self._rows(), low, high, power, numerator, noise, nodes)

    def _rows(self) -> list[list[float]]:
        """Return the coefficients of every step; `table` must hold them as float64, and zeros beyond `terms`."""
        table = evidence.doubles("table", self.table, (None, None))
        steps, most = table.shape
        if not (1 <= steps <= MAX_STEPS and 1 <= most <= MAX_TERMS):
            raise VerificationError(
                f"table must hold 1 to {MAX_STEPS} steps of 1 to {MAX_TERMS} coefficients, got shape {table.shape}"
            )
        terms = np.asarray(evidence.array("terms", self.terms, (steps,), "integer")).tolist()
        sizes = [evidence.whole("terms", size, least=1, most=most) for size in terms]
        rows = [(row[:size], row[size:]) for row, size in zip(table.tolist(), sizes, strict=True)]
        if any(any(padding) for _, padding in rows):
            raise VerificationError("table must hold zeros beyond the number of coefficients of a step")
        return [row for row, _ in rows]

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
    nodes: Any,
) -> Certificate:
    """Measure the loss of a table over the whole interval; bound that of every table with as many coefficients.

    All of it is exact but for roundings outwards, so that a check derives the same numbers on every machine.
    """
    ends = composition.images(rows, power, *map(Fraction, (lower, upper, noise)))[-1]
    value = composition.upwards(composition.error(ends, numerator))
    floors = composition.floors(Fraction(lower), Fraction(upper), power, nodes)
    if [len(marks) - 1 for marks in nodes] != [len(row) for row in rows]:
        raise VerificationError("the witness must have one node more than coefficients for every step")
    bound = composition.downwards(composition.final_floor(floors[-1], numerator))
    return Certificate(value, bound, composition.THEOREM, "enclosed", witness={"nodes": nodes})
