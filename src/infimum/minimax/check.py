"""Questions about polynomials from anywhere: how large the error is, and whether less is possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from infimum._arguments import Numbers, axes, one_of
from infimum._arrays import ArrayLike
from infimum._display import Shown
from infimum.errors import NonFiniteError, OptionError
from infimum.minimax.remez.exchange import solve
from infimum.proof.answers.polynomial import MinimaxPolynomial
from infimum.proof.certificate import Certificate
from infimum.proof.enclosure.approximants import Approximant, ChebyshevSum, Monomials
from infimum.proof.enclosure.balls import available, working
from infimum.proof.enclosure.change_of_basis import monomials
from infimum.proof.enclosure.domain import Domain, as_intervals, points_of
from infimum.proof.enclosure.functions import FunctionLike
from infimum.proof.enclosure.spaces import Powers, System, as_space
from infimum.proof.enclosure.task import Task, as_task
from infimum.proof.uniform_error.error_bounds import BITS, enclose_error, is_enclosable, values_of_error
from infimum.proof.uniform_error.error_certificate import Path, claim_error, scale

Basis = Literal["monomial", "chebyshev"]
NEAR_LARGEST = 1e-3  # relative: what counts as largest error when alternations are counted


@dataclass(frozen=True)
class Optimality(Shown):
    """What `check` found.

    Attributes
    ----------
    certificate : Certificate
        `value`: the largest error of the polynomial as given; `lower_bound`: that of every polynomial of the space.
    optimal : bool
        Whether the two agree to the tolerance.
    alternations, needed : int
        Points of alternating sign with the largest error (up to a thousandth); as many as an optimum has.
    points, errors : array
        These points, and ``w (f - p)`` there.
    direction : array or None
        Where it is not optimal: coefficients, in the powers ``0, 1, ..., degree``, of a polynomial h along which the
        error falls: ``p + s h`` is better for all 0 < s <= 1, and best for s = 1.
    slope : float
        Derivative of the largest error along `direction`, at most ``lower - value``: negative, or 0 at the optimum.
    """

    certificate: Certificate
    optimal: bool
    alternations: int
    needed: int
    points: np.ndarray
    errors: np.ndarray
    direction: np.ndarray | None
    slope: float

    def plot(self, ax: Any = None) -> Any:
        """Draw the largest errors that alternate, between their limits."""
        ax = axes(ax)
        ax.stem(self.points, self.errors, basefmt=" ")
        for level in (float(self.certificate.value), float(self.certificate.lower_bound)):
            ax.axhline(level, color="C1", ls="--", lw=1)
            ax.axhline(-level, color="C1", ls="--", lw=1)
        ax.set(
            xlabel="x",
            ylabel="error f − p",
            title=f"{self.alternations} of {self.needed} alternations, error {self.certificate.rigour}",
        )
        return ax


def sup_norm(
    p: MinimaxPolynomial | ArrayLike,
    f: FunctionLike,
    domain: Domain = (-1.0, 1.0),
    *,
    basis: Basis = "monomial",
    weight: FunctionLike | None = None,
    relative: bool = False,
    breakpoints: Numbers = (),
    tol: float = 1e-6,
) -> tuple[float, float]:
    """Enclose the largest error of a polynomial: ``lower <= max w |f - p| <= upper``, both ends rounded outwards.

    Parameters
    ----------
    p : MinimaxPolynomial or array of float
        Coefficients in the basis, lowest degree first; they stand for themselves, exactly.
    f, domain, weight, relative, breakpoints
        As in `polynomial`; f and weight as names, expressions or tables.
    basis : {"monomial", "chebyshev"}
        Powers of x, or Chebyshev polynomials of the smallest interval that holds the domain.
    tol : float
        Relative distance of the two ends that is aimed at.

    Returns
    -------
    (float, float)
        The enclosure.

    Raises
    ------
    OptionError, NonFiniteError, MissingExtraError
        Each says what was expected, what came, and what to do.

    Examples
    --------
    >>> import infimum
    >>> lower, upper = infimum.minimax.sup_norm([1.0, 1.0, 0.5], "exp", (-1.0, 1.0))
    >>> print(f"{lower:.6f} {upper:.6f}")
    0.218282 0.218282
    """
    approximant, degree = _given(p, as_intervals(domain), basis)
    task = as_task(f, degree, domain, "full", weight, relative, breakpoints)
    if not is_enclosable(task):
        raise OptionError("a rigorous enclosure needs f and weight as names, expressions or tables")
    points = _largest_errors(task, approximant, degree)[0]
    found = enclose_error(task, approximant, points, unit=scale(task) or 1.0, tol=tol, size=scale(task))
    if not np.isfinite(found.upper):
        raise NonFiniteError(f"the error cannot be bounded between x = {found.worst[0]!r} and x = {found.worst[1]!r}")
    return found.lower, found.upper


def check(
    p: MinimaxPolynomial | ArrayLike,
    f: FunctionLike,
    domain: Domain = (-1.0, 1.0),
    *,
    degree: int | None = None,
    system: System = "full",
    basis: Basis = "monomial",
    weight: FunctionLike | None = None,
    relative: bool = False,
    breakpoints: Numbers = (),
    tol: float = 1e-6,
) -> Optimality:
    """Tell how far a polynomial, from anywhere, is from the best one, and in which direction that lies.

    Parameters
    ----------
    p : MinimaxPolynomial or array of float
        Coefficients in the basis, lowest degree first; they stand for themselves, exactly.
    f, domain, weight, relative, breakpoints
        As in `polynomial`.
    degree : int, optional
        Degree with which p competes; that of p by default.
    system : {"full", "odd", "even"}
        The space with which p competes.
    basis : {"monomial", "chebyshev"}
        Powers of x, or Chebyshev polynomials of the smallest interval that holds the domain.
    tol : float
        Relative distance from the optimum up to which p counts as optimal.

    Returns
    -------
    Optimality
        `certificate`, `optimal`, `alternations`, `direction`, `slope`.

    Raises
    ------
    OptionError, NonFiniteError, DTypeError
        Each says what was expected, what came, and what to do.

    References
    ----------
    .. [1] A. N. Kolmogorov, "A remark on the polynomials of P. L. Chebyshev deviating the least from a given function",
       Uspekhi Mat. Nauk 3 (1948).

    Examples
    --------
    >>> import infimum
    >>> taylor = infimum.minimax.check([1.0, 1.0, 0.5], "exp", (-1.0, 1.0))
    >>> taylor.optimal, taylor.alternations, taylor.needed
    (False, 1, 4)
    """
    approximant, own = _given(p, as_intervals(domain), basis)
    task = as_task(f, own if degree is None else degree, domain, system, weight, relative, breakpoints)
    if degree is not None and degree < own:
        raise OptionError(f"p has degree {own}, so it cannot compete with degree {degree}")
    _require_member(approximant, as_space(own if degree is None else degree, system).powers)
    best = solve(task)
    path: Path = "enclosed" if is_enclosable(task) and available() else "sampled"
    certificate = claim_error(task, approximant, best.points, tol, path).certificate
    x, e = _largest_errors(task, approximant, own)
    high = np.abs(e) >= np.max(np.abs(e)) * (1.0 - NEAR_LARGEST)
    points, errors = _alternation(x[high], e[high])
    needed = _needed(task, system, own if degree is None else degree)
    optimal = certificate.ratio <= 1.0 + tol
    direction, slope = None, 0.0
    if not optimal:
        assert isinstance(task.space, Powers)
        optimum = ChebyshevSum(task.space, best.interval, best.coefficients)
        direction = _dense(optimum, len_at_least=own + 1) - _dense_given(approximant, own)
        step = np.polynomial.polynomial.polyval(x[high], direction)
        slope = float(np.max(-np.sign(e[high]) * task.weights(x[high]) * step))
    return Optimality(certificate, optimal, len(points), needed, points, errors, direction, slope)


def _given(p: Any, intervals: tuple[tuple[float, float], ...], basis: str) -> tuple[Approximant, int]:
    """Return the polynomial as an exact function, and its degree."""
    one_of("basis", basis, ("monomial", "chebyshev"))
    if isinstance(p, MinimaxPolynomial):
        if not p.powers:
            raise OptionError("p is a combination of functions, not a polynomial")
        return p.approximant, max(p.powers)
    coefficients = np.atleast_1d(np.asarray(p, dtype=np.float64))
    if coefficients.ndim != 1 or not coefficients.size or not np.all(np.isfinite(coefficients)):
        raise OptionError(f"p must be a vector of finite coefficients, lowest degree first, got {p!r}")
    degree = coefficients.size - 1
    if basis == "chebyshev":
        return ChebyshevSum(Powers(0, 1, degree + 1), (intervals[0][0], intervals[-1][1]), coefficients[None]), degree
    return Monomials(dict(enumerate(coefficients.tolist()))), degree


def _require_member(p: Approximant, powers: Sequence[int]) -> None:
    """Refuse a polynomial that is none of the space: a bound of the space says nothing about it."""
    if not available():
        return
    with working(BITS):
        others = [k for k, c in enumerate(p.polynomial().coeffs()) if c != 0 and k not in set(powers)]
    if others:
        raise OptionError(f"p has a coefficient of x**{others[0]}, which the system does not have: they cannot compete")


def _largest_errors(task: Task, approximant: Approximant, degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Local extrema of the error on a grid, ends included."""
    x = np.union1d(points_of(task.intervals, 40 * (degree + 4)), task.breakpoints)
    if task.relative and task.contains_zero():
        x = x[x != 0.0]
    e = values_of_error(task, approximant, x)
    size = np.concatenate([[-1.0], np.abs(e), [-1.0]])
    local = (size[1:-1] >= size[:-2]) & (size[1:-1] >= size[2:])
    return x[local], e[local]


