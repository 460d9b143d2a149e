"""Forms in which a polynomial is evaluated, as straight-line programs: Horner, Estrin, about a centre, Chebyshev.

Where the first term of an odd polynomial is x itself, adding it last leaves little more than one rounding. A constant
that is no number of the format is added in two parts, the smaller one first.

Powers of x lose digits by cancellation where x is far from 0 beside the width of the domain, or where the degree is
high. Powers of ``t - c`` help against the first, and Chebyshev polynomials, summed by Clenshaw's recurrence, against
both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple, TypeAlias

import numpy as np

from infimum._arguments import one_of
from infimum.proof.answers.conversions import chebyshev_coefficients
from infimum.proof.enclosure.machine_formats import Format

Operand: TypeAlias = str | Fraction  # the name of an earlier value, or a constant
FORMS = {
    "horner": "Horner",
    "estrin": "Estrin",
    "lead": "Horner, x added last",
    "parts": "Horner, its constant in two parts",
    "centred": "Horner about a centre",
    "chebyshev": "Chebyshev polynomials by Clenshaw's recurrence",
}
Domain = Sequence[tuple[float, float]]


class Operation(NamedTuple):
    """``target = factor * by``, plus `plus` if there is one; or ``target = factor / by``. A product with 1 is none."""

    target: str
    factor: Operand
    by: Operand
    plus: Operand | None = None
    divides: bool = False


class Series(NamedTuple):
    """``target = sum_k c_k T_k(u)`` by Clenshaw's recurrence ``b_k = 2 u b_(k+1) + (c_k - b_(k+2))``."""

    target: str
    u: str
    coefficients: tuple[Fraction, ...]

    def operations(self) -> list[Operation]:
        """Write out the recurrence, for degree 2 or more."""
        c, steps = self.coefficients, [Operation("v", self.u, Fraction(2))]
        last, before = c[-1], Fraction(0)
        one: Operand = last
        two: Operand = before
        for k in range(len(c) - 2, -1, -1):
            target, by = (f"b{k}", "v") if k else (self.target, self.u)
            plus: Operand = c[k]
            if isinstance(two, str):
                steps.append(Operation(f"s{k}", Fraction(-1), two, c[k]))
                plus = f"s{k}"
            elif two:
                plus = c[k] - two
            steps.append(Operation(target, one, by, plus))
            one, two = target, one
        return steps


Step: TypeAlias = Operation | Series


