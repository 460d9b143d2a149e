"""Best uniform approximation by rational functions."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.interpolate
import scipy.linalg

from infimum._arguments import axes, whole_number
from infimum.bounds import sup_norm, taylor_model, vallee_poussin
from infimum.bounds.balls import working
from infimum.bounds.taylor_model import Cell, Model
from infimum.certificate import Certificate
from infimum.errors import NonFiniteError, OptionError, ToleranceError, VerificationError
from infimum.minimax.approximants import ChebyshevSum, clenshaw
from infimum.minimax.certify import scale
from infimum.minimax.enclosure import is_enclosable, partition
from infimum.minimax.expressions import as_function
from infimum.minimax.levels import ErrorFunction, values_at, weights_at
from infimum.minimax.remez import alternating, extrema, first_reference
from infimum.minimax.systems import Powers, Task, as_task, points_of
from infimum.result import Result

ITERATIONS = 40
CLOSED = 1e-11
UNFINISHED = 1e-7
LARGEST_TYPE = 40
SAMPLED = 2001  # points for the AAA algorithm
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
    found = _search(task, m, n)
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


# ------------------------------------------------------------------ search


@dataclass(frozen=True, slots=True)
class _Found:
    numerator: np.ndarray
    denominator: np.ndarray
    points: np.ndarray
    distance: float


def _search(task: Task, m: int, n: int) -> _Found | None:
    """Go from a polynomial (or the reciprocal of one) to the wanted type, one degree more in each part at a time.

    The best function of a smaller type may be that of the wanted one as well (even and odd functions): it is, if its
    error alternates often enough.
    """
    previous: _Found | None = None
    best: _Found | None = None
    for j in range(min(m, n), -1, -1):
        count = m + n - 2 * j + 2
        starts = [] if previous is None else [_spread(previous.points, task.intervals[0], count)]
        starts += [first_reference(task.intervals, count), *_near_best(task, m - j, n - j, count)]
        for start in starts:
            found = _exchange(task, m - j, n - j, start, m + n + 2 - j)
            if found is not None and found.distance < UNFINISHED:
                break
            previous = found or previous
        previous = found or previous
        if found is not None and (best is None or found.distance <= best.distance):
            best = found
    return best


def _near_best(task: Task, m: int, n: int, count: int) -> list[np.ndarray]:
    """Extrema of the error of the AAA approximation of that degree, if there are enough and it has no poles."""
    if m != n or m == 0:
        return []
    x = points_of(task.intervals, SAMPLED)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        near = scipy.interpolate.AAA(x, task.f(x), max_terms=m + 1, rtol=0.0)

        def error(points: np.ndarray) -> np.ndarray:
            return np.asarray(task.weights(points) * (task.f(points) - np.real(near(points))))

        cuts = np.sort(np.real(near.support_points))
        found, e = extrema(error, task.intervals, task.breakpoints, cuts)
        if not np.all(np.isfinite(e)) or e.size < count or np.sum(e[:-1] * e[1:] < 0.0) < count - 1:
            return []
        return [alternating(found, e, count, found[:count], error)]


def _spread(reference: np.ndarray, domain: tuple[float, float], count: int) -> np.ndarray:
    """More points, distributed alike: in the angle of the Chebyshev points."""
    low, high = domain
    angle = np.arccos(np.clip((reference - (low + high) / 2) / ((high - low) / 2), -1.0, 1.0))
    spread = np.interp(np.linspace(0.0, 1.0, count), np.linspace(0.0, 1.0, reference.size), angle)
    return np.clip((low + high) / 2 + (high - low) / 2 * np.cos(spread), low, high)


def _exchange(task: Task, m: int, n: int, reference: np.ndarray, needed: int) -> _Found | None:
    """Exchange on m + n + 2 points, until `needed` alternating errors are as large as the largest."""
    best: _Found | None = None
    idle = 0
    for _ in range(ITERATIONS):
        level = _levelled(task, m, n, reference)
        if level is None:
            break
        _, p, q, error = level
        x, e = extrema(error, task.intervals, task.breakpoints, reference)
        largest = float(np.max(np.abs(e)))
        if not math.isfinite(largest):
            break
        points = alternating(x, e, m + n + 2, reference, error)
        witness = points if needed == m + n + 2 else alternating(x, e, needed, points, error)
        size = np.abs(error(witness))
        distance = 0.0 if not largest else float(1.0 - np.min(size) / largest) if witness.size >= needed else 1.0
        idle += 1
        if best is None or distance < best.distance:
            best, idle = _Found(p, q, witness, distance), 0
        if distance <= CLOSED or idle > 5:
            break
        reference = points
    return best


def _levelled(task: Task, m: int, n: int, x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, ErrorFunction] | None:
    """Rational function whose error alternates with one size h on m + n + 2 points, without sign changes of q.

    ``p(x_k) = (f(x_k) - s_k h) q(x_k)``, s_k alternating over the weight: with Z a basis of what is orthogonal to all p
    on the points, an eigenvalue problem in q.
    """
    low, high = task.intervals[0]

    def scaled(points: np.ndarray) -> np.ndarray:
        return np.asarray((points - (low / 2 + high / 2)) / (high / 2 - low / 2))

    u = scaled(x)
    top, bottom = np.polynomial.chebyshev.chebvander(u, m), np.polynomial.chebyshev.chebvander(u, n)
    f, signs = task.f(x), (-1.0) ** np.arange(x.size) / task.weights(x)
    rest = np.linalg.qr(top, mode="complete")[0][:, m + 1 :]
    h, vectors = scipy.linalg.eig(rest.T @ (f[:, None] * bottom), rest.T @ (signs[:, None] * bottom))
    fine = np.polynomial.chebyshev.chebvander(scaled(points_of(task.intervals, 501)), n)
    candidates = []
    for value, vector in zip(h, vectors.T, strict=True):
        q = vector.real
        if not np.isfinite(value) or abs(value.imag) > 1e-9 * abs(value) or not np.max(np.abs(q)):
            continue
        on_domain = fine @ q
        if np.all(on_domain > 0.0) or np.all(on_domain < 0.0):
            candidates.append((abs(value.real), value.real, q / on_domain[0]))
    if not candidates:
        return None
    _, level, q = min(candidates, key=lambda item: item[0])
    p = np.linalg.lstsq(top, (f - level * signs) * (bottom @ q))[0]

    def error(points: np.ndarray) -> np.ndarray:
        v = scaled(points)
        quotient = clenshaw(p.tolist(), v) / clenshaw(q.tolist(), v)
        return np.asarray(task.weights(points) * (task.f(points) - quotient))

    return level, p, q, error


# ------------------------------------------------------------------ certificate


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
