"""What is approximated, where, and by which space; the reduction to polynomials of degree m - 1 in ``t = x**stride``.

The spaces ``x**start * P(x**stride)``, deg P < size, hold the odd, the even and the full polynomials, and those of
11175. With F = f / x**start and W = w |x|**start the error is ``W(t) |F(t) - P(t)|``: an ordinary problem in t, as long
as t is one-to-one on the domain, hence the half domain where f is odd or even.
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from infimum._arguments import Numbers
from infimum.errors import OptionError
from infimum.proof.enclosure.admissible import require_finite, require_positive
from infimum.proof.enclosure.balls import available, working
from infimum.proof.enclosure.continuation import continued, singular_points
from infimum.proof.enclosure.domain import SAMPLES, Intervals, as_intervals, points_of, zeros_of
from infimum.proof.enclosure.expressions import Expression
from infimum.proof.enclosure.fixed_part import Fixed, as_fixed, size_of_terms, without
from infimum.proof.enclosure.functions import Function, as_function
from infimum.proof.enclosure.spaces import Space, as_space, space_of

MOST_BREAKPOINTS = 4000  # each costs samples, cells and a piece of the exchange
BITS, CONFIRMED = 256, 10  # bits and points in which a parity is looked for
NEAR_ZERO = 1e-9  # of the domain: where x = 0 is reached in the limit only


@dataclass(frozen=True, slots=True)
class Task:
    """One approximation problem.

    Attributes
    ----------
    f : Function
        What the space approximates: the given function less the fixed coefficients.
    whole : Function
        The function as it was given.
    intervals : tuple of (float, float)
        The domain: disjoint intervals in increasing order.
    space : Space
        From where the approximation is taken.
    weight : Function or None
        The error is multiplied by it; positive.
    relative : bool
        The error is divided by the given function.
    fixed : tuple of (int, Fraction)
        Powers of x whose coefficients are given.
    mirror : int
        1 or -1 if the domain is symmetric, f even or odd and the weight even: then one half of it is enough.
    breakpoints : tuple of float
        Points at which f or the weight has a kink.
    singular : tuple of float
        Points of the domain, or beside it, where a formula is 0/0 or has a branch point, or where a relative error is.
    """

    f: Function
    whole: Function
    intervals: Intervals
    space: Space
    weight: Function | None = None
    relative: bool = False
    fixed: Fixed = ()
    mirror: int = 0
    breakpoints: tuple[float, ...] = ()
    singular: tuple[float, ...] = ()

    @property
    def half(self) -> Intervals:
        """The part of the domain on which the solver works."""
        if not self.mirror:
            return self.intervals
        return tuple((max(low, 0.0), high) for low, high in self.intervals if high > 0.0)

    def weights(self, x: np.ndarray) -> np.ndarray:
        """Evaluate the factor of the error at an array of points."""
        factor = np.ones_like(x) if self.weight is None else self.weight(x)
        return factor / np.abs(self.whole(x)) if self.relative else factor

    def sizes(self, x: np.ndarray) -> np.ndarray:
        """Sizes of what f is a difference of: its values in doubles are right to their last digits, not to its own."""
        own = np.abs(self.f(x))
        return np.asarray(own + np.abs(self.whole(x)) + size_of_terms(self.fixed, x) if self.fixed else own)

    def away_from_zero(self, intervals: Intervals) -> Intervals:
        """Leave out x = 0 where all functions of the space vanish: relative errors there are limits."""
        if not self.contains_zero():
            return intervals
        parts: list[tuple[float, float]] = []
        for low, high in intervals:
            gap = NEAR_ZERO * max(abs(low), abs(high))
            parts += [(a, b) for a, b in ((low, min(high, -gap)), (max(low, gap), high)) if a < b]
        return tuple(parts)

    def contains_zero(self) -> bool:
        """Tell whether all functions of the space vanish at a point of the domain, x = 0."""
        vanishing = min(self.space.powers, default=0) > 0
        return vanishing and any(low <= 0.0 <= high for low, high in self.intervals)


def as_task(
    f: Any,
    degree: int | None,
    domain: Any,
    system: str | Sequence[Any] | np.ndarray = "full",
    weight: Any = None,
    relative: bool = False,
    breakpoints: Numbers = (),
    fixed: Any = (),
) -> Task:
    """Check the arguments of a public function and reduce by symmetry where that is possible."""
    intervals, given = as_intervals(domain), as_fixed(fixed)
    space = as_space(degree, system, [power for power, _ in given])
    whole = as_function(f)
    factor = None if weight is None else as_function(weight, "weight")
    task = _continued(Task(whole, whole, intervals, space, factor, bool(relative), given))
    require_finite("f", task.whole, intervals)
    if task.weight is not None:
        require_positive(task.weight, intervals)
    task = _reduced(replace(task, breakpoints=_breakpoints(task, breakpoints)))
    if task.relative:
        _require_no_zeros(task)
    return task


def powers_of(task: Task) -> tuple[int, ...]:
    """Exponents of an answer, those of fixed coefficients among them; empty where the system is a list of functions."""
    given = [power for power, value in task.fixed if value]
    return tuple(sorted([*task.space.powers, *given]))


def _continued(task: Task) -> Task:
    """Find the points where functions are limits; formulas get values near them that do not cancel."""
    zero = (0.0,) if any(low <= 0.0 <= high for low, high in task.intervals) else ()
    limit = zero if task.relative and zero and task.whole(np.zeros(1))[0] == 0.0 else ()
    points = set(limit)

    def smooth(function: Function, cancels: tuple[float, ...] = ()) -> Function:
        if not isinstance(function, Expression):
            return function
        singular = singular_points(function, task.intervals)
        points.update(singular)
        return continued(function, {*singular, *cancels}, cancels, task.intervals)

    whole = smooth(task.whole, limit)
    rest = smooth(without(whole, task.fixed), zero) if task.fixed else whole
    weight = None if task.weight is None else smooth(task.weight)
    return replace(task, f=rest, whole=whole, weight=weight, singular=tuple(sorted(points)))


def _require_no_zeros(task: Task) -> None:
    size = max(abs(end) for interval in task.intervals for end in interval)
    limits = task.contains_zero() and abs(float(task.f(np.zeros(1))[0])) == 0.0
    zeros = [z for z in zeros_of(task.whole, task.half) if not (limits and abs(z) <= NEAR_ZERO * size)]
    if zeros:
        hint = ", or use a system without a constant, such as [1, 2, 3]" if 0.0 in zeros else ""
        raise OptionError(
            f"relative: f vanishes at x = {zeros[0]:.6g}, where no relative error is defined; leave that point out of "
            f"the domain{hint}"
        )


def _breakpoints(task: Task, given: Numbers) -> tuple[float, ...]:
    """Gather the given breakpoints and the zeros of what stands inside abs, max and the like."""
    if len(given) > MOST_BREAKPOINTS:
        raise OptionError(f"breakpoints must be at most {MOST_BREAKPOINTS}, got {len(given)}: split the domain instead")
    inner: set[float] = set()
    for point in given:
        if not isinstance(point, numbers.Real) or not np.isfinite(float(point)):
            raise OptionError(f"breakpoints must be finite numbers, got {point!r}")
        inner.add(float(point))
    for function in (task.whole, task.weight):
        if function is not None:
            inner.update(function.nodes)
            for switch in function.switches():
                zeros = zeros_of(switch, task.intervals)
                inner.update(zeros if len(zeros) < SAMPLES // 4 else [])  # more are no points, but a whole interval
    return tuple(sorted(p for p in inner if any(low < p < high for low, high in task.intervals)))


def _reduced(task: Task) -> Task:
    """Use one half of a symmetric domain; refuse spaces that the domain does not fit."""
    powers = task.space.powers
    if not powers:
        return task
    one_sided = task.intervals[0][0] >= 0.0 or task.intervals[-1][1] <= 0.0
    if one_sided:
        return task
    parity = _parity(task)
    kinds = {power % 2 for power in powers}
    if len(kinds) == 1 and len(powers) > 1:  # x and -x are the same to such a space, up to the sign
        odd = kinds == {1}
        if parity == (-1 if odd else 1):
            return replace(task, mirror=parity)
        kind = "odd" if odd else "even"
        raise OptionError(
            f"system holds {kind} polynomials, so the domain must lie on one side of 0, or be symmetric with f {kind}; "
            f"approximate one side, or use system='full'"
        )
    same = [power for power in powers if power % 2 == (parity < 0)]
    if parity and same and len(powers) > 1:  # a best approximation has the parity of f
        return replace(task, mirror=parity, space=space_of(same))
    return task  # odd strides are one-to-one on the whole line


def _parity(task: Task) -> int:
    """1 for an even and -1 for an odd function (with an even weight) on a symmetric domain, else 0; by values only."""
    if task.intervals != tuple((-high, -low) for low, high in reversed(task.intervals)):
        return 0
    x = points_of(task.intervals, 501)
    if task.weight is not None and not _equal(task.weight(x), task.weight(-x)):
        return 0
    if task.relative and not _equal(np.abs(task.whole(x)), np.abs(task.whole(-x))):
        return 0
    y, mirrored = task.f(x), task.f(-x)
    parity = 1 if _equal(y, mirrored) else (-1 if _equal(y, -mirrored) else 0)
    return parity if _confirmed(task.f, parity, x) else 0


def _confirmed(function: Function, parity: int, x: np.ndarray) -> bool:
    """Tell whether a formula has a parity at some points in more digits than those of doubles, where that is known."""
    if not parity or not isinstance(function, Expression) or function.parity() == parity or not available():
        return True
    with working(BITS) as module:
        points = [module.arb(point) for point in x[:: x.size // CONFIRMED].tolist()]
        return all((function.at(point) - parity * function.at(-point)).contains(0) for point in points)


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.max(np.abs(a - b)) <= 4e-15 * np.max(np.abs(a)))
