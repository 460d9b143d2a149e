"""Best uniform approximation by rational functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import axes, whole_number
from infimum.errors import NonFiniteError, OptionError, ToleranceError, VerificationError
from infimum.minimax.approximants import ChebyshevSum, clenshaw
from infimum.minimax.certify import scale
from infimum.minimax.enclosure import is_enclosable, partition
from infimum.minimax.expressions import as_function
from infimum.minimax.levels import values_at, weights_at
from infimum.minimax.quotients import search
from infimum.minimax.systems import Powers, Task, as_task, points_of
from infimum.proof.certificate import Certificate
from infimum.proof.enclosure import taylor_model
from infimum.proof.enclosure.balls import working
from infimum.proof.enclosure.taylor_model import Cell, Model
from infimum.proof.result import Result
from infimum.proof.theorems import sup_norm, vallee_poussin

LARGEST_TYPE = 40
BITS = 256
DRAWN = 2001
SAME = 1e-9


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

    def __post_init__(self) -> None:
        for name in ("signs", "type", "domain", "breakpoints"):  # JSON brings lists
            object.__setattr__(self, name, tuple(getattr(self, name)))

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
        if str(as_function(f)) != self.f:
            raise VerificationError(f"f: the result is about {self.f}, not about {as_function(f)}")
        task = _task(f, self.domain, self.weight, self.breakpoints)
        certificate, signs = _certified(task, self.type, self.numerator, self.denominator, self.points, self.tol)
        if signs != self.signs:
            raise VerificationError(f"signs: claimed {self.signs}, derived {signs}")
        for name in ("value", "lower_bound"):
            claim, derived = getattr(self.certificate, name), getattr(certificate, name)
            if not abs(claim - derived) <= SAME * abs(derived):
                raise VerificationError(f"{name}: claimed {claim!r}, derived {derived!r}")
        return certificate

    def plot(self, ax: Any = None) -> Any:
        """Draw the error ``f - p/q`` with its alternation."""
        task = _task(self.f, self.domain, self.weight, self.breakpoints)
        ax = axes(ax)
        x = np.union1d(points_of(task.intervals, DRAWN), self.points)
        ax.plot(x, task.weights(x) * (task.f(x) - self(x)), color="C0")
        limit = float(self.certificate.value)
        for level in (limit, -limit):
            ax.axhline(level, color="C1", ls="--", lw=1)
        at = task.weights(self.points) * (task.f(self.points) - self(self.points))
        ax.plot(self.points, at, "o", color="C1", ms=4, label=f"alternation on {len(self.points)} points")
        ax.set(xlabel="x", ylabel="error f − p/q", title=f"largest error {limit:.6g}")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), frameon=False)
        return ax


def rational(
    f: str,
    type: tuple[int, int],
    domain: tuple[float, float] = (-1.0, 1.0),
    *,
    weight: str | None = None,
    breakpoints: Sequence[float] = (),
    tol: float = 1e-6,
) -> MinimaxRational:
    """Approximate a function by the quotient of two polynomials whose largest error is least.

    Minimises ``max w(x) |f(x) - p(x)/q(x)|`` over the domain, over all polynomials p of degree at most m and q of
    degree at most n, q without zeros on the domain. The exchange algorithm solves an eigenvalue problem on each
    reference; it starts from the best function of type (m - 1, n - 1), whose reference is spread to two points more, or
    from the AAA algorithm. If it does not converge, the certificate shows it.

    Parameters
    ----------
    f : str
        A name or an expression in x, as in `polynomial`. Python functions are not accepted: that q has no zero is
        proved in ball arithmetic (python-flint).
    type : (int, int)
        Degrees m and n of numerator and denominator.
    domain : (float, float)
        One interval.
    weight : str, optional
        Positive factor of the error.
    breakpoints : sequence of float, optional
        Where f has kinks; those of ``abs``, ``max`` and the like are found.
    tol : float
        Relative distance of value and lower bound that is aimed at.

    Returns
    -------
    MinimaxRational
        `numerator`, `denominator`, `points`; `certificate`, enclosed; callable on arrays of any library.

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
    task = _task(f, _pair("domain", domain), weight, breakpoints)
    found = search(task, m, n)
    if found is None:
        raise ToleranceError(
            f"no rational function of type ({m}, {n}) without poles on the domain was found for {task.f}; try another "
            "type (for even or odd functions degrees of the same parity as f), or a polynomial"
        )
    certificate, signs = _certified(task, (m, n), found.numerator, found.denominator, found.points, tol)
    return MinimaxRational(
        f=str(task.f),
        numerator=found.numerator,
        denominator=found.denominator,
        signs=signs,
        type=(m, n),
        domain=task.intervals[0],
        weight=weight,
        breakpoints=tuple(map(float, breakpoints)),
        tol=tol,
        certificate=certificate,
    )


