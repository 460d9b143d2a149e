"""What layers can become in few bits: made with the moments of one half of the text, judged by those of the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from infimum._threads import together
from infimum.compress.menu.alternatives import (
    AnyAlternative,
    alternatives_of,
    narrow_alternatives,
    numbers_in,
    vocabulary_alternatives,
)
from infimum.compress.menu.compressed_tensors import packed_alternatives
from infimum.compress.menu.ggml_blocks import block_alternatives
from infimum.compress.menu.judging import narrowed
from infimum.compress.menu.ranks import Decomposition, damped, decompose
from infimum.compress.menu.rounded_factors import RoundedFactors, round_factors
from infimum.compress.menu.rounding import Factors, Rounded, factors, round_matrix
from infimum.compress.menu.seen import Seen, seen
from infimum.compress.menu.task import Member, Task
from infimum.compress.menu.widths import Group, Kept, narrowing
from infimum.compress.model.layer import Layer
from infimum.errors import OptionError
from infimum.proof.grid import FLOAT16
from infimum.proof.theorems.allocation_dual import Curve
from infimum.proof.theorems.narrowing import Narrowing

RIGHT, LEFT = (0.1, 0.03), (0.6, 0.2, 2.0, math.inf)  # dampings that are tried; without bound: rounding by one side
TRIED, TRIED_GROUP = 3, 64  # bits and group at which they are
REPAIR = (0.03, 0.1, 0.3, 1.0, 3.0)


class Dampings(NamedTuple):
    """Of the moments of inputs and gradients, and of the former where inputs make up for others that are lost."""

    right: float
    left: float
    repair: float


class Offered(NamedTuple):
    """What a layer, whole or narrowed, is offered: a point of its curve for each; None: as in the checkpoint."""

    alternatives: tuple[AnyAlternative | None, ...]
    curve: Curve

    def at(self, point: int) -> Offered:
        """Return one of these alternatives alone."""
        one = slice(point, point + 1)
        return Offered(self.alternatives[one], Curve(self.curve.costs[one], self.curve.errors[one]))


class RoundedMenu(NamedTuple):
    """What a group can become: in each case what is kept of each of its layers, and what that part is offered.

    `dampings` are those with which each layer is rounded.
    """

    parts: tuple[tuple[Kept, ...], ...]
    offered: tuple[tuple[Offered, ...], ...]
    dampings: tuple[Dampings, ...]


@dataclass(frozen=True)
class Maker:
    """A layer, whole or narrowed, ready to be rounded: `member` with undamped moments.

    `known` are factors of its moments by side and damping, for all makers of one member.
    """

    member: Member
    right: float
    left: float
    known: dict[tuple[str, float], Factors] = field(default_factory=dict)

    @cached_property
    def _pair(self) -> tuple[Factors, Factors | None]:
        G = left_of(self.member)
        left = None if G.ndim == 1 else self._factors("left", G, self.left)
        return self._factors("right", self.member.norm.C, self.right), left

    def _factors(self, side: str, moment: np.ndarray, damping: float) -> Factors:
        if (side, damping) not in self.known:
            self.known[side, damping] = factors(moment, damping)
        return self.known[side, damping]

    @cached_property
    def _damped(self) -> Member:
        return self.member.damped(self.right, self.left)

    @cached_property
    def _best(self) -> Decomposition:
        return decompose(*self._damped)

    def make(self, one: AnyAlternative) -> Rounded | RoundedFactors:
        """Round the layer in one way."""
        if one.rank:
            return round_factors(self.member.W, self._damped.norm, self._pair, self._best, one.rank, one.grid)
        return round_matrix(self.member.W, *self._pair, one.grid)


@dataclass(frozen=True)
class Source:
    """A layer of a group, read once for all that is made of it."""

    task: Task
    group: Group
    layer: Layer
    given: Dampings | None = None
    _known: dict[tuple[str, float], Factors] = field(default_factory=dict)  # of the whole layer

    @cached_property
    def maker(self) -> Member:
        """The layer with the norm by which it is rounded."""
        return self._within_range(self.task.maker(self.layer))

    @cached_property
    def judges(self) -> list[Member]:
        """The layer with the norms by which what became of it is measured."""
        return self.task.judges(self.layer)

    @cached_property
    def _seen(self) -> list[Seen]:
        return [Seen.by(judge) for judge in self.judges]

    @cached_property
    def _is_vocabulary(self) -> bool:
        return self.layer in self.task.checkpoint.vocabulary

    def counted(self, part: Kept) -> Kept:
        """Return what of a part can have an error: of embeddings, the rows of tokens that the text which judges has."""
        if not self._is_vocabulary:
            return part
        return Kept(self.layer, outputs=np.flatnonzero(sum(left_of(judge) for judge in self.judges)))

    @cached_property
    def whole(self) -> tuple[AnyAlternative, ...]:
        """What the layer is offered as long as all of it is kept, beside staying as it is."""
        if self.task.settings.format == "compressed-tensors":
            return packed_alternatives(self.task.checkpoint, self.layer, self.group.layers)
        if self.task.settings.format == "gguf":
            return block_alternatives(self.layer.shape, self.task.item(self.layer))
        if self._is_vocabulary:
            return vocabulary_alternatives(self.layer.shape, self.task.item(self.layer))
        ranks = self.task.settings.low_rank is not None
        return alternatives_of(self.layer.shape, self.task.item(self.layer), ranks=ranks)

    @cached_property
    def dampings(self) -> Dampings:
        """The dampings that are given, or that the half which judges chooses: at a middle width of the integers."""
        if self.given is not None:
            return self.given
        matrices = [one for one in self.whole if one.rank == 0]
        if not matrices:
            return Dampings(RIGHT[0], LEFT[0], self._repair)
        one = min(matrices, key=lambda each: (abs(each.bits - TRIED), abs(each.group - TRIED_GROUP)))
        part = self.counted(Kept(self.layer))
        member, known = self.maker.outputs(part.outputs), self._known if part.outputs is None else {}

        def trial(right: float, left: float) -> float:
            return self.error(part, Maker(member, right, left, known).make(one).matrix())

        left = LEFT[0] if self._is_vocabulary else _best(LEFT, lambda each: trial(RIGHT[0], each))
        return Dampings(_best(RIGHT, lambda each: trial(each, left)), left, self._repair)

    @cached_property
    def _repair(self) -> float:
        """The damping with which the repair of lost inputs is best by the half that judges."""
        if self.group.order is None or self.layer != self.group.layers[-1]:
            return REPAIR[0]
        W, norm = self.maker
        return _best(REPAIR, lambda each: seen(self._seen, narrowed(W, damped(norm.C, each), self.group)))

    @cached_property
    def _narrowing(self) -> Narrowing:
        assert self.group.order is not None
        return narrowing(self.maker.damped(self.dampings.repair, self.dampings.left), self.group.order)

    def ready(self, part: Kept) -> Maker:
        """Return the layer with what is kept of it; where it lost inputs the others make up for them."""
        member = self.maker.outputs(part.outputs)
        if part.inputs is not None:
            order, width = self.group.order, len(part.inputs)
            assert order is not None
            repaired = self._narrowing.repaired(member.W[:, order], width)[:, np.argsort(order[:width])]
            member = self._within_range(member.inputs(part.inputs)._replace(W=repaired))
        known = self._known if member is self.maker else {}
        return Maker(member, self.dampings.right, self.dampings.left, known)

    def _within_range(self, member: Member) -> Member:
        """Ask for entries whose grids have scales in float16."""
        largest = float(np.abs(member.W).max(initial=0.0))
        if largest > FLOAT16.largest / 2.0:
            raise OptionError(
                f"{self.layer.name} has an entry of size {largest:g}, for which few bits have no scale; "
                f"leave it as it is: keep={self.layer.name!r}"
            )
        return member

    def error(self, part: Kept, matrix: np.ndarray) -> float:
        """Return the error of what became of the layer, as computed: to compare by, not to claim."""
        D = self.judges[0].outputs(part.outputs).W.copy()
        D[:, part.places[1]] -= matrix
        return seen(self._seen, D, part.outputs)

    def offered(self, part: Kept) -> Offered:
        """Make and measure everything that the layer is offered; whole it may also stay as it is."""
        item, shape = self.task.item(self.layer), part.shape
        offered = self.whole if part.keeps_all else narrow_alternatives(shape, item)
        counted = self.counted(part)
        ready = self.ready(counted)
        errors = together(lambda one: self.error(counted, ready.make(one).matrix()), offered)
        costs = [numbers_in(one.bytes(shape), item) for one in offered]
        if part.keeps_all:
            return Offered((*offered, None), _curve([*costs, shape[0] * shape[1]], [*errors, 0.0]))
        return Offered(offered, _curve(costs, errors))


def rounded_menu(task: Task, group: Group) -> RoundedMenu:
    """Round the layers of a group in every way that is offered; measure each by the text that did not make it."""
    sources = [Source(task, group, layer) for layer in group.layers]
    parts = tuple(tuple(group.parts(width)) for width in group.widths)
    offered = tuple(tuple(source.offered(part) for source, part in zip(sources, each, strict=True)) for each in parts)
    if group.fused:
        offered = tuple(
            tuple(each.at(point) for each in offered[0]) for point in range(len(offered[0][0].alternatives))
        )
        parts *= len(offered)
    return RoundedMenu(parts, offered, tuple(source.dampings for source in sources))


def left_of(member: Member) -> np.ndarray:
    """Return the left moment of a norm, the identity where there is none; a vector where it is a diagonal."""
    return np.eye(len(member.W)) if member.norm.G is None else member.norm.G


def _best(tried: Sequence[float], error: Callable[[float], float]) -> float:
    return min(zip(together(error, tried), tried, strict=True))[1]


def _curve(costs: Sequence[int], errors: Sequence[float]) -> Curve:
    return Curve(np.array(costs, dtype=np.float64), np.array(errors))
