"""Quotients of one type in multiple precision (python-flint): those that interpolate, and those with a levelled error.

With ``w_k`` the weights of the divided difference on N points, ``sum w_k u_k**i p(u_k) = 0`` for every polynomial p of
degree below N - 1 - i. So p drops out of ``p(u_k) = F_k q(u_k)``, and what is left for q is a Hankel matrix of the
moments ``sum w_k F_k u_k**i``. Monomials and moments are badly scaled; that costs bits, which are cheap, and nothing
else: whoever calls asks for more of them until the error at the nodes shows that they were enough.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from infimum.minimax.remez.levelled_error import ErrorFunction, split
from infimum.proof.enclosure.balls import Ball, flint, working
from infimum.proof.enclosure.fixed_part import next_power
from infimum.proof.enclosure.point_values import values_at, weights_at
from infimum.proof.enclosure.spaces import Powers
from infimum.proof.enclosure.task import Task
from infimum.proof.theorems.alternation import divided_difference

TURNS = 12  # of the iteration for an eigenvector, which converges cubically
SETTLED = 2.0**-60


class Quotient(NamedTuple):
    """``x**start * numerator(u) / denominator(u)``, with u in [-1, 1]."""

    numerator: Any
    denominator: Any


class Quotients:
    """The quotients of type (m, n) in ``t = x**stride`` on the half domain of a task, with so many `bits`."""

    def __init__(self, task: Task, type_: tuple[int, int], bits: int) -> None:
        assert isinstance(task.space, Powers)
        self.task, self.bits = task, bits
        self.m, self.n = type_
        self.start, self.stride = task.space.start, task.space.stride
        self.intervals = task.away_from_zero(task.half)

    def scaled(self, x: np.ndarray) -> np.ndarray:
        """Places u in [-1, 1] of points, in doubles."""
        low, high = (end**self.stride for end in (self.task.half[0][0], self.task.half[-1][1]))
        return np.asarray((2.0 * x**self.stride - low - high) / (high - low))

    def of_chebyshev(self, p: np.ndarray, q: np.ndarray) -> Quotient:
        """Return the quotient with these Chebyshev coefficients in u."""
        with working(self.bits) as module:
            basis = [module.arb_poly(module.fmpz_poly.chebyshev_t(k)) for k in range(max(p.size, q.size))]
            above, below = (
                sum((basis[k] * module.arb(value) for k, value in enumerate(c.tolist())), module.arb_poly([0]))
                for c in (p, q)
            )
            return Quotient(_middle(above), _middle(below))

    def interpolating(self, nodes: np.ndarray) -> Quotient | None:
        """Return the quotient that is f on m + n + 1 nodes; None where there is none."""
        with working(self.bits):
            u, f, _ = self._data(nodes)
            weights = [w.mid() for w in divided_difference(u)]
            moments = _moments(u, _products(weights, f), 2 * self.n)
            solved = _solved(
                [[moments[i + j] for j in range(1, self.n + 1)] for i in range(self.n)],
                [-moments[i] for i in range(self.n)],
            )
            return None if solved is None else self._with_numerator(u, f, [flint().arb(1), *solved])

    def levelled(self, reference: np.ndarray, near: Quotient) -> Quotient | None:
        """Return the quotient whose error alternates between h and -h on m + n + 2 points.

        There is one for every eigenvalue h of a symmetric pencil. That whose q is nearest to `near` is found, by
        inverse iteration with Rayleigh's quotient.
        """
        with working(self.bits) as module:
            u, f, inverse = self._data(reference)
            weights = [w.mid() for w in divided_difference(u)]
            signs = [i if k % 2 == 0 else -i for k, i in enumerate(inverse)]
            a = self._pencil(u, _products(weights, f))
            b = self._pencil(u, _products(weights, signs))
            q = near.denominator.coeffs()
            vector = module.arb_mat([[c] for c in [*q, *[module.arb(0)] * (self.n + 1 - len(q))]])
            h = module.arb.pos_inf()
            for _ in range(TURNS):
                image = (b * vector).mid()
                last, h = h, ((vector.transpose() * a * vector)[0, 0] / (vector.transpose() * image)[0, 0]).mid()
                if not h.is_finite() or abs(h - last) <= abs(h) * SETTLED:
                    break
                solved = _solved((a - h * b).mid().tolist(), [row[0] for row in image.tolist()])
                if solved is None:
                    break  # h is an eigenvalue to the last bit
                unit = max(solved, key=lambda c: abs(float(c)))
                if unit.contains(0):
                    break
                vector = module.arb_mat([[(c / unit).mid()] for c in solved])
            if not h.is_finite():
                return None
            levelled = [value - h * sign for value, sign in zip(f, signs, strict=True)]
            return self._with_numerator(u, levelled, [row[0] for row in vector.tolist()])

    def error(self, quotient: Quotient) -> ErrorFunction:
        """Errors ``w (f - quotient)`` at arrays of points, in doubles, times the sign of ``x**start``."""

        def errors(x: np.ndarray) -> np.ndarray:
            with working(self.bits) as module:
                points = [module.arb(value) for value in x.ravel().tolist()]
                values, weights = values_at(self.task.f, points), weights_at(self.task, points)
                found = []
                for point, value, weight in zip(points, values, weights, strict=True):
                    u = self._scaled(point)
                    error = weight * (value - point**self.start * quotient.numerator(u) / quotient.denominator(u))
                    found.append(float(error.mid()) if error.is_finite() else math.inf)
                errors = np.array(found).reshape(x.shape)
                if self.start:  # at 0 errors are limits
                    errors = np.sign(x) ** self.start * np.where(x == 0.0, 0.0, errors)
                return errors

        return errors

    def has_one_sign(self, quotient: Quotient, x: np.ndarray) -> bool:
        """Tell whether the denominator has one sign at points."""
        with working(self.bits) as module:
            values = [quotient.denominator(self._scaled(module.arb(point))) for point in x.tolist()]
            return all(value > 0 for value in values) or all(value < 0 for value in values)

    def stored(self, quotient: Quotient, parts: int) -> tuple[np.ndarray, np.ndarray]:
        """Chebyshev coefficients of numerator and denominator on the whole domain, as `parts` rows of doubles."""
        with working(self.bits) as module:
            low, high = (module.arb(end) for end in (self.task.half[0][0], self.task.half[-1][1]))
            # a mirrored domain ends at -high and high: x = high v
            squared = [-(low**2) - high**2, 0, 2 * high**2]
            v = module.arb_poly([0, 1] if self.stride == 1 else [c / (high**2 - low**2) for c in squared])
            factor = module.arb_poly([0, high]) ** (self.start - next_power(self.task.fixed))
            above, below = (_in_chebyshev(part) for part in (quotient.numerator(v) * factor, quotient.denominator(v)))
            unit = max(abs(c) for c in below)
            return split([c / unit for c in above], parts), split([c / unit for c in below], parts)

    def _data(self, points: np.ndarray) -> tuple[list[Ball], list[Ball], list[Ball]]:
        """Places u, ``f / x**start`` and inverse weights, for the space of quotients in u."""
        x = [flint().arb(point) for point in points.tolist()]
        power = [point**self.start for point in x]
        f = [value / p for value, p in zip(values_at(self.task.f, x), power, strict=True)]
        inverse = [1 / (w * abs(p)) for w, p in zip(weights_at(self.task, x), power, strict=True)]
        return [self._scaled(point) for point in x], f, inverse

    def _scaled(self, x: Ball) -> Ball:
        low, high = (flint().arb(end) ** self.stride for end in (self.task.half[0][0], self.task.half[-1][1]))
        return (2 * x**self.stride - low - high) / (high - low)

    def _pencil(self, u: list[Ball], values: list[Ball]) -> Any:
        moments = _moments(u, values, 2 * self.n + 1)
        return flint().arb_mat([[moments[i + j] for j in range(self.n + 1)] for i in range(self.n + 1)])

    def _with_numerator(self, u: list[Ball], f: list[Ball], q: list[Ball]) -> Quotient | None:
        """Find p by interpolation of ``f q`` on m + 1 of the points, spread over all of them."""
        module = flint()
        if not all(c.is_finite() for c in q):
            return None
        denominator = module.arb_poly([c.mid() for c in q])
        chosen = np.round(np.linspace(0, len(u) - 1, self.m + 1)).astype(int).tolist()
        places, values = [u[i].mid() for i in chosen], [(f[i] * denominator(u[i])).mid() for i in chosen]
        numerator = module.arb_poly.interpolate(places, values, algorithm="newton")
        if not all(c.is_finite() for c in numerator.coeffs()):
            return None
        return Quotient(_middle(numerator), denominator)


def _middle(polynomial: Any) -> Any:
    return flint().arb_poly([c.mid() for c in polynomial.coeffs()])


def _moments(u: list[Ball], values: list[Ball], count: int) -> list[Ball]:
    """``sum_k values_k u_k**i`` for i below count."""
    zero = flint().arb(0)
    moments = []
    for _ in range(count):
        moments.append(sum(values, zero).mid())
        values = _products(values, u)
    return moments


def _products(a: list[Ball], b: list[Ball]) -> list[Ball]:
    return [x * y for x, y in zip(a, b, strict=True)]


def _solved(rows: Sequence[Sequence[Ball]], right: Sequence[Ball]) -> list[Ball] | None:
    """Solve a linear system, without bounds on the rounding; None if it is singular."""
    module = flint()
    if not rows:
        return []
    try:
        found = module.arb_mat(rows).solve(module.arb_mat([[value] for value in right]), algorithm="approx")
    except ZeroDivisionError:
        return None
    return [row[0].mid() for row in found.tolist()]


def _in_chebyshev(polynomial: Any) -> list[Ball]:
    """Coefficients of the Chebyshev polynomials: Horner's rule, with ``v T_k = (T_(k+1) + T_(k-1)) / 2``."""
    zero = flint().arb(0)
    c: list[Ball] = []
    for coefficient in reversed(polynomial.coeffs() or [zero]):
        shifted = [zero] * (len(c) + 1)
        for k, value in enumerate(c):
            shifted[k + 1] += value if k == 0 else value / 2
            if k:
                shifted[k - 1] += value / 2
        c = [shifted[0] + coefficient, *shifted[1:]]
    return [value.mid() for value in c]
