"""Quotients: of any two approximations; of sums of Chebyshev polynomials degrees, zeros, a form for doubles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from infimum._arrays import namespace
from infimum.proof.enclosure.approximants import Approximant, ChebyshevSum
from infimum.proof.enclosure.balls import Ball, working
from infimum.proof.enclosure.change_of_basis import exact_sums, monomials
from infimum.proof.enclosure.domain import Intervals, points_of
from infimum.proof.enclosure.spaces import Powers
from infimum.proof.enclosure.taylor_model import Cell, Model, quotient

BETWEEN = 0.38  # where between two points of an alternation a node lies: seldom a number that anybody asks for
BITS = 256

Parts = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Quotient:
    """One approximation over another."""

    above: Approximant
    below: Approximant

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Values in double precision."""
        return np.asarray(self.above(x) / self.below(x))

    def at(self, x: Ball) -> Ball:
        """Value at a point, as a ball."""
        return self.above.at(x) / self.below.at(x)

    def model(self, cell: Cell, order: int) -> Model:
        """Taylor model on a cell: none where the denominator may vanish."""
        return quotient(self.above.model(cell, order), self.below.model(cell, order))

    def polynomial(self) -> None:
        """Return nothing: it is no polynomial, as far as is known."""
        return

    def is_like(self, parity: int) -> bool:
        """Tell whether numerator and denominator show the quotient to be even (1) or odd (-1)."""
        return self.above.is_like(parity) and self.below.is_like(1)


def degree(polynomial: ChebyshevSum) -> int:
    """Degree, exactly; -1 of what is 0."""
    sums = exact_sums(polynomial.coefficients)
    return max((k for k, c in enumerate(sums) if c), default=-1)


def roots_of(expansion: np.ndarray, domain: tuple[float, float]) -> np.ndarray:
    """Zeros of a sum of Chebyshev polynomials, as complex numbers; isolated with certainty, then rounded."""
    with working(BITS) as module:
        polynomial = module.fmpq_poly([module.fmpq(c.numerator, c.denominator) for c in monomials(expansion, domain)])
        roots = [root for root, count in polynomial.complex_roots() for _ in range(count)]
        return np.array([complex(float(root.real.mid()), float(root.imag.mid())) for root in roots], dtype=complex)


def barycentric(parts: Parts, intervals: Intervals, points: np.ndarray) -> tuple[list[float], list[float], list[float]]:
    """Nodes, values there, and weights ``q(t_k) / prod_(j != k) (t_k - t_j)``, each rounded once.

    The nodes lie between the points of the alternation, where the weights are of similar size.
    """
    whole = intervals[0][0], intervals[-1][1]
    p, q = (ChebyshevSum(Powers(0, 1, part.shape[1]), whole, part) for part in parts)
    nodes = _between(points, intervals, max(degree(p), degree(q)) + 1)
    exact = [Fraction(node) for node in nodes]
    below = [q.exact(node) for node in nodes]
    values = [float(p.exact(node) / value) for node, value in zip(nodes, below, strict=True)]
    gaps = [math.prod((t - other for other in exact if other != t), start=Fraction(1)) for t in exact]
    weights = [value / gap for value, gap in zip(below, gaps, strict=True)]
    largest = max(abs(weight) for weight in weights)
    return nodes, values, [float(weight / largest) for weight in weights]


def _between(points: np.ndarray, intervals: Intervals, count: int) -> list[float]:
    """So many different numbers between increasing points; between Chebyshev points where those are too few."""
    pairs = _pairs(points, intervals)
    if len(pairs) < count:
        pairs = _pairs(points_of(intervals, -(-count // len(intervals)) + 1), intervals)
    chosen = np.round(np.linspace(0, len(pairs) - 1, count)).astype(int)
    return [low + BETWEEN * (high - low) for low, high in (pairs[i] for i in chosen)]


def _pairs(points: np.ndarray, intervals: Intervals) -> list[tuple[float, float]]:
    """Neighbouring points of one interval."""
    return [(a, b) for a, b in pairwise(points.tolist()) if any(low <= a and b <= high for low, high in intervals)]


def second_formula(terms: tuple[list[float], list[float], list[float]], x: Any) -> Any:
    """Evaluate by the second barycentric formula at an array of any library, in its precision."""
    xp = namespace(x=x)
    near = float(xp.finfo(x.dtype).smallest_normal) ** 0.5
    above, below = x * 0.0, x * 0.0
    for node, value, weight in zip(*terms, strict=True):
        distance = x - node
        part = weight / xp.where(distance == 0.0, xp.full_like(distance, near), distance)
        above, below = above + part * value, below + part
    return above / below
