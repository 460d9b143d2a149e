"""The answer of `infimum.minimax.polynomial`: a best polynomial, how its error is measured, and what it proves."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Literal

import numpy as np

from infimum._arguments import RNGLike, axes, one_of
from infimum.errors import OptionError, VerificationError
from infimum.proof import evidence
from infimum.proof.answers.conversions import Convertible
from infimum.proof.answers.rounded import RoundedPolynomial
from infimum.proof.answers.source_code import Emitter
from infimum.proof.certificate import Certificate
from infimum.proof.enclosure.approximants import Approximant, stored
from infimum.proof.enclosure.change_of_basis import exact_sums, monomials, rounded_sums
from infimum.proof.enclosure.fixed_part import as_fixed, fixed_value
from infimum.proof.enclosure.functions import given_again
from infimum.proof.enclosure.spaces import LARGEST_DEGREE, Powers, Space, as_space, variable
from infimum.proof.enclosure.task import Task, as_task, powers_of
from infimum.proof.result import Result
from infimum.proof.uniform_error.error_bounds import values_of_error
from infimum.proof.uniform_error.error_certificate import derive_error
from infimum.proof.uniform_error.stated_task import (
    refuse_other_signs,
    stated_path,
    stated_points,
    stated_task,
)

MOST_PARTS = 8  # doubles a coefficient
LARGEST_DIVISOR = 1 << 1000
DRAWN = 2001  # points of the error curve in a plot


@dataclass(frozen=True)
class MinimaxPolynomial(Emitter, Convertible, Result):
    """A best uniform approximation, the answer of `polynomial`.

    Attributes
    ----------
    f : str
        What was approximated: the expression, or in angle brackets the name of the Python object.
    expansion : array (parts, m)
        What is stored: coefficients of the Chebyshev polynomials of ``t = x**stride`` on `interval` (or of the
        functions of the system), each the sum of its column over `divisor`. There is a second row where one double
        would spoil the error.
    powers : tuple of int
        Exponents of x; empty where the system is a list of functions.
    interval : (float, float)
        Range of t.
    signs : tuple of int
        Signs of ``f - p`` at `points`.
    breakpoints : tuple of float
        As given, and those that samples of a Python function showed.
    degree, domain, system, weight, relative, tol
        As given.
    fixed : tuple of (int, str)
        Powers and their given coefficients, as rational numbers; they are no part of `expansion`.
    divisor : int
        1 but where f itself is the answer, with coefficients such as 1/3 that no doubles hold.
    certificate : Certificate
        About ``max w |f - p|`` for the polynomial that is stored: of a Python function the largest of samples (rigour
        "sampled"). Witness: `points`, the alternation.
    """

    problem: ClassVar[str] = "minimax.polynomial"
    inputs: ClassVar[tuple[str, ...]] = ("f",)
    f: str
    expansion: np.ndarray
    powers: tuple[int, ...]
    interval: tuple[float, float]
    signs: tuple[int, ...]
    degree: int | None
    domain: tuple[tuple[float, float], ...]
    system: Any = "full"
    weight: Any = None
    relative: bool = False
    breakpoints: tuple[float, ...] = ()
    tol: float = 1e-6
    fixed: tuple[tuple[int, str], ...] = ()
    divisor: int = 1

    @property
    def points(self) -> np.ndarray:
        """The reference: where the error has the size that proves the bound, with the signs `signs`."""
        return np.asarray(self.certificate.witness["points"], dtype=np.float64)

    @property
    def levelled_error(self) -> float:
        """The error ``f - p`` that alternates on `points`: the bound, with the sign at the first of them."""
        return self.signs[0] * float(self.certificate.lower_bound)

    @property
    def approximant(self) -> Approximant:
        """The stored approximation, without the fixed coefficients, as an exact function."""
        return stored(self._space, self.interval, np.asarray(self.expansion), self.divisor)

    @property
    def _space(self) -> Space:
        given = {power for power, _ in as_fixed(self.fixed)}
        return as_space(None, [power for power in self.powers if power not in given] or self.system)

    def coefficients(self, basis: Literal["monomial", "chebyshev"] = "monomial") -> np.ndarray:
        """Coefficients as doubles: of ``x**powers``, or of the Chebyshev polynomials (or functions) that are stored.

        They are rounded, and those of high powers lose many digits: `minimax.sup_norm` says what is left of them. The
        fixed ones are no part of those that are stored.
        """
        one_of("basis", basis, ("monomial", "chebyshev"))
        if basis == "chebyshev" or not self.powers:
            return np.array(rounded_sums(np.asarray(self.expansion), self.divisor))
        return np.array([float(c) for c in self.exact_coefficients()])

    def exact_coefficients(self) -> list[Fraction]:
        """Coefficients of ``x**powers`` as rational numbers, without any rounding."""
        if not self.powers:
            raise OptionError("only polynomials have coefficients of powers; this system is a list of functions")
        space, rows = self._space, np.asarray(self.expansion)
        free = (
            monomials(rows, self.interval, self.divisor)
            if isinstance(space, Powers)
            else exact_sums(rows, self.divisor)
        )
        if len(free) != len(space.powers):
            raise OptionError(f"powers must be different, one for each coefficient, got {evidence.shown(self.powers)}")
        all_of_them = {**dict(as_fixed(self.fixed)), **dict(zip(space.powers, free, strict=True))}
        return [all_of_them[power] for power in self.powers]

    def __call__(self, x: Any) -> Any:
        """Evaluate at an array of any library, or at a number, in its precision."""
        if isinstance(x, int | list | tuple):
            x = np.asarray(x, dtype=float)
        values = self.approximant(x)
        if self.fixed:
            values = values + fixed_value(as_fixed(self.fixed), x)
        return float(values) if isinstance(values, np.generic) else values

    def round(self, dtype: Any, *, f: Any = None) -> RoundedPolynomial:
        """Round the coefficients to a machine format, together; see `minimax.rounded`.

        `dtype` is a format or one for each coefficient; `f` is needed where it was a Python function.
        """
        rounding = importlib.import_module("infimum.minimax.rounding")  # a search: loaded on use
        rounded: RoundedPolynomial = rounding.round_coefficients(self, dtype, f=f)
        return rounded

    def recheck(self, f: Any, *, rng: RNGLike = None) -> Certificate:
        """Derive the certificate again from the function, the stored coefficients and the alternation alone."""
        task = stated_task(self, f)
        refuse_other_space(task, self)
        points = stated_points(self.certificate, task.space.size + 1)
        path = stated_path(self.certificate, task)
        found = derive_error(task, self.approximant, points, self.tol, path, rng)
        refuse_other_signs(self.signs, found.signs, self.certificate)
        return found.certificate

    def _task(self, f: Any) -> Task:
        return as_task(
            f, self.degree, self.domain, self.system, self.weight, self.relative, self.breakpoints, self.fixed
        )

    def to_json(self) -> str:
        """Return the answer and its certificate as JSON text; every number is kept exactly."""
        listed = self.system if isinstance(self.system, tuple | list) else ()
        if callable(self.weight) or any(callable(item) for item in listed):
            raise OptionError("a Python function cannot be written to JSON: give weight and system as expressions")
        return super().to_json()

    def plot(self, ax: Any = None, *, f: Any = None) -> Any:
        """Draw the error ``f - p`` with its alternation; `f` is needed where it was a Python function."""
        task = self._task(given_again(self.f, f))
        ax = axes(ax)
        for low, high in self.domain:
            inner = self.points[(self.points > low) & (self.points < high)]
            angles = np.linspace(np.pi, 0.0, DRAWN)
            x = np.union1d(np.clip((low + high) / 2 + (high - low) / 2 * np.cos(angles), low, high), inner)
            ax.plot(x, values_of_error(task, self.approximant, x), color="C0")
        limit = float(self.certificate.value)
        for level in (limit, -limit):
            ax.axhline(level, color="C1", ls="--", lw=1)
        at = values_of_error(task, self.approximant, self.points)
        ax.plot(self.points, at, "o", color="C1", ms=4, label=f"alternation on {len(self.points)} points")
        kind = "relative error" if self.relative else ("weighted error" if self.weight is not None else "error f − p")
        ax.set(xlabel="x", ylabel=kind, title=f"largest error {limit:.6g} ({self.certificate.rigour})")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), frameon=False)
        return ax


def refuse_other_space(task: Task, result: MinimaxPolynomial) -> None:
    """Refuse coefficients of another space than that of the task."""
    space = task.space
    powers = powers_of(task)
    interval = variable(space, task.half) if isinstance(space, Powers) else (0.0, 0.0)
    if powers != tuple(evidence.whole("powers", power, least=0, most=LARGEST_DEGREE) for power in result.powers):
        raise VerificationError(f"powers: claimed {evidence.shown(result.powers)}, not {evidence.shown(powers)}")
    if interval != tuple(evidence.number("interval", end) for end in result.interval):
        raise VerificationError(f"interval: claimed {evidence.shown(result.interval)}, not {interval}")
    rows = evidence.doubles("expansion", result.expansion, (None, space.size)).shape[0]
    evidence.whole("the number of rows of expansion", rows, least=1, most=MOST_PARTS)
    evidence.whole("divisor", result.divisor, least=1, most=LARGEST_DIVISOR)
