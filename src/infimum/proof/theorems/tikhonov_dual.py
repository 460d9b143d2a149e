"""Tikhonov dual: how near A @ B can come to the identity when B may not be longer than a given radius.

For every mu >= 0, ``norm(A @ B - I)**2 >= (m - p) + sum_i mu / (sigma_i**2 + mu) - mu * radius**2`` (Frobenius norms,
p = min(m, n)) for all B with ``norm(B) <= radius``. Statement and proof: docs/theorems/tikhonov_dual.md.
"""

from __future__ import annotations

import numpy as np

from infimum._arrays import Working, to_numpy
from infimum.errors import VerificationError
from infimum.proof import evidence
from infimum.proof.rounding import rounding_allowance

THEOREM = "tikhonov_dual"


def spectrum(A: Working, values: np.ndarray | None = None) -> tuple[np.ndarray, float]:
    """Return the computed singular values (scaled as `A` is), and how far each may lie from the true one.

    `values` are those that a backward stable solver has already found.
    """
    if values is None:
        values = to_numpy(A.xp.linalg.svdvals(A.array)).astype(np.float64)
    return values, rounding_allowance(A.array.shape, A.eps, float(values[0]))


def lower_bound(above: np.ndarray, rows: int, radius: float, mu: float, room: float = 1.0) -> float:
    """Lower bound on ``norm(A @ B - I)`` over all B with ``norm(B) <= radius``, rounded downwards.

    Decreasing in each singular value, so upper bounds stand in for them (`above`).
    """
    mu = evidence.number("mu", mu, least=0.0)
    radius = evidence.number("the radius", radius, least=0.0)
    above = evidence.array("the bounds on the singular values", above, (None,))
    if not 0 < above.size <= rows or float(np.min(above)) < 0.0:
        raise VerificationError(f"1 to {rows} singular values, 0 or more, were expected, got {above.size}")
    return dual_value(above, rows, radius, mu, room)


def dual_value(above: np.ndarray, rows: int, radius: float, mu: float, room: float = 1.0) -> float:
    """Evaluate the bound where its hypotheses are known to hold."""
    return float(dual_values(above, rows, radius, np.array([mu]), room)[0])


def dual_values(above: np.ndarray, rows: int, radius: float, mu: np.ndarray, room: float = 1.0) -> np.ndarray:
    """Evaluate the bound for several multipliers.

    The sum has p terms, each accurate to 6 unit roundoffs, and a few roundings follow: less than half the allowance.
    """
    beyond, root = float(rows - above.size), np.sqrt(mu)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        terms = 1.0 / (1.0 + np.square(above[None, :] / root[:, None]))
        reached = np.sum(np.where(root[:, None] > 0.0, terms, 0.0), axis=1)
        paid = np.square(root * radius)
    rounding = 4.0 * (above.size + 4) * np.finfo(float).eps * (beyond + reached + paid)
    left = beyond + reached - paid - room * rounding
    return np.where(left > 0.0, np.sqrt(np.maximum(left, 0.0)) * (1.0 - room * 2.0**-50), 0.0)
