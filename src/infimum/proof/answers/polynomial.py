"""The answer of `infimum.minimax.polynomial`: a best polynomial, how its error is measured, and what it proves."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Literal

import numpy as np

from infimum._arguments import axes, one_of
from infimum.errors import OptionError, VerificationError
from infimum.proof.answers.rounded import RoundedPolynomial
from infimum.proof.answers.source_code import Emitter
from infimum.proof.certificate import Certificate
from infimum.proof.enclosure.approximants import Approximant, stored
from infimum.proof.enclosure.change_of_basis import exact_sums, monomials
from infimum.proof.enclosure.error_bounds import is_enclosable, values_of_error
from infimum.proof.enclosure.error_certificate import certify_error
from infimum.proof.enclosure.expressions import as_function
from infimum.proof.enclosure.task import Powers, Space, Task, as_space, as_task, variable
from infimum.proof.result import Result

SAME = 1e-9  # relative; an error of 1e-18 is no rounding here, as it would be elsewhere
DRAWN = 2001  # points of the error curve in a plot


@dataclass(frozen=True)
class MinimaxPolynomial(Emitter, Result):
    """A best uniform approximation, the answer of `polynomial`.

    Attributes
    ----------
    f : str
        What was approximated: the expression, or the name of the Python function.
    expansion : array (parts, m)
        What is stored: coefficients of the Chebyshev polynomials of ``t = x**stride`` on `interval` (or of the
        functions of the system), each the sum of its column. There is a second row where one double would spoil the
        error.
    powers : tuple of int
        Exponents of x; empty where the system is a list of functions.
    interval : (float, float)
        Range of t.
    signs : tuple of int
        Signs of ``f - p`` at `points`.
    degree, domain, system, weight, relative, breakpoints, tol
        As given.
    certificate : Certificate
        About ``max w |f - p|`` for the polynomial that is stored. Witness: `points`, the alternation.
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

    def __post_init__(self) -> None:
        for name in ("powers", "interval", "signs", "breakpoints"):  # JSON brings lists
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "domain", tuple(tuple(pair) for pair in self.domain))

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
        """The stored approximation as an exact function."""
        return stored(self._space, self.interval, np.asarray(self.expansion))

    @property
    def _space(self) -> Space:
        return as_space(None, self.powers or self.system)

    def coefficients(self, basis: Literal["monomial", "chebyshev"] = "monomial") -> np.ndarray:
        """Coefficients as doubles: of ``x**powers``, or of the Chebyshev polynomials (or functions) that are stored.

        They are rounded, and those of high powers lose many digits: `minimax.sup_norm` says what is left of them.
        """
        one_of("basis", basis, ("monomial", "chebyshev"))
        if basis == "chebyshev" or not self.powers:
            return np.asarray(np.asarray(self.expansion).sum(axis=0))
        return np.array([float(c) for c in self.exact_coefficients()])

    def exact_coefficients(self) -> list[Fraction]:
        """Coefficients of ``x**powers`` as rational numbers, without any rounding."""
        if not self.powers:
            raise OptionError("only polynomials have coefficients of powers; this system is a list of functions")
        if isinstance(self._space, Powers):
            return monomials(np.asarray(self.expansion), self.interval)
        return exact_sums(np.asarray(self.expansion))

    def __call__(self, x: Any) -> Any:
        """Evaluate at an array of any library, or at a number, in its precision."""
        if isinstance(x, int | list | tuple):
            x = np.asarray(x, dtype=float)
        values = self.approximant(x)
        return float(values) if isinstance(values, np.generic) else values

    def round(self, dtype: Any, *, f: Any = None) -> RoundedPolynomial:
        """Round the coefficients to a machine format, together; see `minimax.rounded`.

        `dtype` is a format or one for each coefficient; `f` is needed where it was a Python function.
        """
        rounding = importlib.import_module("infimum.minimax.rounding")  # a search: loaded on use
        rounded: RoundedPolynomial = rounding.round_coefficients(self, dtype, f=f)
        return rounded

    def recheck(self, f: Any) -> Certificate:
        """Derive the certificate again from the function, the stored coefficients and the alternation alone."""
        function = as_function(f)
        if str(function) != self.f:
            raise VerificationError(f"f: the result is about {self.f}, not about {function}")
        task = self._task(function)
        _refuse_other_space(task, self)
        path: Literal["enclosed", "rounded"] = "rounded" if self.certificate.rigour == "rounded" else "enclosed"
        if path == "enclosed" and not is_enclosable(task):
            raise VerificationError("rigour: only functions that are given as expressions can be enclosed")
        found = certify_error(task, self.approximant, self.points, self.tol, path)
        if found.signs != self.signs:
            raise VerificationError(f"signs: claimed {self.signs}, derived {found.signs}")
        for name in ("value", "lower_bound"):
            claim, derived = getattr(self.certificate, name), getattr(found.certificate, name)
            if not abs(claim - derived) <= SAME * abs(derived):
                raise VerificationError(f"{name}: claimed {claim!r}, derived {derived!r}")
        return found.certificate

    def _task(self, f: Any) -> Task:
        return as_task(f, self.degree, self.domain, self.system, self.weight, self.relative, self.breakpoints)

    def to_json(self) -> str:
        """Return the answer and its certificate as JSON text; every number is kept exactly."""
        listed = self.system if isinstance(self.system, tuple | list) else ()
        if callable(self.weight) or any(callable(item) for item in listed):
            raise OptionError("a Python function cannot be written to JSON: give weight and system as expressions")
        return super().to_json()

    def plot(self, ax: Any = None, *, f: Any = None) -> Any:
        """Draw the error ``f - p`` with its alternation; `f` is needed where it was a Python function."""
        task = self._task(self._known(f))
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
        ax.set(xlabel="x", ylabel=kind, title=f"largest error {limit:.6g}")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), frameon=False)
        return ax

    def _known(self, f: Any) -> Any:
        if f is not None:
            return f
        if self.f.startswith("<"):
            raise OptionError(f"{self.f} was a Python function: give it again, as plot(f=...)")
        return self.f


def powers_of(space: Space, system: Any) -> tuple[int, ...]:
    """Exponents of a space; empty where it is a list of functions."""
    if isinstance(space, Powers):
        return tuple(space.powers)
    return tuple(sorted(map(int, system))) if all(isinstance(item, int | np.integer) for item in system) else ()


def _refuse_other_space(task: Task, result: MinimaxPolynomial) -> None:
    """Refuse coefficients of another space than that of the task."""
    space = task.space
    powers = powers_of(space, result.system)
    interval = variable(space, task.half) if isinstance(space, Powers) else (0.0, 0.0)
    if powers != result.powers or interval != result.interval:
        raise VerificationError(
            f"powers and interval: claimed {result.powers}, {result.interval}, not {powers}, {interval}"
        )
    if np.asarray(result.expansion).ndim != 2 or np.asarray(result.expansion).shape[1] != space.size:
        raise VerificationError(f"expansion must have {space.size} columns, got {np.asarray(result.expansion).shape}")
