"""What the functions for schedules take: tables of coefficients, intervals, exponents."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from infimum._arguments import whole_number
from infimum.errors import DTypeError, NonFiniteError, OptionError
from infimum.proof.answers.composition import MIN_RATIO, Composition
from infimum.proof.theorems.composition import MAX_POWER, MAX_STEPS, MAX_TERMS


def as_table(table: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return a table of coefficients, rows of any length, padded with zeros, and the lengths."""
    if isinstance(table, Composition):
        return table.table, table.terms
    try:
        rows = [[float(c) for c in row] for row in (table.tolist() if hasattr(table, "tolist") else table)]
    except (TypeError, ValueError) as error:
        raise DTypeError(f"table must hold one row of real coefficients for each step ({error})") from error
    count("the number of steps", len(rows), MAX_STEPS)
    for number, row in enumerate(rows, 1):
        count(f"the number of coefficients of step {number}", len(row), MAX_TERMS)
        if not np.all(np.isfinite(row)):
            raise NonFiniteError(f"table must be finite, but step {number} is {row}")
    terms = np.array([len(row) for row in rows], dtype=np.int64)
    padded = np.zeros((len(rows), int(terms.max())))
    for row, target in zip(rows, padded, strict=True):
        target[: len(row)] = row
    return padded, terms


def checked_interval(lower: Any, upper: Any) -> tuple[float, float]:
    """Return two finite numbers 0 < lower <= upper."""
    low, high = real("lower", lower), real("upper", upper)
    if not 0.0 < low <= high:
        raise OptionError(
            f"lower must be above 0 and at most upper, got [{low}, {high}]; 0 itself stays at 0 in every step"
        )
    if low < MIN_RATIO * high:
        raise OptionError(f"lower must be at least {MIN_RATIO} times upper, got [{low}, {high}]: raise lower")
    return low, high


def checked_options(power: Any, numerator: Any, noise: Any) -> tuple[int, int, float]:
    """Return the exponents r and s, and a noise that is not negative."""
    power, numerator = count("power", power, MAX_POWER), count("numerator", numerator, MAX_POWER)
    noise = real("noise", noise)
    if noise < 0.0:
        raise OptionError(f"noise must be at least 0, got {noise}")
    return power, numerator, noise


def real(name: str, value: Any) -> float:
    """Return a finite real number."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise DTypeError(f"{name} must be a real number, got {value!r} of type {type(value).__name__}")
    if not np.isfinite(float(value)):
        raise NonFiniteError(f"{name} must be finite, got {value!r}")
    return float(value)


def count(name: str, value: Any, most: int) -> int:
    """Return a whole number from 1 to `most`."""
    number = whole_number(name, value, 1)
    if number > most:
        raise OptionError(f"{name} must be at most {most}, got {number}")
    return number