def program(coefficients: Mapping[int, Fraction], form: str, domain: Domain, machine: Format) -> list[Step]:
    """Evaluate ``sum c x**power`` in ``t = x**stride``, then times ``x**start``."""
    one_of("scheme", form, tuple(FORMS))
    powers = sorted(coefficients)
    start = powers[0]
    strides = [power - start for power in powers]
    stride = int(np.gcd.reduce(strides)) or 1
    dense = [coefficients.get(start + stride * k, Fraction(0)) for k in range(strides[-1] // stride + 1)]
    steps: list[Step] = []
    t = _power("x", stride, "t", steps) if len(dense) > 1 else "x"
    if form == "lead" and start == 1 and dense[0] == 1 and len(dense) > 1:  # x + x r(t), where r is small
        steps.append(Operation("r", _horner(dense[1:], t, steps), t))
        return [*steps, Operation("y", "r", "x", "x")]
    high = machine.round(dense[0])
    if form == "parts" and start == 0 and high != dense[0] and len(dense) > 1:  # what the format leaves comes first
        steps.append(Operation("r", _horner(dense[1:], t, steps), t, dense[0] - high))
        return [*steps, Operation("y", "r", Fraction(1), high)]
    value = _written(dense, t, form, _range(domain, stride), machine, steps)
    if start:
        if not isinstance(value, Fraction):
            steps[-1], value = steps[-1]._replace(target="q"), "q"
        steps.append(Operation("y", value, _power("x", start, "s", steps)))
    elif isinstance(value, Fraction):  # a constant: keep the shape of x
        steps.append(Operation("y", Fraction(0), "x", value))
    return [*steps[:-1], steps[-1]._replace(target="y")]


def quotient_program(
    above: Mapping[int, Fraction], below: Mapping[int, Fraction], form: str, domain: Domain, machine: Format
) -> list[Step]:
    """Evaluate two polynomials, and divide."""
    steps: list[Step] = []
    for prefix, coefficients in (("p", above), ("q", below)):
        names = {"x": "x"}
        for step in program(coefficients, form, domain, machine):
            target = f"{prefix}_{step.target}"
            if isinstance(step, Series):
                steps.append(step._replace(target=target, u=names[step.u]))
            else:
                items = [names.get(item, item) if isinstance(item, str) else item for item in step[1:4]]
                steps.append(Operation(target, items[0], items[1], items[2]))  # type: ignore[arg-type]
            names[step.target] = target
    return [*steps, Operation("y", "p_y", "q_y", divides=True)]


def written_out(steps: Sequence[Step]) -> list[Operation]:
    """Return the operations that a program stands for."""
    return [part for step in steps for part in (step.operations() if isinstance(step, Series) else [step])]


def _range(domain: Domain, stride: int) -> tuple[Fraction, Fraction]:
    """Range of ``x**stride``."""
    ends = [Fraction(end) ** stride for interval in domain for end in interval]
    inside = stride % 2 == 0 and any(low <= 0 <= high for low, high in domain)
    return min([Fraction(0), *ends] if inside else ends), max(ends)


def _written(
    dense: Sequence[Fraction], t: str, form: str, ends: tuple[Fraction, Fraction], machine: Format, steps: list[Step]
) -> Operand:
    if form == "estrin":
        return _estrin(dense, t, steps)
    middle = machine.round((ends[0] + ends[1]) / 2)
    if form in ("horner", "lead", "parts") or len(dense) < 2 or (form == "centred" and not middle):
        return _horner(dense, t, steps)
    if form == "centred":
        steps.append(Operation("u", t, Fraction(1), -middle))
        return _horner(_about(dense, middle), "u", steps)
    low, high = ends
    steps.append(Operation("u", t, 2 / (high - low), -(high + low) / (high - low)))
    c = tuple(chebyshev_coefficients(list(dense), ends))
    if len(c) == 2:
        return _horner(c, "u", steps)
    steps.append(Series("y", "u", c))
    return "y"


def _about(dense: Sequence[Fraction], centre: Fraction) -> list[Fraction]:
    """Coefficients of powers of ``t - centre``: Horner's rule."""
    shifted: list[Fraction] = []
    for c in reversed(dense):
        raised = [Fraction(0), *shifted]
        for k, value in enumerate(shifted):
            raised[k] += centre * value
        raised[0] += c
        shifted = raised
    return shifted


def _horner(dense: Sequence[Fraction], t: str, steps: list[Step]) -> Operand:
    value: Operand = dense[-1]
    for k in range(len(dense) - 2, -1, -1):
        steps.append(Operation("y", value, t, dense[k] or None))
        value = "y"
    return value


def _estrin(dense: Sequence[Fraction], t: str, steps: list[Step]) -> Operand:
    values: list[Operand] = list(dense)
    level = 0
    while len(values) > 1:
        paired: list[Operand] = []
        for k in range(0, len(values) - 1, 2):
            paired.append(f"a{level}_{k // 2}")
            steps.append(Operation(str(paired[-1]), values[k + 1], t, values[k] or None))
        if len(values) % 2:
            paired.append(values[-1])
        values, level = paired, level + 1
        if len(values) > 1:
            square = f"t{2**level}"
            steps.append(Operation(square, t, t))
            t = square
    return values[0]


def _power(base: str, exponent: int, name: str, steps: list[Step]) -> str:
    """Binary powering; every product gets a name of its own, and the last one `name`."""
    found, square, rest, done = "", base, exponent, 1
    while rest:
        if rest % 2 and found:
            steps.append(Operation(f"{name}_{done}", found, square))
            found = steps[-1].target
        elif rest % 2:
            found = square
        rest //= 2
        if rest:
            done *= 2
            steps.append(Operation(f"{name}x{done}", square, square))
            square = steps[-1].target
    if found == base:
        return base
    steps[-1] = steps[-1]._replace(target=name)
    return name
