"""The answer of `infimum.minimax.rational`: a quotient without poles, how its error is measured, what it proves."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import Numbers, RNGLike, axes
from infimum.errors import OptionError
from infimum.proof import draws, evidence, wording
from infimum.proof.answers.source_code import Emitter
from infimum.proof.certificate import Certificate
from infimum.proof.enclosure.approximants import ChebyshevSum
from infimum.proof.enclosure.change_of_basis import monomials
from infimum.proof.enclosure.domain import points_of
from infimum.proof.enclosure.fixed_part import as_fixed, fixed_value, next_power
from infimum.proof.enclosure.functions import BlackBox, given_again
from infimum.proof.enclosure.quotients import barycentric, degree, roots_of, second_formula
from infimum.proof.enclosure.spaces import Powers
from infimum.proof.enclosure.task import Task, as_task
from infimum.proof.result import Result
from infimum.proof.theorems import vallee_poussin
from infimum.proof.uniform_error.error_bounds import is_enclosable
from infimum.proof.uniform_error.error_certificate import outwards
from infimum.proof.uniform_error.quotient_error import bound_by_alternation, enclose_quotient
from infimum.proof.uniform_error.sampled_quotient import bound_from_values, require_no_pole, value_from_samples
from infimum.proof.uniform_error.stated_task import (
    numbers_of_pairs,
    refuse_other_signs,
    same_function,
    stated_breakpoints,
    stated_fixed,
    stated_path,
    stated_points,
    stated_tolerance,
    stated_weight,
)

DRAWN = 2001
LARGEST_TYPE = 40
MOST_POINTS = 2 * LARGEST_TYPE + 4  # of the alternation of any best quotient
MOST_PARTS = 32  # doubles a coefficient


@dataclass(frozen=True)
class MinimaxRational(Emitter, Result):
    """A best uniform approximation ``p / q``, or ``fixed + x**s * p / q``, the answer of `rational`.

    Attributes
    ----------
    f : str
        What was approximated.
    numerator, denominator : array (parts, m + 1) and (parts, n + 1)
        Coefficients of p and q in the Chebyshev polynomials of `interval`, lowest degree first, each the sum of its
        column, exactly: there are more rows where one double would spoil the error. q has no zero on the domain, and
        one sign, which is proved.
    signs : tuple of int
        Signs of the error at `points`.
    type, domain, weight, relative, breakpoints, tol
        As given.
    fixed : tuple of (int, str)
        Powers and their given coefficients, as rational numbers; s is the power after the highest of them.
    certificate : Certificate
        About ``max w |f - p/q|``. Witness: `points`, the alternation.
    """

    problem: ClassVar[str] = "minimax.rational"
    inputs: ClassVar[tuple[str, ...]] = ("f",)
    f: str
    numerator: np.ndarray
    denominator: np.ndarray
    signs: tuple[int, ...]
    type: tuple[int, int]
    domain: tuple[tuple[float, float], ...]
    weight: str | None = None
    breakpoints: tuple[float, ...] = ()
    tol: float = 1e-6
    relative: bool = False
    fixed: tuple[tuple[int, str], ...] = ()

    @property
    def points(self) -> np.ndarray:
        """The points where the error has alternating signs and at least the size of the bound."""
        return np.asarray(self.certificate.witness["points"], dtype=np.float64)

    @property
    def interval(self) -> tuple[float, float]:
        """The smallest interval that holds the domain."""
        return self.domain[0][0], self.domain[-1][1]

    @property
    def degrees(self) -> tuple[int, int]:
        """Degrees of p and q as they are stored; that of p = 0 is -1."""
        p, q = (ChebyshevSum(Powers(0, 1, part.shape[1]), self.interval, part) for part in self._parts)
        return degree(p), degree(q)

    @property
    def _parts(self) -> tuple[np.ndarray, np.ndarray]:
        return np.asarray(self.numerator), np.asarray(self.denominator)

    def parts_of_code(self) -> tuple[dict[Any, Fraction], ...]:
        """Coefficients of powers of x as one fraction, scaled so that the largest of the denominator is 1."""
        arrays = [evidence.doubles("a part", part, (None, None)) for part in self._parts]
        for part in arrays:
            evidence.whole("the number of rows", part.shape[0], least=1, most=MOST_PARTS)
            evidence.whole("the number of coefficients", part.shape[1], least=1, most=LARGEST_TYPE + 1)
        above, below = (monomials(part, self.interval) for part in arrays)
        unit, fixed = max(below, key=abs), as_fixed(self.fixed)
        above = [Fraction(0)] * next_power(fixed) + above
        above += [Fraction(0)] * (next_power(fixed) + len(below) - len(above))
        for power, value in fixed:
            for k, c in enumerate(below):
                above[power + k] += value * c
        parts = ({k: c / unit for k, c in enumerate(part) if c} for part in (above, below))
        return tuple(part or {0: Fraction(0)} for part in parts)

    def poles(self) -> np.ndarray:
        """Zeros of q, all of them outside of the domain, as complex numbers (python-flint)."""
        return roots_of(self._parts[1], self.interval)

    def zeros(self) -> np.ndarray:
        """Zeros of p, as complex numbers (python-flint)."""
        return roots_of(self._parts[0], self.interval)

    def __call__(self, x: Any) -> Any:
        """Evaluate at an array of any library, or at a number, in its precision.

        The second barycentric formula keeps that precision where p and q themselves have no digits left.
        """
        single = isinstance(x, int | float)
        x = np.asarray(x, dtype=float) if single or isinstance(x, list | tuple) else x
        values = second_formula(self._evaluation, x)
        if self.fixed:
            fixed = as_fixed(self.fixed)
            values = fixed_value(fixed, x) + x ** next_power(fixed) * values
        return float(values) if single else values

    @functools.cached_property
    def _evaluation(self) -> tuple[list[float], list[float], list[float]]:
        return barycentric(self._parts, self.domain, self.points)

    def recheck(self, f: Any, *, rng: RNGLike = None) -> Certificate:
        """Derive the certificate again from the function, the coefficients and the alternation alone."""
        function = same_function(f, self.f)
        domain = numbers_of_pairs(self.domain)
        m, n = (evidence.whole("type", degree, least=0, most=LARGEST_TYPE) for degree in self.type)
        weight, breakpoints = stated_weight(self.weight), stated_breakpoints(self.breakpoints)
        relative, fixed = evidence.flag("relative", self.relative), stated_fixed(self.fixed)
        task = rational_task(function, (m, n), domain, weight, relative, breakpoints, fixed)
        points = stated_points(self.certificate, None)
        evidence.whole("the number of points", points.size, least=1, most=MOST_POINTS)
        stated_tolerance(self.tol)
        parts = self.numerator, self.denominator
        drawn = None
        if stated_path(self.certificate, task) == "sampled":
            drawn = draws.generator(rng, *self._parts, points, list(task.breakpoints))
        certificate, signs = certify_rational(task, (m, n), parts, points, self.tol, rng=drawn)
        refuse_other_signs(self.signs, signs, self.certificate)
        return certificate

    def plot(self, ax: Any = None, *, f: Any = None) -> Any:
        """Draw the error ``f - p/q`` with its alternation; a table or a spline is asked for."""
        f = given_again(self.f, f)
        task = rational_task(f, self.type, self.domain, self.weight, self.relative, self.breakpoints, self.fixed)
        ax = axes(ax)
        for low, high in task.intervals:
            own = self.points[(self.points >= low) & (self.points <= high)]
            x = np.union1d(points_of(((low, high),), DRAWN), own)
            ax.plot(x, task.weights(x) * (task.whole(x) - self(x)), color="C0")
        limit = float(self.certificate.value)
        for level in (limit, -limit):
            ax.axhline(level, color="C1", ls="--", lw=1)
        at = task.weights(self.points) * (task.whole(self.points) - self(self.points))
        ax.plot(self.points, at, "o", color="C1", ms=4, label=f"alternation on {len(self.points)} points")
        ax.set(
            xlabel="x",
            ylabel="relative error" if self.relative else "error f − p/q",
            title=wording.error_label(self.certificate, "largest error"),
        )
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), frameon=False)
        return ax


def rational_task(
    f: Any, type_: tuple[int, int], domain: Any, weight: Any, relative: bool, breakpoints: Numbers, fixed: Any = ()
) -> Task:
    """Return the task of approximating a formula, weighted by another; halved where it is symmetric.

    The space of the task is that of the polynomials of the larger degree, or of degree 3, from which on odd and even
    powers show their stride, times the power of x that comes after those of the fixed coefficients.
    """
    fixed = as_fixed(fixed)
    start = next_power(fixed)
    powers = range(start, start + max(*type_, 3) + 1)
    task = as_task(f, None, domain, powers, weight, relative, breakpoints, fixed)
    if isinstance(task.weight, BlackBox):
        raise OptionError("weight must be a name or an expression for quotients, not a Python function")
    return task


def certify_rational(
    task: Task,
    type_: tuple[int, int],
    quotient: tuple[Any, Any],
    points: np.ndarray,
    tol: float,
    *,
    room: float = 1.0,
    rng: np.random.Generator | None = None,
) -> tuple[Certificate, tuple[int, ...]]:
    """Enclose the largest error, prove that there is no pole, and bound all others from the alternation.

    Where f is a Python function the largest error is that of samples: for a check they are drawn by `rng`.
    """
    p = _polynomial("numerator", task, quotient[0], type_[0], next_power(task.fixed))
    q = _polynomial("denominator", task, quotient[1], type_[1])
    needed = vallee_poussin.points_needed(type_, (degree(p), degree(q)))
    if rng is not None or not is_enclosable(task):
        bound, found_signs = bound_from_values(task, p, q, points, needed, room)
        require_no_pole(task, q, points)
        value = max(value_from_samples(task, p, q, points, rng, room), bound)
        found = Certificate(value, bound, vallee_poussin.THEOREM, "sampled", witness={"points": points})
        return found, tuple(found_signs)
    bound, errors, bits = bound_by_alternation(task, p, q, points, needed)
    norm = enclose_quotient(task, p, q, points, max(map(abs, errors)), tol, enough=bound * (1 + tol / 2), bits=bits)
    value, bound = outwards(norm.upper, bound, room)
    signs = tuple((e > 0) - (e < 0) for e in errors)
    return Certificate(value, bound, vallee_poussin.THEOREM, "enclosed", witness={"points": points}), signs


def _polynomial(name: str, task: Task, coefficients: Any, most: int, start: int = 0) -> ChebyshevSum:
    c = evidence.doubles(name, coefficients, (None, None))
    evidence.whole(f"the number of rows of the {name}", c.shape[0], least=1, most=MOST_PARTS)
    evidence.whole(f"the number of coefficients of the {name}", c.shape[1], least=1, most=most + 1)
    return ChebyshevSum(Powers(start, 1, c.shape[1]), (task.intervals[0][0], task.intervals[-1][1]), c)
