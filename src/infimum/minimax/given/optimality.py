"""How far an approximation is from the best of its space, and which coefficients make the difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from infimum._arguments import axes
from infimum._display import Shown
from infimum.errors import OptionError
from infimum.minimax.given.approximations import Coefficients, Given
from infimum.minimax.remez.best_polynomial import enclosed, sampled
from infimum.proof.answers.polynomial import MinimaxPolynomial
from infimum.proof.answers.rounded import RoundedPolynomial
from infimum.proof.certificate import Certificate
from infimum.proof.enclosure.approximants import Approximant, Combination, Monomials, stored
from infimum.proof.enclosure.balls import available
from infimum.proof.enclosure.change_of_basis import exact_sums
from infimum.proof.enclosure.domain import points_of
from infimum.proof.enclosure.fixed_part import as_fixed
from infimum.proof.enclosure.spaces import Functions, Space, as_space
from infimum.proof.enclosure.task import Task, as_task
from infimum.proof.uniform_error.error_bounds import is_enclosable, values_of_error
from infimum.proof.uniform_error.error_certificate import claim_error

NEAR_LARGEST = 1e-3  # relative: what counts as largest error when alternations are counted
PER_DEGREE = 40  # points at which local extrema are looked for
OSCILLATING = 20  # the degree of a polynomial that turns as often as functions are expected to


@dataclass(frozen=True)
class Change(Shown):
    """One coefficient, as it was given and as it is best.

    Attributes
    ----------
    power : int
        Power of x, or place in a system of functions.
    given, best : Fraction
        The coefficient, exactly.
    effect : float
        Largest error that this change alone makes, in the norm of the problem.
    part : str
        "numerator" or "denominator" of a quotient, whose parts are scaled so that the first coefficient of the
        denominator is 1.
    """

    power: int
    given: Fraction
    best: Fraction
    effect: float
    part: str = "numerator"


@dataclass(frozen=True)
class Optimality(Shown):
    """What `check` found.

    Attributes
    ----------
    certificate : Certificate
        `value`: the largest error of the approximation as given; `lower_bound`: that of every one of the space.
    optimal : bool
        Whether the two agree to the tolerance.
    alternations, needed : int
        Points of alternating sign with the largest error (up to a thousandth); as many as an optimum has.
    points, errors : array
        These points, and ``w (f - p)`` there.
    direction : array or None
        Where it is not optimal: coefficients, in the powers ``0, 1, ..., degree`` (or of the functions), of h along
        which the error falls: ``p + s h`` is better for all 0 < s <= 1, and best for s = 1. None for quotients.
    slope : float
        Derivative of the largest error along `direction`, at most ``lower - value``: negative, or 0 at the optimum.
    changes : tuple of Change
        Coefficients that are not best, those with the largest effect first.
    """

    certificate: Certificate
    optimal: bool
    alternations: int
    needed: int
    points: np.ndarray
    errors: np.ndarray
    direction: np.ndarray | None
    slope: float
    changes: tuple[Change, ...] = ()

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


def largest_errors(task: Task, approximant: Approximant, degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Local extrema of the error on a grid, ends included."""
    x = np.union1d(points_of(task.intervals, PER_DEGREE * (degree + 4)), task.breakpoints)
    if task.contains_zero() or (task.relative and 0.0 in task.singular):
        x = x[x != 0.0]
    e = values_of_error(task, approximant, x)
    size = np.concatenate([[-1.0], np.abs(e), [-1.0]])
    local = (size[1:-1] >= size[:-2]) & (size[1:-1] >= size[2:])
    return x[local], e[local]


# ------------------------------------------------------------------ linear spaces


def of_polynomial(
    given: Given, f: Any, domain: Any, degree: Any, system: Any, fixed: Any, problem: dict[str, Any], tol: float
) -> Optimality:
    """Compare with the best of a linear space."""
    own = given.coefficients() if given.is_polynomial else {}
    degree, system, held = _own_space(given, own, degree, system, fixed)
    task = as_task(f, degree, domain, system, fixed=held, **problem)
    free = as_space(degree, system, list(held))
    function = _free_part(own, free.powers, held) if given.is_polynomial else given.function
    enclosable = is_enclosable(task) and available()
    best = enclosed(task, tol, "auto") if enclosable else sampled(task, tol)
    path: Literal["enclosed", "sampled"] = "enclosed" if enclosable else "sampled"
    certificate = claim_error(task, function, best.levelled.points, tol, path).certificate
    optimum = stored(task.space, best.levelled.interval, best.levelled.coefficients, best.divisor)
    places, e = largest_errors(task, function, max(own, default=OSCILLATING))
    x, e = near_largest(places, e)
    points, errors = alternation(x, e)
    changes = changes_of(_exact(function), _exact(optimum), lambda k: task.weights(places) * _member(task, k)(places))
    optimal = certificate.ratio <= 1.0 + tol
    direction, slope = None, 0.0
    if not optimal:
        direction = np.zeros(max([*own, *(change.power for change in changes), free.size - 1 if not own else 0]) + 1)
        for change in changes:
            direction[change.power] = float(change.best - change.given)
        step = sum(direction[k] * _member(task, k)(x) for k in np.flatnonzero(direction).tolist())
        slope = float(np.max(-np.sign(e) * task.weights(x) * step))
    needed = _needed(task, free)
    return Optimality(certificate, optimal, len(points), needed, points, errors, direction, slope, changes)


