"""Piecewise polynomials with rational coefficients: tables and splines as exact functions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from infimum.proof.enclosure.balls import Ball, flint, float_above, float_below, working
from infimum.proof.enclosure.taylor_model import Cell, Model, of_polynomial, padded

Polynomial = tuple[Fraction, tuple[Fraction, ...]]  # a base, and coefficients of the powers of x - base


@dataclass(frozen=True)
class Piecewise:
    """A function that is one polynomial between neighbouring nodes, and known exactly.

    Attributes
    ----------
    name : str
        What it was made from.
    nodes : tuple of float
        Where one piece ends and the next begins, increasing; the first and the last piece have no outer end.
    pieces : tuple of (base, coefficients)
        One more than nodes. At a node the piece to the right of it counts.
    values : callable
        The function in double precision, of an array.
    domain : (float, float)
        Outside it the function is not defined.
    """

    name: str
    nodes: tuple[float, ...]
    pieces: tuple[Polynomial, ...]
    values: Callable[[np.ndarray], Any] = field(compare=False, repr=False)
    domain: tuple[float, float] = (-np.inf, np.inf)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Evaluate in double precision; NaN where the function is not defined."""
        with np.errstate(all="ignore"):
            return np.asarray(self.values(x), dtype=np.float64)

    def series(self, x: Any) -> Any:
        """Evaluate on a power series whose first coefficient lies within one piece; not a number where it does not."""
        module = flint()
        first, last = self._pieces_of(x[0], x[0])
        if first != last:
            return module.arb_series([module.arb.nan()] * module.ctx.cap)
        base, coefficients = self.pieces[first]
        offset, value = x - module.arb_series([_ball(base)]), module.arb_series([_ball(coefficients[-1])])
        for c in reversed(coefficients[:-1]):
            value = value * offset + module.arb_series([_ball(c)])
        return value

    def polynomial(self) -> Any:
        """Return the function as a polynomial (flint.fmpq_poly); None where it has several pieces."""
        module = flint()
        if self.nodes:
            return None
        base, coefficients = self.pieces[0]
        shifted = module.fmpq_poly([module.fmpq(*c.as_integer_ratio()) for c in coefficients])
        return shifted(module.fmpq_poly([module.fmpq(*(-base).as_integer_ratio()), 1]))

    def at(self, point: Ball) -> Ball:
        """Value at a number, as a ball."""
        return self.series(flint().arb_series([point]))[0]

    def model(self, cell: Cell, order: int) -> Model:
        """Taylor model on a cell: without a rest of its own where it is within one piece, else of the values alone."""
        arb = flint().arb
        centre, radius = cell.flat()[:2]
        low, high = centre - radius, centre + radius
        first, last = self._pieces_of(low, high)
        if not (low >= self.domain[0] and high <= self.domain[1]):
            return Model([arb.nan()], arb.pos_inf())
        if last > first and high <= self.nodes[last - 1]:
            last -= 1  # the cell ends at the node: what lies to the right of it is another cell's
        if first == last:
            return of_polynomial(self._expanded(first, cell, order), order)
        values = [_range(self._expanded(piece, cell, order)) for piece in range(first, last + 1)]
        hull = functools.reduce(lambda a, b: a.union(b), values)
        return Model([hull.mid()], hull.rad().upper())

    def _expanded(self, piece: int, cell: Cell, order: int) -> list[Ball]:
        """Taylor coefficients of a piece about the centre, in s; at least `order` of them."""
        base, coefficients = self.pieces[piece]
        with working(int(flint().ctx.prec) + 3 * len(coefficients)) as module:
            inner = cell.polynomial() - _ball(base)
            return padded(list(module.arb_poly([_ball(c) for c in coefficients])(inner).coeffs()), order)

    def _pieces_of(self, low: Ball, high: Ball) -> tuple[int, int]:
        """First and last piece that holds a number from `low` to `high`."""
        ends = float_below(low), float_above(high)
        first, last = np.searchsorted(self.nodes, ends, side="right")
        return int(first), int(last)

    def switches(self) -> Iterator[Any]:
        """Nothing but the nodes."""
        return iter(())

    def parity(self) -> int:
        """Nothing is told of its symmetry."""
        return 0

    def __str__(self) -> str:
        return f"<{self.name}: {len(self.pieces)} pieces>"


def _ball(number: Fraction) -> Ball:
    module = flint()
    return module.arb(module.fmpq(number.numerator, number.denominator))


def _range(taylor: list[Ball]) -> Ball:
    """All values for s in [-1, 1]."""
    arb = flint().arb
    spread = sum((c.abs_upper() for c in taylor[1:]), arb(0)).upper()
    return taylor[0] + spread * arb(0, 1)
