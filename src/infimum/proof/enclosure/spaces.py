"""Spaces of approximations: powers of x in arithmetic progression, or functions that are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from infimum._arguments import whole_number
from infimum.errors import OptionError
from infimum.proof.enclosure.functions import Function, as_function

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
    def powers(self) -> tuple[int, ...]:
        """The exponents."""
        return tuple(self.start + self.stride * i for i in range(self.size))


@dataclass(frozen=True, slots=True)
class Functions:
    """The space spanned by given functions; `powers` are their exponents, if they are powers of x."""

    functions: tuple[Function, ...]
    powers: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Number of functions."""
        return len(self.functions)


Space = Powers | Functions


def as_space(degree: int | None, system: str | Sequence[Any] | np.ndarray, fixed: Sequence[int] = ()) -> Space:
    """Return the space that `degree` and `system` describe, without the powers whose coefficients are fixed."""
    if isinstance(system, str):
        if system not in SYSTEMS:
            raise OptionError(f"system must be {', '.join(map(repr, SYSTEMS))}, powers or functions, got {system!r}")
        if degree is None:
            raise OptionError("give degree, or a list of powers or functions as system")
        n = whole_number("degree", degree, least=1 if system == "odd" else 0)
        if n > LARGEST_DEGREE:
            raise OptionError(f"degree must be at most {LARGEST_DEGREE}, got {n}; split the domain instead")
        start, stride = SYSTEMS[system]
        return _free(range(start, n + 1, stride), fixed)
    if degree is not None:
        raise OptionError("degree must be left out when system lists powers or functions")
    items = list(system)
    if not items:
        raise OptionError("system must hold at least one power or function")
    if all(isinstance(item, int | np.integer) and not isinstance(item, bool) for item in items):
        powers = sorted({whole_number("every power of system", item, least=0) for item in items})
        if powers[-1] > LARGEST_DEGREE:
            raise OptionError(f"the powers of system must be at most {LARGEST_DEGREE}, got {powers[-1]}")
        return _free(powers, fixed)
    if fixed:
        raise OptionError("fixed needs a system of powers; take functions less their fixed part yourself")
    return Functions(tuple(as_function(item, "every function of system") for item in items))


def _free(powers: Sequence[int], fixed: Sequence[int]) -> Space:
    free = [power for power in powers if power not in set(fixed)]
    if not free:
        raise OptionError("fixed leaves no coefficient free: sup_norm encloses the error of what is given")
    return space_of(free)


def space_of(powers: Sequence[int]) -> Space:
    """Return the space that increasing powers span."""
    strides = set(np.diff(powers).tolist())
    if len(strides) <= 1:
        return Powers(powers[0], strides.pop() if strides else 1, len(powers))
    return Functions(tuple(as_function(f"x**{power}") for power in powers), tuple(powers))


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
