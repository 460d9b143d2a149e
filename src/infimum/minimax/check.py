"""Questions about approximations from anywhere: how large the error is, and whether less is possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from infimum._arguments import Numbers, one_of
from infimum.errors import NonFiniteError, OptionError
from infimum.minimax.given.approximations import Answer, Basis, Given, Table, as_given
from infimum.minimax.given.optimality import Optimality, largest_errors, of_polynomial
from infimum.minimax.given.quotient_optimality import of_quotient
from infimum.proof.enclosure.approximants import Approximant, Combination, Formula
from infimum.proof.enclosure.domain import Domain, as_intervals
from infimum.proof.enclosure.fixed_part import Number
from infimum.proof.enclosure.functions import FunctionLike
from infimum.proof.enclosure.quotients import Quotient
from infimum.proof.enclosure.spaces import as_space
from infimum.proof.enclosure.task import as_task
from infimum.proof.uniform_error.error_bounds import enclose_error, is_enclosable
from infimum.proof.uniform_error.error_certificate import scale
from infimum.proof.uniform_error.quotient_error import enclose_quotient

Approximation: TypeAlias = Answer | Table | tuple[Table, Table] | str
OwnSystem = Literal["own", "full", "odd", "even"]
FORMULA = 20  # the degree of a polynomial that turns as often as a formula is expected to


def sup_norm(
    p: Approximation,
    f: FunctionLike,
    domain: Domain = (-1.0, 1.0),
    *,
    basis: Basis = "monomial",
    weight: FunctionLike | None = None,
    relative: bool = False,
    breakpoints: Numbers = (),
    tables: Mapping[str, Table] | None = None,
    tol: float = 1e-6,
) -> tuple[float, float]:
    """Enclose the largest error of an approximation: ``lower <= max w |f - p| <= upper``, both ends rounded outwards.

    Parameters
    ----------
    p : coefficients, pair of such, str, or answer
        Coefficients in the basis, lowest degree first, or as ``{power: value}``; they stand for themselves, exactly,
        whether they are floats of any precision, Fractions, text ("1/3") or pairs that are a sum. A tuple of two such
        tables is a quotient; NumPy's polynomials, SciPy's `AAA` and `BarycentricInterpolator`, and any answer of
        `polynomial`, `rounded` or `rational` are taken. An expression may name tables: ``"x + x**3*P(x**2)"``.
    f, domain, weight, relative, breakpoints
        As in `polynomial`; f and weight as names, expressions or tables.
    basis : {"monomial", "chebyshev"}
        Powers of x, or Chebyshev polynomials of the smallest interval that holds the domain.
    tables : dict of str to coefficients, optional
        Polynomials that the expression p names.
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
    >>> upper = infimum.minimax.sup_norm("x*P(x**2)", "sin", (0, 1), relative=True, tables={"P": [1, "-1/6"]})[1]
    >>> print(f"{upper:.6f}")
    0.009671
    """
    given = as_given(p, as_intervals(domain), basis, tables)
    lowest = _lowest_power(given)
    task = as_task(f, None, domain, [lowest], weight, relative, breakpoints)
    if not is_enclosable(task):
        raise OptionError("a rigorous enclosure needs f and weight as names, expressions or tables")
    whole: Approximant = given.function if given.below is None else Quotient(given.function, given.below)
    x, e = largest_errors(task, whole, _turns(given))
    size = scale(task)
    unit = float(np.max(np.abs(e))) or size or 1.0
    if given.below is not None:
        quotient = enclose_quotient(task, given.function, given.below, x, unit, tol)
        return quotient.lower, quotient.upper
    found = enclose_error(task, whole, x, unit=unit, tol=tol, size=size)
    if not np.isfinite(found.upper):
        raise NonFiniteError(f"the error cannot be bounded between x = {found.worst[0]!r} and x = {found.worst[1]!r}")
    return found.lower, found.upper


def check(
    p: Approximation,
    f: FunctionLike,
    domain: Domain = (-1.0, 1.0),
    *,
    degree: int | tuple[int, int] | None = None,
    system: OwnSystem | Sequence[Any] | np.ndarray = "own",
    fixed: Mapping[int, Number] | Sequence[int] = (),
    basis: Basis = "monomial",
    weight: FunctionLike | None = None,
    relative: bool = False,
    breakpoints: Numbers = (),
    tables: Mapping[str, Table] | None = None,
    tol: float = 1e-6,
) -> Optimality:
    """Tell how far an approximation, from anywhere, is from the best one of its space, and what to change.

    Parameters
    ----------
    p : coefficients, pair of such, str, or answer
        As in `sup_norm`. A quotient competes with all quotients of its degrees, on one interval.
    f, domain, weight, relative, breakpoints
        As in `polynomial`.
    degree : int or (int, int), optional
        Degree with which p competes, of a quotient the type; that of p by default.
    system : {"own", "full", "odd", "even"}, list of int or list of functions
        The space with which p competes: "own" is that of the powers that p has (of an answer, that of its task). With a
        list of functions p holds their coefficients.
    fixed : list of int or dict of int to number, optional
        Powers whose coefficients are not for choice: they stay what p has. Of a quotient a dict, as in `rational`: it
        competes with all that begin like that at 0.
    basis : {"monomial", "chebyshev"}
        Powers of x, or Chebyshev polynomials of the smallest interval that holds the domain.
    tables : dict of str to coefficients, optional
        Polynomials that the expression p names.
    tol : float
        Relative distance from the optimum up to which p counts as optimal.

    Returns
    -------
    Optimality
        `certificate`, `optimal`, `alternations`, `changes`, `direction`, `slope`.

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
    >>> change = taylor.changes[0]
    >>> print(f"x**{change.power}: {float(change.given)} is better as {float(change.best):.4f}")
    x**1: 1.0 is better as 1.1302
    """
    if isinstance(system, str):
        one_of("system", system, get_args(OwnSystem))
    functions = not isinstance(system, str) and not all(isinstance(item, int | np.integer) for item in system)
    given = as_given(p, as_intervals(domain), basis, tables, as_space(None, system) if functions else None)
    problem: dict[str, Any] = {"weight": weight, "relative": relative, "breakpoints": breakpoints}
    if given.below is not None:
        if system != "own":
            raise OptionError("a quotient competes with all quotients of its type: leave system out")
        return of_quotient(given, f, domain, degree, fixed, problem, tol)
    if isinstance(given.function, Formula):
        raise OptionError(
            f"p must be a polynomial or a quotient of two, for its space to be known, got {given.function.expression}: "
            "sup_norm encloses its error"
        )
    return of_polynomial(given, f, domain, degree, system, fixed, problem, tol)


def _lowest_power(given: Given) -> int:
    """Power of x by which an approximation vanishes at 0, as far as it shows."""
    if isinstance(given.function, Combination | Formula):
        return int(given.function(np.zeros(1))[0] == 0.0)
    return min(given.coefficients(), default=0)


def _turns(given: Given) -> int:
    """Degree of a polynomial that has as many extrema."""
    if isinstance(given.function, Combination | Formula):
        return FORMULA
    return max(given.coefficients(), default=0) + max(given.coefficients_below())