def _own_space(given: Given, own: Coefficients, degree: Any, system: Any, fixed: Any) -> tuple[Any, Any, Any]:
    """Degree, system and fixed coefficients of the space in which an approximation competes."""
    answer = given.answer
    held = {power: own.get(power, Fraction(0)) for power in fixed} if not isinstance(fixed, Mapping) else dict(fixed)
    if isinstance(answer, MinimaxPolynomial | RoundedPolynomial) and system == "own":
        held = held or dict(as_fixed(answer.fixed))
        wider = degree is not None and isinstance(answer.system, str)
        return degree if wider else answer.degree, answer.system, held
    if not isinstance(system, str) or system != "own":
        top = max(own, default=0) if isinstance(system, str) else None
        if degree is not None and top is not None and degree < top:
            raise OptionError(f"p has degree {top}, so it cannot compete with degree {degree}")
        return top if degree is None else degree, system, held
    if degree is None:
        return None, sorted({*own, *held} or {0}), held
    if degree < max(own, default=0):
        raise OptionError(f"p has degree {max(own)}, so it cannot compete with degree {degree}")
    kinds = {power % 2 for power in {*own, *held}}
    return degree, {frozenset({1}): "odd", frozenset({0}): "even"}.get(frozenset(kinds), "full"), held


def _free_part(own: Coefficients, powers: Sequence[int], held: Mapping[int, Any]) -> Monomials:
    """Return the free part of a polynomial; refuse one that is none of the space: no bound of it would hold."""
    for power, value in as_fixed(held):
        if own.get(power, 0) != value:
            raise OptionError(f"fixed says {value} for x**{power}, but p has {own.get(power, 0)}")
    others = sorted(power for power in own if power not in powers and power not in held)
    if others:
        raise OptionError(f"p has a coefficient of x**{others[0]}, which the system does not have: they cannot compete")
    return Monomials({power: c for power, c in own.items() if power not in held})


def _member(task: Task, k: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a power of x, or a function of the system."""
    if isinstance(task.space, Functions) and not task.space.powers:
        return task.space.functions[k]
    return lambda x: x**k


def _exact(function: Approximant) -> Coefficients:
    """Coefficients of powers of x, or of the functions of a system."""
    if isinstance(function, Combination) and not function.space.powers:
        return dict(enumerate(exact_sums(function.coefficients, function.divisor)))
    return Given(function).coefficients()


def changes_of(
    given: Coefficients, best: Coefficients, effect: Callable[[int], np.ndarray], part: str = "numerator"
) -> tuple[Change, ...]:
    """List the coefficients that differ, with what each does to the error."""
    found = []
    for power in sorted({*given, *best}):
        a, b = given.get(power, Fraction(0)), best.get(power, Fraction(0))
        if a != b:
            size = float(np.max(np.abs(effect(power)))) * abs(float(b - a))
            found.append(Change(power, a, b, size, part))
    return tuple(sorted(found, key=lambda change: -change.effect))


def _needed(task: Task, free: Space) -> int:
    """Count the alternations of an optimum on the whole domain; those of an odd or even error come in pairs."""
    if not task.mirror or free.size != task.space.size:
        return free.size + 1
    return 2 * task.space.size + (1 if task.mirror > 0 else 2)


def near_largest(x: np.ndarray, e: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the points of the largest error, and the errors there."""
    chosen = np.abs(e) >= np.max(np.abs(e)) * (1.0 - NEAR_LARGEST)
    return x[chosen], e[chosen]


def alternation(x: np.ndarray, e: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keep one point for each run of equal signs, that of the largest error."""
    starts = [0, *(i for i, (a, b) in enumerate(pairwise(e), 1) if a * b < 0.0), len(e)]
    best = [a + int(np.argmax(np.abs(e[a:b]))) for a, b in pairwise(starts)]
    return x[best], e[best]
