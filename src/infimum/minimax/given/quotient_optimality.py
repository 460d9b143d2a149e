"""How far a quotient is from the best of its type, or from the best that begins as it does."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from infimum.errors import OptionError, ToleranceError
from infimum.minimax.given.approximations import Coefficients, Given
from infimum.minimax.given.optimality import (
    Change,
    Optimality,
    alternation,
    changes_of,
    largest_errors,
    near_largest,
)
from infimum.minimax.remez.stored_quotient import best_quotients
from infimum.proof.answers.rational import LARGEST_TYPE, MinimaxRational, certify_rational, rational_task
from infimum.proof.certificate import Certificate
from infimum.proof.enclosure.approximants import ChebyshevSum, Monomials
from infimum.proof.enclosure.fixed_part import Fixed, as_fixed, next_power
from infimum.proof.enclosure.quotients import Quotient
from infimum.proof.enclosure.spaces import Powers
from infimum.proof.enclosure.task import Task
from infimum.proof.rounding import ROOM
from infimum.proof.theorems import vallee_poussin
from infimum.proof.uniform_error.error_bounds import is_enclosable
from infimum.proof.uniform_error.error_certificate import outwards
from infimum.proof.uniform_error.quotient_error import enclose_quotient


def of_quotient(
    given: Given, f: Any, domain: Any, degree: Any, fixed: Any, problem: dict[str, Any], tol: float
) -> Optimality:
    """Compare with the best quotient of a type, or with the best that begins at 0 as is fixed."""
    assert given.below is not None
    held = as_fixed(fixed or (given.answer.fixed if isinstance(given.answer, MinimaxRational) else ()))
    p, q = _free_quotient(given, held), given.coefficients_below()
    start = next_power(held)
    own = max(max(p, default=0) - start, 0), max(q)
    type_ = _type_of(given, own, degree)
    task = rational_task(f, type_, domain, fixed=held, **problem)
    if not is_enclosable(task):
        raise OptionError("a quotient is judged against names, expressions or tables: f is a Python function")
    above = Monomials(p) if held else given.function
    places, e = largest_errors(task, Quotient(above, given.below), sum(own))
    found = next(best_quotients(task, type_, tol), None)
    if found is None:
        raise ToleranceError(f"no quotient of type {type_} without poles was found to compare with")
    parts = found.numerator, found.denominator
    bound = certify_rational(task, type_, parts, found.points, tol, room=ROOM)[0].lower_bound
    unit = float(np.max(np.abs(e)))
    goal = bound * (1 + tol / 2)
    upper = enclose_quotient(task, above, given.below, places, unit, tol, enough=goal).upper
    witness = {"points": found.points}
    value = outwards(upper, 0.0, ROOM)[0]
    certificate = Certificate(value, bound, vallee_poussin.THEOREM, "enclosed", witness=witness)
    points, errors = alternation(*near_largest(places, e))
    whole = task.intervals[0][0], task.intervals[-1][1]
    best = tuple(
        Given(ChebyshevSum(Powers(first, 1, c.shape[1]), whole, c)).coefficients()
        for first, c in zip((start, 0), parts, strict=True)
    )
    changes = _changes_of_quotient(task, places, (p, q), best)
    optimal = certificate.ratio <= 1.0 + tol
    return Optimality(certificate, optimal, len(points), sum(type_) + 2, points, errors, None, 0.0, changes)


def _free_quotient(given: Given, held: Fixed) -> Coefficients:
    """Return the numerator of a quotient less its fixed beginning; refuse one that begins otherwise."""
    below = given.coefficients_below()
    p = given.coefficients()
    for power, value in held:
        for k, c in below.items():
            p[power + k] = p.get(power + k, Fraction(0)) - value * c
    left = sorted(power for power, c in p.items() if c and power < next_power(held))
    if left:
        raise OptionError(f"p does not begin at 0 as fixed says: it differs in the coefficient of x**{left[0]}")
    return {power: c for power, c in p.items() if c}


def _type_of(given: Given, own: tuple[int, int], degree: Any) -> tuple[int, int]:
    answer = given.answer
    wanted = degree or (answer.type if isinstance(answer, MinimaxRational) else own)
    if not isinstance(wanted, tuple | list) or len(wanted) != 2 or any(a < b for a, b in zip(wanted, own, strict=True)):
        raise OptionError(f"degree of a quotient must be a type, a pair of whole numbers from {own} on, got {degree!r}")
    if max(wanted) > LARGEST_TYPE:
        raise OptionError(f"the degrees of a quotient must be at most {LARGEST_TYPE}, got {wanted}")
    return int(wanted[0]), int(wanted[1])


def _changes_of_quotient(
    task: Task, x: np.ndarray, given: tuple[Coefficients, Coefficients], best: tuple[Coefficients, ...]
) -> tuple[Change, ...]:
    """Compare parts that are scaled so that their denominators begin alike, and their effects to first order."""
    if not given[1].get(0) or not best[1].get(0):
        return ()
    (p, q), (r, s) = (tuple({k: c / pair[1][0] for k, c in part.items()} for part in pair) for pair in (given, best))
    below = sum((float(c) * x**k for k, c in q.items()), np.zeros_like(x))
    ratio = sum((float(c) * x**k for k, c in p.items()), np.zeros_like(x)) / below
    w = task.weights(x) / below
    above = changes_of(p, r, lambda k: w * x**k)
    return tuple(
        sorted(
            (*above, *changes_of(q, s, lambda k: w * ratio * x**k, "denominator")), key=lambda change: -change.effect
        )
    )
