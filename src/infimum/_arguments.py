"""Arguments that many functions share: named options, random generators, optional imports."""

from __future__ import annotations

import importlib
import numbers
import operator
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from infimum.errors import DTypeError, MissingExtraError, OptionError, RankError

RNGLike: TypeAlias = int | np.random.Generator | None
Numbers: TypeAlias = Sequence[float] | np.ndarray  # an array of NumPy is no Sequence


def one_of(name: str, value: object, allowed: Sequence[object]) -> None:
    """Raise `OptionError` unless `value` is one of those `allowed`."""
    if value not in allowed:
        raise OptionError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")


def whole_number(name: str, value: object, least: int) -> int:
    """Return a Python or NumPy integer as a Python int, which cannot overflow; refuse all else."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise DTypeError(
            f"{name} must be a whole number, got {value!r} of type {type(value).__name__}; convert it with int() first"
        )
    number = operator.index(value)
    if number < least:
        raise OptionError(f"{name} must be at least {least}, got {number}")
    return number


def rank_or_tol(rank: object, tol: object, limit: int) -> None:
    """Check that exactly one of `rank` and `tol` is given and in range (rank: 1 to `limit`)."""
    if (rank is None) == (tol is None):
        came = "both are missing" if rank is None else f"got rank={rank!r} and tol={tol!r}"
        raise OptionError(f"give either rank or tol: {came}")
    if rank is not None:
        rank_within("rank", rank, limit)
    elif not isinstance(tol, numbers.Real) or not 0.0 < float(tol) <= 1.0:
        raise OptionError(
            f"tol must be a number above 0 and at most 1 (relative to the norm of the input), got {tol!r}"
        )


def rank_within(name: str, rank: object, limit: int) -> int:
    """Return a number of columns, rows or terms as a Python int; refuse all that is not from 1 to `limit`."""
    if isinstance(rank, bool) or not isinstance(rank, numbers.Integral):
        raise RankError(f"{name} must be a whole number, got {rank!r} of type {type(rank).__name__}")
    if not 1 <= int(rank) <= limit:
        raise RankError(f"{name} must be from 1 to {limit} for this input, got {rank}")
    return int(rank)


def optional(module: str, extra: str) -> Any:
    """Import an optional module; name the pip command when it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(f'{module} is needed for this: pip install "infimum[{extra}]"') from error


def axes(ax: Any) -> Any:
    """Return `ax`, or new matplotlib axes when it is None."""
    if ax is not None:
        return ax
    return optional("matplotlib.pyplot", "plot").subplots(layout="constrained")[1]


def whole_numbers(*axis: Any) -> None:
    """Put the ticks of matplotlib axis objects at whole numbers: they count rows, columns or ranks."""
    ticker = optional("matplotlib.ticker", "plot")
    for one in axis:
        one.set_major_locator(ticker.MaxNLocator(integer=True))
