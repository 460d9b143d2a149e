"""What a choice makes of each layer: its matrix as it is stored, and its row of the table."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from infimum.compress.allocation import Choice
from infimum.compress.checkpoint import Layer
from infimum.compress.factor import decompose
from infimum.compress.forms import LowerForm, NarrowForm, PlainForm, StoredForm, to_form
from infimum.compress.layers import LayerPlan, dense_row
from infimum.compress.units import Group, Task, narrowing
from infimum.proof.theorems import weighted_tail
from infimum.proof.theorems.allocation_dual import Curve, Unit


class Part(NamedTuple):
    """A layer as a choice leaves it: outputs and inputs that are kept (None: all), and its point on its curve."""

    layer: Layer
    outputs: np.ndarray | None
    inputs: np.ndarray | None
    points: Curve
    point: int

    @property
    def shape(self) -> tuple[int, int]:
        """Outputs and inputs that are kept."""
        m, n = self.layer.shape
        return m if self.outputs is None else len(self.outputs), n if self.inputs is None else len(self.inputs)

    @property
    def rank(self) -> int:
        """The rank that is kept."""
        return min(self.shape) if self.has_full_rank else self.point + 1

    @property
    def has_full_rank(self) -> bool:
        """Whether the layer is at the last point of its curve."""
        return self.point == len(self.points.costs) - 1

    @property
    def is_whole(self) -> bool:
        """Whether the layer stays as it is."""
        return self.has_full_rank and self.shape == self.layer.shape

    @property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the outputs and inputs that are kept."""
        m, n = self.layer.shape
        rows, columns = self.outputs, self.inputs
        return np.arange(m) if rows is None else rows, np.arange(n) if columns is None else columns


def parts_of(group: Group, unit: Unit, choice: Choice) -> list[Part]:
    """Return what a choice makes of each layer of a group."""
    kept = group.kept(choice)
    pairs = zip(unit[choice.alternative], choice.points, strict=True)
    *producers, consumer = (Part(layer, kept, None, *pair) for layer, pair in zip(group.layers, pairs, strict=True))
    return [*producers, consumer._replace(outputs=None, inputs=kept)]


def build(task: Task, part: Part) -> StoredForm | None:
    """Return the best matrix for a part as it is stored, rounded to the checkpoint's dtype; None: as it is."""
    if part.is_whole:
        return None
    member = task.member(part.layer).outputs(part.outputs)
    if part.inputs is not None:
        order = np.append(part.inputs, np.setdiff1d(np.arange(part.layer.shape[1]), part.inputs))
        repaired = narrowing(member, order).repaired(member.W[:, order], len(part.inputs))
        member = member.inputs(part.inputs)._replace(W=repaired)
    dtype = task.checkpoint.read(part.layer.tensor).dtype
    best = None if part.has_full_rank else decompose(*member)
    if task.settings.plain:
        matrix = member.W if best is None else best.left[:, : part.rank] @ best.right[: part.rank]
        whole = np.zeros(part.layer.shape)
        whole[np.ix_(*part.places)] = matrix
        return PlainForm(torch.from_numpy(whole.T if part.layer.transposed else whole).to(dtype).contiguous())
    form = task.settings.low_rank
    narrow: LowerForm = NarrowForm(torch.from_numpy(member.W))
    stored = (narrow if best is None or form is None else to_form(best, part.rank, form)).rounded(dtype)
    if part.outputs is None or (bias := task.checkpoint.bias(part.layer)) is None:
        return stored
    return dataclasses.replace(stored, bias=bias[part.outputs])


def measure(task: Task, part: Part, stored: StoredForm | None) -> tuple[LayerPlan, float]:
    """Measure a part as it is stored: its row of the table, and how far rounding has taken it from its rank.

    A product that was multiplied out and then rounded has full rank, and may be better than every matrix of the rank
    that it had: what is bounded are all matrices as near to one of their rank. The distance is squared, in that norm.
    """
    row = dense_row(part.layer)
    if stored is None:
        return row, 0.0
    member, (rows, columns) = task.member(part.layer).outputs(part.outputs), part.places
    distance, bound = 0.0, part.points.errors[part.point]
    if isinstance(stored, PlainForm):
        weight = stored.weight.double().numpy()
        matrix = (weight.T if part.layer.transposed else weight)[rows]
        left, right = matrix, np.eye(matrix.shape[1])
        if not part.has_full_rank:
            narrow = member.inputs(columns)._replace(W=matrix[:, columns])
            near = decompose(*narrow)
            factors = near.left[:, : part.rank], near.right[: part.rank]
            distance = weighted_tail.error(narrow.W, *factors, narrow.norm.C, narrow.norm.G)
    else:
        left, narrow_right = stored.factors()
        right = np.zeros((narrow_right.shape[0], part.layer.shape[1]))
        right[:, columns] = narrow_right
    return dataclasses.replace(
        row,
        kept=part.shape,
        form=stored.name,
        rank=part.rank,
        cost=int(part.points.costs[part.point]),
        error=weighted_tail.error(member.W, left, right, member.norm.C, member.norm.G),
        lower_bound=float(weighted_tail.lowered(np.array(bound), distance) if distance else bound),
    ), distance


def lowered(unit: Unit, distances: Sequence[float]) -> Unit:
    """Lower the bounds of a unit for matrices as near to one of their rank as its stored ones are, layer by layer."""
    return tuple(
        tuple(
            Curve(points.costs, weighted_tail.lowered(points.errors, distance)) if distance else points
            for points, distance in zip(curves, distances, strict=True)
        )
        for curves in unit
    )
