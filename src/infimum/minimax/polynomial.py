"""Best uniform approximation of a function by polynomials, or by any space with the Haar property."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from infimum._arguments import Numbers, one_of
from infimum.errors import OptionError
from infimum.minimax.remez.exchange import Levelled, solve
from infimum.minimax.remez.multiple_precision import in_multiple_precision
from infimum.proof.answers.polynomial import MinimaxPolynomial, powers_of
from infimum.proof.enclosure.approximants import Approximant, stored
from infimum.proof.enclosure.balls import available
from infimum.proof.enclosure.expressions import FunctionLike
from infimum.proof.enclosure.spaces import Powers, System
from infimum.proof.enclosure.task import MOST_BREAKPOINTS, Domain, Task, as_task
from infimum.proof.uniform_error.error_bounds import is_enclosable
from infimum.proof.uniform_error.error_certificate import Certified, claim_error

LOOKS = 8  # at what samples of a Python function show that the exchange did not meet


def polynomial(
    f: FunctionLike,
    degree: int | None = None,
    domain: Domain = (-1.0, 1.0),
    *,
    system: System | Sequence[Any] | np.ndarray = "full",
    weight: FunctionLike | None = None,
    relative: bool = False,
    breakpoints: Numbers = (),
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
        A name ("gelu", "tanh", "erf", "sigmoid", ...), an expression in x ("exp(-x**2)", never executed), a table
        ``(x, y)`` of points to be joined by straight lines, or a function of a NumPy array. Names, expressions and
        tables give *enclosed* certificates (with python-flint, the extra ``enclosures``), and so do piecewise
        polynomials that are recognised: SciPy's `PPoly`, `CubicSpline`, `PchipInterpolator` and `Akima1DInterpolator`,
        NumPy's polynomials, and ``functools.partial(numpy.interp, xp=..., fp=...)``. Of any other function only values
        are known: `value` is then the largest of many samples, and the certificate says "sampled".
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
        Where f has kinks. Those of ``abs``, ``max`` and the like in an expression, the nodes of tables and splines, and
        those that samples of a function show are found.
    precision : {"auto", "double", "multiple"}
        Arithmetic of the solver; "auto" goes on in multiple precision, and stores two doubles a coefficient, where
        double precision does not reach `tol`.
    certify : bool
        Without it the value is sampled, not enclosed, and the bound is in double precision: faster for degrees beyond
        40 or so.
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
    .. [1] Su Jianlin, Scientific Spaces 10972 (minimax polynomials, equioscillation), https://kexue.fm/archives/10972.
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
    if precision == "multiple" and not (is_enclosable(task) and isinstance(task.space, Powers)):
        raise OptionError("multiple precision needs f and weight as formulas or tables and a system of powers")
    if certify and enclosable:
        levelled, answer = _enclosed(task, tol, precision)
    else:
        task, levelled, answer = _sampled(task, tol)
    return MinimaxPolynomial(
        f=str(task.f),
        expansion=levelled.coefficients,
        powers=powers_of(task.space, system),
        interval=levelled.interval,
        signs=answer.signs,
        degree=degree,
        domain=task.intervals,
        system=system
        if isinstance(system, str)
        else tuple(system.tolist() if isinstance(system, np.ndarray) else system),
        weight=weight,
        relative=task.relative,
        breakpoints=_breakpoints_of(task, breakpoints, answer),
        tol=tol,
        certificate=answer.certificate,
    )


def _tolerance(tol: object) -> float:
    if isinstance(tol, bool) or not isinstance(tol, int | float) or not 1e-12 <= tol <= 0.1:
        raise OptionError(f"tol must be a number from 1e-12 to 0.1, got {tol!r}")
    return float(tol)


def _breakpoints_of(task: Task, given: Numbers, answer: Certified) -> tuple[float, ...]:
    """As given, and where samples showed more than the exchange had met."""
    found = task.breakpoints if answer.samples is not None else ()
    return tuple(sorted({*map(float, given), *found}))


def _enclosed(task: Task, tol: float, precision: str) -> tuple[Levelled, Certified]:
    """Solve in double precision and, where that does not reach the tolerance, in multiple precision."""
    levelled = solve(task)
    answer = claim_error(task, _stored(task, levelled), levelled.points, tol, "enclosed")
    better = precision == "multiple" or (precision == "auto" and answer.certificate.ratio > 1.0 + tol)
    if better and isinstance(task.space, Powers):
        refined = in_multiple_precision(task, levelled, tol)
        again = claim_error(task, _stored(task, refined), refined.points, tol, "enclosed")
        if precision == "multiple" or again.certificate.value <= answer.certificate.value:
            return refined, again
    return levelled, answer


def _sampled(task: Task, tol: float) -> tuple[Task, Levelled, Certified]:
    """Solve, look where samples show larger errors than the exchange met, and solve again with breakpoints there."""
    best: tuple[Task, Levelled, Certified] | None = None
    for _ in range(LOOKS):
        with np.errstate(all="ignore"):  # points on both sides of a jump may be too near for the solver
            levelled = solve(task)
        if best is not None and not np.all(np.isfinite(levelled.coefficients)):
            break
        found = claim_error(task, _stored(task, levelled), levelled.points, tol, "sampled")
        if best is None or found.certificate.value < best[2].certificate.value:
            best = task, levelled, found
        assert found.samples is not None
        seen = levelled.largest * (1.0 + tol) + found.samples.noise
        missed = found.samples.places[np.abs(found.samples.errors) > seen]
        places = np.union1d(task.breakpoints, missed)
        if found.certificate.ratio <= 1.0 + tol or places.size in (len(task.breakpoints), MOST_BREAKPOINTS):
            break
        task = replace(task, breakpoints=tuple(places[:MOST_BREAKPOINTS].tolist()))
    assert best is not None
    return best


def _stored(task: Task, levelled: Levelled) -> Approximant:
    return stored(task.space, levelled.interval, levelled.coefficients)
