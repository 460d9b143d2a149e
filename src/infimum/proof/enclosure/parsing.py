"""Text that becomes an expression: it is parsed by `ast` and never executed.

A decimal number means that decimal number: ``0.1`` is one tenth.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from infimum.errors import OptionError
from infimum.proof.enclosure.expressions import CONSTANTS, Expression
from infimum.proof.enclosure.operations import COMPOSED, OPERATIONS

LONGEST = 4000  # characters of an expression
DEEPEST = 60  # nested operations
HIGHEST_POWER = 10_000

BINARY = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow"}
KNOWN = {"where", *COMPOSED, *(name for name, known in OPERATIONS.items() if known.public)}
TOO_LARGE = 10**308
X = Expression("x")


def parse(text: str, name: str = "f", tables: Mapping[str, Expression] | None = None) -> Expression:
    """Read the name of a function or an expression in x; `tables` are further functions that it may name."""
    if len(text) > LONGEST:
        raise OptionError(f"{name} must be an expression of at most {LONGEST} characters, got {len(text)}")
    stripped = text.strip()
    if "^" in stripped:
        raise OptionError(f"{name}: a power is written with **, not ^: {stripped.replace('^', '**')!r}")
    if stripped in COMPOSED or (stripped in OPERATIONS and OPERATIONS[stripped].arity == 1):
        stripped = f"{stripped}(x)"
    try:
        tree = ast.parse(stripped, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = getattr(error, "msg", str(error))
        raise OptionError(f"{name} must be an expression in x such as 'exp(-x**2)', got {text!r}: {reason}") from None
    return _build(tree.body, name, DEEPEST, tables or {})


def _build(node: ast.expr, name: str, depth: int, tables: Mapping[str, Expression]) -> Expression:
    if depth == 0:
        raise OptionError(f"{name} is nested more than {DEEPEST} deep; write it in a flatter way")

    def build(part: ast.expr) -> Expression:
        return _build(part, name, depth - 1, tables)

    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return _literal(Fraction(repr(value)) if abs(value) < TOO_LARGE else None, name)
        case ast.Name(id="x"):
            return X
        case ast.Name(id=constant) if constant in CONSTANTS:
            return Expression(constant)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return build(operand)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _negative(build(operand))
        case ast.BinOp(left=left, op=symbol, right=right) if type(symbol) in BINARY:
            return _binary(BINARY[type(symbol)], build(left), build(right), name)
        case ast.Call(func=ast.Name(id=function), args=arguments, keywords=[]) if function in {*KNOWN, *tables}:
            return _call(function, arguments, build, name, tables)
    raise OptionError(
        f"{name}: {ast.unparse(node)!r} is not understood; an expression is made of x, numbers, pi, e, + - * / **, "
        f"and the functions {', '.join(sorted(KNOWN))}, as in 'where(x < 0, exp(x) - 1, x)'"
    )


def _literal(number: Fraction | None, name: str) -> Expression:
    if number is None or abs(number) >= TOO_LARGE:
        raise OptionError(f"{name}: a number is too large, from 1e308 on")
    return Expression("number", number=number)


def _choice(
    condition: ast.expr, values: list[Expression], build: Callable[[ast.expr], Expression], name: str
) -> Expression:
    """Return ``where(left < right, below, otherwise)``: what counts is the sign of the difference."""
    below, otherwise = values
    match condition:
        case ast.Compare(left=left, ops=[symbol], comparators=[right]):
            a, b = build(left), build(right)
            match symbol:
                case ast.Lt():
                    return Expression("where", (_binary("sub", a, b, name), below, otherwise))
                case ast.Gt():
                    return Expression("where", (_binary("sub", b, a, name), below, otherwise))
                case ast.LtE():
                    return Expression("where", (_binary("sub", b, a, name), otherwise, below))
                case ast.GtE():
                    return Expression("where", (_binary("sub", a, b, name), otherwise, below))
    raise OptionError(f"{name}: the condition of where must be one comparison such as 'x < 1/2'")


def _negative(operand: Expression) -> Expression:
    if operand.operation == "number":
        return Expression("number", number=-operand.number)  # type: ignore[operator]
    return Expression("neg", (operand,))


def _binary(operation: str, left: Expression, right: Expression, name: str) -> Expression:
    if left.operation == right.operation == "number" and operation != "pow":
        if operation == "div" and right.number == 0:
            raise OptionError(f"{name} divides by zero")
        fold = {"add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv}[operation]
        return _literal(fold(left.number, right.number), name)
    if operation != "pow":
        return Expression(operation, (left, right))
    if right.operation != "number":
        return Expression("power", (left, right))
    if abs(right.number) > HIGHEST_POWER:  # type: ignore[arg-type]
        raise OptionError(f"{name}: the exponent {right.number} is beyond {HIGHEST_POWER}")
    return Expression("pow", (left,), right.number)


def _call(
    function: str,
    parts: Sequence[ast.expr],
    build: Callable[[ast.expr], Expression],
    name: str,
    tables: Mapping[str, Expression],
) -> Expression:
    arity = 1 if function in COMPOSED or function in tables else OPERATIONS[function].arity
    if len(parts) != arity:
        raise OptionError(f"{name}: {function} takes {arity} argument(s), got {len(parts)}")
    if function == "where":
        return _choice(parts[0], [build(value) for value in parts[1:]], build, name)
    arguments = [build(part) for part in parts]
    if function in tables:
        return tables[function].substituted(arguments[0])
    if function in COMPOSED:
        return parse(re.sub(r"\bx\b", lambda _: f"({arguments[0]})", COMPOSED[function]), name)
    return Expression(function, tuple(arguments))
