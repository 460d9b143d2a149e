"""Best uniform approximation of a function by polynomials, or by any space with the Haar property."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from infimum._arguments import Numbers, one_of
from infimum.errors import OptionError
from infimum.minimax.remez.best_polynomial import Best, enclosed, sampled
from infimum.proof.answers.polynomial import MinimaxPolynomial
from infimum.proof.enclosure.balls import available
from infimum.proof.enclosure.domain import Domain
from infimum.proof.enclosure.fixed_part import Number, texts
from infimum.proof.enclosure.functions import FunctionLike, as_function
from infimum.proof.enclosure.spaces import Powers, System
from infimum.proof.enclosure.task import as_task, powers_of
from infimum.proof.uniform_error.error_bounds import is_enclosable


def polynomial(
    f: FunctionLike,
    degree: int | None = None,
    domain: Domain = (-1.0, 1.0),
    *,
    system: System | Sequence[Any] | np.ndarray = "full",
    weight: FunctionLike | None = None,
    relative: bool = False,
    breakpoints: Numbers = (),
    fixed: Mapping[int, Number] | None = None,
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
    f : str, number, callable or expression of SymPy
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
    fixed : dict of int to number, optional
        Coefficients of powers of x that are given, such as ``{0: 1}``; the others of the system are chosen. They stand
        for themselves, exactly: an int, a float, a Fraction, text ("1/3"), or a pair of floats that is their sum.
    precision : {"auto", "double", "multiple"}
        Arithmetic of the solver; "auto" goes on in multiple precision, and stores two doubles a coefficient, where
        double precision does not reach `tol`.
    certify : bool
        Without it the value is sampled, not enclosed, and the bound is in double precision: faster for degrees beyond
        10 or so. Formulas are taken to be smooth between breakpoints then, so that a narrow spike may be missed.
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
    task = as_task(f, degree, domain, system, weight, relative, breakpoints, fixed or ())
    enclosable = is_enclosable(task) and available()
    if precision == "multiple" and not (is_enclosable(task) and isinstance(task.space, Powers)):
        raise OptionError("multiple precision needs f and weight as formulas or tables and a system of powers")
    if certify and enclosable:
        best = enclosed(task, tol, precision)
    else:
        best = sampled(task, tol, smooth=not certify and is_enclosable(task))
    return MinimaxPolynomial(
        f=str(task.whole),
        expansion=best.levelled.coefficients,
        powers=powers_of(task),
        interval=best.levelled.interval,
        signs=best.answer.signs,
        degree=degree,
        domain=task.intervals,
        system=system if isinstance(system, str) else tuple(map(_kept, system)),
        weight=_kept(weight),
        relative=task.relative,
        breakpoints=_breakpoints_of(best, breakpoints),
        tol=tol,
        fixed=texts(task.fixed),
        divisor=best.divisor,
        certificate=best.answer.certificate,
    )


def _tolerance(tol: object) -> float:
    if isinstance(tol, bool) or not isinstance(tol, int | float) or not 1e-12 <= tol <= 0.1:
        raise OptionError(f"tol must be a number from 1e-12 to 0.1, got {tol!r}")
    return float(tol)


def _kept(item: Any) -> Any:
    """Return a power or a function as an answer keeps it: formulas that are no text become text."""
    if isinstance(item, np.integer):
        return int(item)
    plain = item is None or isinstance(item, str | int | float | tuple) or callable(item)
    return item if plain else str(as_function(item))


def _breakpoints_of(best: Best, given: Numbers) -> tuple[float, ...]:
    """As given, and where samples showed more than the exchange had met."""
    found = best.task.breakpoints if best.answer.samples is not None else ()
    return tuple(sorted({*map(float, given), *found}))
