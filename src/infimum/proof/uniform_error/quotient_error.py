"""The error of a quotient p/q: bounded from both sides, with the proof that q has no zero on the domain."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from infimum.errors import NonFiniteError
from infimum.proof.enclosure import taylor_model
from infimum.proof.enclosure.approximants import Approximant, ChebyshevSum
from infimum.proof.enclosure.balls import hull, working
from infimum.proof.enclosure.domain import Intervals
from infimum.proof.enclosure.expressions import Expression
from infimum.proof.enclosure.point_values import formula, values_at, weights_at
from infimum.proof.enclosure.rational_form import RationalForm, rational_form
from infimum.proof.enclosure.task import Task
from infimum.proof.enclosure.taylor_model import Cell, Model
from infimum.proof.theorems import sup_norm, vallee_poussin
from infimum.proof.theorems.sup_norm import Modelled, SupNorm
from infimum.proof.uniform_error.error_bounds import (
    BITS,
    about_singular_points,
    is_mirrored,
    order_of_models,
    partition,
)
from infimum.proof.uniform_error.error_certificate import scale

FIRST_BITS, MOST_BITS = 256, 1 << 12
SHARP = 2.0**-60  # relative radius of an error that is known well enough
SPARE = 40  # bits of the working precision that ball arithmetic may lose
ANYTHING = 1e100  # units: any bound shows that there is no pole
ZERO_BITS = 1024  # an error that may be 0 in so many bits is taken for it


def bound_by_alternation(
    task: Task, p: ChebyshevSum, q: ChebyshevSum, points: np.ndarray, needed: int
) -> tuple[float, list[float], int]:
    """Bound from the errors at the points; these, 0 where their sign is not known; the bits in which they are known."""
    bits = FIRST_BITS
    while True:
        with working(bits) as module:
            x = [module.arb(point) for point in points.tolist()]
            data = zip(x, values_at(task.f, x), weights_at(task, x), strict=True)
            below = [q.at(point) for point in x]
            errors = [
                (w if w > 0 else w.nan()) * (value - p.at(point) / divisor)
                for (point, value, w), divisor in zip(data, below, strict=True)
            ]
            known = [e.is_finite() and e.rad() <= abs(e.mid()) * SHARP for e in errors]
            none = [bits >= ZERO_BITS and e.is_finite() and e.contains(0) for e in errors]
            if bits >= MOST_BITS or all(a or b for a, b in zip(known, none, strict=True)):
                bound = vallee_poussin.lower_bound(
                    points.tolist(), task.intervals, errors, below, needed, p.space.start
                )
                return bound, [float(e.mid()) if e > 0 or e < 0 else 0.0 for e in errors], bits
        bits *= 2


def enclose_quotient(
    task: Task,
    p: Approximant,
    q: Approximant,
    points: Iterable[float],
    unit: float,
    tol: float,
    *,
    enough: float = 0.0,
    bits: int = FIRST_BITS,
) -> SupNorm:
    """Enclose the largest error, and prove that there is no pole; `unit` is its rough size."""
    size = scale(task)
    centres, unit = np.asarray(list(points), dtype=np.float64), unit or size or 1.0
    halved = task.mirror and is_mirrored(task) and p.is_like(task.mirror) and q.is_like(1)
    domain = task.half if halved else task.intervals
    vanishes = _vanishes(task, p, q)
    goal = unit * ANYTHING if vanishes else max(enough, size * 2.0 ** (SPARE - bits))
    found = sup_norm.enclose(
        _error_model(task, p, q),
        domain,
        partition(domain, centres, (*task.breakpoints, *task.singular)),
        unit=unit,
        tol=tol / 4,
        enough=goal,
        bits=bits,
        order=order_of_models(size, unit),
    )
    if not math.isfinite(found.upper):
        raise NonFiniteError(
            f"the error cannot be bounded between x = {found.worst[0]!r} and x = {found.worst[1]!r}: f is not defined "
            "there, or the denominator has a zero"
        )
    require_one_sign(q, domain)
    return found._replace(lower=0.0, upper=0.0) if vanishes else found


def require_one_sign(q: Approximant, intervals: Intervals) -> None:
    """Refuse a denominator that changes its sign from one interval, on which it has no zero, to another."""
    with working(BITS) as module:
        signs = {1 if q.at(module.arb(low)) > 0 else -1 for low, _ in intervals}
    if len(signs) > 1:
        raise NonFiniteError("the denominator must have one sign on the whole domain, it changes between two intervals")


def _vanishes(task: Task, p: Approximant, q: Approximant) -> bool:
    """Tell whether the formulas show function and quotient to be the same fraction of polynomials."""
    with working(BITS):
        form = fraction_of(task)
        above, below = p.polynomial(), q.polynomial()
        return form is not None and bool(above * form[1] == below * form[0])


def fraction_of(task: Task) -> RationalForm | None:
    """Return f as a fraction of polynomials without a common factor; None where the formula does not show it."""
    function = formula(task.f)
    whole = Cell(*hull(task.intervals[0][0], task.intervals[-1][1]))
    form = rational_form(function.on(whole)) if isinstance(function, Expression) else None
    if form is None:
        return None
    common = form[0].gcd(form[1])
    return form[0] // common, form[1] // common


def _error_model(task: Task, p: Approximant, q: Approximant) -> Modelled:
    """Taylor models of ``w (p - f q) / q``, or of that over f: there is none where q may vanish."""

    def model(cell: Cell, order: int) -> Model:
        below = q.model(cell, order)
        if not taylor_model.sign_of(below)[1]:
            return taylor_model.unknown()
        error = taylor_model.difference(
            p.model(cell, order), taylor_model.product(formula(task.f).model(cell, order), below)
        )
        if task.relative:
            below = taylor_model.product(below, formula(task.whole).model(cell, order))
        error = taylor_model.quotient(error, below)
        if task.weight is not None:
            error = taylor_model.product(error, formula(task.weight).model(cell, order))
        return error

    return about_singular_points(task, model)
