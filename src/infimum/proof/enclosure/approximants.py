"""Approximations as exact functions: what is stored, expanded into Taylor models on a cell.

The coefficients are doubles and stand for themselves: nothing here rounds them again.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from infimum.proof.enclosure.balls import Ball, flint, working
from infimum.proof.enclosure.change_of_basis import chebyshev_value, clenshaw, exact_sums, rounded_sums
from infimum.proof.enclosure.expressions import Expression
from infimum.proof.enclosure.rational_form import polynomial_form
from infimum.proof.enclosure.spaces import Functions, Powers
from infimum.proof.enclosure.taylor_model import Cell, Model, constant, of_polynomial, padded, product, total


class Approximant(Protocol):
    """A function with values in double precision and as balls, and with Taylor models."""

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Values in double precision."""
        ...

    def at(self, x: Ball) -> Ball:
        """Value at a point, as a ball."""
        ...

    def model(self, cell: Cell, order: int) -> Model:
        """Taylor model on a cell."""
        ...

    def polynomial(self) -> Any:
        """Return the same as a polynomial (flint.fmpq_poly), exactly; None if it is none."""
        ...

    def is_like(self, parity: int) -> bool:
        """Tell whether what is stored shows the function to be even (1) or odd (-1)."""
        ...


PHASES = 16  # of ``T_n(cos a) = cos(n a)``, from the middle of the smallest blocks to their ends
WIDER = 6  # by so much is the block from which another is taken
SHORT = 10  # a block has fewer phases than one in so many coefficients


