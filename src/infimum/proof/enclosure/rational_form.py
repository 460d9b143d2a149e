"""Expressions that are polynomials or fractions of such, expanded in rational numbers."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeAlias

from infimum.proof.enclosure.balls import flint
from infimum.proof.enclosure.expressions import Expression

RationalForm: TypeAlias = tuple[Any, Any]  # numerator and denominator (flint.fmpq_poly)
HIGHEST_DEGREE = 2000  # of what is expanded


def _sum(u: RationalForm, v: RationalForm, sign: int) -> RationalForm:
    if u[1] == v[1]:
        return u[0] + sign * v[0], u[1]
    return u[0] * v[1] + sign * v[0] * u[1], u[1] * v[1]


OPERATIONS: dict[str, Callable[..., RationalForm]] = {
    "add": lambda u, v: _sum(u, v, 1),
    "sub": lambda u, v: _sum(u, v, -1),
    "mul": lambda u, v: (u[0] * v[0], u[1] * v[1]),
    "div": lambda u, v: (u[0] * v[1], u[1] * v[0]),
    "neg": lambda u: (-u[0], u[1]),
}


def rational_form(expression: Expression) -> RationalForm | None:
    """Return an expression as numerator and denominator; None where the formula does not show it to be a fraction."""
    module, operation = flint(), expression.operation
    if operation == "x":
        return module.fmpq_poly([0, 1]), module.fmpq_poly([1])
    if operation == "number":
        assert expression.number is not None
        return module.fmpq_poly([module.fmpq(*expression.number.as_integer_ratio())]), module.fmpq_poly([1])
    if operation != "pow" and operation not in OPERATIONS:
        return None
    parts = []
    for operand in expression.operands:
        part = rational_form(operand)
        if part is None:
            return None
        parts.append(part)
    found = _power(parts[0], expression.number or Fraction(0)) if operation == "pow" else OPERATIONS[operation](*parts)
    small = found is not None and max(found[0].degree(), found[1].degree()) <= HIGHEST_DEGREE
    return found if small and found is not None and found[1].degree() >= 0 else None


def polynomial_form(expression: Expression) -> Any:
    """Return an expression as a polynomial (flint.fmpq_poly); None where the formula does not show it to be one."""
    found = rational_form(expression)
    if found is None:
        return None
    common = found[0].gcd(found[1])  # not 0, since the denominator is not
    above, below = found[0] // common, found[1] // common
    return above / below[0] if below.degree() == 0 else None


def _power(base: RationalForm, exponent: Fraction) -> RationalForm | None:
    above, below = base if exponent >= 0 else base[::-1]
    size = max(above.degree(), below.degree(), 1)
    if exponent.denominator != 1 or abs(exponent) * size > HIGHEST_DEGREE:
        return None
    return above ** abs(int(exponent)), below ** abs(int(exponent))
