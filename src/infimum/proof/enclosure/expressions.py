"""Functions of one variable known as a formula: a tree that NumPy and ball arithmetic both evaluate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from infimum.proof.enclosure import taylor_model
from infimum.proof.enclosure.balls import Ball, flint
from infimum.proof.enclosure.operations import OPERATIONS
from infimum.proof.enclosure.series import constant_series, power_series
from infimum.proof.enclosure.taylor_model import Cell, Model, of_function

CONSTANTS = ("pi", "e")
ODD_OPERATIONS = ("sin", "tan", "atan", "erf", "tanh", "sinh", "sign")
EVEN_OPERATIONS = ("cos", "cosh", "abs")


Operands = tuple[Any, ...]


def _larger(sign: int, strict: bool, operands: Operands) -> Any:
    return operands[0 if sign > 0 else 1]


def _chosen(sign: int, strict: bool, operands: Operands) -> Any:
    """Where the condition is an equation, at one end of a cell, the other value counts."""
    return operands[2] if sign > 0 else (operands[1] if strict else None)


KINKS: dict[str, Callable[[int, bool, Operands], Any]] = {  # what they are where a sign is known
    "abs": lambda sign, strict, u: u[0] if sign > 0 else Expression("neg", u),
    "relu": lambda sign, strict, u: u[0] if sign > 0 else Expression("number", number=Fraction(0)),
    "sign": lambda sign, strict, u: Expression("number", number=Fraction(sign)) if strict else None,
    "max": _larger,
    "min": lambda sign, strict, u: _larger(-sign, strict, u),
    "where": _chosen,
}
PARTS: dict[str, Callable[..., Model]] = {
    "add": taylor_model.total,
    "sub": taylor_model.difference,
    "mul": taylor_model.product,
    "div": taylor_model.quotient,
    "neg": taylor_model.negative,
    "where": lambda condition, a, b: taylor_model.either(a, b),
    "power": lambda u, v: taylor_model.composed(
        OPERATIONS["exp"].series,
        taylor_model.product(v, taylor_model.composed(OPERATIONS["log"].series, u)),
    ),
}
SIGN_ORDER = 3  # of the model of what changes its sign: linear, most often
LIMIT_BITS, LIMIT_ORDER = 64, 8  # of the cell and the model from which a limit is taken


@dataclass(frozen=True, slots=True)
class Expression:
    """A function of x, known as a formula.

    Attributes
    ----------
    operation : str
        "x", "number", "pow" (a constant exponent), or a key of `OPERATIONS`.
    operands : tuple of Expression
        What the operation is applied to.
    number : Fraction or None
        Value of a number; exponent of a power.
    """

    operation: str
    operands: tuple[Expression, ...] = ()
    number: Fraction | None = None
    kinked: bool = field(init=False, compare=False, repr=False, default=False)

    def __post_init__(self) -> None:
        """Note whether kinks are possible: cells are asked for them often."""
        kinked = self.operation in KINKS or any(operand.kinked for operand in self.operands)
        object.__setattr__(self, "kinked", kinked)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Evaluate in double precision; NaN where the function is not defined."""
        with np.errstate(all="ignore"):
            return np.broadcast_to(np.asarray(self._numpy(x), dtype=np.float64), np.shape(x))

    def _numpy(self, x: np.ndarray) -> Any:
        if self.operation == "x":
            return x
        if self.operation == "number":
            return float(self.number)  # type: ignore[arg-type]
        operands = [operand._numpy(x) for operand in self.operands]
        if self.operation == "pow":
            return _numpy_power(operands[0], self.number)  # type: ignore[arg-type]
        return OPERATIONS[self.operation].numpy(*operands)

    def series(self, x: Any) -> Any:
        """Evaluate on a power series over balls (flint.arb_series): every coefficient encloses the true one.

        Coefficients that cannot be enclosed are NaN. The first two hold for functions with kinks as well: the second
        then encloses every difference quotient over the ball of the first coefficient of `x`.
        """
        if self.operation == "x":
            return x
        if self.operation == "number":
            return constant_series(self.number)  # type: ignore[arg-type]
        operands = [operand.series(x) for operand in self.operands]
        if self.operation == "pow":
            return power_series(operands[0], self.number)  # type: ignore[arg-type]
        return OPERATIONS[self.operation].series(*operands)

    def switches(self) -> Iterator[Expression]:
        """Expressions at whose zeros the function may have a kink or a jump."""
        for operand in self.operands:
            yield from operand.switches()
        if self.operation in KINKS:
            yield self._switch()

    def _switch(self) -> Expression:
        """Return what changes its sign where a kink or a jump is."""
        return Expression("sub", self.operands) if self.operation in ("max", "min") else self.operands[0]

    def singular(self) -> Iterator[Expression]:
        """Yield expressions at whose zeros the function may be 0/0, or have a branch point."""
        for operand in self.operands:
            yield from operand.singular()
        if self.operation == "div":
            yield self.operands[1]
        elif self.root > 1 or (self.operation == "pow" and self.number < 0):  # type: ignore[operator]
            yield self.operands[0]

    @property
    def root(self) -> int:
        """Least power of a variable in which this operation, if it is a root, is analytic at a zero of its operand."""
        if self.operation == "pow":
            return self.number.denominator  # type: ignore[union-attr]
        return {"sqrt": 2, "cbrt": 3}.get(self.operation, 1)

    def roots(self) -> int:
        """Least such power for all operations."""
        return math.lcm(self.root, *(operand.roots() for operand in self.operands))

    @property
    def nodes(self) -> tuple[float, ...]:
        """Places of kinks that are known by number: none, `switches` says where they are."""
        return ()

    def model(self, cell: Cell, order: int) -> Model:
        """Taylor model on a cell."""
        function = self.on(cell)
        return function.expanded(cell, order) if cell.singular else of_function(function.series, cell, order)

    def on(self, cell: Cell) -> Expression:
        """Return the same function on a cell, without those kinks that lie elsewhere."""
        if not self.kinked:
            return self
        operands = tuple(operand.on(cell) for operand in self.operands)
        if self.operation in KINKS:
            sign, strict = taylor_model.sign_of(self._switch().model(cell.flat(), SIGN_ORDER))
            branch: Expression | None = KINKS[self.operation](sign, strict, operands) if sign else None
            if branch is not None:
                return branch
        return Expression(self.operation, operands, self.number)

    def expanded(self, cell: Cell, order: int) -> Model:
        """Taylor model about the centre of a cell where the function may be 0/0, or have a root: part by part."""
        if cell.power == 1:
            found = of_function(self.series, cell, order)
            if found.is_finite() and len(found.coefficients) == order:
                return found
        if not self.operands:
            x = cell.polynomial().coeffs()
            value = x if self.operation == "x" else [self.series(None)[0]]
            return taylor_model.of_polynomial(taylor_model.padded(value, order), order)
        models = [operand.expanded(cell, order) for operand in self.operands]
        if self.operation in PARTS:
            return PARTS[self.operation](*models)
        if self.root > 1 or self.operation == "pow":
            exponent = Fraction(1, self.root) if self.number is None else self.number
            return taylor_model.power(models[0], exponent, cell, lambda u: power_series(u, exponent))
        if len(models) == 1 and self.operation not in KINKS:
            return taylor_model.composed(OPERATIONS[self.operation].series, models[0])
        return taylor_model.unknown()

    def at(self, point: Ball) -> Ball:
        """Value at a number, as a ball."""
        value = self.series(flint().arb_series([point]))[0]
        return value if value.is_finite() or not point.is_exact() else self.limit(point)

    def limit(self, point: Ball, sides: tuple[int, ...] = (1, -1)) -> Ball:
        """Value at a number where the formula is 0/0: the limit from the sides, or from that one where it exists.

        It is not a number where none is found, or where the two sides have limits that certainly differ.
        """
        arb, power = flint().arb, self.roots()
        half, radius = power > 1, arb(2) ** (-LIMIT_BITS * power)
        cells = [Cell(point, side * radius, power, half, singular=True) for side in (sides if half else (1,))]
        values = [self.model(cell, LIMIT_ORDER).coefficients[0] for cell in cells]
        values = [value for value in values if value.is_finite()]
        if not values or not all(value.overlaps(values[0]) for value in values):
            return arb.nan()
        return values[0] if len(values) == 1 else values[0].union(values[1])

    def substituted(self, argument: Expression) -> Expression:
        """Return the function of another variable."""
        if self.operation == "x":
            return argument
        operands = tuple(operand.substituted(argument) for operand in self.operands)
        return Expression(self.operation, operands, self.number)

    def parity(self) -> int:
        """1 if the formula shows the function to be even, -1 if odd, else 0."""
        operands = [operand.parity() for operand in self.operands]
        match self.operation:
            case "x":
                return -1
            case "number" | "pi" | "e":
                return 1
            case "add" | "sub" | "neg":
                return operands[0] if len(set(operands)) == 1 else 0
            case "mul" | "div":
                return operands[0] * operands[1]
            case "pow" if self.number is not None and self.number.denominator == 1:
                return operands[0] if self.number % 2 else abs(operands[0])
        if all(parity == 1 for parity in operands):
            return 1
        if operands == [-1] and self.operation in ODD_OPERATIONS:
            return -1
        return 1 if operands == [-1] and self.operation in EVEN_OPERATIONS else 0

    def __str__(self) -> str:
        if self.operation == "x":
            return "x"
        if self.operation == "number":
            return _number_text(self.number)  # type: ignore[arg-type]
        parts = [str(operand) for operand in self.operands]
        if self.operation == "pow":
            return f"{parts[0]}**{_number_text(self.number)}"  # type: ignore[arg-type]
        if self.operation == "where":
            left, right = self.operands[0].operands or (self.operands[0], 0)
            return f"where({left} < {right}, {parts[1]}, {parts[2]})"
        symbols = {"add": "+", "sub": "-", "mul": "*", "div": "/", "power": "**"}
        if self.operation in symbols:
            return f"({parts[0]} {symbols[self.operation]} {parts[1]})"
        if self.operation == "neg":
            return f"(-{parts[0]})"
        return self.operation if self.operation in CONSTANTS else f"{self.operation}({', '.join(parts)})"


def _number_text(number: Fraction) -> str:
    if number.denominator == 1 and number >= 0:
        return str(number.numerator)
    return f"({number.numerator}/{number.denominator})" if number.denominator != 1 else f"({number.numerator})"


def _numpy_power(base: Any, exponent: Fraction) -> Any:
    if exponent.denominator == 1:
        return np.power(base, float(exponent)) if abs(exponent) > 3 else np.asarray(base, float) ** int(exponent)
    return np.power(np.asarray(base, dtype=float), float(exponent))