def _needed(task: Task, system: str, degree: int) -> int:
    """Count the alternations of an optimum on the whole domain; those of an odd or even error come in pairs."""
    if system == "full":
        return degree + 2
    return task.space.size + 1 if not task.mirror else 2 * task.space.size + (1 if task.mirror > 0 else 2)


def _alternation(x: np.ndarray, e: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One point for each run of equal signs, that of the largest error."""
    starts = [0, *(i for i, (a, b) in enumerate(pairwise(e), 1) if a * b < 0.0), len(e)]
    best = [a + int(np.argmax(np.abs(e[a:b]))) for a, b in pairwise(starts)]
    return x[best], e[best]


def _dense(p: ChebyshevSum, len_at_least: int) -> np.ndarray:
    exact: list[Fraction] = monomials(np.asarray(p.coefficients), p.interval)
    dense = np.zeros(max(len_at_least, max(p.space.powers) + 1))
    for power, c in zip(p.space.powers, exact, strict=True):
        dense[power] = float(c)
    return dense


def _dense_given(p: Approximant, degree: int) -> np.ndarray:
    if isinstance(p, ChebyshevSum):
        return _dense(p, len_at_least=degree + 1)
    assert isinstance(p, Monomials)
    return np.array([p.coefficients.get(power, 0.0) for power in range(degree + 1)])
