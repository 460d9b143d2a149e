"""Straight-line programs that evaluate a polynomial, and rigorous bounds on what rounding does to them.

A program is a list of ``target = factor * by + plus`` in a machine format. Over a partition of the domain into small
cells the range of every exact value is enclosed, and the distance of the computed from the exact value is bounded
operation by operation. Ranges are rounded outwards and bounds upwards, so that the result holds for every machine
number of the domain, with or without fused multiply-add, and where subnormal numbers are taken for 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from infimum._arguments import one_of
from infimum.errors import RangeError
from infimum.proof.answers.source_code import Scheme
from infimum.proof.enclosure.machine_formats import FORMATS, Format

Operand = str | Fraction  # the name of an earlier value, or a constant

CELLS = 2048  # of every interval of the domain
UPWARDS = 1.0 + 2.0**-46  # more than a few roundings to nearest lose


class Operation(NamedTuple):
    """``target = factor * by``, plus `plus` if there is one; or ``target = factor / by``."""

    target: str
    factor: Operand
    by: Operand
    plus: Operand | None = None
    divides: bool = False


@dataclass(frozen=True, slots=True)
class EvaluationError:
    """What rounding adds to p(x), for every machine number x of the domain, subnormal ones among them.

    ``abs(computed - p(x)) <= absolute``, and ``<= relative * abs(p(x)) + underflow``. Both hold with and without fused
    multiply-add, and where hardware takes subnormal numbers for 0 (those of float16 it never does). `relative` is
    infinite where p has a zero other than that of a factor x; `underflow` is 0 where p has no zero.
    """

    absolute: float
    relative: float
    underflow: float


def program(coefficients: Mapping[int, Fraction], scheme: Scheme) -> list[Operation]:
    """Evaluate ``sum c x**power`` by Horner's or Estrin's scheme in ``t = x**stride``, then times ``x**start``."""
    one_of("scheme", scheme, ("horner", "estrin"))
    powers = sorted(coefficients)
    start = powers[0]
    strides = [power - start for power in powers]
    stride = int(np.gcd.reduce(strides)) or 1
    dense = [coefficients.get(start + stride * k, Fraction(0)) for k in range(strides[-1] // stride + 1)]
    operations: list[Operation] = []
    t = _power("x", stride, "t", operations) if len(dense) > 1 else "x"
    value = (_horner if scheme == "horner" else _estrin)(dense, t, operations)
    if start:
        if not isinstance(value, Fraction):
            operations[-1], value = operations[-1]._replace(target="q"), "q"
        operations.append(Operation("y", value, _power("x", start, "s", operations)))
    elif isinstance(value, Fraction):  # a constant: keep the shape of x
        operations.append(Operation("y", Fraction(0), "x", value))
    return [*operations[:-1], operations[-1]._replace(target="y")]


def quotient_program(above: Mapping[int, Fraction], below: Mapping[int, Fraction], scheme: Scheme) -> list[Operation]:
    """Evaluate two polynomials, and divide."""
    operations: list[Operation] = []
    for prefix, coefficients in (("p", above), ("q", below)):
        names = {"x": "x"}
        for operation in program(coefficients, scheme):
            items = [names.get(item, item) if isinstance(item, str) else item for item in operation[1:4]]
            names[operation.target] = f"{prefix}_{operation.target}"
            operations.append(Operation(names[operation.target], items[0], items[1], items[2]))  # type: ignore[arg-type]
    return [*operations, Operation("y", "p_y", "q_y", divides=True)]


def _horner(dense: Sequence[Fraction], t: str, operations: list[Operation]) -> Operand:
    value: Operand = dense[-1]
    for k in range(len(dense) - 2, -1, -1):
        operations.append(Operation("y", value, t, dense[k] or None))
        value = "y"
    return value


def _estrin(dense: Sequence[Fraction], t: str, operations: list[Operation]) -> Operand:
    values: list[Operand] = list(dense)
    level = 0
    while len(values) > 1:
        paired: list[Operand] = []
        for k in range(0, len(values) - 1, 2):
            paired.append(f"a{level}_{k // 2}")
            operations.append(Operation(str(paired[-1]), values[k + 1], t, values[k] or None))
        if len(values) % 2:
            paired.append(values[-1])
        values, level = paired, level + 1
        if len(values) > 1:
            square = f"t{2**level}"
            operations.append(Operation(square, t, t))
            t = square
    return values[0]


def _power(base: str, exponent: int, name: str, operations: list[Operation]) -> str:
    """Binary powering; every product gets a name of its own, and the last one `name`."""
    found, square, rest, done = "", base, exponent, 1
    while rest:
        if rest % 2 and found:
            operations.append(Operation(f"{name}_{done}", found, square))
            found = operations[-1].target
        elif rest % 2:
            found = square
        rest //= 2
        if rest:
            done *= 2
            operations.append(Operation(f"{name}x{done}", square, square))
            square = operations[-1].target
    if found == base:
        return base
    operations[-1] = operations[-1]._replace(target=name)
    return name


class _Value(NamedTuple):
    """Over all cells: range of the exact value, and largest distance of the computed one."""

    low: np.ndarray
    high: np.ndarray
    error: np.ndarray

    @property
    def size(self) -> np.ndarray:
        return np.asarray(np.maximum(np.abs(self.low), np.abs(self.high)))

    @property
    def smallest(self) -> np.ndarray:
        nearest = np.minimum(np.abs(self.low), np.abs(self.high))
        return np.asarray(np.where((self.low > 0.0) | (self.high < 0.0), nearest, 0.0))


def evaluation_error(
    operations: Sequence[Operation], domain: Sequence[tuple[float, float]], dtype: str
) -> EvaluationError:
    """Bound the rounding errors of a program over a domain, those of its constants included.

    Raises
    ------
    RangeError
        An intermediate value may overflow, or constants are so small that the format loses them.
    """
    machine, x = FORMATS[dtype], _cells(domain)
    last, values = operations[-1], _values(operations, x, machine)
    absolute = float(np.max(values["y"].error))
    small = [c for c in _constants(operations) if 0 < abs(c) < 2.0**machine.least_exponent]
    if small and absolute > 2.0 * float(np.max(_values(operations, x, machine, underflows=False)["y"].error)):
        raise RangeError(
            f"a coefficient of size {float(max(map(abs, small))):.3g} is below the normal numbers of {dtype}, where "
            "digits are lost or it is taken for 0: scale x or f to be nearer to 1, or take a wider format"
        )
    found = values["y"]
    relative, underflow = float(np.max(found.error / found.smallest)) if np.all(found.smallest > 0.0) else np.inf, 0.0
    if not np.isfinite(relative) and last.plus is None and (last.factor, last.by) == ("q", "x"):
        relative, underflow = _of_product(values["q"], machine)
    if not np.isfinite(relative) and last.divides and Operation("p_y", "p_q", "x") in operations:
        relative, underflow = _of_quotient(_of_product(values["p_q"], machine), values["q_y"], machine)
    return EvaluationError(absolute, relative * UPWARDS, underflow)


def _of_product(q: _Value, machine: Format) -> tuple[float, float]:
    """Relative error of ``q * x`` where x reaches 0 and q does not, and what underflow adds to it.

    The product is rounded once more than q is: ``(1 + inner) * (1 + unit) - 1``, in a form that loses no digits. Where
    x or the product is taken for 0, at most the smallest normal number is lost, times q or by itself.
    """
    if not np.all(q.smallest > 0.0):
        return np.inf, 0.0
    inner = float(np.max(q.error / q.smallest))
    return inner + machine.unit + inner * machine.unit, machine.tiny * max(float(np.max(q.size)), 1.0) * UPWARDS


def _of_quotient(above: tuple[float, float], b: _Value, machine: Format) -> tuple[float, float]:
    """Do the same where that product is divided by b, which is nowhere 0."""
    relative, underflow = above
    least = _down(b.smallest - b.error)
    below = float(np.max(b.error / least)) * UPWARDS
    rounding = relative + below + relative * below
    rounding += machine.unit * (1.0 + rounding)
    lost = underflow * float(np.max(1.0 / least)) * (1.0 + machine.unit) * UPWARDS + machine.tiny
    return rounding * UPWARDS, lost * UPWARDS


def _cells(domain: Sequence[tuple[float, float]]) -> _Value:
    """Cut the domain into cells."""
    ends = [np.minimum(np.linspace(low, high, CELLS + 1), high) for low, high in domain]
    low, high = (np.concatenate([e[part] for e in ends]) for part in (slice(None, -1), slice(1, None)))
    return _Value(low, high, np.zeros_like(low))


def _constants(operations: Sequence[Operation]) -> list[Fraction]:
    return [item for operation in operations for item in operation[1:4] if isinstance(item, Fraction)]


def _values(
    operations: Sequence[Operation], x: _Value, machine: Format, *, underflows: bool = True
) -> dict[str, _Value]:
    """Follow a program over all cells; if not `underflows`, as if there were no smallest number."""
    rounding = _Rounding(machine, machine.unit, machine.tiny if underflows else 0.0)
    values = {"x": x._replace(error=np.full_like(x.low, rounding.tiny))}  # a subnormal x may be read as 0
    with np.errstate(all="ignore"):
        for target, *items, divides in operations:
            operands = [_operand(item, values, rounding) for item in items if item is not None]
            found = (_quotient if divides else _product)(operands[0], operands[1], rounding)
            values[target] = _sum(found, operands[2], rounding) if len(operands) == 3 else found
    return values


class _Rounding(NamedTuple):
    """What an operation may lose: `unit` of its result, and `tiny` where it underflows."""

    machine: Format
    unit: float
    tiny: float


def _operand(item: Operand, values: Mapping[str, _Value], rounding: _Rounding) -> _Value:
    if isinstance(item, str):
        return values[item]
    machine, like = rounding.machine, values["x"].low
    if abs(item) > machine.largest:
        raise RangeError(f"a coefficient of size {float(abs(item)):.3g} does not fit {machine.name}")
    off = abs(machine.round(item) - item)
    if not rounding.tiny:
        off = min(off, abs(item) * Fraction(rounding.unit))
    elif abs(machine.round(item)) < rounding.tiny:
        off = abs(item)  # a subnormal constant may be read as 0
    centre = np.full_like(like, float(item))
    return _Value(_down(centre), _up(centre), _up(np.full_like(like, float(off))) if off else np.zeros_like(like))


def _product(a: _Value, b: _Value, rounding: _Rounding) -> _Value:
    corners = np.stack([a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high])
    low, high = _down(corners.min(axis=0)), _up(corners.max(axis=0))
    if a is b:
        low = np.maximum(low, np.where((a.low <= 0.0) & (a.high >= 0.0), 0.0, _down(np.minimum(a.low**2, a.high**2))))
    carried = a.size * b.error + b.size * a.error + a.error * b.error
    return _after_rounding(low, high, carried, rounding)


def _quotient(a: _Value, b: _Value, rounding: _Rounding) -> _Value:
    """Division: ``|(a + da)/(b + db) - a/b| <= (|da| + |a/b| |db|) / (|b| - |db|)``."""
    least = _down(b.smallest - b.error)
    if not np.all(least > 0.0):
        raise RangeError(f"the denominator may be 0 in the arithmetic of {rounding.machine.name}: take a wider format")
    corners = np.stack([a.low / b.low, a.low / b.high, a.high / b.low, a.high / b.high])
    low, high = _down(corners.min(axis=0)), _up(corners.max(axis=0))
    carried = (a.error + np.maximum(np.abs(low), np.abs(high)) * b.error) / least * UPWARDS
    return _after_rounding(low, high, carried, rounding)


def _sum(a: _Value, b: _Value, rounding: _Rounding) -> _Value:
    return _after_rounding(_down(a.low + b.low), _up(a.high + b.high), a.error + b.error, rounding)


def _after_rounding(low: np.ndarray, high: np.ndarray, carried: np.ndarray, rounding: _Rounding) -> _Value:
    size = np.maximum(np.abs(low), np.abs(high))
    error = (carried + rounding.unit * (size + carried) + rounding.tiny) * UPWARDS
    if not np.all(size + error < rounding.machine.largest):
        raise RangeError(f"the evaluation may overflow in {rounding.machine.name} on this domain: take a wider format")
    return _Value(low, high, error)


def _down(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.nextafter(x, -np.inf))


def _up(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.nextafter(x, np.inf))