@dataclass(frozen=True)
class ChebyshevSum:
    """``x**start * sum_k c_k T_k(u)``, with u the affine image in [-1, 1] of ``t = x**stride`` in `interval`.

    `coefficients` (parts, size): the sum of its rows, over the divisor.
    """

    space: Powers
    interval: tuple[float, float]
    coefficients: np.ndarray
    divisor: int = 1
    _cache: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def _bits(self) -> int:
        """Precision: coefficients in powers of u reach ``(1 + sqrt 2)**degree``, and a shift costs some more."""
        return int(flint().ctx.prec) + 2 * self.space.size

    def __call__(self, x: Any) -> Any:
        """Values at an array of any library, in its precision."""
        low, high = self.interval
        u = (x**self.space.stride - (low / 2 + high / 2)) / (high / 2 - low / 2)
        return clenshaw(rounded_sums(self.coefficients, self.divisor), u) * x**self.space.start

    def at(self, x: Ball) -> Ball:
        """Value at a point, as a ball."""
        with working(self._bits()) as module:
            low, high = map(module.arb, self.interval)
            u = (2 * x**self.space.stride - low - high) / (high - low)
            return self._powers()(u) * x**self.space.start

    def exact(self, x: float) -> Fraction:
        """Value at a double, without any rounding."""
        low, high = map(Fraction, self.interval)
        u = (2 * Fraction(x) ** self.space.stride - low - high) / (high - low)
        return chebyshev_value(exact_sums(self.coefficients, self.divisor), u) * Fraction(x) ** self.space.start

    def _powers(self) -> Any:
        """Expand in powers of u by Clenshaw's recurrence on polynomials, in the precision of the context."""
        module = flint()
        bits = module.ctx.prec
        if bits not in self._cache:
            totals = [sum((module.arb(v) for v in column), module.arb(0)) for column in self.coefficients.T.tolist()]
            self._cache[bits] = clenshaw([c / self.divisor for c in totals], module.arb_poly([0, 1]))
        return self._cache[bits]

    def polynomial(self) -> Any:
        """Return the same as a polynomial (flint.fmpq_poly), exactly."""
        module = flint()
        low, high = map(Fraction, self.interval)
        slope, offset = 2 / (high - low), -(low + high) / (high - low)
        totals = [module.fmpq(*c.as_integer_ratio()) for c in exact_sums(self.coefficients, self.divisor)]
        x = module.fmpq_poly([0, 1])
        t = x**self.space.stride * module.fmpq(*slope.as_integer_ratio()) + module.fmpq(*offset.as_integer_ratio())
        return clenshaw(totals, x)(t) * x**self.space.start

    def is_like(self, parity: int) -> bool:
        """Tell whether what is stored shows the function to be even (1) or odd (-1)."""
        if self.space.stride % 2 == 0:
            return bool(self.space.start % 2 == (parity < 0))
        symmetric = self.space.stride == 1 and self.interval[0] == -self.interval[1]
        return symmetric and not np.any(self.coefficients[:, ((parity > 0) + self.space.start) % 2 :: 2])

    def model(self, cell: Cell, order: int) -> Model:
        """Taylor model: the shift to the centre in u, then ``u - u(c) = v(s)``, a polynomial without constant."""
        bits = int(flint().ctx.prec)
        with working(self._bits()) as module:
            low, high = map(module.arb, self.interval)
            x = cell.polynomial()
            u = padded(((2 * x**self.space.stride - low - high) * (1 / (high - low))).coeffs(), 2)
            v = module.arb_poly([0, *u[1:]])
            reach = sum((c.abs_upper() for c in u[1:]), module.arb(0)).upper()
            shifted, left_out = self._shifted(u[0], reach, bits)  # in powers of v / reach
            kept = module.arb_poly(shifted[:order])
            # what is left out is at most its coefficients' sum: |v| <= reach |s|
            dropped = sum((c.abs_upper() for c in shifted[order:]), module.arb(0))
            factor = x**self.space.start
            taylor = (kept(v * (1 / reach)) * factor).coeffs()
            model = of_polynomial(padded(taylor, order), order)
            size = sum((c.abs_upper() for c in factor.coeffs()), module.arb(0))
            first, *rest = model.coefficients
            return Model([first + module.arb(0, left_out * size), *rest], (model.tail + dropped * size).upper())

    def _shifted(self, u: Ball, reach: Ball, bits: int, phases: int = PHASES) -> tuple[list[Ball], Ball]:
        """Coefficients of powers of v about u, ``|v| <= reach``, and what they leave out.

        They come from a block that is wide enough for so many `phases`, and it from a wider one: shifts are short then.
        """
        module, n = flint(), self.space.size
        if phases * SHORT <= n:
            near = float(u.mid())
            width = phases / n * (math.sqrt(max(1.0 - near**2, 0.0)) + 1.0 / n)  # zeros lie closer at the ends
            radius = module.arb(2) ** math.ceil(math.log2(width))
            centre = round(near / float(radius)) * radius
            if abs(u - centre) + reach <= radius:
                block, left_out = self._block(centre, radius, bits, phases)
                with working(bits + 2 * len(block.coeffs())):
                    return block(module.arb_poly([(u - centre) / radius, reach / radius])).coeffs(), left_out
        return self._powers()(module.arb_poly([u, reach])).coeffs(), module.arb(0)

    def _block(self, centre: Ball, radius: Ball, bits: int, phases: int) -> tuple[Any, Ball]:
        """Expand about the middle of a part of the interval, without the terms that so many bits do not see there."""
        key, module = (bits, float(centre), float(radius)), flint()
        if key not in self._cache:
            c, left_out = self._shifted(centre, radius, bits, WIDER * phases)
            unseen = sum((abs(v) for v in np.sum(np.abs(self.coefficients), axis=0).tolist()), module.arb(0))
            unseen = left_out + unseen * module.arb(2) ** -bits / self.divisor
            while len(c) > 2 and left_out + c[-1].abs_upper() <= unseen:
                left_out += c.pop().abs_upper()
            self._cache[key] = module.arb_poly(c), left_out.upper()
        return self._cache[key]  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Monomials:
    """``sum c x**power`` with a coefficient, a double or a rational number, for each power."""

    coefficients: Mapping[int, Fraction | float]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Values in double precision."""
        dense = np.zeros(max(self.coefficients, default=0) + 1)
        for power, c in self.coefficients.items():
            dense[power] = c
        return np.asarray(np.polynomial.polynomial.polyval(x, dense))

    def exact(self, x: float) -> Fraction:
        """Value at a double, without any rounding."""
        return sum((Fraction(c) * Fraction(x) ** power for power, c in self.coefficients.items()), Fraction(0))

    def at(self, x: Ball) -> Ball:
        """Value at a point, as a ball."""
        with working(self._bits()):
            return self._powers()(x)

    def _bits(self) -> int:
        return int(flint().ctx.prec) + 3 * max(self.coefficients, default=0)

    def _powers(self) -> Any:
        module = flint()
        dense = [module.arb(0)] * (max(self.coefficients, default=0) + 1)
        for power, c in self.coefficients.items():
            dense[power] = module.arb(module.fmpq(*c.as_integer_ratio()))
        return module.arb_poly(dense)

    def polynomial(self) -> Any:
        """Return the same as a polynomial (flint.fmpq_poly), exactly."""
        module = flint()
        dense = [module.fmpq(0)] * (max(self.coefficients, default=0) + 1)
        for power, c in self.coefficients.items():
            dense[power] = module.fmpq(*c.as_integer_ratio())
        return module.fmpq_poly(dense)

    def is_like(self, parity: int) -> bool:
        """Tell whether the coefficients show the function to be even (1) or odd (-1)."""
        return all(power % 2 == (parity < 0) for power, c in self.coefficients.items() if c)

    def expansion(self, cell: Cell) -> list[Ball]:
        """All Taylor coefficients about the centre, in s."""
        with working(self._bits()):
            return list(self._powers()(cell.polynomial()).coeffs())

    def model(self, cell: Cell, order: int) -> Model:
        """Taylor model on a cell."""
        return of_polynomial(padded(self.expansion(cell), order), order)


@dataclass(frozen=True)
class Combination:
    """A linear combination of functions; `coefficients` (parts, size): the sum of its rows, over the divisor."""

    space: Functions
    coefficients: np.ndarray
    divisor: int = 1

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Values in double precision."""
        c = rounded_sums(self.coefficients, self.divisor)
        return np.asarray(sum(c[i] * function(x) for i, function in enumerate(self.space.functions)))

    def at(self, x: Ball) -> Ball:
        """Value at a point, as a ball."""
        return sum((c * function.at(x) for function, c in self._terms()), flint().arb(0))

    def model(self, cell: Cell, order: int) -> Model:
        """Taylor model on a cell."""
        terms = [product(constant(c, order), function.model(cell, order)) for function, c in self._terms()]
        return functools.reduce(total, terms)

    def _terms(self) -> Iterator[tuple[Expression, Ball]]:
        """Yield the functions and their coefficients."""
        arb = flint().arb
        for function, column in zip(self.space.functions, self.coefficients.T.tolist(), strict=True):
            assert isinstance(function, Expression)
            yield function, sum((arb(v) for v in column), arb(0)) / self.divisor

    def polynomial(self) -> Any:
        """Return the same as a polynomial (flint.fmpq_poly), exactly; None if it is none."""
        module = flint()
        x, c = module.fmpq_poly([0, 1]), exact_sums(self.coefficients, self.divisor)
        if not self.space.powers:
            return None if any(c) else module.fmpq_poly([0])
        terms = (
            x**power * module.fmpq(*value.as_integer_ratio()) for power, value in zip(self.space.powers, c, strict=True)
        )
        return sum(terms, module.fmpq_poly([0]))

    def is_like(self, parity: int) -> bool:
        """Tell whether the functions are even (1) or odd (-1)."""
        return all(function.parity() == parity for function in self.space.functions)


@dataclass(frozen=True)
class Formula:
    """A function that is known as a formula."""

    expression: Expression

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Values in double precision."""
        return self.expression(x)

    def at(self, x: Ball) -> Ball:
        """Value at a point, as a ball."""
        return self.expression.at(x)

    def model(self, cell: Cell, order: int) -> Model:
        """Taylor model on a cell."""
        return self.expression.model(cell, order)

    def polynomial(self) -> Any:
        """Return the same as a polynomial (flint.fmpq_poly), exactly; None if it is none."""
        return polynomial_form(self.expression)

    def is_like(self, parity: int) -> bool:
        """Tell whether the formula shows the function to be even (1) or odd (-1)."""
        return self.expression.parity() == parity


def stored(
    space: Powers | Functions, interval: tuple[float, float], coefficients: np.ndarray, divisor: int = 1
) -> Approximant:
    """Return the approximation that coefficients of a space stand for."""
    if isinstance(space, Powers):
        return ChebyshevSum(space, interval, coefficients, divisor)
    return Combination(space, coefficients, divisor)
