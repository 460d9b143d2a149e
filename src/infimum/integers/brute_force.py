"""Slow and obviously right answers: what the contract suite, or a doubting user, compares with."""

from __future__ import annotations

from collections.abc import Iterator

from infimum.proof.theorems.product_plus_remainder import Triple


def least_cost(n: int, cost: tuple[int, int, int]) -> int:
    """Least cost of ``n = a*b + c``, by trying every product."""
    return min(_price(triple, cost) for triple in _triples(n))


def cheapest(n: int, cost: tuple[int, int, int]) -> list[Triple]:
    """Return every triple of the least cost; where a and b cost the same, those with ``a <= b``."""
    least = least_cost(n, cost)
    found = [triple for triple in _triples(n) if _price(triple, cost) == least]
    return [(a, b, c) for a, b, c in found if a <= b or cost[0] != cost[1]]


def _triples(n: int) -> Iterator[Triple]:
    yield 0, 0, n  # a product of 0 needs neither factor
    for a in range(1, n + 1):
        for b in range(1, n // a + 1):
            yield a, b, n - a * b


def _price(triple: Triple, cost: tuple[int, int, int]) -> int:
    return sum(number * price for number, price in zip(triple, cost, strict=True))