def _pair(name: str, value: Any) -> tuple[Any, Any]:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise OptionError(f"{name} must be a pair of numbers, got {value!r}")
    return value[0], value[1]


def _task(f: Any, domain: Any, weight: Any, breakpoints: Sequence[float]) -> Task:
    task = as_task(f, None, domain, [0], weight, False, breakpoints)
    if not is_enclosable(task):
        raise OptionError("rational approximation needs f and weight as names or expressions, not as Python functions")
    return task


def _certified(
    task: Task, type_: tuple[int, int], numerator: Any, denominator: Any, points: np.ndarray, tol: float
) -> tuple[Certificate, tuple[int, ...]]:
    """Enclose the largest error, prove that there is no pole, and bound all others from the alternation."""
    p, q = _polynomial(task, numerator, type_[0]), _polynomial(task, denominator, type_[1])
    low, high = task.intervals[0]
    if points.ndim != 1 or not np.all((points >= low) & (points <= high)) or not np.all(points[:-1] < points[1:]):
        raise OptionError("the points of the alternation must be increasing points of the domain")
    with working(BITS) as module:
        x = [module.arb(point) for point in points.tolist()]
        data = zip(x, values_at(task.f, x), weights_at(task, x), strict=True)
        errors = [(w if w > 0 else w.nan()) * (value - p.at(point) / q.at(point)) for point, value, w in data]
        needed = vallee_poussin.points_needed(type_, (p.space.size - 1, q.space.size - 1))
        bound = vallee_poussin.lower_bound(errors, needed)
        signs = tuple(1 if e > 0 else (-1 if e < 0 else 0) for e in errors)

    def model(cell: Cell, order: int) -> Model:
        f = taylor_model.of_function(task.f.series, cell, order)  # type: ignore[union-attr]
        below = q.model(cell, order)
        error = taylor_model.difference(p.model(cell, order), taylor_model.product(f, below))
        error = taylor_model.product(error, taylor_model.reciprocal(below))
        if task.weight is not None:
            weight = taylor_model.of_function(task.weight.series, cell, order)  # type: ignore[union-attr]
            error = taylor_model.product(error, weight)
        return error

    size = scale(task)
    cells = partition(task.intervals, points, task.breakpoints)
    enough = max(bound * (1 + tol / 2), size * 2.0**-88)
    found = sup_norm.enclose(model, cells, unit=bound or size or 1.0, tol=tol / 4, enough=enough, bits=BITS)
    if not math.isfinite(found.upper):
        raise NonFiniteError(
            f"the error cannot be bounded between x = {found.worst[0]!r} and x = {found.worst[1]!r}: f is not defined "
            "there, or the denominator has a zero"
        )
    theorem = vallee_poussin.THEOREM
    return Certificate(found.upper, bound, theorem, "enclosed", witness={"points": points}), signs


def _polynomial(task: Task, coefficients: Any, degree: int) -> ChebyshevSum:
    c = np.asarray(coefficients, dtype=np.float64)
    if c.ndim != 1 or not 1 <= c.size <= degree + 1:
        raise OptionError(f"there must be from 1 to {degree + 1} coefficients, got shape {c.shape}")
    return ChebyshevSum(Powers(0, 1, c.size), task.intervals[0], c[None])
