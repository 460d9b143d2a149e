"""Expressions of SymPy as text: its own objects tell what they are made of, and SymPy is never imported."""

from __future__ import annotations

import functools
from typing import Any

from infimum.errors import OptionError

SAME = (
    *("exp", "log", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
    *("erf", "erfc", "erfinv", "gamma", "sign"),
)
FUNCTIONS = {**{name: name for name in SAME}, "Abs": "abs", "loggamma": "lgamma"}
CONSTANTS = {"Pi": "pi", "Exp1": "e"}
COMPARISONS = {"StrictLessThan": " < ", "LessThan": " <= ", "StrictGreaterThan": " > ", "GreaterThan": " >= "}
JOINED = {"Add": " + ", "Mul": "*", "Pow": "**", **COMPARISONS}


def text_of(expression: Any, name: str) -> str:
    """Write an expression in one symbol, whatever it is called, as text in x."""
    symbols = sorted(str(symbol) for symbol in expression.free_symbols)
    if len(symbols) > 1:
        raise OptionError(
            f"{name} must be an expression in one symbol, got {', '.join(symbols)}: give values to others"
        )
    return _text(expression, name)


def _text(node: Any, name: str) -> str:
    kind = type(node).__name__
    if node.is_Symbol:
        return "x"
    if node.is_number and not node.args:
        return _atom(node, name)
    if kind == "Piecewise":
        return _piecewise(node.args, name)
    parts = [_text(part, name) for part in node.args]
    if kind in JOINED:
        return JOINED[kind].join(parts) if kind in COMPARISONS else f"({JOINED[kind].join(parts)})"
    if kind in ("Max", "Min"):
        return functools.reduce(lambda a, b: f"{kind.lower()}({a}, {b})", parts)
    if kind in FUNCTIONS and len(parts) == 1:
        return f"{FUNCTIONS[kind]}({parts[0]})"
    raise OptionError(
        f"{name}: {kind} of SymPy is not understood here: rewrite it by {', '.join(FUNCTIONS)}, Piecewise"
    )


def _atom(node: Any, name: str) -> str:
    if node.is_Rational:
        return f"({node.p}/{node.q})"
    if node.is_Float:
        sign, mantissa, exponent, _ = node._mpf_  # exactly
        return f"({'-' * sign}{mantissa << max(exponent, 0)}/{1 << max(-exponent, 0)})"
    if type(node).__name__ in CONSTANTS:
        return CONSTANTS[type(node).__name__]
    raise OptionError(f"{name}: the number {node} is not understood")


def _piecewise(branches: Any, name: str) -> str:
    """Write cases in order; the last one must hold everywhere."""
    *cases, (last, always) = branches
    if type(always).__name__ != "BooleanTrue":
        raise OptionError(f"{name}: the last case of Piecewise must be (expression, True)")
    text = _text(last, name)
    for value, condition in reversed(cases):
        if type(condition).__name__ not in COMPARISONS:
            raise OptionError(f"{name}: every condition of Piecewise must be one comparison, got {condition}")
        text = f"where({_text(condition, name)}, {_text(value, name)}, {text})"
    return text
