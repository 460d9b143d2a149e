"""What a choice makes of each layer: what it keeps, and its row of the table as measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from infimum.compress.menu.forms import PlainForm, RoundedForm, StoredForm
from infimum.compress.menu.layer_plan import dense_row
from infimum.compress.menu.ranks import decompose
from infimum.compress.menu.settings import Settings
from infimum.compress.menu.task import Task
from infimum.compress.menu.widths import Choice, Group, Kept
from infimum.proof.checkpoint import LayerPlan
from infimum.proof.theorems import weighted_tail
from infimum.proof.theorems.allocation_dual import Curve, Unit


@dataclass(frozen=True, kw_only=True)
class Replacement(Kept):
    """A layer as a choice leaves it: what is kept of it, and its point on its curve."""

    points: Curve
    point: int

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
        return self.has_full_rank and self.keeps_all


def replacements_of(group: Group, unit: Unit, choice: Choice) -> list[Replacement]:
    """Return what a choice makes of each layer of a group."""
    parts = group.parts(group.widths[choice.alternative])
    pairs = zip(parts, unit[choice.alternative], choice.points, strict=True)
    return [Replacement(**vars(part), points=points, point=point) for part, points, point in pairs]


def form_of(settings: Settings, part: Replacement) -> str:
    """Return the form in which a part is stored."""
    if part.is_whole:
        return "dense"
    if settings.plain:
        return "plain"
    return "channels" if part.has_full_rank or settings.low_rank is None else settings.low_rank


def expected(settings: Settings, part: Replacement) -> LayerPlan:
    """Return the row of a part before it is built: its error is the least for its rank, before rounding."""
    row = dense_row(part.layer)
    if part.is_whole:
        return row
    cost, error = int(part.points.costs[part.point]), float(part.points.errors[part.point])
    form = form_of(settings, part)
    return dataclasses.replace(row, kept=part.shape, form=form, rank=part.rank, cost=cost, error=error)


class Measured(NamedTuple):
    """A part as it is stored: its row of the table, and how far rounding has taken it from its rank.

    A product that was multiplied out and then rounded has full rank, and may be better than every matrix of the rank
    that it had: what is bounded are all matrices as near to one of their rank. `distance` is squared, in the norm of
    the layer; `lost` and `moved` are the squares of both changes in the Frobenius norm.
    """

    row: LayerPlan
    distance: float = 0.0
    lost: float = 0.0
    moved: float = 0.0


def measure(task: Task, part: Replacement, stored: StoredForm | None, *, room: float = 1.0) -> Measured:
    """Measure a part as it is stored; error and distance are rounded upwards by `room` allowances.

    The bound is that of the rank, see `near_rank`.
    """
    row = dense_row(part.layer)
    if stored is None:
        return Measured(row)
    member, (rows, columns) = task.member(part.layer).outputs(part.outputs), part.places
    distance = moved = 0.0
    if isinstance(stored, PlainForm):
        left = part.layer.matrix(stored.weight).double().numpy()[rows]
        right = np.eye(left.shape[1])
        if not part.has_full_rank:
            narrow = member.inputs(columns)._replace(W=left[:, columns])
            near = decompose(*narrow)
            factors = near.left[:, : part.rank], near.right[: part.rank]
            distance = weighted_tail.error(narrow.W, *factors, narrow.norm.C, narrow.norm.G, room=room)
            moved = float(np.sum((narrow.W - factors[0] @ factors[1]) ** 2))
    else:
        assert not isinstance(stored, RoundedForm)
        left, narrow_right = stored.factors()
        right = np.zeros((narrow_right.shape[0], part.layer.shape[1]))
        right[:, columns] = narrow_right
    row = dataclasses.replace(
        expected(task.settings, part),
        form=stored.name,
        error=weighted_tail.error(member.W, left, right, member.norm.C, member.norm.G, room=room),
        lower_bound=float(part.points.errors[part.point]),
    )
    return Measured(row, distance, float(np.sum((member.W - left @ right) ** 2)), moved)


def near_rank(unit: Unit, rows: Sequence[LayerPlan], distances: Sequence[float]) -> tuple[Unit, list[LayerPlan]]:
    """Lower the bounds of a unit and of its rows for matrices as near to one of their rank as the stored ones are."""
    lowered = tuple(
        tuple(
            Curve(points.costs, weighted_tail.lowered(points.errors, distance)) if distance else points
            for points, distance in zip(curves, distances, strict=True)
        )
        for curves in unit
    )
    return lowered, [
        dataclasses.replace(row, lower_bound=float(weighted_tail.lowered(np.array(row.lower_bound), distance)))
        if distance
        else row
        for row, distance in zip(rows, distances, strict=True)
    ]
