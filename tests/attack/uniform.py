"""Losses and optima of the minimax problems, by looking: sampled in double precision, measured to 60 digits.

A sampled loss is at most the true one, and the error of any approximation at hand is at least the optimum: so both err
on the side on which they accuse nobody.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import scipy.optimize

from infimum import minimax
from infimum.errors import InfimumError
from infimum.minimax import brute_force
from tests.attack.exact import real

LOOK, CLOSE = 401, 40  # points of an interval that are looked at; golden sections around the best of them
GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0
NAMES = ("exp", "sin", "cos", "tanh", "sqrt", "log")


def precise(text: str) -> Callable[[Any], Any]:
    """Read an expression in x as a function to 60 digits; its decimals stand for themselves."""
    code = compile(re.sub(r"(?<![\w.])(\d+\.?\d*(?:e-?\d+)?)", r"mpf('\1')", text), "<expression>", "eval")
    known = {name: getattr(mpmath, name) for name in NAMES} | {"abs": abs, "mpf": mpmath.mpf}
    return lambda x: eval(code, {"__builtins__": {}}, {**known, "x": mpmath.mpf(x)})


def double(text: str) -> Callable[[np.ndarray], np.ndarray]:
    """Read an expression in x as a function of arrays."""
    code = compile(text, "<expression>", "eval")
    known = {name: getattr(np, name) for name in NAMES} | {"abs": np.abs}
    return lambda x: eval(code, {"__builtins__": {}}, {**known, "x": x}) + 0.0 * x


def largest(error: Callable[[Any], Any], coarse: Callable[[np.ndarray], np.ndarray], domain: Any) -> Any:
    """Largest ``abs(error)`` seen: looked for in doubles, measured to 60 digits."""
    best = mpmath.mpf(0)
    for low, high in domain:
        x = np.unique(low + (high - low) * (1.0 - np.cos(np.linspace(0.0, np.pi, LOOK))) / 2.0)
        with np.errstate(all="ignore"):
            sizes = np.nan_to_num(np.abs(coarse(x)), nan=0.0, posinf=0.0)
            for k in np.argsort(sizes)[-3:]:
                left, right = x[max(k - 1, 0)], x[min(k + 1, x.size - 1)]
                for _ in range(CLOSE):
                    one, two = right - GOLDEN * (right - left), left + GOLDEN * (right - left)
                    at = np.abs(coarse(np.array([one, two])))
                    left, right = (left, two) if at[0] > at[1] else (one, right)
                seen = [abs(error(float(point))) for point in {float(x[k]), float(left)} if low <= point <= high]
                best = max(best, *seen)
    return best


def weighted(result: Any, f: str, p: Callable[[Any], Any], q: Callable[[np.ndarray], np.ndarray]) -> Any:
    """Sampled loss of an approximation, given to 60 digits (p) and in doubles (q)."""
    exactly, roughly = precise(f), double(f)
    weight, rough_weight = (reader(result.weight or "1") for reader in (precise, double))
    relative = getattr(result, "relative", False)

    def error(x: float) -> Any:
        value = exactly(x)
        if relative and value == 0:
            return mpmath.mpf(0)
        return weight(x) * (value - p(x)) / (value if relative else 1)

    def coarse(x: np.ndarray) -> np.ndarray:
        return rough_weight(x) * (roughly(x) - q(x)) / (roughly(x) if relative else 1.0)

    return largest(error, coarse, result.domain)


def chebyshev(coefficients: Sequence[Any], u: Any) -> Any:
    """Sum ``c_k T_k(u)`` by the three-term recurrence."""
    before, here, total = u * 0 + 1, u, u * 0
    for c in coefficients:
        total, before, here = total + c * before, here, 2 * u * here - before
    return total


def stored_polynomial(result: Any) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Return what `MinimaxPolynomial` stores as functions, to 60 digits and in doubles."""
    sums = [sum((Fraction(x) for x in column), Fraction(0)) for column in np.asarray(result.expansion).T.tolist()]
    exactly, roughly = [real(c) for c in sums], [float(c) for c in sums]
    steps = set(np.diff(result.powers).tolist())
    if not result.powers or len(steps) > 1:
        texts = [f"x**{power}" for power in result.powers] or list(result.system)
        parts, rough_parts = [precise(text) for text in texts], [double(text) for text in texts]
        return (
            lambda x: mpmath.fsum(c * part(x) for c, part in zip(exactly, parts, strict=True)),
            lambda x: sum(c * part(x) for c, part in zip(roughly, rough_parts, strict=True)),
        )
    start, stride = int(result.powers[0]), int(next(iter(steps), 1))
    low, high = map(real, result.interval)
    return (
        lambda x: (
            chebyshev(exactly, (2 * mpmath.mpf(x) ** stride - low - high) / (high - low)) * mpmath.mpf(x) ** start
        ),
        lambda x: chebyshev(roughly, (2 * x**stride - float(low + high)) / float(high - low)) * x**start,
    )


def polynomial_loss(result: Any, f: str) -> Any:
    return weighted(result, f, *stored_polynomial(result))


