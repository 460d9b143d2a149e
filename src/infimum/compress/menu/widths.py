"""What the budget is shared among: single layers, and layers between which channels can be removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from infimum.compress.menu.compressed_tensors import fused_groups
from infimum.compress.menu.ranks import curve, spectrum
from infimum.compress.menu.task import Member, Task
from infimum.compress.model.channels import channels_of
from infimum.compress.model.layer import Layer
from infimum.proof.theorems.allocation_dual import Curve, Unit
from infimum.proof.theorems.narrowing import Narrowing, row_tails
from infimum.proof.theorems.weighted_tail import Tails

PARTS = 16  # widths are so many parts of all channels


class Choice(NamedTuple):
    """What becomes of a unit: one of its alternatives, and a point of each curve of that."""

    alternative: int
    points: tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """Layers that are decided together: a single one, or those around some channels, the consumer last.

    `order` holds the channels from the last to be given up to the first, and `steps` the sixteenths of them that may be
    kept, all of them first; None and empty where there are none to remove.
    """

    layers: tuple[Layer, ...]
    order: np.ndarray | None = None
    steps: tuple[int, ...] = ()

    @property
    def fused(self) -> bool:
        """Whether the layers are decided together since an engine makes one layer of them."""
        return self.order is None and len(self.layers) > 1

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Numbers of channels that the alternatives keep, all of them first."""
        whole = self.layers[-1].shape[1]
        return (whole,) if self.order is None else widths_of(whole, self.steps)

    def parts(self, width: int) -> list[Kept]:
        """Return what is kept of each layer at a width, the channels in the order of the model."""
        kept = None if self.order is None or width == len(self.order) else np.sort(self.order[:width])
        *producers, consumer = self.layers
        return [*(Kept(layer, outputs=kept) for layer in producers), Kept(consumer, inputs=kept)]


@dataclass(frozen=True)
class Kept:
    """A layer, and the outputs and inputs of it that are kept (None: all)."""

    layer: Layer
    outputs: np.ndarray | None = None
    inputs: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Outputs and inputs that are kept."""
        m, n = self.layer.shape
        return m if self.outputs is None else len(self.outputs), n if self.inputs is None else len(self.inputs)

    @property
    def keeps_all(self) -> bool:
        """Whether all outputs and inputs are kept."""
        return self.shape == self.layer.shape

    @property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the outputs and inputs that are kept."""
        m, n = self.layer.shape
        rows, columns = self.outputs, self.inputs
        return np.arange(m) if rows is None else rows, np.arange(n) if columns is None else columns


def widths_of(channels: int, steps: Sequence[int]) -> tuple[int, ...]:
    """Return how many channels so many sixteenths of them are."""
    return tuple(dict.fromkeys(max(1, round(channels * step / PARTS)) for step in steps))


def partition(task: Task) -> list[tuple[Layer, ...]]:
    """Group the layers that may be replaced, in the order of the model: together what can be narrowed."""
    sets: dict[Layer, tuple[Layer, ...]] = {layer: (layer,) for layer in task.layers}
    if task.settings.format == "compressed-tensors":
        for layers in fused_groups(task.layers):
            sets |= dict.fromkeys(layers, layers)
    if task.settings.narrows:
        for channels in channels_of(task.checkpoint):
            if all(layer in sets for layer in channels.layers):
                sets |= dict.fromkeys(channels.layers, channels.layers)
    return list(dict.fromkeys(sets.values()))


def unit_of(task: Task, group: Group) -> Unit:
    """Return what the layers of a group can become: the curves of each width."""
    return units_of(task, group, (1.0,))[0]


def units_of(task: Task, group: Group, rooms: Sequence[float]) -> list[Unit]:
    """Return what the layers of a group can become, with bounds that leave so many allowances for rounding each.

    What the removal of channels loses is an error of the layer that read them.
    """
    form = task.settings.low_rank
    *producers, consumer = (task.member(layer) for layer in group.layers)
    if group.order is None:
        tails = None if form is None else spectrum(*consumer)
        return [((curve(_bounds(tails, room), group.layers[-1].shape, form),),) for room in rooms]
    narrowed, ascending = narrowing(consumer, group.order), group.widths[::-1]
    losses = narrowed.errors()
    members = [producer.outputs(group.order) for producer in producers]
    tables = [[] if form is None else row_tails(p.W, p.norm.C, p.norm.G, ascending) for p in members]
    units: list[list[tuple[Curve, ...]]] = [[] for _ in rooms]
    for index, width in enumerate(ascending):
        rows = [
            (table[index] if table else None, (width, p.W.shape[1])) for table, p in zip(tables, members, strict=True)
        ]
        columns = None if form is None else narrowed.tails(width)
        shape = (consumer.W.shape[0], width)
        for unit, room in zip(units, rooms, strict=True):
            curves = [curve(_bounds(tails, room), wide, form) for tails, wide in rows]
            unit.append((*curves, curve(_bounds(columns, room), shape, form, float(losses.bounds(room)[width]))))
    return [tuple(reversed(unit)) for unit in units]


def _bounds(tails: Tails | None, room: float) -> np.ndarray | None:
    return None if tails is None else tails.bounds(room)


def narrowing(consumer: Member, order: np.ndarray) -> Narrowing:
    """Prepare a layer for the removal of inputs from the last of `order` on."""
    ordered = consumer.inputs(order)
    return Narrowing.of(ordered.W, ordered.norm.C, ordered.norm.G)
