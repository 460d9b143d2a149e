"""The least degree that an error needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from infimum._arguments import Numbers, one_of
from infimum._display import Shown
from infimum.errors import OptionError, ToleranceError
from infimum.minimax.polynomial import polynomial
from infimum.minimax.remez.exchange import solve
from infimum.minimax.remez.multiple_precision import in_multiple_precision
from infimum.proof.answers.polynomial import MinimaxPolynomial
from infimum.proof.enclosure.domain import Domain
from infimum.proof.enclosure.functions import FunctionLike
from infimum.proof.enclosure.spaces import LARGEST_DEGREE, SYSTEMS, System
from infimum.proof.enclosure.task import Task, as_task
from infimum.proof.uniform_error.error_bounds import dual_bound, is_enclosable


@dataclass(frozen=True)
class LeastDegree(Shown):
    """The least degree for an error, with both halves of the proof.

    Attributes
    ----------
    degree : int
        The least degree (of the system) whose best polynomial has at most the wanted error.
    polynomial : MinimaxPolynomial
        It has that degree, and ``certificate.value`` is at most the wanted error.
    impossible : float
        Lower bound on the error of all polynomials of the next smaller degree, above the wanted error; infinity if
        there is no smaller degree.
    """

    degree: int
    polynomial: MinimaxPolynomial
    impossible: float


def degree_for(
    f: FunctionLike,
    error: float,
    domain: Domain = (-1.0, 1.0),
    *,
    system: System = "full",
    weight: FunctionLike | None = None,
    relative: bool = False,
    breakpoints: Numbers = (),
    most: int = 500,
) -> LeastDegree:
    """Find the least degree whose best polynomial has at most a given error, with the proof that less is impossible.

    Parameters
    ----------
    f, domain, system, weight, relative, breakpoints
        As in `polynomial`; f and weight as names, expressions or tables.
    error : float
        Largest error that is allowed.
    most : int
        Largest degree that is tried.

    Returns
    -------
    LeastDegree
        `degree`; `polynomial`, whose value is at most `error`; `impossible`, the bound of the degree below.

    Raises
    ------
    OptionError
        An argument is out of range.
    ToleranceError
        No degree up to `most` will do, or the wanted error is that of an optimum up to rounding, so that neither side
        can be proved.

    Examples
    --------
    >>> import infimum
    >>> found = infimum.minimax.degree_for("exp", 1e-6)
    >>> found.degree, found.polynomial.certificate.value <= 1e-6 < found.impossible
    (7, True)
    """
    if not (isinstance(error, int | float) and error > 0.0 and np.isfinite(error)):
        raise OptionError(f"error must be a positive number, got {error!r}")
    if not 0 <= most <= LARGEST_DEGREE:
        raise OptionError(f"most must be from 0 to {LARGEST_DEGREE}, got {most}")
    options: dict[str, Any] = {"system": system, "weight": weight, "relative": relative, "breakpoints": breakpoints}
    one_of("system", system, get_args(System))
    first, step = SYSTEMS[system]
    bounds: dict[int, float] = {}

    def possible(index: int) -> bool:
        """Whether the dual bound of this degree leaves room for the wanted error."""
        bounds[index] = _least_error(as_task(f, first + step * index, domain, **options), error)
        return bounds[index] <= error

    high = _first_possible(possible, (most - first) // step)
    if high is None:
        least = bounds[(most - first) // step]
        raise ToleranceError(f"degree {most} is not enough: every such error is at least {least:.6g}")
    low = -1 if not any(bound > error for bound in bounds.values()) else max(i for i in bounds if bounds[i] > error)
    high = _least_possible(possible, low, high)
    answer = polynomial(f, first + step * high, domain, **options)
    if answer.certificate.value > error:
        raise ToleranceError(
            f"the best error of degree {first + step * high} is between {answer.certificate.lower_bound!r} and "
            f"{answer.certificate.value!r}: too close to {error!r} for a proof; ask for a slightly larger error"
        )
    return LeastDegree(first + step * high, answer, bounds.get(high - 1, np.inf))


def _least_possible(possible: Callable[[int], bool], low: int, high: int) -> int:
    """Bisect between an index that is impossible and one that is possible."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if possible(middle) else (middle, high)
    return high


def _first_possible(possible: Callable[[int], bool], last: int) -> int | None:
    """First of 0, 1, 2, 4, ... and `last` that is possible."""
    index = 0
    while not possible(index):
        if index == last:
            return None
        index = min(max(2 * index, 1), last)
    return index


def _least_error(task: Task, error: float) -> float:
    """Lower bound on the least error of a task, sharp where that decides about the wanted error."""
    if not is_enclosable(task):
        raise OptionError("a proof needs f and weight as names, expressions or tables")
    found = solve(task)
    bound = dual_bound(task, found.points.tolist())[0]
    if bound <= error < found.largest:  # double precision does not tell
        refined = in_multiple_precision(task, found, 1e-6)
        bound = max(bound, dual_bound(task, refined.points.tolist())[0])
    return bound
