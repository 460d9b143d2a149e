"""Polynomials whose coefficients are machine numbers: rounded together, not one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from infimum._arguments import Numbers
from infimum.errors import DTypeError, OptionError, RangeError, ShapeError
from infimum.minimax.formats import lattice
from infimum.minimax.polynomial import polynomial
from infimum.proof.answers.polynomial import MinimaxPolynomial
from infimum.proof.answers.rounded import RoundedPolynomial
from infimum.proof.enclosure.approximants import Monomials
from infimum.proof.enclosure.domain import Domain, points_of
from infimum.proof.enclosure.fixed_part import Number
from infimum.proof.enclosure.functions import FunctionLike
from infimum.proof.enclosure.machine_formats import COEFFICIENTS, Format, as_format
from infimum.proof.enclosure.spaces import System
from infimum.proof.enclosure.task import Task, as_task
from infimum.proof.uniform_error.error_certificate import Path, claim_error

POINTS = 48  # a coefficient, at which the search looks
SILENT = 1e-9  # of the error: coefficients that contribute less are 0


def rounded(
    f: FunctionLike,
    degree: int | None = None,
    domain: Domain = (-1.0, 1.0),
    *,
    dtype: str | tuple[str, ...] = "bfloat16",
    system: System | Sequence[int] | np.ndarray = "full",
    weight: str | None = None,
    relative: bool = False,
    breakpoints: Numbers = (),
    fixed: Mapping[int, Number] | None = None,
    tol: float = 1e-6,
) -> RoundedPolynomial:
    """Approximate a function by a polynomial whose coefficients are numbers of a machine format.

    Minimises ``max w(x) |f(x) - p(x)|`` over the domain, over the polynomials with such coefficients. They are chosen
    together: rounding the best real ones one by one is up to twenty times worse. Finding the best is a closest vector
    problem, here solved by lattice reduction, exchanges, and a depth-first search that usually ends for up to 4
    coefficients; the bound is that of real coefficients.

    Parameters
    ----------
    f : str or callable
        A name ("gelu", "tanh", "erf", ...), an expression in x ("exp(-x**2)", never executed), a table, a spline, or
        a function of a NumPy array, as in `polynomial`.
    degree : int, optional
        Largest degree; left out where `system` is a list.
    domain : (float, float) or list of such
        One interval or several.
    dtype : str or tuple of str
        "bfloat16", "float16", "float32" or "float64" for all coefficients, or one for each, in increasing powers. A
        leading coefficient can be "float32x2", the sum of two numbers of float32, which code adds one after the other.
    system : {"full", "odd", "even"} or list of int
        The powers: all up to `degree`, the odd or the even ones, or the listed ones.
    weight : str, optional
        Positive factor of the error, as an expression.
    relative : bool
        Divide the error by f.
    breakpoints : sequence of float, optional
        Where f has kinks that its expression does not show.
    fixed : dict of int to number, optional
        Coefficients of powers of x that are given, as in `polynomial`; they must be numbers of their formats.
    tol : float
        Relative accuracy of the certified value.

    Returns
    -------
    RoundedPolynomial
        `values`, `powers`; `certificate`, whose `value` is that of the rounded coefficients; it writes source code as
        `polynomial`'s answer does.

    Raises
    ------
    OptionError, ShapeError, NonFiniteError, DTypeError
        Each says what was expected, what came, and what to do.
    RangeError
        A coefficient does not fit the format.

    References
    ----------
    .. [1] N. Brisebarre, S. Chevillard, "Efficient polynomial L-infinity approximations", ARITH 18 (2007).
    .. [2] N. Brisebarre, J.-M. Muller, A. Tisserand, "Computing machine-efficient polynomial approximations", ACM
       Trans. Math. Softw. 32 (2006).

    Examples
    --------
    >>> from infimum import minimax
    >>> result = minimax.rounded("2**x", 3, (0.0, 1.0), dtype="bfloat16")
    >>> result.values.tolist()
    [1.0, 0.6953125, 0.2265625, 0.078125]
    >>> print(result.certificate)
    0.000107034 <= optimum <= 0.000189912 (alternation, enclosed)
    """
    best = polynomial(
        f,
        degree,
        domain,
        system=system,
        weight=weight,
        relative=relative,
        breakpoints=breakpoints,
        fixed=fixed,
        tol=tol,
    )
    return round_coefficients(best, dtype, f=f)


def round_coefficients(best: MinimaxPolynomial, dtype: Any, *, f: Any = None) -> RoundedPolynomial:
    """Round the coefficients of a best approximation together; `f` is needed where it was a Python function."""
    if not best.powers:
        raise OptionError("only polynomials can be rounded; this system is a list of functions")
    if callable(best.weight):
        raise DTypeError("rounding needs a weight that is an expression, got a Python function")
    formats = _formats(dtype, len(best.powers))
    if f is None and best.f.startswith("<"):
        raise OptionError(f"{best.f} was a Python function: give it again, as round(dtype, f=...)")
    task = as_task(
        best.f if f is None else f,
        best.degree,
        best.domain,
        best.system,
        best.weight,
        best.relative,
        best.breakpoints,
        best.fixed,
    )
    free = _free_places(task, best, formats)
    values = best.coefficients()
    values[free] = _search_grid(task, best, values[free], [formats[i] for i in free])
    path: Path = "sampled" if best.certificate.rigour == "sampled" else "enclosed"
    approximant = Monomials(dict(zip(task.space.powers, values[free].tolist(), strict=True)))
    found = claim_error(task, approximant, best.points, best.tol, path)
    return RoundedPolynomial(
        f=best.f,
        values=values,
        powers=best.powers,
        formats=tuple(machine.name for machine in formats),
        signs=found.signs,
        degree=best.degree,
        domain=best.domain,
        system=best.system,
        weight=best.weight,
        relative=best.relative,
        breakpoints=best.breakpoints,
        tol=best.tol,
        fixed=best.fixed,
        certificate=found.certificate,
    )


def _free_places(task: Task, best: MinimaxPolynomial, formats: Sequence[Format]) -> list[int]:
    """Return the places of coefficients that are not fixed; those that are must be numbers of their formats."""
    fixed = {power: value for power, value in task.fixed if value}
    for power, machine in zip(best.powers, formats, strict=True):
        if power in fixed and machine.round(fixed[power]) != fixed[power]:
            raise RangeError(f"the fixed coefficient of x**{power}, {fixed[power]}, is no number of {machine.name}")
    return [i for i, power in enumerate(best.powers) if power not in fixed]


def _search_grid(task: Task, best: MinimaxPolynomial, start: np.ndarray, formats: Sequence[Format]) -> np.ndarray:
    for machine, c in zip(formats, start.tolist(), strict=True):
        if abs(c) > machine.largest:
            raise RangeError(f"a coefficient of size {abs(c):.3g} does not fit {machine.name}")
    x = np.union1d(points_of(task.half, POINTS * start.size + 2), best.points)
    if task.contains_zero():
        x = x[x != 0.0]
    weights = task.weights(x)
    A = weights[:, None] * x[:, None] ** np.array(task.space.powers)
    F = weights * task.f(x)
    unit = best.certificate.lower_bound or best.certificate.value or 1.0
    if all(machine.name == "float64" for machine in formats):
        return start  # doubles already, and as near as doubles can tell
    heard = np.abs(start) * np.max(np.abs(A), axis=0) > SILENT * unit
    values = np.zeros_like(start)
    if np.any(heard):
        chosen = [machine for machine, used in zip(formats, heard, strict=True) if used]
        values[heard] = lattice.nearest(A[:, heard] / unit, F / unit, start[heard], chosen).best
    return values


def _formats(dtype: Any, size: int) -> list[Format]:
    listed = list(dtype) if isinstance(dtype, list | tuple) else [dtype] * size
    if len(listed) != size:
        raise ShapeError(f"dtype must be one format, or one for each of {size} coefficients, got {len(listed)}")
    return [as_format(item, formats=COEFFICIENTS) for item in listed]
