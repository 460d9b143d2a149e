"""Best quotients of polynomials against AAA and BRASIL; best machine coefficients against rounding one by one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.interpolate

from benchmarks.harness import Comparison, Contender
from benchmarks.minimax import interrupted
from infimum import minimax
from infimum.proof.enclosure.parsing import parse

POINTS = 4001


def comparisons() -> Iterator[Comparison]:
    """Yield every comparison of quotients and of rounded coefficients."""
    yield quotient("sigmoid(x)", 4, (-8.0, 8.0))
    yield quotient("abs(x)", 4, (-1.0, 1.0))
    yield machine_numbers("2**x", 4, (0.0, 1.0))
    yield machine_numbers("exp(x)", 3, (-0.5, 0.5))


def grid(domain: tuple[float, float]) -> np.ndarray:
    """Points that lie closer together at the ends."""
    low, high = domain
    return (low + high) / 2 - (high - low) / 2 * np.cos(np.linspace(0.0, np.pi, POINTS))


def quotient(text: str, degree: int, domain: tuple[float, float]) -> Comparison:
    """Compare by the largest error: ours enclosed, that of the peers on a dense grid."""
    f, x = parse(text), grid(domain)
    best = minimax.rational(text, (degree, degree), domain)

    def loss(answer: Any) -> float:
        if isinstance(answer, minimax.MinimaxRational):
            return float(answer.certificate.value)
        return float(np.max(np.abs(answer(x) - f(x))))

    def aaa(seed: int) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it does not reach its tolerance with so few terms
            return scipy.interpolate.AAA(x, f(x), max_terms=degree + 1)

    def brasil(seed: int) -> Any:
        import baryrat

        with warnings.catch_warnings(), interrupted():
            warnings.simplefilter("ignore")
            return baryrat.brasil(f, domain, (degree, degree))

    contenders: dict[str, Contender] = {
        "infimum rational": lambda seed: minimax.rational(text, (degree, degree), domain),
        "scipy AAA": aaa,
        "baryrat brasil": brasil,
    }
    return Comparison(
        problem="rational",
        input=f"{text} on [{domain[0]:g}, {domain[1]:g}]",
        task=f"type ({degree}, {degree})",
        contenders=contenders,
        loss=loss,
        floor=float(best.certificate.lower_bound),
        certify=lambda answer: answer.recheck(text),
        rounds=3,
    )


def machine_numbers(text: str, degree: int, domain: tuple[float, float]) -> Comparison:
    """Compare coefficients in bfloat16 by the largest error."""
    best = minimax.polynomial(text, degree, domain)
    result = minimax.rounded(text, degree, domain)

    def one_by_one(seed: int) -> list[float]:
        return [nearest_bfloat16(float(c)) for c in minimax.polynomial(text, degree, domain).exact_coefficients()]

    def loss(answer: Any) -> float:
        if isinstance(answer, minimax.RoundedPolynomial):
            return float(answer.certificate.value)
        x = np.union1d(grid(domain), best.points)
        return float(np.max(np.abs(np.polynomial.Polynomial(answer)(x) - parse(text)(x))))

    return Comparison(
        problem="rounded",
        input=f"{text} on [{domain[0]:g}, {domain[1]:g}]",
        task=f"degree {degree}, coefficients in bfloat16",
        contenders={
            "infimum rounded": lambda seed: minimax.rounded(text, degree, domain),
            "best polynomial, coefficients rounded one by one": one_by_one,
        },
        loss=loss,
        floor=float(result.certificate.lower_bound),
        rounds=3,
    )


def nearest_bfloat16(number: float) -> float:
    """Round to the upper half of a float32, to nearest, ties to even."""
    bits = int(np.float32(number).view(np.uint32))
    return float(np.uint32((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).view(np.float32))
