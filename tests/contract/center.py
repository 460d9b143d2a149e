"""A newcomer's problem, whole: the middle of some numbers. CONTRIBUTING.md says into which files its parts would go."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import axes
from infimum._arrays import Array, as_array, is_complex, namespace, require_finite, to_numpy
from infimum.errors import DTypeError, ShapeError
from infimum.problems import Case, Problem
from infimum.proof import evidence, wording
from infimum.proof.certificate import Certificate
from infimum.proof.result import Result
from infimum.proof.rounding import ROOM

# ---------------------------------------------------------------- src/infimum/proof/theorems/spread.py

THEOREM = "spread"
EPS = 2.0**-52


def half_of_spread(low: float, high: float, room: float = 1.0) -> float:
    """Any point is at least half the spread away from one of the two ends.

    One subtraction rounds, by at most half a unit roundoff of the larger end; `room` allowances of a whole one go off.
    """
    return max(0.0, (high - low) / 2 - room * EPS * max(abs(low), abs(high)))


# ---------------------------------------------------------------- src/infimum/proof/answers/center.py


@dataclasses.dataclass(frozen=True)
class Center(Result):
    """The middle of some numbers, the answer of `center`."""

    problem: ClassVar[str] = "toy.center"
    inputs: ClassVar[tuple[str, ...]] = ("points",)
    point: float

    def recheck(self, points: Array) -> Certificate:
        """Derive the certificate from the input and the answer; what the answer holds is asked for first."""
        return certify_center(checked_points(points), evidence.number("point", self.point))

    def plot(self, ax: Any = None) -> Any:
        """Draw the interval that the bound leaves to the largest distance."""
        ax = axes(ax)
        ax.plot([self.certificate.lower_bound, self.certificate.value], [0, 0], "|-")
        ax.set(xlabel="largest distance", ylabel="center", title=wording.error_and_floor(self.certificate))
        return ax


def checked_points(points: Array) -> Array:
    """Return the input as an array that solver and check take alike."""
    points = as_array(points, "points")
    if is_complex(points):
        raise DTypeError(f"points must be real, got dtype {points.dtype}; take the real part first")
    if points.ndim != 1 or points.shape[0] == 0:
        raise ShapeError(f"points must be a vector with at least one entry, got shape {tuple(points.shape)}")
    require_finite(points, "points")
    return points


def certify_center(points: Array, point: float, room: float = 1.0) -> Certificate:
    """Measure the loss and derive the bound: by the check with one allowance, by the solver with `ROOM` of them."""
    low, high = float(namespace(points=points).min(points)), float(namespace(points=points).max(points))
    reached = max(high - point, point - low)
    value = reached + room * EPS * max(abs(low), abs(high), abs(point))
    return Certificate(value, half_of_spread(low, high, room), THEOREM, "rounded")


# ---------------------------------------------------------------- src/infimum/toy/center.py


def center(points: Array) -> Center:
    """Find the point whose largest distance to the given points is least.

    Minimises ``max(abs(points - point))``.

    Parameters
    ----------
    points : array (n,)
        Real, finite.

    Returns
    -------
    Center
        `point`; `certificate`.

    Raises
    ------
    ShapeError, NonFiniteError, DTypeError
        Each says what was expected, what came, and what to do.

    References
    ----------
    .. [1] P. Chebyshev, on the centre of a bounded set of reals.

    Examples
    --------
    >>> center(np.array([0.0, 2.0])).point
    1.0
    """
    points = checked_points(points)
    xp = namespace(points=points)
    point = float(xp.min(points)) / 2 + float(xp.max(points)) / 2
    return Center(point=point, certificate=certify_center(points, point, room=ROOM))


# ---------------------------------------------------------------- src/infimum/problems/toy.py

TOY = Problem(
    name="toy.center",
    minimises="largest distance of a point to the given points",
    solve=center,
    result=Center,
    scale=lambda points: float(np.max(np.abs(to_numpy(points)))),
    example=lambda: Case((np.array([0.0, 1.0, 4.0]),)),
    example_text="three numbers",
    answer_text=lambda result: f"{result.point}",
    tiny=lambda rng: Case((rng.standard_normal(6),)),
    optimum=lambda result, points: (float(np.max(points)) - float(np.min(points))) / 2,
)
