"""Functions of one variable: a name or an expression as a tree that NumPy and ball arithmetic both evaluate.

The text is parsed by `ast` and never executed. A decimal number means that decimal number: ``0.1`` is one tenth.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from infimum._arrays import ArrayLike
from infimum.errors import OptionError
from infimum.proof.enclosure.known_functions import knots_of, recognised, table
from infimum.proof.enclosure.operations import OPERATIONS, constant_series, power_series
from infimum.proof.enclosure.piecewise import Piecewise
from infimum.proof.enclosure.taylor_model import Cell, Model, of_function
from infimum.proof.evidence import shown

LONGEST = 4000  # characters of an expression
DEEPEST = 60  # nested operations
HIGHEST_POWER = 10_000

BINARY = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow"}
CONSTANTS = ("pi", "e")
ODD_OPERATIONS = ("sin", "tan", "atan", "erf", "tanh", "sinh", "sign")
EVEN_OPERATIONS = ("cos", "cosh", "abs")


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
        if self.operation in ("abs", "sign", "relu"):
            yield self.operands[0]
        elif self.operation in ("max", "min"):
            yield Expression("sub", self.operands)

    @property
    def nodes(self) -> tuple[float, ...]:
        """Places of kinks that are known by number: none, `switches` says where they are."""
        return ()

    def model(self, cell: Cell, order: int) -> Model:
        """Taylor model on a cell."""
        return of_function(self.series, cell, order)

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
        symbols = {"add": "+", "sub": "-", "mul": "*", "div": "/", "power": "**"}
        if self.operation in symbols:
            return f"({parts[0]} {symbols[self.operation]} {parts[1]})"
        if self.operation == "neg":
            return f"(-{parts[0]})"
        return self.operation if self.operation in CONSTANTS else f"{self.operation}({', '.join(parts)})"


@dataclass(frozen=True, slots=True)
class BlackBox:
    """A function known by its values only, in double precision, and perhaps by `nodes` at which it may have kinks."""

    function: Callable[[np.ndarray], Any]
    nodes: tuple[float, ...] = ()

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Evaluate at an array of points."""
        with np.errstate(all="ignore"):
            values = np.asarray(self.function(x))
        if values.dtype.kind not in "biuf" or values.shape not in ((), np.shape(x)):
            raise OptionError(
                f"f must return one real number for every point: {np.shape(x)} points gave an array of shape "
                f"{values.shape} and dtype {values.dtype}; give a function that works on NumPy arrays"
            )
        return np.broadcast_to(values.astype(np.float64), np.shape(x))

    def switches(self) -> Iterator[Expression]:
        """Nothing is known of its kinks."""
        return iter(())

    def parity(self) -> int:
        """Nothing is known of its symmetry."""
        return 0

    def __str__(self) -> str:
        return f"<{getattr(self.function, '__name__', type(self.function).__name__)}>"


Function = Expression | Piecewise | BlackBox
FunctionLike: TypeAlias = str | Callable[[np.ndarray], np.ndarray] | tuple[ArrayLike, ArrayLike]
X = Expression("x")


def as_function(f: Any, name: str = "f") -> Function:
    """Return `f`, a name, an expression, a number, a table or a callable on NumPy arrays, as a `Function`.

    Raises
    ------
    OptionError
        The text is not an expression in x of known functions, or `f` is something else.
    """
    if isinstance(f, Expression | Piecewise | BlackBox):
        return f
    if isinstance(f, str):
        return parse(f, name)
    if isinstance(f, int | float) and not isinstance(f, bool) and np.isfinite(f):
        return Expression("number", number=Fraction(f))
    if isinstance(f, tuple | list) and len(f) == 2 and not isinstance(f[0], str):
        return table(f[0], f[1], name)
    if callable(f):
        return recognised(f) or BlackBox(f, knots_of(f))
    raise OptionError(
        f"{name} must be a name such as 'gelu', an expression such as 'exp(-x**2)', a table (x, y), or a function of a "
        f"NumPy array, got {shown(f)}"
    )


