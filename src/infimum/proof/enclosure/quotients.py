"""Quotients of two sums of Chebyshev polynomials: degrees, zeros, and a form that doubles evaluate well."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np

from infimum.proof.enclosure.approximants import ChebyshevSum
from infimum.proof.enclosure.balls import working
from infimum.proof.enclosure.change_of_basis import exact_sums, monomials
from infimum.proof.enclosure.domain import Intervals, points_of
from infimum.proof.enclosure.spaces import Powers

BETWEEN = 0.38  # where between two points of an alternation a node lies: seldom a number that anybody asks for
BITS = 256

Parts = tuple[np.ndarray, np.ndarray]


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


def barycentric(
    quotient: Parts, intervals: Intervals, points: np.ndarray
) -> tuple[list[float], list[float], list[float]]:
    """Nodes, values there, and weights ``q(t_k) / prod_(j != k) (t_k - t_j)``, each rounded once.

    The nodes lie between the points of the alternation, where the weights are of similar size.
    """
    whole = intervals[0][0], intervals[-1][1]
    p, q = (ChebyshevSum(Powers(0, 1, part.shape[1]), whole, part) for part in quotient)
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
