"""How far from a function what a machine computes may be: approximation and rounding together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from infimum._arguments import Numbers
from infimum._display import Shown
from infimum.errors import OptionError
from infimum.minimax.check import Approximation, sup_norm
from infimum.minimax.codegen import best_form
from infimum.minimax.formats.straight_line import EvaluationError
from infimum.minimax.given.approximations import Basis, Table, as_given
from infimum.proof.answers.source_code import Scheme
from infimum.proof.enclosure.approximants import Combination, Formula
from infimum.proof.enclosure.domain import Domain, as_intervals
from infimum.proof.enclosure.functions import FunctionLike
from infimum.proof.enclosure.machine_formats import as_format


@dataclass(frozen=True)
class TotalError(Shown):
    """What `total_error` found; all bounds hold for every number of the format in the domain.

    Attributes
    ----------
    absolute : float
        ``|computed - f(x)|`` is at most that; infinite where the error was asked relative to f.
    relative : float
        ``|computed - f(x)|`` is at most that times ``|f(x)|``, plus `underflow`; infinite where it was not.
    underflow : float
        What is lost where numbers become subnormal; 0 where f has no zero.
    ulp : float
        `relative` in units in the last place of the result.
    approximation : float
        The largest error of p in real numbers, absolute or relative as was asked.
    rounding : EvaluationError
        What rounding adds to p, that of the coefficients to the format included.
    dtype, scheme : str
        Format and form of the evaluation.
    """

    absolute: float
    relative: float
    underflow: float
    ulp: float
    approximation: float
    rounding: EvaluationError
    dtype: str
    scheme: str


def total_error(
    p: Approximation,
    f: FunctionLike,
    domain: Domain = (-1.0, 1.0),
    *,
    dtype: object = "float32",
    scheme: Scheme = "horner",
    relative: bool = False,
    basis: Basis = "monomial",
    breakpoints: Numbers = (),
    tables: Mapping[str, Table] | None = None,
    tol: float = 1e-6,
) -> TotalError:
    """Bound the error of an approximation as a machine evaluates it: in a format, by a scheme, for every x.

    The bound holds with and without fused multiply-add, and where subnormal numbers are taken for 0.

    Parameters
    ----------
    p : coefficients, pair of such, str, or answer
        As in `sup_norm`; an expression must be a polynomial or a quotient of two, which is multiplied out.
    f, domain, relative, basis, breakpoints, tables, tol
        As in `sup_norm`.
    dtype : str or dtype
        "float32", "float64", "float16" or "bfloat16": of x, of the coefficients, to which they are rounded, and of
        every operation.
    scheme : {"horner", "estrin", "lead", "parts", "centred", "chebyshev", "auto"}
        How powers of x are summed, as in the methods that write code; "centred" and "chebyshev" change the
        coefficients, "auto" takes the best form.

    Returns
    -------
    TotalError
        `absolute` or `relative`, `ulp`, and the two parts, `approximation` and `rounding`.

    Raises
    ------
    OptionError, NonFiniteError, RangeError
        Each says what was expected, what came, and what to do. With ``relative=True``, what is computed must have a
        relative error: p no zero, but that of a factor x.

    Examples
    --------
    Cephes' sine in single precision:

    >>> from infimum import minimax
    >>> S = [-1.6666654611e-1, 8.3321608736e-3, -1.9515295891e-4]
    >>> found = minimax.total_error("x + x**3*S(x**2)", "sin", (-0.785, 0.785), relative=True, tables={"S": S})
    >>> print(f"{found.ulp:.2f} units in the last place, {found.approximation:.1e} of the approximation")
    2.48 units in the last place, 3.8e-09 of the approximation
    """
    intervals, machine = as_intervals(domain), as_format(dtype)
    given = as_given(p, intervals, basis, tables)
    if isinstance(given.function, Combination | Formula):
        raise OptionError("p must be a polynomial or a quotient of two: it is known which operations evaluate those")
    upper = sup_norm(p, f, domain, basis=basis, relative=relative, breakpoints=breakpoints, tables=tables, tol=tol)[1]
    parts = (given.coefficients(), *([given.coefficients_below()] if given.below else []))
    whole = tuple(part or {0: Fraction(0)} for part in parts)
    form, _, rounding = best_form(whole, intervals, scheme, machine, upper, relative=relative)
    if relative and not math.isfinite(rounding.relative):
        raise OptionError("relative: no relative bound holds where p has a zero other than that of a factor x")
    value = Fraction(upper)
    if not relative:
        absolute, share = _next_float(value + Fraction(rounding.absolute)), math.inf
    else:
        absolute, share = math.inf, _next_float(value + Fraction(rounding.relative) * (1 + value))
    return TotalError(
        absolute,
        share,
        rounding.underflow if relative else 0.0,
        share * 2.0**machine.bits,
        upper,
        rounding,
        machine.name,
        form,
    )


def _next_float(number: Fraction) -> float:
    return float(np.nextafter(float(number), np.inf))
