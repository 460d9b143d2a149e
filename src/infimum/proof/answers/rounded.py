"""The answer of `infimum.minimax.rounded`: a polynomial with machine numbers as coefficients, and what it proves."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import RNGLike, axes
from infimum.errors import VerificationError
from infimum.proof import evidence
from infimum.proof.answers.conversions import Convertible
from infimum.proof.answers.source_code import Emitter
from infimum.proof.certificate import Certificate
from infimum.proof.enclosure.approximants import Monomials
from infimum.proof.enclosure.domain import points_of
from infimum.proof.enclosure.fixed_part import as_fixed
from infimum.proof.enclosure.functions import given_again
from infimum.proof.enclosure.machine_formats import COEFFICIENTS
from infimum.proof.enclosure.spaces import LARGEST_DEGREE
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

DRAWN = 2001


@dataclass(frozen=True)
class RoundedPolynomial(Emitter, Convertible, Result):
    """A polynomial with machine numbers as coefficients, the answer of `rounded` and of `MinimaxPolynomial.round`.

    Attributes
    ----------
    f : str
        What was approximated.
    values : array (m,)
        The coefficients of ``x**powers``, doubles that lie on the grid of their format.
    powers : tuple of int
        Exponents of x, those of fixed coefficients among them.
    formats : tuple of str
        Format of every coefficient.
    signs : tuple of int
        Signs of ``f - p`` at the points of the witness for the best polynomial without rounding.
    degree, domain, system, weight, relative, breakpoints, tol
        As given.
    fixed : tuple of (int, str)
        Powers and their given coefficients, as rational numbers.
    certificate : Certificate
        `value` for these coefficients; `lower_bound` holds for every polynomial with real coefficients, hence for every
        choice of machine numbers.
    """

    problem: ClassVar[str] = "minimax.rounded"
    inputs: ClassVar[tuple[str, ...]] = ("f",)
    f: str
    values: np.ndarray
    powers: tuple[int, ...]
    formats: tuple[str, ...]
    signs: tuple[int, ...]
    degree: int | None
    domain: tuple[tuple[float, float], ...]
    system: Any = "full"
    weight: Any = None
    relative: bool = False
    breakpoints: tuple[float, ...] = ()
    tol: float = 1e-6
    fixed: tuple[tuple[int, str], ...] = ()

    def exact_coefficients(self) -> list[Fraction]:
        """Coefficients of ``x**powers`` as rational numbers."""
        return [Fraction(value) for value in self.values.tolist()]

    @property
    def approximant(self) -> Monomials:
        """The polynomial, without the fixed coefficients, as an exact function."""
        given = {power for power, _ in as_fixed(self.fixed)}
        pairs = zip(self.powers, self.values.tolist(), strict=True)
        return Monomials({power: value for power, value in pairs if power not in given})

    def __call__(self, x: Any) -> Any:
        """Evaluate at an array of any library, or at a number, in its precision, by Horner's scheme."""
        if isinstance(x, int | list | tuple):
            x = np.asarray(x, dtype=float)
        value, above = x * 0.0, 0
        for power, c in sorted(zip(self.powers, self.values.tolist(), strict=True), reverse=True):
            value = (value * x ** (above - power) if above else value) + c
            above = power
        return value * x**above

    def recheck(self, f: Any, *, rng: RNGLike = None) -> Certificate:
        """Derive the certificate again from the function, the coefficients and the alternation alone."""
        task = stated_task(self, f)
        listed = list(powers_of(task))
        powers = [evidence.whole("powers", power, least=0, most=LARGEST_DEGREE) for power in self.powers]
        if listed != powers:
            raise VerificationError(f"powers: {evidence.shown(powers)} are not those of the system")
        _refuse_other_grid(self)
        own = dict(zip(powers, self.values.tolist(), strict=True))
        if any(Fraction(own.get(power, 0.0)) != value for power, value in task.fixed):
            raise VerificationError(f"values: the coefficients that are fixed must be {evidence.shown(self.fixed)}")
        points = stated_points(self.certificate, task.space.size + 1)
        path = stated_path(self.certificate, task)
        found = derive_error(task, self.approximant, points, self.tol, path, rng)
        refuse_other_signs(self.signs, found.signs, self.certificate)
        return found.certificate

    def _task(self, f: Any) -> Task:
        return as_task(
            f, self.degree, self.domain, self.system, self.weight, self.relative, self.breakpoints, self.fixed
        )

    def plot(self, ax: Any = None, *, f: Any = None) -> Any:
        """Draw the error, with its largest size and the floor of all polynomials; a Python function is asked for."""
        task = self._task(given_again(self.f, f))
        ax = axes(ax)
        for low, high in self.domain:
            x = points_of(((low, high),), DRAWN)
            ax.plot(x, values_of_error(task, self.approximant, x), color="C0")
        bounds = ((self.certificate.value, "C0", "largest"), (self.certificate.lower_bound, "C1", "floor"))
        for level, color, label in bounds:
            ax.axhline(level, color=color, ls="--", lw=1, label=f"{label}: {level:.4g}")
            ax.axhline(-level, color=color, ls="--", lw=1)
        kind = f"{', '.join(sorted(set(self.formats)))}, error {self.certificate.rigour}"
        ax.set(xlabel="x", ylabel="error f − p", title=f"coefficients in {kind}")
        ax.legend()
        return ax


def _refuse_other_grid(result: RoundedPolynomial) -> None:
    """Refuse coefficients that are no machine numbers of their format."""
    size = len(result.powers)
    values = evidence.array("values", result.values, (size,)).tolist()
    if len(result.formats) != size or any(name not in COEFFICIENTS for name in result.formats):
        raise VerificationError(f"formats must name one of {', '.join(COEFFICIENTS)} for each of {size} powers")
    for name, value in zip(result.formats, values, strict=True):
        machine = COEFFICIENTS[name]
        if abs(value) > machine.largest or machine.round(Fraction(value)) != Fraction(value):
            raise VerificationError(f"{value!r} is no number of {name}")
