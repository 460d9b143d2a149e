"""What a result brings along is evidence from a stranger: its kind, shape and range are asked before it is used.

Every theorem and every answer takes the parts of a witness, and the fields of an answer, through these functions. Each
raises `VerificationError`, which names the part, what was expected and what came.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from infimum._arrays import Array, is_array, like_array, namespace, require_finite, to_numpy
from infimum.errors import NonFiniteError, VerificationError
from infimum.proof.wording import printable

Kind = Literal["real", "complex", "integer", "bool"]
SHOWN = 80  # characters of a value that an error repeats
LINE = 400  # characters of an error


def number(
    name: str,
    item: Any,
    *,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> float:
    """Return a finite real number within its limits, of which `least` and `most` belong to the range."""
    if isinstance(item, bool | np.bool_) or not isinstance(item, int | float | np.integer | np.floating):
        raise VerificationError(f"{name} must be a real number, got {shown(item)} of type {type(item).__name__}")
    try:
        value = float(item)
    except OverflowError:
        value = math.inf
    inside = (
        math.isfinite(value)
        and (least is None or value >= least)
        and (most is None or value <= most)
        and (above is None or value > above)
        and (below is None or value < below)
    )
    if not inside:
        limits = {"at least": least, "at most": most, "above": above, "below": below}
        asked = " and ".join(f"{word} {limit:g}" for word, limit in limits.items() if limit is not None)
        raise VerificationError(f"{name} must be a finite number {asked}".rstrip() + f", got {shown(item)}")
    return value


def whole(name: str, item: Any, *, least: int, most: int) -> int:
    """Return a whole number from `least` to `most` as a Python int, which cannot overflow."""
    if isinstance(item, bool | np.bool_) or not isinstance(item, int | np.integer):
        raise VerificationError(f"{name} must be a whole number, got {shown(item)} of type {type(item).__name__}")
    if not least <= int(item) <= most:
        raise VerificationError(f"{name} must be from {least} to {most}, got {shown(item)}")
    return int(item)


def flag(name: str, item: Any) -> bool:
    """Return a truth value of Python."""
    if not isinstance(item, bool):
        raise VerificationError(f"{name} must be true or false, got {shown(item)}")
    return item


def array(
    name: str, item: Any, shape: tuple[int | None, ...], kind: Kind = "real", *, like: Array | None = None
) -> Array:
    """Return a finite array of that shape (None: any length) and kind, in the library of `like` where it is given.

    "complex" takes real numbers, too; "real" takes no complex ones; neither takes whole numbers or truth values.
    """
    _require_kind(name, item, shape, kind)
    try:
        if kind in ("real", "complex"):
            require_finite(item, name)
    except NonFiniteError as error:
        raise VerificationError(str(error)) from error
    if like is not None and isinstance(item, np.ndarray) and not isinstance(like, np.ndarray):
        item = like_array(item, like)
    if like is not None:
        namespace(**{name: item, "the input": like})  # one library, one device
    return item


def within(
    name: str,
    item: Any,
    shape: tuple[int | None, ...],
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> np.ndarray:
    """Return a real NumPy array whose entries are at least `least`, above `above` and below `below`: so none is NaN."""
    if not isinstance(item, np.ndarray):
        raise VerificationError(f"{name} must be a NumPy array, got {shown(item)} of type {type(item).__name__}")
    _require_kind(name, item, shape, "real")
    # a NaN is the first of both; in extended precision min and max take four times as long
    low, high = (item.flat[item.argmin()], item.flat[item.argmax()]) if item.size else (math.nan, math.nan)
    if item.size and not (low >= least and low > above and high < below):
        limits = {"at least": least, "above": above, "below": below}
        asked = " and ".join(f"{word} {limit:g}" for word, limit in limits.items() if math.isfinite(limit))
        raise VerificationError(f"{name} must hold finite numbers {asked}".rstrip())
    return item


def _require_kind(name: str, item: Any, shape: tuple[int | None, ...], kind: Kind) -> None:
    if isinstance(item, np.ma.MaskedArray) or not (isinstance(item, np.ndarray) or is_array(item)):
        raise VerificationError(f"{name} must be an array, got {shown(item)} of type {type(item).__name__}")
    got = tuple(int(length) for length in item.shape)
    if len(got) != len(shape) or any(want is not None and have != want for have, want in zip(got, shape, strict=True)):
        asked = "(" + ", ".join("any" if length is None else str(length) for length in shape) + ")"
        raise VerificationError(f"{name} must have shape {asked}, got {got}")
    if kind_of(item) not in {"complex": ("real", "complex")}.get(kind, (kind,)):
        raise VerificationError(f"{name} must hold {kind} numbers, got dtype {item.dtype}")


def doubles(name: str, item: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    """Return a finite float64 NumPy array: numbers that stand for themselves, which no cast has rounded."""
    values = array(name, item, shape)
    if not isinstance(values, np.ndarray) or values.dtype != np.float64:
        raise VerificationError(f"{name} must be float64 in a NumPy array, got dtype {values.dtype}")
    return values


def indices(name: str, item: Any, below: int, count: int | None = None) -> np.ndarray:
    """Return a vector of different whole numbers from 0 to `below` - 1 as int64 on the host."""
    values = np.asarray(to_numpy(array(name, item, (count,), "integer")))
    if values.size and not (int(values.min()) >= 0 and int(values.max()) < below):
        raise VerificationError(f"{name} must be indices below {below}, got {shown(values.tolist())}")
    if np.unique(values).size != values.size:
        raise VerificationError(f"{name} must be different indices, got {shown(values.tolist())}")
    return values.astype(np.int64)


def kind_of(item: Array) -> str:
    """Return the kind of the elements of an array of any library."""
    if isinstance(item, np.ndarray):
        return {"f": "real", "c": "complex", "i": "integer", "u": "integer", "b": "bool"}.get(item.dtype.kind, "other")
    xp = namespace(item=item)
    if str(item.dtype) in ("torch.bfloat16", "torch.float16", "bfloat16", "float16"):
        return "real"
    names = {"real floating": "real", "complex floating": "complex", "integral": "integer", "bool": "bool"}
    return next((kind for name, kind in names.items() if xp.isdtype(item.dtype, name)), "other")


def shown(item: Any) -> str:
    """Repeat a value in an error, in one line of bounded length."""
    try:
        text = " ".join(repr(item).split())
    except ValueError:  # an integer of more digits than Python prints
        text = f"a number of {item.bit_length()} bits" if isinstance(item, int) else "what cannot be printed"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def one_line(message: str) -> str:
    """Bring an error that repeats a stranger's text into one line of bounded length that steers no terminal."""
    text = printable(" ".join(message.split()))
    return text if len(text) <= LINE else f"{text[:LINE]}..."
