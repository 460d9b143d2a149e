"""What a layer can become in few bits: made with the moments of one half of the text, judged by those of the other."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from infimum.compress.menu.grid_loops import Shape
from infimum.compress.menu.rounding import Factors, Rounded, diagonal_below, factors, round_matrix
from infimum.compress.menu.task import Member, Task
from infimum.compress.model.checkpoint import Layer
from infimum.nn.linear import packed_width
from infimum.proof.theorems import grid_rounding
from infimum.proof.theorems.allocation_dual import Curve

BITS, GROUPS = (2, 3, 4, 5, 6, 8), (32, 64, 128)
SCALE_BYTES = 2  # float16
RIGHT, LEFT = (0.03, 0.1), (0.2, 0.6, 2.0, math.inf)  # dampings that are tried; without bound: rounding by one side
TRIED = 3  # bits at which they are


class Alternative(NamedTuple):
    """A width of the integers, and how many columns share a scale."""

    bits: int
    group: int

    def bytes(self, shape: tuple[int, int]) -> int:
        """Bytes of the integers, zeros and scales of a layer."""
        (m, n), groups = shape, shape[1] // self.group
        return m * (packed_width(n, self.bits) + packed_width(groups, self.bits) + SCALE_BYTES * groups)


class BitsMenu(NamedTuple):
    """The alternatives of a layer, cheapest first, their curve with the layer as it is at its end, and the dampings."""

    alternatives: tuple[Alternative, ...]
    curve: Curve
    damping: tuple[float, float]


def alternatives_of(shape: tuple[int, int], item: int) -> tuple[Alternative, ...]:
    """Return what is smaller than the layer itself, whose numbers have `item` bytes, cheapest first."""
    groups = [group for group in GROUPS if shape[1] % group == 0] or [shape[1]]
    every = [Alternative(bits, group) for bits in BITS for group in groups]
    smaller = {numbers_in(one.bytes(shape), item): one for one in reversed(every)}
    return tuple(smaller[cost] for cost in sorted(smaller) if cost < shape[0] * shape[1])


def numbers_in(size: int, item: int) -> int:
    """Return how many numbers of `item` bytes take as many bytes, rounded upwards."""
    return -(-size // item)


def menu_of(task: Task, layer: Layer) -> BitsMenu:
    """Round a layer in every way that is offered, and measure each by the half of the text that did not make it."""
    maker, judge = task.member(layer, damped=False), task.judge(layer)
    offered = alternatives_of(layer.shape, task.item(layer))
    damping = _best_damping(maker, judge, offered) if offered else (RIGHT[0], LEFT[0])
    pair = _factors(maker, damping)
    errors = [_loss(judge, round_matrix(maker.W, *pair, Shape(*one))) for one in offered]
    costs = [numbers_in(one.bytes(layer.shape), task.item(layer)) for one in offered]
    curve = Curve(np.array([*costs, layer.size], dtype=np.float64), np.array([*errors, 0.0]))
    return BitsMenu(offered, curve, damping)


def round_layer(task: Task, layer: Layer, one: Alternative, damping: tuple[float, float]) -> Rounded:
    """Round a layer in one way."""
    maker = task.member(layer, damped=False)
    return round_matrix(maker.W, *_factors(maker, damping), Shape(*one))


class Judged(NamedTuple):
    """Error of a rounded layer on the half that judges, the bound for its grid, and its squared distance."""

    error: float
    lower_bound: float
    change: float


def judged(task: Task, layer: Layer, stored: Rounded, *, room: float = 1.0) -> Judged:
    """Measure a rounded layer, and bound what every rounding to its grid loses, with `room` allowances."""
    judge = task.judge(layer)
    W, C, G = judge.W, judge.norm.C, _left(judge)
    Q = stored.grid.values(stored.integers)
    e, g = diagonal_below(C, room), diagonal_below(G, room)
    bound = grid_rounding.bound(W, stored.grid, C, G, e, g, room=room)
    return Judged(grid_rounding.loss(W, Q, C, G, room=room), bound, float(np.sum((W - Q) ** 2)))


def _best_damping(maker: Member, judge: Member, offered: tuple[Alternative, ...]) -> tuple[float, float]:
    """Return the dampings whose rounding is best by the other half, at a middle width."""
    one = min(offered, key=lambda each: (abs(each.bits - TRIED), each.group != 64))
    columns = {damping: factors(maker.norm.C, damping) for damping in RIGHT}
    rows = {damping: factors(_left(maker), damping) for damping in LEFT}
    tried = {
        (right, left): _loss(judge, round_matrix(maker.W, columns[right], rows[left], Shape(*one)))
        for right in RIGHT
        for left in LEFT
    }
    return min(tried, key=lambda pair: tried[pair])


def _factors(maker: Member, damping: tuple[float, float]) -> tuple[Factors, Factors]:
    return factors(maker.norm.C, damping[0]), factors(_left(maker), damping[1])


def _left(member: Member) -> np.ndarray:
    return np.eye(len(member.W)) if member.norm.G is None else member.norm.G


def _loss(judge: Member, stored: Rounded) -> float:
    return stored.loss(judge.W, judge.norm.C, _left(judge))
