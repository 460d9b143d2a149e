"""Best uniform approximation of a function by polynomials, or by any space with the Haar property."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from infimum._arguments import one_of
from infimum.errors import OptionError
from infimum.minimax.remez.exchange import Levelled, solve
from infimum.minimax.remez.multiple_precision import in_multiple_precision
from infimum.proof.answers.polynomial import MinimaxPolynomial, powers_of
from infimum.proof.enclosure.approximants import Approximant, stored
from infimum.proof.enclosure.balls import available
from infimum.proof.enclosure.error_bounds import is_enclosable
from infimum.proof.enclosure.error_certificate import certify_error
from infimum.proof.enclosure.task import Powers, Task, as_task


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
    answer = certify_error(task, _stored(task, levelled), levelled.points, tol, path)
    better = precision == "multiple" or (precision == "auto" and answer.certificate.ratio > 1.0 + tol)
    if better and enclosable and isinstance(task.space, Powers):
        refined = in_multiple_precision(task, levelled, tol)
        again = certify_error(task, _stored(task, refined), refined.points, tol, path)
        if precision == "multiple" or again.certificate.value <= answer.certificate.value:
            levelled, answer = refined, again
    return MinimaxPolynomial(
        f=str(task.f),
        expansion=levelled.coefficients,
        powers=powers_of(task.space, system),
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


def _tolerance(tol: object) -> float:
    if isinstance(tol, bool) or not isinstance(tol, int | float) or not 1e-12 <= tol <= 0.1:
        raise OptionError(f"tol must be a number from 1e-12 to 0.1, got {tol!r}")
    return float(tol)


def _stored(task: Task, levelled: Levelled) -> Approximant:
    return stored(task.space, levelled.interval, levelled.coefficients)
