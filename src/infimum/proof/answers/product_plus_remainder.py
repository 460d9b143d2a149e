"""One whole number as a product plus a remainder: the triple, its cost, and the proof."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import axes
from infimum.errors import RangeError, VerificationError
from infimum.proof.certificate import Certificate
from infimum.proof.evidence import shown, whole
from infimum.proof.result import Result
from infimum.proof.theorems import product_plus_remainder as theorem
from infimum.proof.theorems.product_plus_remainder import Equation, Triple, Visited

DRAWN = 1500  # lines in a plot: more would be a black band


@dataclass(frozen=True)
class ProductPlusRemainder(Result):
    """``n = a*b + c``, the answer of `product_plus_remainder`.

    Attributes
    ----------
    a, b, c : int
        Whole numbers from 0; ``a <= b`` where a and b cost the same.
    cost : tuple of int
        Cost of one unit of a, b and c.
    optima : tuple of tuple of int, or None
        With ``all=True`` every triple of the least cost, sorted; None where the step limit came before the proof.
    certificate : Certificate
        Exact integers; the gap is 0 unless the step limit was hit. Witness: `first` and `stop`, the lines
        ``first <= t < stop`` that were visited (t = a + b where all costs are 1).
    """

    problem: ClassVar[str] = "integers.product_plus_remainder"
    inputs: ClassVar[tuple[str, ...]] = ("n",)
    a: int
    b: int
    c: int
    cost: tuple[int, int, int] = (1, 1, 1)
    optima: tuple[Triple, ...] | None = None

    @property
    def n(self) -> int:
        """The number that was split."""
        return self.a * self.b + self.c

    @property
    def value(self) -> int:
        """Cost of the triple."""
        return int(self.certificate.value)

    @property
    def steps(self) -> int:
        """Number of lines visited: the length of the proof."""
        return int(self.certificate.witness["stop"] - self.certificate.witness["first"])

    def recheck(self, n: int) -> Certificate:
        """Derive the certificate again: visit the lines of the witness and see that none is cheaper."""
        prices = tuple(whole(f"cost[{i}]", item, least=1, most=theorem.LARGEST) for i, item in enumerate(self.cost))
        equation = Equation.of(n, prices)
        ties = self.optima is not None
        witness = self.certificate.witness
        first, seen = theorem.visit_range(equation, witness.get("first"), witness.get("stop"), ties)
        if ties:
            self._check_optima(equation, first, seen)
        return theorem.certify_triple(equation, (self.a, self.b, self.c), witness, first, seen)

    def _check_optima(self, equation: Equation, first: int, seen: Visited) -> None:
        for triple in self.optima or ():
            for item in triple:
                whole("a number of optima", item, least=0, most=equation.n)
        if theorem.outside(equation, first, seen.stop) <= seen.best or self.optima != in_order(seen):
            raise VerificationError(f"optima: claimed {shown(self.optima)}, derived {shown(in_order(seen))}")

    def plot(self, ax: Any = None) -> Any:
        """Draw the cheapest triple of lines from the start on: no cost is below the floor, the line itself."""
        equation = Equation.of(self.n, self.cost)
        base = min(equation.unit * equation.start, self.value) - equation.unit
        length = 3 * max(self.certificate.witness["stop"] - equation.start, 10)
        apart = np.unique(np.geomspace(1, length, DRAWN).astype(np.int64)).tolist()
        costs = [_cheapest(equation, equation.start + x - 1) for x in apart]
        if max(y for y in costs if y is not None) - base > 1 << 1000:
            raise RangeError(f"a number of {self.n.bit_length()} bits is too large to be drawn")
        ax = axes(ax)
        points = [(x, float(y - base)) for x, y in zip(apart, costs, strict=True) if y is not None]
        ax.loglog(*zip(*points, strict=True), ".", ms=3, label="cheapest triple of the line")
        floor = [float(equation.unit * (equation.start + x - 1) - base) for x in apart]
        ax.loglog(apart, floor, "--", color="C2", label="floor: the line itself")
        name = "least cost" if self.certificate.gap == 0 else "best so far"
        ax.axhline(float(self.value - base), color="C1", label=name)
        line = equation.alpha * self.a + equation.beta * self.b - equation.start + 1
        if line > 0:
            ax.plot([line], [float(self.value - base)], "o", color="C1", mfc="none", ms=10)
        t = "a + b" if equation.alpha == equation.beta else f"{equation.alpha} a + {equation.beta} b"
        title = f"{self.n:,} = {self.a:,} × {self.b:,} + {self.c:,}"
        if len(title) > 80:
            title = f"A number of {len(str(self.n))} digits"
        ax.set(xlabel=f"line {t}, counted from the start", ylabel="cost above the start", title=title)
        ax.legend()
        return ax


def in_order(seen: Visited) -> tuple[Triple, ...]:
    """Return the different triples of the least cost, sorted."""
    return tuple(sorted(set(seen.triples)))


def _cheapest(equation: Equation, t: int) -> int | None:
    """Least cost on one line, None where no triple lies on it."""
    beyond = equation.unit * t + equation.gamma * equation.n + 1
    seen = theorem.visit(equation, t, t + 1, Visited(beyond, [], t))
    return seen.best if seen.triples else None
