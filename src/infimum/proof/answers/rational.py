"""The answer of `infimum.minimax.rational`: a quotient without poles, how its error is measured, what it proves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import Numbers, axes
from infimum.errors import NonFiniteError, OptionError
from infimum.proof import evidence, wording
from infimum.proof.certificate import Certificate
from infimum.proof.enclosure import taylor_model
from infimum.proof.enclosure.approximants import ChebyshevSum, clenshaw
from infimum.proof.enclosure.balls import working
from infimum.proof.enclosure.expressions import given_again
from infimum.proof.enclosure.point_values import formula, values_at, weights_at
from infimum.proof.enclosure.spaces import Powers
from infimum.proof.enclosure.task import Task, as_task, points_of
from infimum.proof.enclosure.taylor_model import Cell, Model
from infimum.proof.result import Result
from infimum.proof.theorems import sup_norm, vallee_poussin
from infimum.proof.theorems.sup_norm import Modelled
from infimum.proof.uniform_error.error_bounds import is_enclosable, partition
from infimum.proof.uniform_error.error_certificate import outwards, scale
from infimum.proof.uniform_error.stated_task import (
    numbers_of_pairs,
    refuse_other_signs,
    same_function,
    stated_breakpoints,
    stated_points,
    stated_tolerance,
    stated_weight,
)

BITS = 256
DRAWN = 2001
LARGEST_TYPE = 40
MOST_POINTS = 2 * LARGEST_TYPE + 2  # as many as any best quotient needs


@dataclass(frozen=True)
class MinimaxRational(Result):
    """A best uniform approximation ``p / q``, the answer of `rational`.

    Attributes
    ----------
    f : str
        What was approximated.
    numerator, denominator : array
        Coefficients of p and q in the Chebyshev polynomials of the domain, lowest degree first; they stand for
        themselves, exactly. q has no zero on the domain, which is proved.
    signs : tuple of int
        Signs of ``f - p/q`` at `points`.
    type, domain, weight, breakpoints, tol
        As given.
    certificate : Certificate
        About ``max w |f - p/q|``. Witness: `points`, the alternation.
    """

    problem: ClassVar[str] = "minimax.rational"
    inputs: ClassVar[tuple[str, ...]] = ("f",)
    f: str
    numerator: np.ndarray
    denominator: np.ndarray
    signs: tuple[int, ...]
    type: tuple[int, int]
    domain: tuple[float, float]
    weight: str | None = None
    breakpoints: tuple[float, ...] = ()
    tol: float = 1e-6

    @property
    def points(self) -> np.ndarray:
        """The points where the error has alternating signs and at least the size of the bound."""
        return np.asarray(self.certificate.witness["points"], dtype=np.float64)

    def __call__(self, x: Any) -> Any:
        """Evaluate at an array of any library, or at a number, in its precision."""
        if isinstance(x, int | list | tuple):
            x = np.asarray(x, dtype=float)
        low, high = self.domain
        u = (x - (low / 2 + high / 2)) / (high / 2 - low / 2)
        values = clenshaw(self.numerator.tolist(), u) / clenshaw(self.denominator.tolist(), u)
        return float(values) if isinstance(values, np.generic) else values

    def recheck(self, f: Any) -> Certificate:
        """Derive the certificate again from the function, the coefficients and the alternation alone."""
        function = same_function(f, self.f)
        domain = numbers_of_pairs([self.domain])[0]
        task = rational_task(function, domain, stated_weight(self.weight), stated_breakpoints(self.breakpoints))
        m, n = (evidence.whole("type", degree, least=0, most=LARGEST_TYPE) for degree in self.type)
        points = stated_points(self.certificate, None)
        evidence.whole("the number of points", points.size, least=1, most=MOST_POINTS)
        stated_tolerance(self.tol)
        certificate, signs = certify_rational(task, (m, n), (self.numerator, self.denominator), points, self.tol)
        refuse_other_signs(self.signs, signs, self.certificate)
        return certificate

    def plot(self, ax: Any = None, *, f: Any = None) -> Any:
        """Draw the error ``f - p/q`` with its alternation; a table or a spline is asked for."""
        task = rational_task(given_again(self.f, f), self.domain, self.weight, self.breakpoints)
        ax = axes(ax)
        x = np.union1d(points_of(task.intervals, DRAWN), self.points)
        ax.plot(x, task.weights(x) * (task.f(x) - self(x)), color="C0")
        limit = float(self.certificate.value)
        for level in (limit, -limit):
            ax.axhline(level, color="C1", ls="--", lw=1)
        at = task.weights(self.points) * (task.f(self.points) - self(self.points))
        ax.plot(self.points, at, "o", color="C1", ms=4, label=f"alternation on {len(self.points)} points")
        ax.set(xlabel="x", ylabel="error f − p/q", title=wording.error_label(self.certificate, "largest error"))
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), frameon=False)
        return ax


def rational_task(f: Any, domain: Any, weight: Any, breakpoints: Numbers) -> Task:
    """Return the task of approximating a formula, weighted by another, on one interval."""
    task = as_task(f, None, domain, [0], weight, False, breakpoints)
    if not is_enclosable(task):
        raise OptionError("rational approximation needs f and weight as names, expressions or tables, not as functions")
    return task


def certify_rational(
    task: Task,
    type_: tuple[int, int],
    quotient: tuple[Any, Any],
    points: np.ndarray,
    tol: float,
    *,
    room: float = 1.0,
) -> tuple[Certificate, tuple[int, ...]]:
    """Enclose the largest error, prove that there is no pole, and bound all others from the alternation."""
    p = _polynomial("numerator", task, quotient[0], type_[0])
    q = _polynomial("denominator", task, quotient[1], type_[1])
    bound, signs = _bound_by_alternation(task, type_, p, q, points)
    size = scale(task)
    cells = partition(task.intervals, points, task.breakpoints)
    enough = max(bound * (1 + tol / 2), size * 2.0**-88)
    unit = bound or size or 1.0
    found = sup_norm.enclose(
        _error_model(task, p, q), task.intervals, cells, unit=unit, tol=tol / 4, enough=enough, bits=BITS
    )
    if not math.isfinite(found.upper):
        raise NonFiniteError(
            f"the error cannot be bounded between x = {found.worst[0]!r} and x = {found.worst[1]!r}: f is not defined "
            "there, or the denominator has a zero"
        )
    value, bound = outwards(found.upper, bound, room)
    return Certificate(value, bound, vallee_poussin.THEOREM, "enclosed", witness={"points": points}), signs


def _bound_by_alternation(
    task: Task, type_: tuple[int, int], p: ChebyshevSum, q: ChebyshevSum, points: np.ndarray
) -> tuple[float, tuple[int, ...]]:
    needed = vallee_poussin.points_needed(type_, (p.space.size - 1, q.space.size - 1))
    with working(BITS) as module:
        x = [module.arb(point) for point in points.tolist()]
        data = zip(x, values_at(task.f, x), weights_at(task, x), strict=True)
        errors = [(w if w > 0 else w.nan()) * (value - p.at(point) / q.at(point)) for point, value, w in data]
        bound = vallee_poussin.lower_bound(points.tolist(), task.intervals[0], errors, needed)
        return bound, tuple(1 if e > 0 else (-1 if e < 0 else 0) for e in errors)


def _error_model(task: Task, p: ChebyshevSum, q: ChebyshevSum) -> Modelled:
    """Taylor models of ``w (p - f q) / q``: there is none where q may vanish."""

    def model(cell: Cell, order: int) -> Model:
        f = formula(task.f).model(cell, order)
        below = q.model(cell, order)
        error = taylor_model.difference(p.model(cell, order), taylor_model.product(f, below))
        error = taylor_model.product(error, taylor_model.reciprocal(below))
        if task.weight is not None:
            weight = formula(task.weight).model(cell, order)
            error = taylor_model.product(error, weight)
        return error

    return model


def _polynomial(name: str, task: Task, coefficients: Any, degree: int) -> ChebyshevSum:
    c = evidence.doubles(name, coefficients, (None,))
    evidence.whole(f"the number of coefficients of the {name}", c.size, least=1, most=degree + 1)
    return ChebyshevSum(Powers(0, 1, c.size), task.intervals[0], c[None])
