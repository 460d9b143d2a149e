"""Supremum norm: rigorous bounds on the largest ``|e|`` over intervals, by Taylor models and bisection.

Every cell of a partition is bounded by its Taylor model, the cell with the largest bound is halved, and the values at
the centres bound the supremum from below. Statement and proof: docs/theorems/sup_norm.md.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from infimum.errors import VerificationError
from infimum.proof.enclosure.balls import Ball, flint, float_above, float_below, hull, working
from infimum.proof.enclosure.shared_models import bounds_on_parts
from infimum.proof.enclosure.taylor_model import Cell, Model, largest

Modelled = Callable[[Cell, int], Model]

THEOREM = "sup_norm"

ORDER = 14
BITS = 128
MOST_CELLS = 10_000
DIVERGED = 1e60  # units: values so large beside a cell without a bound are those of a pole
WIDEST, MORE_TERMS = 12, 3  # cells that share a model, and by how much it is longer
BLURRED = 8  # rounding may take this part of the tolerance
PRECISIONS = 4  # each of four times the bits of the one before


class SupNorm(NamedTuple):
    """``lower <= sup |e| <= upper``, the number of cells bounded, and the cell with the largest bound.

    A cell in k times the bits counts for k.
    """

    lower: float
    upper: float
    cells: int
    worst: tuple[float, float]


def enclose(
    error: Modelled,
    domain: Iterable[tuple[float, float]],
    cells: Iterable[tuple[float, float]],
    *,
    unit: float,
    tol: float,
    enough: float = 0.0,
    bits: int = BITS,
    order: int = ORDER,
    most: int = MOST_CELLS,
) -> SupNorm:
    """Enclose the supremum of ``|e|`` over a domain, a union of intervals that the cells must cover.

    `error` gives the Taylor model of e on a cell, with as many coefficients as `order` says. Halving ends when the two
    bounds agree to `tol` (relative), when the upper one is at most `enough`, or with `most` cells: then the bounds are
    true but apart, and `upper` is infinite if some cell allows no bound (a pole, a point where e is not defined).
    `unit` is the rough size of e.
    """
    cells = sorted(cells)
    _require_cover(domain, cells)
    _require_sizes(unit, tol, enough)
    heap: list[tuple[float, float, float]] = []
    found, done = 0.0, 0
    with working(bits) as module:
        scale = module.arb(unit)

        def bound(low: float, high: float) -> None:
            nonlocal found, done
            model, cost = _modelled(error, low, high, order, scale, tol / BLURRED)
            done += cost
            heapq.heappush(heap, (-largest(model, scale), low, high))
            if len(model.coefficients) > 1 and model.inside:  # else it holds no value; an infinite one counts as none
                found = max(found, float_below(model.coefficients[0].abs_lower() / scale))

        stop = enough / unit
        shared = list(_shared(error, cells, order, scale, stop, tol))
        found = max((lower for *_, lower in shared), default=0.0)
        for low, high, upper, _ in shared:
            if upper <= max(stop, found * (1.0 + tol)):
                heapq.heappush(heap, (-upper, low, high))
                done += 1
            else:
                bound(low, high)
        while -heap[0][0] > max(stop, found * (1.0 + tol)) and done < most:
            _, low, high = heap[0]
            middle = low + (high - low) / 2.0
            diverges = heap[0][0] == -math.inf and found > DIVERGED
            if diverges or not low < middle < high:
                break
            heapq.heappop(heap)
            bound(low, middle)
            bound(middle, high)
        upper, low, high = -heap[0][0], heap[0][1], heap[0][2]
        return SupNorm(_below(found, scale), _above(upper, scale), done, (low, high))


def _shared(
    error: Modelled, cells: Sequence[tuple[float, float]], order: int, unit: Ball, goal: float, tol: float
) -> Iterator[tuple[float, float, float, float]]:
    """Bound neighbouring cells by one model of all of them: yields every cell, with infinity where none is good.

    Fewer cells share a model after one that was not good, and more after some that were.
    """
    first, width, good, patience = 0, WIDEST, 0, 1
    while first < len(cells):
        group = [cells[first]]
        for cell in cells[first + 1 : first + width]:
            if cell[0] != group[-1][1]:
                break
            group.append(cell)
        bounds = None
        if len(group) > 1:
            wide = Cell(*hull(group[0][0], group[-1][1]))
            bounds = bounds_on_parts(error(wide, order * MORE_TERMS), wide, group, unit, goal, tol, tol / BLURRED)
            if bounds is None:
                width, good, patience = len(group) // 2, 0, 2 * patience
                continue
            yield from ((*cell, *both) for cell, both in zip(group, zip(*bounds, strict=True), strict=True))
        else:
            yield *group[0], math.inf, 0.0
        first, good = first + len(group), good + 1
        if good >= patience:
            width, good = min(2 * width, WIDEST), 0


def _modelled(error: Modelled, low: float, high: float, order: int, unit: Ball, blur: float) -> tuple[Model, int]:
    """Model on a cell in as many bits as its value at the centre asks for; and its cost, in cells of the first bits."""
    bits, cost = int(flint().ctx.prec), 0
    for tried in range(1, PRECISIONS + 1):
        with working(bits << 2 * (tried - 1)):
            model = error(Cell(*hull(low, high)), order)
        cost += 1 << 2 * (tried - 1)
        terms = model.coefficients
        if len(terms) < 2 or not terms[0].is_finite() or not terms[0].rad() > blur * unit.max(abs(terms[0].mid())):
            break
    return model, cost


def _require_cover(domain: Iterable[tuple[float, float]], cells: Sequence[tuple[float, float]]) -> None:
    """Refuse cells that leave a gap in a domain."""
    for low, high in domain:
        reached = low
        for a, b in cells:
            if a <= reached < b:
                reached = b
        if not reached >= high:
            raise VerificationError(f"the cells leave a gap in the domain: from {reached!r} up to {high!r}")


def _require_sizes(unit: float, tol: float, enough: float) -> None:
    if not (0.0 < unit < math.inf and tol > 0.0 and enough >= 0.0):
        raise VerificationError(f"unit and tol must be positive and enough not negative, got {unit}, {tol}, {enough}")


def _above(number: float, unit: Ball) -> float:
    return math.inf if math.isinf(number) else float_above(unit * number)


def _below(number: float, unit: Ball) -> float:
    return float_below(unit * number)
