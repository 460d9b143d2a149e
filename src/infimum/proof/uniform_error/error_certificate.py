"""The certificate of a stored approximation: enclosed where all is known as a formula, else the value is sampled."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np

from infimum._arguments import RNGLike
from infimum.errors import NonFiniteError, OptionError
from infimum.proof import draws
from infimum.proof.certificate import Certificate
from infimum.proof.enclosure.approximants import Approximant, ChebyshevSum, Combination, Monomials
from infimum.proof.enclosure.change_of_basis import rounded_sums
from infimum.proof.enclosure.domain import points_of
from infimum.proof.enclosure.spaces import Functions
from infimum.proof.enclosure.task import Task
from infimum.proof.rounding import ROOM
from infimum.proof.theorems import alternation
from infimum.proof.uniform_error.error_bounds import (
    dual_bound,
    enclose_error,
    error_vanishes,
    values_of_error,
)
from infimum.proof.uniform_error.sampled_error import Sampled, sample, sample_smooth

EPS = float(np.finfo(float).eps)
OUTWARD = 2.0**-46  # relative: what the size that the bounds are measured in may move them by (see `taylor_model`)
VANISHED = 2.0**-200  # of the size of f: smaller errors are not told from 0 where nothing bounds them from below
CLAIMED = 0  # seed of the samples of a claim; a check takes others
WEIGHED = 16  # largest samples whose errors are computed without the rounding of the approximation

Path = Literal["enclosed", "sampled"]


class Certified(NamedTuple):
    """A certificate, the signs that the error ``f - p`` of an optimal p has at its points, and samples, if any.

    `worst` is the cell with the largest bound of an enclosure.
    """

    certificate: Certificate
    signs: tuple[int, ...]
    samples: Sampled | None = None
    worst: tuple[float, float] = (0.0, 0.0)


def claim_error(
    task: Task, approximant: Approximant, points: np.ndarray, tol: float, path: Path, *, smooth: bool = False
) -> Certified:
    """Bound the error of an approximation and of all others, with room for rounding elsewhere; no draw takes part.

    Where the error is taken to be `smooth` but at breakpoints, there are few samples; a check has all of them.
    """
    if path == "sampled":
        return _sampled(task, approximant, points, None, room=ROOM, smooth=smooth)
    return _enclosed(task, approximant, points, tol, room=ROOM)


def derive_error(
    task: Task, approximant: Approximant, points: np.ndarray, tol: float, path: Path, rng: RNGLike
) -> Certified:
    """Do the same to check a claim: where the value is sampled, at points that the claim's author did not choose."""
    if path == "enclosed":
        return _enclosed(task, approximant, points, tol, room=1.0)
    drawn = draws.generator(rng, *_chosen(approximant), points, list(task.breakpoints))
    return _sampled(task, approximant, points, drawn, room=1.0)


def outwards(value: float, bound: float, room: float) -> tuple[float, float]:
    """Leave room beyond what is derived for what another machine may derive."""
    margin = (room - 1.0) * OUTWARD
    return value * (1.0 + margin), bound * (1.0 - margin)


def scale(task: Task) -> float:
    """Largest ``w |f|`` seen: the natural size of the error."""
    x = points_of(task.half, 1001)
    if task.contains_zero():
        x = x[x != 0.0]
    return float(np.max(np.abs(task.weights(x) * task.f(x))))


def _enclosed(task: Task, approximant: Approximant, points: np.ndarray, tol: float, room: float) -> Certified:
    bound, signs = dual_bound(task, points.tolist())
    if error_vanishes(task, approximant):
        return Certified(
            Certificate(0.0, 0.0, alternation.THEOREM, "enclosed", witness={"points": points}), tuple(signs)
        )
    size = scale(task)
    seen = np.abs(values_of_error(task, approximant, points))
    # half the tolerance is left to the distance between the two optima, the exchange algorithm's and the stored one
    enclosed = enclose_error(
        task,
        approximant,
        points,
        unit=max(bound, size * (0.0 if bound else VANISHED), float(np.max(seen[np.isfinite(seen)], initial=0.0)))
        or 1.0,
        tol=tol / 4,
        enough=bound * (1 + tol / 2),
        size=size,
    )
    if not math.isfinite(enclosed.upper):
        low, high = enclosed.worst
        raise NonFiniteError(
            f"the error cannot be bounded between x = {low!r} and x = {high!r}: f or the weight has a pole there, or "
            "is not defined; leave that point out of the domain"
        )
    value, bound = outwards(enclosed.upper, bound, room)
    certificate = Certificate(value, bound, alternation.THEOREM, "enclosed", witness={"points": points})
    return Certified(certificate, tuple(signs), worst=enclosed.worst)


# ------------------------------------------------------------------ functions known by their values


