"""One whole number as a product plus a remainder, at the least cost: n = a*b + c."""

from __future__ import annotations

import math

from infimum._arguments import whole_number
from infimum.errors import OptionError
from infimum.proof.answers.product_plus_remainder import ProductPlusRemainder, in_order
from infimum.proof.theorems import product_plus_remainder as theorem
from infimum.proof.theorems.product_plus_remainder import Equation, Triple, Visited


def product_plus_remainder(
    n: int, *, cost: tuple[int, int, int] = (1, 1, 1), all: bool = False, max_steps: int = 10_000_000
) -> ProductPlusRemainder:
    """Split a whole number into a product and a remainder, ``n = a*b + c``, at the least cost.

    Minimises ``cost[0]*a + cost[1]*b + cost[2]*c`` over all whole numbers a, b, c from 0. The lines
    ``t = cost[0]*a + cost[1]*b`` are visited upwards from ``2*sqrt(cost[0]*cost[1]*n)``; no triple on a line costs less
    than t, so the search ends, with a proof, at the best cost found: after about ``1.1 * n**(1/6)`` lines for unit
    costs.

    Parameters
    ----------
    n : int
        Whole number from 0, of up to 1000 digits.
    cost : tuple of three int
        Positive costs of one unit of a, b and c.
    all : bool
        Find every triple of the least cost (with ``a <= b`` where they cost the same).
    max_steps : int
        Stop after so many lines, 10**8 at most; the bound is then true but below the value. The default is enough up
        to about n = 10**41.

    Returns
    -------
    ProductPlusRemainder
        `a`, `b`, `c`, `value`, `optima` (with ``all=True``), `steps`; `certificate`, exact.

    Raises
    ------
    DTypeError, OptionError, RangeError
        `n`, a cost or `max_steps` is no whole number, too small, or too large.

    References
    ----------
    .. [1] Su Jianlin, Scientific Spaces 9775 (N = ab + c with the least a + b + c), https://kexue.fm/archives/9775.
    .. [2] H.-J. M. Shi, D. Mudigere, M. Naumov, J. Yang, "Compositional embeddings using complementary partitions for
       memory-efficient recommendation systems", KDD (2020), https://arxiv.org/abs/1909.02107.

    Examples
    --------
    >>> import infimum
    >>> result = infimum.integers.product_plus_remainder(130)
    >>> result.a, result.b, result.c, result.value
    (10, 13, 0, 23)
    >>> infimum.integers.product_plus_remainder(52, all=True).optima
    ((4, 13, 0), (5, 10, 2), (7, 7, 3))
    """
    equation = Equation.of(n, cost)
    budget = whole_number("max_steps", max_steps, least=0)
    if budget > theorem.LINES:
        raise OptionError(f"max_steps must be at most {theorem.LINES}, got {budget}: no more lines can be verified")
    first, seen = _search_lines(equation, budget, all)
    complete = all and theorem.outside(equation, first, seen.stop) > seen.best
    prices = equation.unit * equation.alpha, equation.unit * equation.beta, equation.gamma
    # a search that was stopped early may not have come to a triple that needs none
    triple = min((seen.triples[0], *_without_search(equation)), key=equation.price)
    certificate = theorem.certify_triple(equation, triple, {"first": first, "stop": seen.stop}, first, seen)
    return ProductPlusRemainder(*triple, prices, in_order(seen) if complete else None, certificate=certificate)


def _without_search(equation: Equation) -> list[Triple]:
    """Return triples that anyone could name: a row of all, and a table that is nearly square at the given prices."""
    n = equation.n
    if n == 0:
        return []
    a = min(n, max(1, math.isqrt(equation.beta * n // equation.alpha)))
    found = [(1, n, 0), (n, 1, 0), (a, n // a, n % a)]
    return [(a, b, c) for a, b, c in found if equation.alpha != equation.beta or a <= b]


def _search_lines(equation: Equation, budget: int, ties: bool) -> tuple[int, Visited]:
    """Visit lines until no other can be cheaper (`ties`: as cheap); return the first of them and what was seen."""
    first = max(equation.start, 1)
    seen = theorem.visit(equation, first, first + budget, equation.trivial, ties)
    budget -= seen.stop - first
    while first > 1 and budget > 0 and equation.below(first) < seen.best + ties:
        first, budget = first - 1, budget - 1
        seen = theorem.visit(equation, first, first + 1, seen, ties)._replace(stop=seen.stop)
    stop = min(seen.stop, max(first, equation.end(seen.best + ties)))
    while first < stop and equation.below(first + 1) >= seen.best + ties:  # a shorter proof
        first += 1
    return first, seen._replace(stop=stop)
