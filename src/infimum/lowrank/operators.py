"""Inputs of every kind as operators: arrays, SciPy sparse arrays and linear operators."""

from __future__ import annotations

from typing import Any

from infimum._arrays import as_matrix
from infimum._operator import Dense, Operator


def as_operator(item: Any, name: str) -> Operator:
    """Return a checked input as an operator in working precision."""
    if isinstance(item, Operator):
        return item
    return Dense(as_matrix(item, name))
