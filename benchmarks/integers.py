"""n = a*b + c: the search that stops at the best sum, beside the algorithm of Scientific Spaces 9775."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.harness import Comparison
from infimum.integers import product_plus_remainder, product_plus_remainder_many

COUNTS = {6: 200, 12: 200, 16: 20, 20: 20, 24: 3, 30: 20, 36: 20}  # numbers of each size in one comparison
POST_LIMIT = 24  # beyond this size the post's algorithm takes minutes per number


def comparisons() -> Iterator[Comparison]:
    """Yield one comparison for each size, and one for an array of numbers."""
    for exponent, count in COUNTS.items():
        yield single(exponent, count)
    yield many(10**12, 20_000)


def single(exponent: int, count: int) -> Comparison:
    """Random numbers of one size, one after the other; the loss is the total of a + b + c."""
    generator = random.Random(exponent)
    numbers = [generator.randrange(10**exponent, 2 * 10**exponent) for _ in range(count)]
    steps = [product_plus_remainder(n).steps for n in numbers]
    theirs = statistics.median(post_lines(n).stop - post_lines(n).start for n in numbers)
    growth = statistics.mean(step / n ** (1 / 6) for step, n in zip(steps, numbers, strict=True))
    contenders: dict[str, Callable[[int], list[int]]] = {
        "infimum": lambda seed: [product_plus_remainder(n).value for n in numbers]
    }
    if exponent <= POST_LIMIT:
        contenders["post 9775, Python"] = lambda seed: [post(n) for n in numbers]
    if exponent <= 16:
        contenders["post 9775, NumPy"] = lambda seed: [post_numpy(n) for n in numbers]
    return Comparison(
        problem="split",
        input=f"{count} random numbers from 10^{exponent}",
        task=f"median {statistics.median(steps):,.0f} lines visited, post {theirs:,.0f}; mean {growth:.2f} n^(1/6)",
        contenders=contenders,
        loss=total,
        floor=float(sum(product_plus_remainder(n).certificate.lower_bound for n in numbers)),
    )


def many(limit: int, count: int) -> Comparison:
    """Compare an array of random numbers, at once and one after the other."""
    values = np.random.default_rng(0).integers(0, limit, count)
    result = product_plus_remainder_many(values)
    return Comparison(
        problem="split-many",
        input=f"{count:,} random numbers below {limit:.0e}",
        task="all sums",
        contenders={
            "infimum": lambda seed: product_plus_remainder_many(values),
            "product_plus_remainder, one by one": lambda seed: [
                product_plus_remainder(n).value for n in values.tolist()
            ],
            "post 9775, NumPy, one by one": lambda seed: [post_numpy(n) for n in values.tolist()],
        },
        loss=total,
        floor=float(result.certificate.lower_bound),
        certify=lambda answer: answer.recheck(values),
    )


def total(answer: Any) -> float:
    """Return the sum of all costs."""
    return float(sum(answer) if isinstance(answer, list) else answer.certificate.value)


def post_lines(n: int) -> range:
    """Return the values of p = a + b that the post's bound on the sum leaves to be tried."""
    return range(math.isqrt(4 * n), 2 * math.isqrt(n) + 5 + math.isqrt(4 * math.isqrt(n) + 5))


def post(n: int) -> int:
    """Return the least sum as the post finds it: for every p the least q of its parity, one square root each."""
    best = n
    for p in post_lines(n):
        defect = p * p - 4 * n
        q = math.isqrt(defect - 1) + 1 if defect > 0 else 0
        q += (p + q) % 2
        best = min(best, p + (q * q - defect) // 4)
    return best


def post_numpy(n: int) -> int:
    """Return the same for n below 2**61, all p at once."""
    lines = post_lines(n)
    p = np.arange(lines.start, lines.stop)
    defect = (p - lines.start) * (p + lines.start) + (lines.start**2 - 4 * n)
    q = np.ceil(np.sqrt(np.maximum(defect, 0))).astype(np.int64)
    q += (p + q) % 2
    return min(n, int(np.min(p + (q * q - defect) // 4)))