def given_again(name: str, f: Any) -> Any:
    """Return what a stored name stands for: itself, if it is a formula, else `f`, which must be given again."""
    if f is not None:
        return f
    if name.startswith("<"):
        raise OptionError(f"{name} was a Python object: give it again, as f=...")
    return name


def parse(text: str, name: str = "f") -> Expression:
    """Read the name of a function or an expression in x."""
    if len(text) > LONGEST:
        raise OptionError(f"{name} must be an expression of at most {LONGEST} characters, got {len(text)}")
    stripped = text.strip()
    if stripped in OPERATIONS and OPERATIONS[stripped].arity == 1:
        return Expression(stripped, (X,))
    try:
        tree = ast.parse(stripped, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = getattr(error, "msg", str(error))
        raise OptionError(f"{name} must be an expression in x such as 'exp(-x**2)', got {text!r}: {reason}") from None
    return _build(tree.body, name, DEEPEST)


def _build(node: ast.expr, name: str, depth: int) -> Expression:
    if depth == 0:
        raise OptionError(f"{name} is nested more than {DEEPEST} deep; write it in a flatter way")
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            if not np.isfinite(value if abs(value) < 1e308 else np.inf):
                raise OptionError(f"{name}: the number {value!r} is too large")
            return Expression("number", number=Fraction(repr(value)))
        case ast.Name(id="x"):
            return X
        case ast.Name(id=constant) if constant in CONSTANTS:
            return Expression(constant)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _build(operand, name, depth - 1)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _negative(_build(operand, name, depth - 1))
        case ast.BinOp(left=left, op=symbol, right=right) if type(symbol) in BINARY:
            return _binary(BINARY[type(symbol)], _build(left, name, depth - 1), _build(right, name, depth - 1), name)
        case ast.Call(func=ast.Name(id=function), args=arguments, keywords=[]) if function in OPERATIONS:
            return _call(function, [_build(argument, name, depth - 1) for argument in arguments], name)
    raise OptionError(
        f"{name}: {ast.unparse(node)!r} is not understood; an expression is made of x, numbers, pi, e, + - * / **, "
        f"and the functions {', '.join(sorted(key for key, known in OPERATIONS.items() if known.public))}"
    )


def _negative(operand: Expression) -> Expression:
    if operand.operation == "number":
        return Expression("number", number=-operand.number)  # type: ignore[operator]
    return Expression("neg", (operand,))


def _binary(operation: str, left: Expression, right: Expression, name: str) -> Expression:
    if left.operation == right.operation == "number" and operation != "pow":
        if operation == "div" and right.number == 0:
            raise OptionError(f"{name} divides by zero")
        fold = {"add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv}[operation]
        return Expression("number", number=fold(left.number, right.number))
    if operation != "pow":
        return Expression(operation, (left, right))
    if right.operation != "number":
        return Expression("power", (left, right))
    if abs(right.number) > HIGHEST_POWER:  # type: ignore[arg-type]
        raise OptionError(f"{name}: the exponent {right.number} is beyond {HIGHEST_POWER}")
    return Expression("pow", (left,), right.number)


def _call(function: str, arguments: list[Expression], name: str) -> Expression:
    known = OPERATIONS[function]
    if not known.public or len(arguments) != known.arity:
        raise OptionError(f"{name}: {function} takes {known.arity} argument(s), got {len(arguments)}")
    return Expression(function, tuple(arguments))


def _number_text(number: Fraction) -> str:
    if number.denominator == 1 and number >= 0:
        return str(number.numerator)
    return f"({number.numerator}/{number.denominator})" if number.denominator != 1 else f"({number.numerator})"


def _numpy_power(base: Any, exponent: Fraction) -> Any:
    if exponent.denominator == 1:
        return np.power(base, float(exponent)) if abs(exponent) > 3 else np.asarray(base, float) ** int(exponent)
    return np.power(np.asarray(base, dtype=float), float(exponent))
