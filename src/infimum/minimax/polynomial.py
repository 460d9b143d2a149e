"""Best uniform approximation of a function by polynomials, or by any space with the Haar property."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from infimum._arguments import axes, one_of
from infimum.errors import OptionError, VerificationError
from infimum.minimax.approximants import Approximant, stored
from infimum.minimax.certify import Certified, certified
from infimum.minimax.codegen import Emitter
from infimum.minimax.conversion import exact_sums, monomials
from infimum.minimax.enclosure import is_enclosable, values_of_error
from infimum.minimax.expressions import as_function
from infimum.minimax.levels import variable
from infimum.minimax.precision import in_multiple_precision
from infimum.minimax.remez import Levelled, solve
from infimum.minimax.systems import Powers, Space, Task, as_space, as_task
from infimum.proof.certificate import Certificate
from infimum.proof.enclosure.balls import available
from infimum.proof.result import Result

if TYPE_CHECKING:
    from infimum.minimax.rounding import RoundedPolynomial

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
        from infimum.minimax.rounding import round_coefficients

        return round_coefficients(self, dtype, f=f)

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
        found = certified(task, self.approximant, self.points, self.tol, path)
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


def polynomial(
    f: str | Callable[[np.ndarray], np.ndarray],
    degree: int | None = None,
    domain: tuple[float, float] | Sequence[tuple[float, float]] = (-1.0, 1.0),
    *,
    system: str | Sequence[Any] = "full",
    weight: str | Callable[[np.ndarray], np.ndarray] | None = None,
    relative: bool = False,
    breakpoints: Sequence[float] = (),
    precision: Literal["auto", "double", "multiple"] = "auto",
    certify: bool = True,
    tol: float = 1e-6,
) -> MinimaxPolynomial:
    """Approximate a function by the polynomial whose largest error is least (the minimax or Chebyshev approximation).

    Minimises ``max w(x) |f(x) - p(x)|`` over the domain, over all polynomials p of the given degree or all p of the
    given system, by the exchange algorithm of Remez. The error of the best one takes its largest size at m + 1 points
    with alternating signs, m the number of coefficients, and any such points prove a lower bound.

    Parameters
    ----------
    f : str or callable
        A name ("gelu", "tanh", "erf", "sigmoid", ...), an expression in x ("exp(-x**2)", never executed), or a function
        of a NumPy array. Names and expressions give *enclosed* certificates (with python-flint, the extra
        ``enclosures``); of a Python function only values are known, so that `value` is the largest of many samples and
        the certificate is "rounded".
    degree : int, optional
        Largest degree; left out where `system` is a list.
    domain : (float, float) or list of such
        One interval or several.
    system : {"full", "odd", "even"}, list of int or list of functions
        All powers up to `degree`, the odd or the even ones, the listed ones, or combinations of functions (names,
        expressions, Python functions) with the Haar property.
    weight : str or callable, optional
        Positive factor of the error.
    relative : bool
        Divide the error by f.
    breakpoints : sequence of float, optional
        Where f has kinks. Those of ``abs``, ``max`` and the like in an expression are found.
    precision : {"auto", "double", "multiple"}
        Arithmetic of the solver; "auto" goes on in multiple precision, and stores two doubles a coefficient, where
        double precision does not reach `tol`.
    certify : bool
        Without it the certificate is not enclosed but rounded and sampled, which is a little faster.
    tol : float
        Relative distance of value and lower bound that is aimed at.

    Returns
    -------
    MinimaxPolynomial
        `coefficients`, `points`, `signs`, `levelled_error`; `certificate`; callable on arrays of any library.

    Raises
    ------
    OptionError, NonFiniteError, DTypeError
        Each says what was expected, what came, and what to do.

    References
    ----------
    .. [1] Su Jianlin, Scientific Spaces 10972, https://kexue.fm/archives/10972.
    .. [2] R. Pachón, L. N. Trefethen, "Barycentric-Remez algorithms for best polynomial approximation in the chebfun
       system", BIT 49 (2009), https://doi.org/10.1007/s10543-009-0240-1.
    .. [3] S. Chevillard, J. Harrison, M. Joldeş, C. Lauter, "Efficient and accurate computation of upper bounds of
       approximation errors", Theoret. Comput. Sci. 412 (2011).

    Examples
    --------
    >>> import infimum
    >>> result = infimum.minimax.polynomial("exp", 5)
    >>> print(result.certificate)
    4.52055e-05 <= optimum <= 4.52055e-05 (alternation, enclosed)
    >>> result.points.round(4).tolist()
    [-1.0, -0.8602, -0.4824, 0.0237, 0.5179, 0.872, 1.0]
    """
    one_of("precision", precision, ("auto", "double", "multiple"))
    tol = _tolerance(tol)
    task = as_task(f, degree, domain, system, weight, relative, breakpoints)
    enclosable = is_enclosable(task) and available()
    path: Literal["enclosed", "rounded"] = "enclosed" if certify and enclosable else "rounded"
    if precision == "multiple" and not (is_enclosable(task) and isinstance(task.space, Powers)):
        raise OptionError("multiple precision needs f and weight as expressions and a system of powers")
    levelled = solve(task)
    answer = _certify(task, levelled, tol, path)
    better = precision == "multiple" or (precision == "auto" and answer.certificate.ratio > 1.0 + tol)
    if better and enclosable and isinstance(task.space, Powers):
        refined = in_multiple_precision(task, levelled, tol)
        again = _certify(task, refined, tol, path)
        if precision == "multiple" or again.certificate.value <= answer.certificate.value:
            levelled, answer = refined, again
    return MinimaxPolynomial(
        f=str(task.f),
        expansion=levelled.coefficients,
        powers=_powers(task.space, system),
        interval=levelled.interval,
        signs=answer.signs,
        degree=degree,
        domain=task.intervals,
        system=system if isinstance(system, str) else tuple(system),
        weight=weight,
        relative=task.relative,
        breakpoints=tuple(float(point) for point in breakpoints),
        tol=tol,
        certificate=answer.certificate,
    )


def _certify(task: Task, levelled: Levelled, tol: float, path: Literal["enclosed", "rounded"]) -> Certified:
    approximant = stored(task.space, levelled.interval, levelled.coefficients)
    return certified(task, approximant, levelled.points, tol, path)


def _powers(space: Space, system: Any) -> tuple[int, ...]:
    if isinstance(space, Powers):
        return tuple(space.powers)
    return tuple(sorted(map(int, system))) if all(isinstance(item, int | np.integer) for item in system) else ()


def _tolerance(tol: object) -> float:
    if isinstance(tol, bool) or not isinstance(tol, int | float) or not 1e-12 <= tol <= 0.1:
        raise OptionError(f"tol must be a number from 1e-12 to 0.1, got {tol!r}")
    return float(tol)


def _refuse_other_space(task: Task, result: MinimaxPolynomial) -> None:
    """Refuse coefficients of another space than that of the task."""
    space = task.space
    powers = _powers(space, result.system)
    interval = variable(space, task.half) if isinstance(space, Powers) else (0.0, 0.0)
    if powers != result.powers or interval != result.interval:
        raise VerificationError(
            f"powers and interval: claimed {result.powers}, {result.interval}, not {powers}, {interval}"
        )
    if np.asarray(result.expansion).ndim != 2 or np.asarray(result.expansion).shape[1] != space.size:
        raise VerificationError(f"expansion must have {space.size} columns, got {np.asarray(result.expansion).shape}")
