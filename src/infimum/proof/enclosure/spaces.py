"""Spaces of approximations: powers of x in arithmetic progression, or functions that are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from infimum._arguments import whole_number
from infimum.errors import OptionError
from infimum.proof.enclosure.expressions import Function, as_function

LARGEST_DEGREE = 2000

System: TypeAlias = Literal["full", "odd", "even"]
SYSTEMS: dict[str, tuple[int, int]] = {"full": (0, 1), "odd": (1, 2), "even": (0, 2)}  # first power, and the stride


@dataclass(frozen=True, slots=True)
class Powers:
    """The space spanned by ``x**(start + stride * i)`` for ``0 <= i < size``."""

    start: int
    stride: int
    size: int

    @property
    def powers(self) -> list[int]:
        """The exponents."""
        return [self.start + self.stride * i for i in range(self.size)]


@dataclass(frozen=True, slots=True)
class Functions:
    """The space spanned by given functions."""

    functions: tuple[Function, ...]

    @property
    def size(self) -> int:
        """Number of functions."""
        return len(self.functions)


Space = Powers | Functions


def as_space(degree: int | None, system: str | Sequence[Any] | np.ndarray) -> Space:
    """Return the space that `degree` and `system` describe."""
    if isinstance(system, str):
        if system not in SYSTEMS:
            raise OptionError(f"system must be {', '.join(map(repr, SYSTEMS))}, powers or functions, got {system!r}")
        if degree is None:
            raise OptionError("give degree, or a list of powers or functions as system")
        n = whole_number("degree", degree, least=1 if system == "odd" else 0)
        if n > LARGEST_DEGREE:
            raise OptionError(f"degree must be at most {LARGEST_DEGREE}, got {n}; split the domain instead")
        start, stride = SYSTEMS[system]
        return Powers(start, stride, (n - start) // stride + 1)
    if degree is not None:
        raise OptionError("degree must be left out when system lists powers or functions")
    items = list(system)
    if not items:
        raise OptionError("system must hold at least one power or function")
    if all(isinstance(item, int | np.integer) and not isinstance(item, bool) for item in items):
        powers = sorted({whole_number("every power of system", item, least=0) for item in items})
        if powers[-1] > LARGEST_DEGREE:
            raise OptionError(f"the powers of system must be at most {LARGEST_DEGREE}, got {powers[-1]}")
        strides = set(np.diff(powers).tolist())
        if len(strides) <= 1:
            return Powers(powers[0], strides.pop() if strides else 1, len(powers))
        return Functions(tuple(as_function(f"x**{power}") for power in powers))
    return Functions(tuple(as_function(item, "every function of system") for item in items))


def variable(space: Powers, intervals: tuple[tuple[float, float], ...]) -> tuple[float, float]:
    """Range of ``t = x**stride``; the Chebyshev polynomials of an answer are those of this interval."""
    with np.errstate(over="ignore"):
        ends = np.array(intervals, dtype=np.float64).ravel() ** space.stride
    if not np.all(np.isfinite(ends)):
        raise OptionError(f"x**{space.stride} overflows on the domain; scale x down first")
    low, high = float(ends.min()), float(ends.max())
    if space.stride % 2 == 0 and any(a < 0.0 < b for a, b in intervals):
        low = 0.0
    return low, high
