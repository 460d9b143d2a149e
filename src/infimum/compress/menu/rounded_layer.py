"""The row of a layer in few bits: as it is measured when it is planned, and as it is derived when it is checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import torch

from infimum.compress.menu.bits import Alternative, BitsMenu, judged, numbers_in
from infimum.compress.menu.forms import BitsForm, stored_form
from infimum.compress.menu.layer_plan import dense_row
from infimum.compress.menu.rounding import Rounded
from infimum.compress.menu.task import Task
from infimum.compress.model.checkpoint import Layer
from infimum.compress.model.tensor_files import same_bits
from infimum.errors import VerificationError
from infimum.proof.checkpoint import LayerPlan, same


class MeasuredBits(NamedTuple):
    """A row, and the squared change of the weight in the Frobenius norm."""

    row: LayerPlan
    change: float


def measure_bits(task: Task, layer: Layer, one: Alternative, stored: Rounded, *, room: float = 1.0) -> MeasuredBits:
    """Measure a rounded layer on the half of the text that judges; error and bound leave `room` allowances."""
    found = judged(task, layer, stored, room=room)
    row = dataclasses.replace(
        dense_row(layer),
        form=BitsForm.name,
        cost=numbers_in(one.bytes(layer.shape), task.item(layer)),
        error=found.error,
        lower_bound=found.lower_bound,
        bits=one.bits,
        group=one.group,
    )
    return MeasuredBits(row, found.change)


def derive_bits(
    task: Task, layer: Layer, menu: BitsMenu, claimed: LayerPlan, tensors: Mapping[str, torch.Tensor]
) -> LayerPlan:
    """Derive the row of a layer that may have become integers; of the claims only bits and group are read."""
    if claimed.form == "dense":
        return dense_row(layer)
    same(f"{layer.name}: form", claimed.form, BitsForm.name)
    one = Alternative(claimed.bits, claimed.group)
    if one not in menu.alternatives:
        raise VerificationError(f"{layer.name}: {one.bits} bits in groups of {one.group} are not offered")
    form = stored_form(claimed, tensors)
    assert isinstance(form, BitsForm)
    stored = form.rounded_matrix(one.bits, layer.shape[1])
    again = BitsForm.of(stored)
    if not all(same_bits(getattr(form, part), getattr(again, part)) for part in form.parts):
        raise VerificationError(f"{layer.name} should have zeros where its last bytes hold no integer")
    bias = task.checkpoint.bias(layer)
    if bias is not None and not same_bits(tensors[layer.bias], bias):
        raise VerificationError(f"the bias of {layer.name} should be that of the original, and is not")
    return measure_bits(task, layer, one, stored).row
