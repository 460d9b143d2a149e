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

from infimum.errors import RangeError
from infimum.minimax.formats.forms import Operand, Operation, Series, Step, written_out
from infimum.proof.enclosure.machine_formats import FORMATS, Format

CELLS = 2048  # of every interval of the domain
UPWARDS = 1.0 + 2.0**-46  # more than a few roundings to nearest lose
DOUBLE = FORMATS["float64"]


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


def evaluation_error(steps: Sequence[Step], domain: Sequence[tuple[float, float]], dtype: str) -> EvaluationError:
    """Bound the rounding errors of a program over a domain, those of its constants included.

    Raises
    ------
    RangeError
        An intermediate value may overflow, or constants are so small that the format loses them.
    """
    machine, x = FORMATS[dtype], _cells(domain)
    last, values = steps[-1], _values(steps, x, machine)
    absolute = float(np.max(values["y"].error))
    small = [c for c in _constants(steps) if 0 < abs(c) < 2.0**machine.least_exponent]
    if small and absolute > 2.0 * float(np.max(_values(steps, x, machine, underflows=False)["y"].error)):
        raise RangeError(
            f"a coefficient of size {float(max(map(abs, small))):.3g} is below the normal numbers of {dtype}, where "
            "digits are lost or it is taken for 0: scale x or f to be nearer to 1, or take a wider format"
        )
    found = values["y"]
    relative, underflow = float(np.max(found.error / found.smallest)) if np.all(found.smallest > 0.0) else np.inf, 0.0
    if not np.isfinite(relative) and last == Operation("y", "q", "x"):
        relative, underflow = _of_product(values["q"], machine)
    if not np.isfinite(relative) and last == Operation("y", "r", "x", "x"):
        relative, underflow = _of_lead(values["r"], machine)
    if not np.isfinite(relative) and Operation("p_y", "p_q", "x") in steps:
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


def _of_lead(r: _Value, machine: Format) -> tuple[float, float]:
    """Relative error of ``r * x + x`` where x reaches 0 and ``1 + r`` does not, and what underflow adds to it."""
    least = _down(1.0 + r.low)
    if not np.all(least > 0.0):
        return np.inf, 0.0
    size = r.size + r.error
    inner = float(np.max((r.error + machine.unit * size) / least)) * UPWARDS
    return inner + machine.unit + inner * machine.unit, 2.0 * machine.tiny * float(np.max(1.0 + size)) * UPWARDS


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


def _constants(steps: Sequence[Step]) -> list[Fraction]:
    return [item for operation in written_out(steps) for item in operation[1:4] if isinstance(item, Fraction)]


def _values(steps: Sequence[Step], x: _Value, machine: Format, *, underflows: bool = True) -> dict[str, _Value]:
    """Follow a program over all cells; if not `underflows`, as if there were no smallest number."""
    rounding = _Rounding(machine, machine.unit, machine.tiny if underflows else 0.0)
    values = {"x": x._replace(error=np.full_like(x.low, rounding.tiny))}  # a subnormal x may be read as 0
    with np.errstate(all="ignore"):
        for step in steps:
            if isinstance(step, Series):
                values[step.target] = _clenshaw(step, values[step.u], rounding)
            else:
                values[step.target] = _operated(step, values, rounding)
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


def _operated(step: Operation, values: Mapping[str, _Value], rounding: _Rounding) -> _Value:
    operands = [_operand(item, values, rounding) for item in step[1:4] if item is not None]
    a, b = operands[:2]
    if step.divides:
        return _quotient(a, b, rounding)
    exact = (
        rounding._replace(unit=0.0, tiny=0.0)
        if {1, 2} & {abs(c) for c in step[1:3] if not isinstance(c, str)}
        else rounding
    )
    found = _product(a, b, exact)
    return _sum(found, operands[2], rounding) if len(operands) == 3 else found


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


# ------------------------------------------------------------------ Chebyshev polynomials


def _clenshaw(series: Series, u: _Value, rounding: _Rounding) -> _Value:
    """Range and error of ``sum c_k T_k(u)``.

    What is lost in a step k of the recurrence is multiplied by ``T_k(u)`` in the result, as the coefficient c_k is. An
    error of u counts with the derivative, ``|T_k'| <= k**2``. Where u reaches beyond 1, all of these grow.
    """
    c = [_up(np.abs(np.asarray(float(value)))) for value in series.coefficients]
    reach = float(np.max(u.size + u.error)) * UPWARDS
    growth = ((reach + np.sqrt(max(reach**2 - 1.0, 0.0))) * UPWARDS) ** len(c) if reach > 1.0 else 1.0
    slope = growth * float(sum(k**2 * size for k, size in enumerate(c))) * UPWARDS
    middle = u.low / 2.0 + u.high / 2.0
    radius = _up(np.maximum(u.high - middle, middle - u.low))
    at = np.polynomial.chebyshev.chebval(middle, [float(value) for value in series.coefficients])
    in_doubles = _Rounding(DOUBLE, DOUBLE.unit, DOUBLE.tiny)
    width = (radius * slope + _lost(series, c, reach, growth, in_doubles)) * UPWARDS
    error = (_lost(series, c, reach, growth, rounding) + slope * u.error) * UPWARDS
    return _Value(_down(at - width), _up(at + width), error)


def _lost(series: Series, sizes: list[np.ndarray], reach: float, growth: float, rounding: _Rounding) -> float:
    """Bound the sum of what the steps lose: ``|b_k| <= sum_(j >= k) (j - k + 1) |c_j|``, since ``|U_i| <= i + 1``."""
    top = len(sizes) - 1
    kept = np.zeros(top + 3)  # coefficients with what was lost
    total = 0.0
    for k in range(top, -1, -1):
        own = float(sizes[k])
        after = [growth * float(np.arange(1, top + 2 - j) @ kept[j : top + 1]) * UPWARDS for j in (k + 1, k + 2)]
        constant = float(_operand(series.coefficients[k], {"x": _Value(*np.zeros((3, 1)))}, rounding).error[0])
        added = own + constant + after[1]
        product = 2.0 * reach * after[0]
        lost = (
            constant + rounding.unit * (2.0 * added + 2.0 * product) * (1.0 + 4.0 * rounding.unit) + 4.0 * rounding.tiny
        )
        if k == top:
            lost = constant * (1.0 + 2.0 * reach)  # rounded in one product, and not in another constant
        kept[k] = own + lost
        total += lost
        if not added + product < rounding.machine.largest / 4.0:
            raise RangeError(f"the evaluation may overflow in {rounding.machine.name}: take a wider format")
    return total * growth * UPWARDS
