"""Alternation: a lower bound on the error of every approximation from a linear space, by duality.

If ``sum_k weights[k] g(x_k) = 0`` for every g of the space, then every p of the space has
``max_k w(x_k) |f(x_k) - p(x_k)| >= |sum_k weights[k] f(x_k)| / sum_k |weights[k]| / w(x_k)``.
For polynomials and n + 2 points with levelled error this is de la Vallée-Poussin's bound. Statement and proof, and
where every constant of the bound in double precision comes from: docs/theorems/alternation.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from infimum.proof.enclosure.balls import Ball, flint
from infimum.proof.rounding import rounding_allowance

THEOREM = "alternation"

UNIT = 2.0**-53  # largest relative error of one operation, to nearest
VALUES = 16.0  # units that a quotient of two values may be off, each right to 8 of them: assumed
POWER = 4.0  # units that NumPy's power of a double may be off: two units in the last place, observed and not proved
SECOND_ORDER = 1.0625  # covers products of errors, and the rounding of allowances
LARGEST_LOSS = 2.0**-6  # relative error of a weight, beyond which nothing is claimed
LEAST_BOUND = 2.0**-1000  # smaller ones lose digits, and count as 0
LEAST_WEIGHT = 2.0**-960  # of the largest: below it weights may underflow, and nothing is claimed

# ------------------------------------------------------------------ in ball arithmetic


def duality(annihilator: Sequence[Ball], values: Sequence[Ball], inverse_weights: Sequence[Ball]) -> Ball:
    """Enclose the signed bound ``sum(a * f) / sum(|a| / w)``; its modulus bounds the error from below.

    `annihilator` must annihilate the space. The weight of a point is 1 over its inverse weight, so these must be
    positive; the bound is not a number where that is not certain.
    """
    zero = flint().arb(0)
    total = sum((a * value for a, value in zip(annihilator, values, strict=True)), zero)
    price = sum((abs(a) * inverse for a, inverse in zip(annihilator, inverse_weights, strict=True)), zero)
    positive = all(inverse > 0 for inverse in inverse_weights)
    return total / price if positive else zero.nan()


def divided_difference(points: Sequence[Ball]) -> list[Ball]:
    """Weights of the divided difference on distinct points: they annihilate all polynomials of lower degree.

    Up to a common positive factor: ``1 / prod_{j != k} (t_k - t_j)``; not finite where points may coincide.
    """
    weights = []
    for k, t in enumerate(points):
        product = flint().arb(1)
        for j, other in enumerate(points):
            if j != k:
                product = product * (t - other)
        weights.append(1 / product)
    return weights


def null_vector(collocation: Sequence[Sequence[Ball]]) -> list[Ball]:
    """Weights on m + 1 points that annihilate m functions, from the (m + 1) x m matrix of their values there.

    The last weight is 1. Not finite where the first m points do not determine the coefficients.
    """
    module = flint()
    size = len(collocation[0])
    square = module.arb_mat(size, size, [collocation[j][i] for i in range(size) for j in range(size)])
    right = module.arb_mat(size, 1, [-value for value in collocation[size]])
    try:
        solution = square.solve(right)
    except ZeroDivisionError:
        return [module.arb.nan()] * (size + 1)
    return [*(solution[i, 0] for i in range(size)), module.arb(1)]


# ------------------------------------------------------------------ in double precision


class Annihilator(NamedTuple):
    """Weights in double precision that nearly annihilate a space.

    Attributes
    ----------
    weights : array (m + 1,)
        Those of the points.
    loss : array (m + 1,)
        Largest relative error of every weight, where weights near by annihilate the space exactly.
    leak : float
        ``|sum_k weights[k] g(x_k)|`` is at most this times the Euclidean norm of the values ``g(x_k)``.
    """

    weights: np.ndarray
    loss: np.ndarray
    leak: float


NOTHING = Annihilator(np.zeros(0), np.zeros(0), np.inf)


def of_powers(x: np.ndarray, start: int, stride: int) -> Annihilator:
    """Annihilate ``x**start * P(x**stride)``, deg P < len(x) - 1: weights of a divided difference over ``x**start``.

    Every factor is a difference of powers, whose cancellation is counted, and a product of mantissas, one rounding
    each; exponents are kept apart and cannot overflow.
    """
    if start and not np.all(x != 0.0):
        return NOTHING
    t = x**stride
    size = np.abs(t)
    mantissa, exponent = np.ones(x.size), np.zeros(x.size, dtype=np.int64)
    moved = np.zeros(x.size)
    for factor in (*(t - other for other in t), *[x] * start):
        own = factor == 0.0
        if np.sum(own) > 1:
            return NOTHING  # the powers of two points are the same double
        safe = np.where(own, 1.0, factor)
        if stride > 1 and np.any(own):
            moved += np.where(own, 0.0, (size + size[own]) / np.abs(safe))
        mantissa, shift = np.frexp(mantissa * np.frexp(safe)[0])
        exponent += shift + np.frexp(safe)[1]
    weights = np.ldexp(1.0 / mantissa, np.clip(exponent.min() - exponent, -2000, 0).astype(np.int32))
    loss = UNIT * (2.0 * x.size + start + POWER * moved)
    return Annihilator(weights, loss, 0.0)


def of_functions(collocation: np.ndarray) -> Annihilator:
    """Annihilate m functions by the last column of an orthogonal factor of their values at m + 1 points.

    What it leaves of them is measured. A function g of the space has coefficients whose norm is at most that of its
    values over the smallest singular value, which limits what is left of g.
    """
    rows, columns = collocation.shape
    with np.errstate(all="ignore"):
        matrix = collocation / np.max(np.abs(collocation), axis=0)
    if rows != columns + 1 or not np.all(np.isfinite(matrix)):
        return NOTHING
    weights = np.linalg.qr(matrix, mode="complete")[0][:, -1]
    doubt = UNIT * (rows + 2.0 + VALUES)  # of a sum of so many products of values
    left = np.abs(weights @ matrix) + doubt * (np.abs(weights) @ np.abs(matrix))
    norm = float(np.linalg.norm(matrix))
    smallest = float(np.linalg.svd(matrix, compute_uv=False)[columns - 1])
    smallest -= rounding_allowance((rows, columns), 2.0 * UNIT, norm) + (VALUES + 1.0) * UNIT * norm
    if not smallest > 0.0:
        return NOTHING
    return Annihilator(weights, np.zeros(rows), SECOND_ORDER * float(np.linalg.norm(left)) / smallest)


def in_doubles(
    annihilator: Annihilator, values: np.ndarray, sizes: np.ndarray, inverse_weights: np.ndarray, *, room: float = 1.0
) -> float:
    """Lower bound on the largest weighted error, in double precision less what rounding may add; 0 for nothing.

    `sizes` are at least the moduli of the values (more where a value is a difference of two). `room` multiplies the
    allowance.
    """
    weights, loss, leak = annihilator
    count = weights.size
    if not (values.shape == sizes.shape == inverse_weights.shape == (count,) and count):
        return 0.0
    known = np.all(np.isfinite(weights)) and np.all(np.isfinite(sizes)) and np.all(np.isfinite(inverse_weights))
    if not (known and np.all(sizes >= np.abs(values)) and np.all(inverse_weights > 0.0)):
        return 0.0
    modulus = np.abs(weights)
    if not (np.max(loss) <= LARGEST_LOSS and np.min(modulus) >= LEAST_WEIGHT * np.max(modulus) and np.isfinite(leak)):
        return 0.0
    large, dear = (int(np.frexp(np.max(size))[1]) for size in (sizes, inverse_weights))
    values, sizes, inverse_weights = np.ldexp(values, -large), np.ldexp(sizes, -large), np.ldexp(inverse_weights, -dear)
    doubt = loss + UNIT * (count + 3.0 + VALUES)  # of one term of a sum of so many
    lost = room * SECOND_ORDER * (float(np.sum(doubt * modulus * sizes)) + leak * float(np.linalg.norm(sizes)))
    price = float(np.sum(modulus * inverse_weights * (1.0 + room * SECOND_ORDER * doubt)))
    price += room * SECOND_ORDER * leak * float(np.linalg.norm(inverse_weights))
    found = abs(float(np.sum(weights * values))) - lost
    with np.errstate(over="ignore"):
        bound = float(np.ldexp(max(found / price, 0.0) * (1.0 - 8.0 * room * UNIT), large - dear))
    return bound if LEAST_BOUND <= bound < np.inf else 0.0
