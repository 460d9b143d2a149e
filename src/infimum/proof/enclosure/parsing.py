"""Text that becomes an expression: it is parsed by `ast` and never executed.

A decimal number means that decimal number: ``0.1`` is one tenth.
"""

from __future__ import annotations

import ast
import operator
import re
from fractions import Fraction

from infimum.errors import OptionError
from infimum.proof.enclosure.expressions import CONSTANTS, Expression
from infimum.proof.enclosure.operations import COMPOSED, OPERATIONS

LONGEST = 4000  # characters of an expression
DEEPEST = 60  # nested operations
HIGHEST_POWER = 10_000

BINARY = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow"}
KNOWN = {*COMPOSED, *(name for name, known in OPERATIONS.items() if known.public)}
TOO_LARGE = 10**308
X = Expression("x")


def parse(text: str, name: str = "f") -> Expression:
    """Read the name of a function or an expression in x."""
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
    return _build(tree.body, name, DEEPEST)


def _build(node: ast.expr, name: str, depth: int) -> Expression:
    if depth == 0:
        raise OptionError(f"{name} is nested more than {DEEPEST} deep; write it in a flatter way")
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return _literal(Fraction(repr(value)) if abs(value) < TOO_LARGE else None, name)
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
        case ast.Call(func=ast.Name(id="where"), args=[condition, *values], keywords=[]) if len(values) == 2:
            below, otherwise = (_build(value, name, depth - 1) for value in values)
            return _choice(condition, below, otherwise, name, depth - 1)
        case ast.Call(func=ast.Name(id=function), args=[*arguments], keywords=[]) if function in KNOWN:
            return _call(function, [_build(argument, name, depth - 1) for argument in arguments], name)
    raise OptionError(
        f"{name}: {ast.unparse(node)!r} is not understood; an expression is made of x, numbers, pi, e, + - * / **, "
        f"and the functions {', '.join(sorted({*KNOWN, 'where'}))}, as in 'where(x < 0, exp(x) - 1, x)'"
    )


def _literal(number: Fraction | None, name: str) -> Expression:
    if number is None or abs(number) >= TOO_LARGE:
        raise OptionError(f"{name}: a number is too large, from 1e308 on")
    return Expression("number", number=number)


def _choice(condition: ast.expr, below: Expression, otherwise: Expression, name: str, depth: int) -> Expression:
    """Return ``where(left < right, below, otherwise)``: what counts is the sign of the difference."""
    match condition:
        case ast.Compare(left=left, ops=[symbol], comparators=[right]):
            a, b = _build(left, name, depth), _build(right, name, depth)
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


def _call(function: str, arguments: list[Expression], name: str) -> Expression:
    arity = 1 if function in COMPOSED else OPERATIONS[function].arity
    if len(arguments) != arity:
        raise OptionError(f"{name}: {function} takes {arity} argument(s), got {len(arguments)}")
    if function in COMPOSED:
        return parse(re.sub(r"\bx\b", lambda _: f"({arguments[0]})", COMPOSED[function]), name)
    return Expression(function, tuple(arguments))
