"""What each group of layers is offered, with the bounds that are claimed for it."""

from __future__ import annotations

from typing import NamedTuple

from infimum.compress.menu.bits import BitsMenu, menu_of
from infimum.compress.menu.task import Task
from infimum.compress.menu.widths import Group, units_of
from infimum.compress.model.checkpoint import Layer
from infimum.compress.search.allocation import Frontier, frontier
from infimum.compress.search.claims import ROUNDING, mean_weight, reduced
from infimum.compress.search.elimination import ordered_group
from infimum.proof.rounding import ROOM
from infimum.proof.theorems.allocation_dual import Curve, Unit


class Offer(NamedTuple):
    """What a group of layers can become: its alternatives, and the lower convex hull of their costs and errors.

    `claimed` are the bounds that are claimed for the alternatives, `weights` the `mean_weight` of each layer, `bits`
    what a layer is offered that becomes integers.
    """

    group: Group
    unit: Unit
    frontier: Frontier
    claimed: Unit
    weights: tuple[tuple[float, float], ...]
    bits: BitsMenu | None = None

    @classmethod
    def of(cls, task: Task, layers: tuple[Layer, ...]) -> Offer:
        """Find what some layers can become."""
        weights = tuple(mean_weight(task, layer) for layer in layers)
        if task.settings.rounds:
            menu = menu_of(task, layers[0])
            unit = ((menu.curve,),)
            lowered = reduced(menu.curve.errors * (1.0 - ROUNDING), *weights[0])
            claimed: Unit = ((Curve(menu.curve.costs, lowered),),)
            return cls(Group(layers), unit, frontier(unit), claimed, weights, menu)
        group = ordered_group(task, layers)
        unit, roomy = units_of(task, group, (1.0, ROOM))
        claimed = tuple(
            tuple(Curve(curve.costs, reduced(curve.errors, *w)) for curve, w in zip(curves, weights, strict=True))
            for curves in roomy
        )
        return cls(group, unit, frontier(unit), claimed, weights)
