"""Values of expressions, and factors of the error, at points, as balls."""

from __future__ import annotations

from infimum.errors import OptionError
from infimum.proof.enclosure.balls import Ball, flint
from infimum.proof.enclosure.expressions import Expression
from infimum.proof.enclosure.functions import BlackBox, Function
from infimum.proof.enclosure.piecewise import Piecewise
from infimum.proof.enclosure.task import Task


def formula(function: Function) -> Expression | Piecewise:
    """Return a function that is known by more than its values."""
    if isinstance(function, BlackBox):
        raise OptionError(f"{function} is a Python function: only its values are known, and nothing can be enclosed")
    return function


def values_at(function: Function, points: list[Ball]) -> list[Ball]:
    """Values of a formula at points, as balls."""
    function = formula(function)
    return [function.at(point) for point in points]


def weights_at(task: Task, points: list[Ball]) -> list[Ball]:
    """Factors of the error at points, as balls."""
    factor = [flint().arb(1)] * len(points) if task.weight is None else values_at(task.weight, points)
    if not task.relative:
        return factor
    return [w / abs(value) for w, value in zip(factor, values_at(task.whole, points), strict=True)]
