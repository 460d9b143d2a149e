"""What each group of layers is offered, with the bounds that are claimed for it, and what a choice among it makes."""

from __future__ import annotations

import dataclasses
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from infimum._threads import one_thread, together
from infimum.compress.measure.processes import place, spread
from infimum.compress.measure.progress import Progress, Steps
from infimum.compress.measure.side_by_side import two_by_two
from infimum.compress.menu.forms import StoredForm
from infimum.compress.menu.layer_plan import dense_row
from infimum.compress.menu.replacement import expected, measure, near_rank, replacements_of
from infimum.compress.menu.rounded_layer import Below, measure_bits, pack_rounded, unmeasured
from infimum.compress.menu.rounded_menu import RoundedMenu, Source, rounded_menu
from infimum.compress.menu.task import Task
from infimum.compress.menu.widths import Choice, Group, units_of
from infimum.compress.search.allocation import Frontier, frontier
from infimum.compress.search.claims import mean_weight, raised, reduced
from infimum.compress.search.matrices import build
from infimum.proof.checkpoint import LayerPlan
from infimum.proof.rounding import ROOM
from infimum.proof.theorems.allocation_dual import Curve, Unit

KEPT = 4  # choices of a group: what else was built is built again


class Built(NamedTuple):
    """What a choice made of a group: its bounds and rows as they are claimed, and what is stored of each layer."""

    claimed: Unit
    rows: tuple[LayerPlan, ...]
    forms: Mapping[str, StoredForm]


@dataclass(frozen=True)
class Offer(ABC):
    """What a group of layers can become: its alternatives, and the lower convex hull of their costs and errors.

    `claimed` are the bounds that are claimed for the alternatives, `weights` the `mean_weight` of each layer. `made` is
    what the last choices became, for budgets that choose them again.
    """

    group: Group
    unit: Unit
    frontier: Frontier
    claimed: Unit
    weights: tuple[tuple[float, float], ...]
    made: dict[Choice, Built] = field(default_factory=dict, compare=False, repr=False, kw_only=True)

    def keep(self, choice: Choice, built: Built) -> None:
        """Keep what a choice became, and forget what was kept long before."""
        self.made.pop(choice, None)  # what is asked for again is the newest
        self.made[choice] = built
        while len(self.made) > KEPT:
            del self.made[next(iter(self.made))]

    @abstractmethod
    def preview(self, task: Task, choice: Choice) -> list[LayerPlan]:
        """Return what a choice makes of every layer without building it: rows without lower bounds and shares."""

    @abstractmethod
    def build(self, task: Task, choice: Choice) -> Built:
        """Make what was chosen of every layer, and measure it as stored."""


def offer_of(task: Task, group: Group) -> Offer:
    """Find what the layers of a group can become."""
    weights = tuple(mean_weight(task, layer) for layer in group.layers)
    if task.settings.rounds:
        menu = rounded_menu(task, group)
        unit = tuple(tuple(offered.curve for offered in width) for width in menu.offered)
        return RoundedOffer(group, unit, frontier(unit), _lowered(unit, weights), weights, menu)
    unit, roomy = units_of(task, group, (1.0, ROOM))
    return LowerOffer(group, unit, frontier(unit), _lowered(roomy, weights), weights)


def offer_all(task: Task, groups: Sequence[Group], on_progress: Progress | None) -> tuple[Offer, ...]:
    """Find what all groups of layers can become; processes share them."""
    steps = Steps(on_progress, "spectra")

    def offered(some: Sequence[Group]) -> list[Offer]:
        return two_by_two(lambda group: offer_of(task, group), some, lambda group: group.layers, steps)

    return tuple(spread(groups, offered))


def _lowered(unit: Unit, weights: tuple[tuple[float, float], ...]) -> Unit:
    return tuple(
        tuple(Curve(curve.costs, reduced(curve.errors, *w)) for curve, w in zip(curves, weights, strict=True))
        for curves in unit
    )


class LowerOffer(Offer):
    """Matrices of lower rank or with fewer channels, for which a theorem bounds all others of their kind."""

    def preview(self, task: Task, choice: Choice) -> list[LayerPlan]:
        """Return what a choice makes of every layer without building it; errors are those before rounding."""
        return [expected(task.settings, part) for part in replacements_of(self.group, self.unit, choice)]

    def build(self, task: Task, choice: Choice) -> Built:
        """Make what was chosen of every layer, and measure it as stored."""
        rows, distances, forms = [], [], {}
        for part, (mean, whole) in zip(replacements_of(self.group, self.claimed, choice), self.weights, strict=True):
            stored = build(task, part)
            row, distance, lost, moved = measure(task, part, stored, room=ROOM)
            rows.append(dataclasses.replace(row, error=raised(row.error, mean, lost, whole)))
            distances.append(raised(distance, mean, moved, whole))
            if stored is not None:
                forms[row.name] = stored
        claimed, lowered = near_rank(self.claimed, rows, distances)
        return Built(claimed, tuple(lowered), forms)


@dataclass(frozen=True)
class RoundedOffer(Offer):
    """Integers of few bits, each alternative made and measured; `menu` says what the points of the curves are.

    `diagonals` are those below the moments of layers that were built before, for whatever budget.
    """

    menu: RoundedMenu
    diagonals: dict[str, list[Below]] = field(default_factory=dict, compare=False, repr=False)

    def preview(self, task: Task, choice: Choice) -> list[LayerPlan]:
        """Return what a choice makes of every layer without building it again; errors are those that were measured."""
        rows, parts = [], self.menu.parts[choice.alternative]
        for part, each, point in zip(parts, self.menu.offered[choice.alternative], choice.points, strict=True):
            one = each.alternatives[point]
            row = dense_row(part.layer) if one is None else unmeasured(task, part, one)
            rows.append(dataclasses.replace(row, error=float(each.curve.errors[point])))
        return rows

    def build(self, task: Task, choice: Choice) -> Built:
        """Make what was chosen of every layer, and measure it as stored."""
        rows, forms = [], {}
        offered, parts = self.menu.offered[choice.alternative], self.menu.parts[choice.alternative]
        for part, each, point, (mean, whole), dampings in zip(
            parts, offered, choice.points, self.weights, self.menu.dampings, strict=True
        ):
            one = each.alternatives[point]
            if one is None:
                rows.append(dense_row(part.layer))
                continue
            stored = Source(task, self.group, part.layer, dampings).ready(part).make(one)
            row, change = measure_bits(task, part, one, stored, room=ROOM, known=self.diagonals)
            bound = float(reduced(np.array(row.lower_bound), mean, whole))
            rows.append(dataclasses.replace(row, error=raised(row.error, mean, change, whole), lower_bound=bound))
            forms[row.name] = pack_rounded(task, part, one, stored)
        return Built(self.claimed, tuple(rows), forms)


def build_all(task: Task, offers: Sequence[Offer], choices: Sequence[Choice]) -> Iterator[Built]:
    """Build what was chosen, unless it was made before; as many groups of layers at a time as there are processors."""
    pairs, step = list(zip(offers, choices, strict=True)), (os.cpu_count() or 1) * place()[1]
    missing = [pair for pair in pairs if pair[1] not in pair[0].made]
    ready: list[Built] = []
    for offer, choice in pairs:
        if choice in offer.made:
            yield offer.made[choice]
            continue
        if not ready:
            with one_thread():
                ready = spread(missing[:step], lambda some: together(lambda pair: pair[0].build(task, pair[1]), some))
            missing = missing[step:]
        yield ready.pop(0)