def rounded_loss(result: Any, f: str) -> Any:
    for value, name in zip(result.values.tolist(), result.formats, strict=True):
        bits = {"bfloat16": 8, "float16": 11, "float32": 24, "float64": 53}[name]
        assert value == float(np.float32(value)) or bits == 53, f"{value!r} is no number of {name}"
        mantissa = Fraction(value).numerator
        assert (mantissa // (mantissa & -mantissa or 1)).bit_length() <= bits, f"{value!r} is no number of {name}"
    terms = list(zip(result.powers, result.values.tolist(), strict=True))
    return weighted(
        result,
        f,
        lambda x: mpmath.fsum(mpmath.mpf(c) * mpmath.mpf(x) ** power for power, c in terms),
        lambda x: sum(c * x**power for power, c in terms),
    )


def rational_loss(result: Any, f: str) -> Any:
    ends = result.domain[0][0], result.domain[-1][1]
    low, high = map(real, ends)
    parts = [np.asarray(part).T.tolist() for part in (result.numerator, result.denominator)]
    above, below = ([sum((Fraction(x) for x in column), Fraction(0)) for column in part] for part in parts)
    exact = [[real(c) for c in part] for part in (above, below)]
    rough = [[float(c) for c in part] for part in (above, below)]
    x = np.concatenate([np.linspace(a, b, LOOK) for a, b in result.domain])
    signs = np.sign(chebyshev(rough[1], (2 * x - float(low + high)) / float(high - low)))
    assert abs(signs.sum()) == x.size, "the denominator changes its sign on the domain"

    def p(x: float) -> Any:
        u = (2 * mpmath.mpf(x) - low - high) / (high - low)
        return chebyshev(exact[0], u) / chebyshev(exact[1], u)

    def q(x: np.ndarray) -> np.ndarray:
        u = (2 * x - float(low + high)) / float(high - low)
        return chebyshev(rough[0], u) / chebyshev(rough[1], u)

    return weighted(result, f, p, q)


def schedule_loss(result: Any, lower: float) -> Any:
    """Largest distance from 1 that a look at ends and turning points of every step finds, in rational numbers."""
    assert result.lower == lower
    ends = (Fraction(lower), Fraction(result.upper))
    noise, r = Fraction(result.noise), int(result.power)
    for row, size in zip(result.table.tolist(), result.terms.tolist(), strict=True):
        assert not any(row[size:])
        powers = [(r * k + 1, Fraction(c)) for k, c in enumerate(row[:size])]
        values = [sum(c * x**k for k, c in powers) for x in (*ends, *_turning(row[:size], r, ends))]
        ends = (_short(min(values)) - noise, _short(max(values)) + noise)
    inside = (Fraction(0),) if ends[0] <= 0 <= ends[1] else ()
    return max(abs(y**result.numerator - 1) for y in (*ends, *inside)) * (1 - Fraction(1, 10**60))


def _turning(row: list[float], r: int, ends: tuple[Fraction, Fraction]) -> list[Fraction]:
    low, high = map(float, ends)
    with np.errstate(all="ignore"):
        try:
            t = np.roots([(r * k + 1) * c for k, c in enumerate(row)][::-1])
        except np.linalg.LinAlgError:
            return []
        x = np.abs(t[(np.abs(t.imag) < 1e-6 * np.abs(t)) & (t.real > 0.0)].real) ** (1.0 / r)
    return [Fraction(value) for value in (*x.tolist(), *(-x if r % 2 == 0 else x).tolist()) if low < value < high]


def _short(number: Fraction) -> Fraction:
    """Keep 400 binary digits: an image that long is exact enough, and stays short."""
    size = 400 - number.numerator.bit_length() + number.denominator.bit_length()
    return Fraction(int(number * Fraction(2) ** size)) / Fraction(2) ** size


def space_optimum(result: Any, f: str) -> float | None:
    """Error of the best combination on a grid, measured on a finer one: at least the optimum, and close to it."""
    powers = result.powers or ()
    parts: list[Callable[..., Any]] = [lambda x, k=k: x**k for k in powers] or [double(text) for text in result.system]
    function, weight = double(f), double(result.weight or "1")

    def columns(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        factor = weight(x) / (np.abs(function(x)) if result.relative else 1.0)
        return factor[:, None] * np.column_stack([part(x) + 0.0 * x for part in parts]), factor * function(x)

    def grid(count: int) -> np.ndarray:
        nodes = (1.0 - np.cos(np.linspace(0.0, np.pi, count))) / 2.0
        x = np.concatenate([low + (high - low) * nodes for low, high in result.domain])
        return x[function(x) != 0.0] if result.relative else x

    with np.errstate(all="ignore"):
        A, b = columns(grid(301))
        lengths, size = np.abs(A).max(axis=0), np.abs(b).max()
        if not (np.all(np.isfinite(A)) and np.all(lengths > 0.0) and np.isfinite(size) and size > 0.0):
            return None
        signed = np.block([[A / lengths, -np.ones((len(b), 1))], [-A / lengths, -np.ones((len(b), 1))]])
        cost = np.append(np.zeros(A.shape[1]), 1.0)
        bounds = [(None, None)] * A.shape[1] + [(0.0, None)]
        found = scipy.optimize.linprog(cost, signed, np.concatenate([b, -b]) / size, bounds=bounds)
        if found.x is None:
            return None
        A, b = columns(grid(4001))
        error = float(np.abs(b - A @ (found.x[:-1] * size / lengths)).max())
    return error * (1.0 + 1e-6) + 1e-13 * float(size)


def quotient_optimum(result: Any, f: str) -> Any:
    """Error of the quotient that the solver finds: at least the optimum."""
    try:
        options = {"weight": result.weight, "breakpoints": result.breakpoints}
        return rational_loss(minimax.rational(f, tuple(result.type), tuple(result.domain), **options), f) * (1 + 1e-6)
    except InfimumError:
        return None


def schedule_optimum(result: Any, lower: float) -> Any:
    """Loss of two cubics by search, or of the schedule that the solver designs: at least the optimum."""
    terms = result.terms.tolist()
    if result.power != 2 or result.numerator != 1:
        return None
    if terms == [2, 2]:
        return brute_force.best_two_cubics(result, lower) * (1 + 1e-9)
    try:
        degrees = tuple(2 * size - 1 for size in terms)
        return schedule_loss(minimax.msign_schedule(lower, len(terms), degrees, upper=result.upper), lower)
    except InfimumError:
        return None
