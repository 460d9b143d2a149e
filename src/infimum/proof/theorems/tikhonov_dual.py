"""Tikhonov dual: how near A @ B can come to the identity when B may not be longer than a given radius.

For every mu >= 0, ``norm(A @ B - I)**2 >= (m - p) + sum_i mu / (sigma_i**2 + mu) - mu * radius**2`` (Frobenius norms,
p = min(m, n)) for all B with ``norm(B) <= radius``. Statement and proof: docs/theorems/tikhonov_dual.md.
"""

from __future__ import annotations

import math

import numpy as np

from infimum._arrays import Working, to_numpy
from infimum.proof.rounding import rounding_allowance


def singular_values_above(A: Working) -> np.ndarray:
    """Upper bounds on the singular values (scaled as `A` is): the computed ones plus the allowance for rounding."""
    values = to_numpy(A.xp.linalg.svdvals(A.array)).astype(np.float64)
    return values + rounding_allowance(A.array.shape, A.eps, float(values[0]))


def lower_bound(singular_values: np.ndarray, rows: int, radius: float, mu: float) -> float:
    """Lower bound on ``norm(A @ B - I)`` over all B with ``norm(B) <= radius``, rounded downwards.

    Decreasing in each singular value, so upper bounds may stand in for them.
    """
    beyond = rows - singular_values.size
    reached = float(np.sum(mu / (np.square(singular_values) + mu))) if mu > 0.0 else 0.0
    paid = mu * radius**2
    rounding = 4.0 * (singular_values.size + 4) * np.finfo(float).eps * (beyond + reached + paid)
    return math.sqrt(max(beyond + reached - paid - rounding, 0.0)) * (1.0 - 2.0**-50)
