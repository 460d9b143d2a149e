"""Functions that belong to the space: their coefficients without rounding, where doubles and a divisor hold them."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np

from infimum.proof.answers.conversions import chebyshev_coefficients
from infimum.proof.answers.polynomial import LARGEST_DIVISOR, MOST_PARTS
from infimum.proof.enclosure.balls import working
from infimum.proof.enclosure.fixed_part import next_power
from infimum.proof.enclosure.spaces import Powers
from infimum.proof.enclosure.task import Task
from infimum.proof.uniform_error.error_bounds import BITS, polynomial_of
from infimum.proof.uniform_error.quotient_error import fraction_of


def exact_member(task: Task, interval: tuple[float, float]) -> tuple[np.ndarray, int] | None:
    """Return rows of doubles and a divisor that stand for f; None where it is no polynomial of the space."""
    with working(BITS):
        polynomial, powers = polynomial_of(task), task.space.powers
        if polynomial is None:
            return None
        exact = [Fraction(int(c.p), int(c.q)) for c in polynomial.coeffs()]
    if any(c for power, c in enumerate(exact) if power not in set(powers)):
        return None
    own = [exact[power] if power < len(exact) else Fraction(0) for power in powers or range(task.space.size)]
    return _as_doubles(chebyshev_coefficients(own, interval) if isinstance(task.space, Powers) else own)


def exact_quotient(task: Task, type_: tuple[int, int]) -> tuple[np.ndarray, np.ndarray] | None:
    """Return rows of doubles for numerator and denominator that are f; None where it is no quotient of the type."""
    with working(BITS) as module:
        form = fraction_of(task)
        if form is None:
            return None
        below = form[1]
        for (_, high), (low, _) in pairwise(task.intervals):
            ends = (module.fmpq(*end.as_integer_ratio()) for end in (high, low))
            if below(next(ends)) * below(next(ends)) < 0:  # both get a zero in the gap, where the denominator has one
                factor = module.fmpq_poly([-module.fmpq(*(high / 2 + low / 2).as_integer_ratio()), 1])
                form = form[0] * factor, form[1] * factor
        above, rest = divmod(form[0], module.fmpq_poly([0, 1]) ** next_power(task.fixed))
        form = above, form[1]
        if rest != 0 or any(part.degree() > most for part, most in zip(form, type_, strict=True)):
            return None
        parts = [[Fraction(int(c.p), int(c.q)) for c in part.coeffs()] or [Fraction(0)] for part in form]
    whole = task.intervals[0][0], task.intervals[-1][1]
    above, below = (chebyshev_coefficients(part, whole) for part in parts)
    unit = max(map(abs, below))
    rows = _as_doubles([c / unit for c in (*above, *below)])
    return None if rows is None else (rows[0][:, : len(above)], rows[0][:, len(above) :])


def _as_doubles(numbers: list[Fraction]) -> tuple[np.ndarray, int] | None:
    """Rows of doubles whose sums over the divisor, an odd number, are the numbers."""
    common = math.lcm(*(c.denominator for c in numbers))
    divisor = common >> ((common & -common).bit_length() - 1)
    if divisor > LARGEST_DIVISOR:
        return None
    rest = [c * divisor for c in numbers]
    rows: list[list[float]] = []
    while any(rest) and len(rows) < MOST_PARTS:
        try:
            rows.append([float(c) for c in rest])
        except OverflowError:
            return None
        rest = [c - Fraction(value) for c, value in zip(rest, rows[-1], strict=True)]
    return None if any(rest) else (np.array(rows or [[0.0] * len(numbers)]), divisor)
