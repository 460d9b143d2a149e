"""Alternation: a lower bound on the error of every approximation from a linear space, by duality.

If ``sum_k weights[k] g(x_k) = 0`` for every g of the space, then every p of the space has
``max_k w(x_k) |f(x_k) - p(x_k)| >= |sum_k weights[k] f(x_k)| / sum_k |weights[k]| / w(x_k)``.
For polynomials and n + 2 points with levelled error this is de la Vallée-Poussin's bound. Statement and proof:
docs/theorems/alternation.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from infimum.proof.enclosure.balls import Ball, flint

THEOREM = "alternation"


def duality(annihilator: Sequence[Ball], values: Sequence[Ball], inverse_weights: Sequence[Ball]) -> Ball:
    """Enclose the signed bound ``sum(a * f) / sum(|a| / w)``; its modulus bounds the error from below.

    `annihilator` must annihilate the space; `inverse_weights` must be positive: the weight of a point is 1 over it.
    """
    zero = flint().arb(0)
    total = sum((a * value for a, value in zip(annihilator, values, strict=True)), zero)
    price = sum((abs(a) * inverse for a, inverse in zip(annihilator, inverse_weights, strict=True)), zero)
    return total / price if price > 0 else zero.nan()


def divided_difference(points: Sequence[Ball]) -> list[Ball]:
    """Weights of the divided difference on distinct points: they annihilate all polynomials of lower degree.

    Up to a common positive factor: ``1 / prod_{j != k} (t_k - t_j)``.
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
