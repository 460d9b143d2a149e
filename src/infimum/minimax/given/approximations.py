"""Approximations from anywhere as exact functions: nothing is rounded on the way in."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, TypeAlias

import numpy as np

from infimum._arguments import one_of
from infimum._arrays import ArrayLike
from infimum.errors import OptionError
from infimum.proof.answers.polynomial import MinimaxPolynomial
from infimum.proof.answers.rational import MinimaxRational
from infimum.proof.answers.rounded import RoundedPolynomial
from infimum.proof.enclosure.approximants import Approximant, ChebyshevSum, Combination, Formula, Monomials
from infimum.proof.enclosure.balls import working
from infimum.proof.enclosure.change_of_basis import chebyshev_monomials
from infimum.proof.enclosure.domain import Intervals
from infimum.proof.enclosure.expressions import CONSTANTS, Expression
from infimum.proof.enclosure.fixed_part import Number, as_number
from infimum.proof.enclosure.known_functions import recognised
from infimum.proof.enclosure.parsing import KNOWN, parse
from infimum.proof.enclosure.rational_form import rational_form
from infimum.proof.enclosure.spaces import LARGEST_DEGREE, Functions, Powers
from infimum.proof.evidence import shown
from infimum.proof.uniform_error.error_bounds import BITS

Basis = Literal["monomial", "chebyshev"]
Table: TypeAlias = Sequence[Number] | Mapping[int, Number] | ArrayLike
Answer: TypeAlias = MinimaxPolynomial | RoundedPolynomial | MinimaxRational
Coefficients = dict[int, Fraction]


@dataclass(frozen=True)
class Given:
    """An approximation, as it was given.

    Attributes
    ----------
    function : Approximant
        The approximation, or its numerator.
    below : Approximant or None
        Its denominator, if it is a quotient.
    answer : Answer or None
        What it was taken from.
    """

    function: Approximant
    below: Approximant | None = None
    answer: Answer | None = None

    @property
    def is_polynomial(self) -> bool:
        """Tell whether it is a sum of powers of x."""
        return self.below is None and not isinstance(self.function, Combination | Formula)

    def coefficients(self) -> Coefficients:
        """Return the coefficients of powers of x that are not 0, exactly; of the numerator, where it is a quotient."""
        return _coefficients(self.function)

    def coefficients_below(self) -> Coefficients:
        """Return those of the denominator."""
        return {0: Fraction(1)} if self.below is None else _coefficients(self.below)


def as_given(p: Any, intervals: Intervals, basis: str = "monomial", tables: Any = None, system: Any = None) -> Given:
    """Return an approximation as an exact function; `system` lists the functions whose coefficients are given."""
    one_of("basis", basis, ("monomial", "chebyshev"))
    if isinstance(p, MinimaxPolynomial | RoundedPolynomial):
        if isinstance(p, MinimaxPolynomial) and not p.powers:
            return Given(p.approximant, answer=p)
        exact = dict(zip(p.powers, p.exact_coefficients(), strict=True))
        return Given(Monomials(exact) if p.fixed else p.approximant, answer=p)
    if isinstance(p, MinimaxRational) and p.fixed:
        numerator, denominator = p.parts_of_code()
        return Given(Monomials(numerator), Monomials(denominator), p)
    if isinstance(p, MinimaxRational):
        parts = (np.asarray(p.numerator), np.asarray(p.denominator))
        above, below = (ChebyshevSum(Powers(0, 1, c.shape[1]), p.interval, c) for c in parts)
        return Given(above, below, p)
    if isinstance(p, str):
        return _of_expression(parse(p, "p", {name: _table(name, table) for name, table in (tables or {}).items()}))
    if isinstance(p, tuple) and len(p) == 2 and all(_holds_coefficients(part) for part in p):
        above, below = (Monomials(_coefficients_of("p", part, basis, intervals)) for part in p)
        return Given(above, below)
    if system is not None:
        return Given(_combination(p, system))
    other = _of_object(p) if callable(p) else None
    return other or Given(Monomials(_coefficients_of("p", p, basis, intervals)))


def _of_object(p: Any) -> Given | None:
    """Take an object of SciPy or NumPy that can be called: what it holds says exactly what it is."""
    if hasattr(p, "support_points") and hasattr(p, "weights"):  # AAA
        return _of_barycentric(p.support_points, p.support_values, p.weights)
    if hasattr(p, "xi") and hasattr(p, "yi"):  # BarycentricInterpolator
        return _through_points(p.xi, p.yi)
    known = recognised(p)
    if known is None or known.nodes:
        return None
    with working(BITS):
        return Given(Monomials(_exact(known.polynomial())))


def _holds_coefficients(item: Any) -> bool:
    return isinstance(item, list | tuple | Mapping | np.ndarray) or hasattr(item, "__array__")


def _coefficients_of(name: str, table: Any, basis: str, intervals: Intervals) -> Coefficients:
    """Read coefficients, lowest degree first, or as ``{power: value}``."""
    advice = f"{name} must be a vector of finite coefficients, lowest degree first, or a mapping {{power: value}}"
    if isinstance(table, Mapping):
        pairs = list(table.items())
        whole = all(isinstance(power, int | np.integer) and not isinstance(power, bool) for power, _ in pairs)
        if not pairs or not whole or not all(0 <= power <= LARGEST_DEGREE for power, _ in pairs):
            raise OptionError(f"{advice}, with powers from 0 to {LARGEST_DEGREE}; got {shown(table)}")
        if basis == "chebyshev":
            raise OptionError(f"a mapping {{power: value}} is about powers of x, not about basis={basis!r}")
        return {int(power): as_number(value, f"{name}[{power}]") for power, value in pairs}
    listed = table if isinstance(table, list | tuple) else np.asarray(table)
    flat = isinstance(listed, list | tuple) or listed.ndim == 1
    if not flat or not 1 <= len(listed) <= LARGEST_DEGREE + 1:
        raise OptionError(f"{advice}, got {shown(table)}")
    exact = [as_number(value, f"{name}[{k}]") for k, value in enumerate(listed)]
    if basis == "chebyshev":
        exact = chebyshev_monomials(exact, (intervals[0][0], intervals[-1][1]))
    return dict(enumerate(exact))


def _table(name: str, table: Any) -> Expression:
    """Return a table that an expression names as a polynomial of x, by Horner's rule."""
    if not isinstance(name, str) or not name.isidentifier() or name in {*KNOWN, *CONSTANTS, "x"}:
        raise OptionError(f"tables must have names that expressions do not use yet, such as 'P', got {name!r}")
    x, found = Expression("x"), Expression("number", number=Fraction(0))
    above = 0
    for power, value in sorted(_coefficients_of(name, table, "monomial", ()).items(), reverse=True):
        if above:
            found = Expression("mul", (found, Expression("pow", (x,), Fraction(above - power))))
        found, above = Expression("add", (found, Expression("number", number=value))), power
    return Expression("mul", (found, Expression("pow", (x,), Fraction(above)))) if above else found