def _sampled(
    task: Task,
    approximant: Approximant,
    points: np.ndarray,
    rng: np.random.Generator | None,
    room: float,
    smooth: bool = False,
) -> Certified:
    """Bound by duality in double precision; the value is the largest error that samples show.

    A claim, made without a generator, adds what cells between its samples may hold, and some rounding of f.
    """
    bound, signs = _bound_in_doubles(task, points, room)

    def error(x: np.ndarray) -> np.ndarray:
        return np.asarray(task.weights(x) * (task.f(x) - approximant(x)))

    breaks = np.asarray(task.breakpoints, dtype=np.float64)  # a jump has another value on either side
    known = np.concatenate([points, -points, breaks, np.nextafter(breaks, -np.inf), np.nextafter(breaks, np.inf)])
    resolution = 2.0 * EPS * _size_of_terms(task, approximant)
    intervals = task.away_from_zero(task.intervals) if task.relative else task.intervals
    draw = np.random.default_rng(CLAIMED) if rng is None else rng
    if smooth:
        found = sample_smooth(error, intervals, known, rng=draw)
    else:
        found = sample(error, intervals, known, resolution=resolution, rng=draw, claim=rng is None)
    if rng is None:
        seen = found.expected if smooth else max(found.expected, _weighed(task, approximant, found))
        value = seen + found.noise + room * resolution
    elif isinstance(approximant, ChebyshevSum):
        value = _weighed(task, approximant, found)
    else:
        value = found.largest + resolution
    certificate = Certificate(max(value, bound), bound, alternation.THEOREM, "sampled", witness={"points": points})
    return Certified(certificate, signs, found)


def _weighed(task: Task, approximant: Approximant, found: Sampled) -> float:
    """Largest error at the largest samples, where the approximation is evaluated without rounding.

    It is for coefficients of Chebyshev polynomials, whose rounding is small beside the largest value of their sum.
    """
    if not isinstance(approximant, ChebyshevSum):
        return found.largest
    order = np.argsort(-np.abs(found.errors), kind="stable")[:WEIGHED]
    x = found.places[order]
    values, weights = task.f(x).tolist(), task.weights(x).tolist()
    pairs = zip(x.tolist(), values, weights, strict=True)
    return max(float(w) * abs(float(Fraction(f) - approximant.exact(p))) for p, f, w in pairs)


def _size_of_terms(task: Task, approximant: Approximant) -> float:
    """Size of the numbers whose difference is the error: their last digits are its resolution."""
    x = points_of(task.half, 1001)
    size = scale(task)
    if task.fixed:
        with np.errstate(all="ignore"):
            weighted = task.weights(x) * task.sizes(x)
        size = max(size, float(np.max(weighted[np.isfinite(weighted)])))
    if isinstance(approximant, ChebyshevSum):
        return size
    if isinstance(approximant, Monomials):
        powers = approximant.coefficients.items()
        terms = [abs(float(c)) * np.abs(x) ** power for power, c in powers]
    else:
        assert isinstance(approximant, Combination)
        coefficients = rounded_sums(approximant.coefficients)
        terms = [abs(c) * np.abs(g(x)) for c, g in zip(coefficients, approximant.space.functions, strict=True)]
    with np.errstate(all="ignore"):
        weighted = task.weights(x) * np.sum(terms, axis=0)
    return size + (len(terms) + 2.0) * float(np.max(weighted[np.isfinite(weighted)]))


def _chosen(approximant: Approximant) -> list[Any]:
    """Tell what whoever made an approximation chose."""
    if isinstance(approximant, Monomials):
        return [sorted(approximant.coefficients.items())]
    assert isinstance(approximant, ChebyshevSum | Combination)
    return [np.asarray(approximant.coefficients)]


def _bound_in_doubles(task: Task, x: np.ndarray, room: float) -> tuple[float, tuple[int, ...]]:
    inside = np.zeros(x.shape, dtype=bool)
    for low, high in task.half:
        inside |= (x >= low) & (x <= high)
    if x.shape != (task.space.size + 1,) or not np.all(inside) or not all(a < b for a, b in pairwise(x.tolist())):
        raise OptionError(f"the reference must be {task.space.size + 1} increasing points of the domain")
    if isinstance(task.space, Functions):
        annihilator = alternation.of_functions(np.stack([function(x) for function in task.space.functions], axis=1))
    else:
        annihilator = alternation.of_powers(x, task.space.start, task.space.stride)
    f, inverse = task.f(x), 1.0 / task.weights(x)
    sizes = task.sizes(x)
    if task.mirror:
        f, sizes = (f + task.mirror * task.f(-x)) / 2.0, (sizes + task.sizes(-x)) / 2.0
        inverse = (inverse + 1.0 / task.weights(-x)) / 2.0
    bound = alternation.in_doubles(annihilator, f, sizes, inverse, room=room)
    if not annihilator.weights.size:
        return 0.0, (0,) * x.size
    sign = -1.0 if bound and np.sum(annihilator.weights * f) < 0.0 else 1.0
    return bound, tuple(int(s) for s in np.sign(annihilator.weights) * sign)
