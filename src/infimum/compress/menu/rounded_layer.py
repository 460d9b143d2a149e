"""The row of a layer in few bits: as it is measured when it is planned, and as it is derived when it is checked."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from infimum.compress.menu.alternatives import AnyAlternative, numbers_in
from infimum.compress.menu.compressed_tensors import Packed
from infimum.compress.menu.forms import (
    BLOCK_FORMS,
    BitFactorsForm,
    BitsForm,
    BlocksForm,
    PackedForm,
    RoundedForm,
    stored_form,
)
from infimum.compress.menu.ggml_blocks import Blocks
from infimum.compress.menu.layer_plan import dense_row
from infimum.compress.menu.ranks import spectrum
from infimum.compress.menu.rounded_factors import RoundedFactors
from infimum.compress.menu.rounded_menu import Offered, RoundedMenu, left_of, rounded_menu
from infimum.compress.menu.rounding import Rounded, diagonal_below
from infimum.compress.menu.task import Member, Task
from infimum.compress.menu.widths import Group, Kept, narrowing
from infimum.compress.model.tensor_files import same_bits
from infimum.errors import VerificationError
from infimum.proof.checkpoint import LayerPlan, total
from infimum.proof.theorems import grid_rounding, weighted_tail
from infimum.proof.theorems.allocation_dual import Curve, Unit


class Below(NamedTuple):
    """Diagonals below the moments by which a layer is judged: ``diag(e) <= C`` and ``diag(g) <= G``."""

    e: np.ndarray
    g: np.ndarray


class MeasuredBits(NamedTuple):
    """A row, and the squared change of the weight in the Frobenius norm."""

    row: LayerPlan
    change: float


def unmeasured(task: Task, part: Kept, one: AnyAlternative) -> LayerPlan:
    """Return the row of a layer that becomes integers, without error and bound."""
    return dataclasses.replace(
        dense_row(part.layer),
        kept=part.shape,
        form=one.form,
        rank=one.rank or min(part.shape),
        cost=numbers_in(one.bytes(part.shape), task.item(part.layer)),
        bits=one.bits,
        group=one.group,
    )


def measure_bits(
    task: Task,
    part: Kept,
    one: AnyAlternative,
    stored: Rounded | RoundedFactors,
    *,
    room: float = 1.0,
    known: dict[str, list[Below]] | None = None,
) -> MeasuredBits:
    """Measure what became of a layer on the half that judges; error and bound leave `room` allowances.

    `known` are the diagonals of layers that were measured before with the same room; what is missing is added.
    """
    whole = task.judges(part.layer)
    judges = [judge.outputs(part.outputs) for judge in whole]
    judge = judges[0]
    if isinstance(stored, RoundedFactors):
        error = weighted_tail.error(judge.W, *stored.factors(), judge.norm.C, judge.norm.G, room=room)
        placed = stored.matrix()
    else:
        placed = np.zeros_like(judge.W)
        placed[:, part.places[1]] = stored.matrix()
        losses = [grid_rounding.loss(each.W, placed, each.norm.C, left_of(each), room=room) for each in judges]
        error = losses[0] if len(losses) == 1 else total(losses)
    bound = _kind_bound(whole, part, one, stored, room, {} if known is None else known)
    row = dataclasses.replace(unmeasured(task, part, one), error=error, lower_bound=bound)
    return MeasuredBits(row, float(np.sum((judge.W - placed) ** 2)))


def _kind_bound(
    whole: Sequence[Member],
    part: Kept,
    one: AnyAlternative,
    stored: Rounded | RoundedFactors,
    room: float,
    known: dict[str, list[Below]],
) -> float:
    """Bound what every matrix of this kind loses: of this rank, of these inputs, or on this grid."""
    judges = [judge.outputs(part.outputs) for judge in whole]
    if isinstance(stored, RoundedFactors):
        return float(spectrum(*judges[0]).bounds(room)[one.rank])
    if part.inputs is not None:
        order = np.append(part.inputs, np.setdiff1d(np.arange(part.layer.shape[1]), part.inputs))
        return float(narrowing(judges[0], order).errors().bounds(room)[len(part.inputs)])
    if part.layer.name not in known:
        known[part.layer.name] = [_below(judge, room) for judge in whole]
    kept = slice(None) if part.outputs is None else part.outputs
    pairs = zip(judges, known[part.layer.name], strict=True)
    return math.fsum(
        grid_rounding.bound(each.W, stored.grid, each.norm.C, left_of(each), below.e, below.g[kept], room=room)
        for each, below in pairs
    )


def _below(judge: Member, room: float) -> Below:
    return Below(diagonal_below(judge.norm.C, room), diagonal_below(left_of(judge), room))


def pack_rounded(task: Task, part: Kept, one: AnyAlternative, stored: Rounded | RoundedFactors) -> RoundedForm:
    """Return what is stored of a layer."""
    if isinstance(stored, RoundedFactors):
        return BitFactorsForm.of(stored)
    if isinstance(one, Packed):
        return PackedForm.of(stored, one.scales)
    if isinstance(one, Blocks):
        return BLOCK_FORMS[one.form].of(stored)
    bias = None if part.outputs is None else task.checkpoint.bias(part.layer)
    return BitsForm.of(stored, None if bias is None else bias[part.outputs])


def unpack_rounded(part: Kept, one: AnyAlternative, form: RoundedForm) -> Rounded | RoundedFactors:
    """Read what `pack_rounded` has made of a layer."""
    columns = part.shape[1]
    if isinstance(form, BitFactorsForm):
        return form.unpacked(one.bits, one.rank, columns)
    if isinstance(form, PackedForm):
        return form.unpacked(one.grid, columns)
    return form.unpacked() if isinstance(form, BlocksForm) else form.unpacked(one.bits, columns)


def derive_rounded(
    task: Task, group: Group, claimed: Sequence[LayerPlan], tensors: Mapping[str, torch.Tensor]
) -> tuple[Unit, list[LayerPlan]]:
    """Derive what a group can become in few bits, and its rows; of the claims only what was chosen is read."""
    menu = rounded_menu(task, group)
    for place, (parts, offered) in enumerate(zip(menu.parts, menu.offered, strict=True)):
        chosen = [_chosen(*each) for each in zip(parts, offered, claimed, strict=True)]
        if all(chosen):
            pairs = zip(parts, (one for (one,) in chosen), claimed, strict=True)
            rows = [_derive(task, part, one, row, tensors) for part, one, row in pairs]
            return _unit(menu, place, rows), rows
    said = ", ".join(
        f"{row.name}: {row.form} of {row.bits} bits, group {row.group}, rank {row.rank}" for row in claimed
    )
    raise VerificationError(f"{said}: not offered")


def _unit(menu: RoundedMenu, place: int, rows: Sequence[LayerPlan]) -> Unit:
    """Return the curves of a group; what was chosen, in the case at `place`, is offered as it is stored, too."""
    unit, stored = [tuple(each.curve for each in layers) for layers in menu.offered], []
    for curve, row in zip(unit[place], rows, strict=True):
        errors = np.where(curve.costs == row.cost, np.minimum(curve.errors, row.error), curve.errors)
        stored.append(Curve(curve.costs, errors))
    unit[place] = tuple(stored)
    return tuple(unit)


def _chosen(part: Kept, offered: Offered, row: LayerPlan) -> list[AnyAlternative | None]:
    """Return the alternative that a row says was chosen, in a list; an empty one if there is none."""
    said = (row.form, row.kept, row.bits, row.group, row.rank)
    whole = min(part.shape)
    ways = {
        ("dense", part.shape, 0, 0, whole) if one is None else (one.form, part.shape, *one[:2], one.rank or whole): one
        for one in offered.alternatives
    }
    return [ways[said]] if said in ways else []


def _derive(
    task: Task, part: Kept, one: AnyAlternative | None, claimed: LayerPlan, tensors: Mapping[str, torch.Tensor]
) -> LayerPlan:
    """Derive the row of a layer that became integers in a way that it is offered (None: that stays as it is)."""
    layer = part.layer
    if one is None:
        return dense_row(layer)
    form: Any = stored_form(claimed, tensors)
    stored = unpack_rounded(part, one, form)
    again = pack_rounded(task, part, one, stored).tensors()
    if not all(same_bits(again[name], tensor) for name, tensor in form.tensors().items()):
        raise VerificationError(f"{layer.name} should be stored in the one way that writes its integers and grid")
    bias = task.checkpoint.bias(layer)
    if bias is not None and not same_bits(tensors[layer.bias], bias if part.outputs is None else bias[part.outputs]):
        raise VerificationError(f"the bias of {layer.name} should be that of the original, and is not")
    return measure_bits(task, part, one, stored).row
