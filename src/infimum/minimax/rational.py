"""Best uniform approximation by rational functions."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from infimum._arguments import Numbers, whole_number
from infimum.errors import NonFiniteError, OptionError, ToleranceError
from infimum.minimax.remez.stored_quotient import Stored, best_quotients
from infimum.proof.answers.rational import LARGEST_TYPE, MinimaxRational, certify_rational, rational_task
from infimum.proof.certificate import Certificate
from infimum.proof.enclosure.domain import Domain
from infimum.proof.enclosure.fixed_part import Number, texts
from infimum.proof.enclosure.functions import FunctionLike
from infimum.proof.rounding import ROOM

FOUND = 1e-3  # relative: an error that is enclosed by so much above what was seen hides no spike


def rational(
    f: FunctionLike,
    type: tuple[int, int],
    domain: Domain = (-1.0, 1.0),
    *,
    weight: str | None = None,
    relative: bool = False,
    breakpoints: Numbers = (),
    fixed: Mapping[int, Number] | None = None,
    tol: float = 1e-6,
) -> MinimaxRational:
    """Approximate a function by the quotient of two polynomials whose largest error is least.

    Minimises ``max w(x) |f(x) - p(x)/q(x)|`` over the domain, over all polynomials p of degree at most m and q of
    degree at most n, q without zeros on the domain. The exchange algorithm solves an eigenvalue problem on each
    reference; it starts from the best function of type (m - 1, n - 1), whose reference is spread to two points more, or
    from the AAA algorithm. If it does not converge, the certificate shows it.

    Parameters
    ----------
    f : str or callable
        A name, an expression in x, a table or a spline, as in `polynomial`, or a function of a NumPy array: its
        certificate is "sampled", while the bound, and that q has no zero, are proved (python-flint).
    type : (int, int)
        Degrees m and n of numerator and denominator.
    domain : (float, float) or sequence of them
        An interval, or several disjoint ones; then q has the same sign on all of them.
    weight : str, optional
        Positive factor of the error.
    relative : bool
        Divide the error by f. An odd function may vanish at the centre of a symmetric domain.
    breakpoints : sequence of float, optional
        Where f has kinks; those of ``abs``, ``max`` and the like are found.
    fixed : dict of int to number, optional
        How the approximation begins at 0, exactly, such as ``{1: 1}`` for ``x + x**2 p/q``: after the given powers of x
        comes ``x**s p/q``, s the power after the highest of them; powers that are left out have no coefficient.
        Numbers are as in `polynomial`.
    tol : float
        Relative distance of value and lower bound that is aimed at.

    Returns
    -------
    MinimaxRational
        `numerator`, `denominator`, `degrees`, `points`, `poles()`, `zeros()`; `certificate`, enclosed; callable on
        arrays of any library.

    Raises
    ------
    OptionError, NonFiniteError, MissingExtraError
        Each says what was expected, what came, and what to do.
    ToleranceError
        No approximation without poles was found.

    References
    ----------
    .. [1] S.-I. Filip, Y. Nakatsukasa, L. N. Trefethen, B. Beckermann, "Rational minimax approximation via adaptive
       barycentric representations", SIAM J. Sci. Comput. 40 (2018), https://arxiv.org/abs/1705.10132.
    .. [2] C. Hofreither, "An algorithm for best rational approximation based on barycentric rational interpolation",
       Numer. Algorithms 88 (2021), https://doi.org/10.1007/s11075-020-01042-0.

    Examples
    --------
    >>> import infimum
    >>> result = infimum.minimax.rational("exp", (2, 2))
    >>> print(result.certificate)
    8.68999e-05 <= optimum <= 8.68999e-05 (vallee_poussin, enclosed)
    """
    m, n = (whole_number("every degree of type", degree, least=0) for degree in _pair("type", type))
    if max(m, n) > LARGEST_TYPE:
        raise OptionError(f"the degrees of type must be at most {LARGEST_TYPE}, got {type!r}")
    task = rational_task(f, (m, n), domain, weight, relative, breakpoints, fixed or ())
    best: tuple[Stored, Certificate, tuple[int, ...]] | None = None
    for stored in best_quotients(task, (m, n), tol):
        quotient = stored.numerator, stored.denominator
        with contextlib.suppress(NonFiniteError):  # there is a pole between the points that were looked at
            proved = certify_rational(task, (m, n), quotient, stored.points, tol, room=ROOM)
            if best is None or proved[0].value < best[1].value:
                best = stored, *proved
            if proved[0].value <= stored.largest * (1.0 + FOUND) or proved[0].ratio <= 1.0 + tol:
                break
    if best is None:
        raise ToleranceError(
            f"no rational function of type ({m}, {n}) without poles on the domain was found for {task.whole}; try "
            "another type, or a polynomial"
        )
    found, certificate, signs = best
    return MinimaxRational(
        f=str(task.whole),
        numerator=found.numerator,
        denominator=found.denominator,
        signs=signs,
        type=(m, n),
        domain=task.intervals,
        weight=weight,
        breakpoints=tuple(map(float, breakpoints)),
        tol=tol,
        relative=task.relative,
        fixed=texts(task.fixed),
        certificate=certificate,
    )


def _pair(name: str, value: Any) -> tuple[Any, Any]:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise OptionError(f"{name} must be a pair of numbers, got {value!r}")
    return value[0], value[1]