def _of_expression(formula: Expression) -> Given:
    with working(BITS):
        form = rational_form(formula)
        if form is None:
            return Given(Formula(formula))
        return _of_fraction(*form)


def _of_barycentric(support: Any, values: Any, weights: Any) -> Given:
    """Multiply out ``sum w f / (x - z) / sum w / (x - z)``, exactly."""
    z, f, w = (_real(numbers) for numbers in (support, values, weights))
    with working(BITS) as module:
        x, exact = module.fmpq_poly([0, 1]), [[module.fmpq(*v.as_integer_ratio()) for v in row] for row in (z, f, w)]
        above, below = module.fmpq_poly([0]), module.fmpq_poly([0])
        product = functools.reduce(lambda a, node: a * (x - node), exact[0], module.fmpq_poly([1]))
        for node, value, weight in zip(*exact, strict=True):
            term = product // (x - node) * weight
            above, below = above + term * value, below + term
        return _of_fraction(above, below)


def _through_points(nodes: Any, values: Any) -> Given:
    """Return the polynomial through points, exactly: its weights are those of barycentric interpolation."""
    x = _real(nodes)
    if len(set(x)) < len(x):
        raise OptionError("p must be an interpolant at different points")
    gaps = [math.prod((a - b for b in x if a != b), start=Fraction(1)) for a in x]
    return _of_barycentric(x, values, [1 / gap for gap in gaps])


def _real(numbers: Any) -> list[Fraction]:
    """Return real numbers exactly, those of one row or column."""
    if isinstance(numbers, list):
        return numbers
    flat = np.asarray(numbers)
    if flat.size != max(flat.shape, default=0) or np.any(np.imag(flat) != 0):
        raise OptionError(f"p must be an interpolant of real numbers, one at each real point, got {shown(numbers)}")
    return [as_number(value, "p") for value in np.real(flat).ravel()]


def _of_fraction(above: Any, below: Any) -> Given:
    """Return a fraction of polynomials (flint.fmpq_poly) in lowest terms."""
    common = above.gcd(below)
    p, q = (Monomials(_exact(part // common)) for part in (above, below))
    if set(q.coefficients) == {0}:
        return Given(Monomials({power: c / q.coefficients[0] for power, c in p.coefficients.items()}))
    return Given(p, q)


def _combination(p: Any, system: Any) -> Combination:
    space = system if isinstance(system, Functions) else Functions(tuple(system))
    c = np.atleast_1d(np.asarray(p, dtype=np.float64))
    if c.shape != (space.size,) or not np.all(np.isfinite(c)):
        raise OptionError(f"p must be {space.size} finite coefficients, one for each function of the system, got {p!r}")
    return Combination(space, c[None])


def _coefficients(function: Approximant) -> Coefficients:
    with working(BITS):
        polynomial = function.polynomial()
        if polynomial is None:
            raise OptionError("p is no polynomial: it has no coefficients of powers")
        return _exact(polynomial)


def _exact(polynomial: Any) -> Coefficients:
    return {k: Fraction(int(c.p), int(c.q)) for k, c in enumerate(polynomial.coeffs()) if c != 0}
