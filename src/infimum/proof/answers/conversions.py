"""Polynomials that are answers, as objects of NumPy and SymPy, and their derivatives and zeros."""

from __future__ import annotations

import importlib
import math
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from infimum._arguments import one_of, whole_number
from infimum.errors import MissingExtraError
from infimum.proof.enclosure.balls import working

BITS = 256


class Convertible:
    """Abstract base of polynomials that are known by exact coefficients of powers of x."""

    powers: tuple[int, ...]
    domain: tuple[tuple[float, float], ...]

    def exact_coefficients(self) -> list[Fraction]:
        """Coefficients of ``x**powers`` as rational numbers."""
        raise NotImplementedError(f"{type(self).__name__} must have coefficients")

    def _dense(self) -> list[Fraction]:
        exact = dict(zip(self.powers, self.exact_coefficients(), strict=True))
        return [exact.get(power, Fraction(0)) for power in range(max(exact) + 1)]

    def deriv(self, order: int = 1) -> dict[int, Fraction]:
        """Return a derivative as ``{power: coefficient}``, exactly: `sup_norm` and `check` take it so."""
        m = whole_number("order", order, 1)
        exact = {power - m: c * math.perm(power, m) for power, c in enumerate(self._dense()) if power >= m and c}
        return exact or {0: Fraction(0)}

    def roots(self) -> np.ndarray:
        """Zeros, as complex numbers: isolated with certainty, then rounded (python-flint)."""
        dense = self._dense()
        with working(BITS) as module:
            polynomial = module.fmpq_poly([module.fmpq(c.numerator, c.denominator) for c in dense])
            found = [root for root, count in polynomial.complex_roots() for _ in range(count)]
            return np.array([complex(float(root.real.mid()), float(root.imag.mid())) for root in found], dtype=complex)

    def to_polynomial(self, kind: Literal["monomial", "chebyshev"] = "monomial") -> Any:
        """Return a `numpy.polynomial.Polynomial`, or a `Chebyshev` series on the domain; coefficients rounded once."""
        one_of("kind", kind, ("monomial", "chebyshev"))
        dense, ends = self._dense(), (self.domain[0][0], self.domain[-1][1])
        if kind == "monomial":
            return np.polynomial.Polynomial([float(c) for c in dense], domain=ends, window=ends)
        return np.polynomial.Chebyshev([float(c) for c in chebyshev_coefficients(dense, ends)], domain=ends)

    def to_sympy(self, symbol: str = "x") -> Any:
        """Return an expression of SymPy with rational coefficients."""
        try:
            sympy = importlib.import_module("sympy")
        except ImportError as error:
            raise MissingExtraError("sympy is needed for this: pip install sympy") from error
        x = sympy.Symbol(symbol)
        terms = [sympy.Rational(c.numerator, c.denominator) * x**power for power, c in enumerate(self._dense())]
        return sympy.Add(*terms)


def chebyshev_coefficients(
    coefficients: list[Fraction], interval: tuple[float | Fraction, float | Fraction]
) -> list[Fraction]:
    """Coefficients of the Chebyshev polynomials of an interval from those of powers, exactly: Horner's rule.

    ``u T_k = (T_(k+1) + T_(k-1)) / 2``.
    """
    low, high = Fraction(interval[0]), Fraction(interval[1])
    middle, half = (low + high) / 2, (high - low) / 2
    c: list[Fraction] = []
    for coefficient in reversed(coefficients):
        shifted = [*(middle * value for value in c), Fraction(0)]
        for k, value in enumerate(c):
            shifted[k + 1] += half * value if k == 0 else half * value / 2
            if k:
                shifted[k - 1] += half * value / 2
        shifted[0] += coefficient
        c = shifted
    return c[: len(coefficients)]
