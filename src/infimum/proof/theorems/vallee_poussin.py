"""De la Vallée-Poussin: a lower bound on the errors of all rational functions, from the alternating errors of one.

If ``w (f - p/q)`` alternates in sign on ``max(deg p + n, m + deg q) + 2`` points of a domain, and q has one sign there,
then every rational function of type (m, n) whose denominator has one sign on the domain, as it has on an interval
without poles, has at least the smallest of these errors. Where p = 0, ``m + deg q + 2`` points are enough. With a
factor x**start the same holds for the errors over it. Statement and proof: docs/theorems/vallee_poussin.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from infimum.errors import VerificationError
from infimum.proof.enclosure.balls import Ball, float_below

THEOREM = "vallee_poussin"


def points_needed(type_: tuple[int, int], degrees: tuple[int, int]) -> int:
    """Count the points on which the error of ``p/q``, of these degrees, must alternate to bound all of the type.

    The degree of p = 0 is -1.
    """
    (m, n), (p, q) = type_, degrees
    if not (-1 <= p <= m and 0 <= q <= n):
        raise VerificationError(f"p and q must be of degrees up to {type_}, got {degrees}")
    return (m + q if p < 0 else max(p + n, m + q)) + 2


def lower_bound(
    points: Sequence[float],
    domain: Sequence[tuple[float, float]],
    errors: Sequence[Ball],
    denominators: Sequence[Ball],
    needed: int,
    start: int = 0,
) -> float:
    """Smallest modulus of alternating errors at the points, rounded downwards; 0 where they do not alternate.

    `denominators` are the values of q at the points. For approximations by ``x**start * p/q`` it is the errors over
    ``x**start`` that must alternate, and nothing is proved at x = 0, where all of these vanish.
    """
    inside = all(any(low <= point <= high for low, high in domain) for point in points)
    increasing = all(a < b for a, b in pairwise(points))
    if not inside or not increasing or not len(points) == len(errors) == len(denominators):
        raise VerificationError(
            f"the alternation must be errors at increasing points of {list(domain)!r}, with a denominator at each, got "
            f"{len(points)} points, {len(errors)} errors and {len(denominators)} denominators"
        )
    if start and 0.0 in points:
        return 0.0
    turned = [-e if start % 2 and point < 0.0 else e for point, e in zip(points, errors, strict=True)]
    alternate = all((a > 0 and b < 0) or (a < 0 and b > 0) for a, b in pairwise(turned))
    one_sign = all(q > 0 for q in denominators) or all(q < 0 for q in denominators)
    if len(errors) < needed or not alternate or not one_sign:
        return 0.0
    return max(min(float_below(e.abs_lower()) for e in errors), 0.0)
