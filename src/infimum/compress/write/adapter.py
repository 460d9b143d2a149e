"""The directions that compression loses, as a LoRA adapter in peft's file format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from infimum._threads import one_thread
from infimum.compress.menu.adapter import CONFIG, WEIGHTS, adapter_config, adapter_layers, names_of, restored_error
from infimum.compress.menu.forms import FactorForm, PlainForm
from infimum.compress.menu.ranks import decompose
from infimum.compress.menu.task import Task
from infimum.compress.model.layer import Layer
from infimum.compress.model.tensor_files import write_small
from infimum.compress.search.claims import mean_weight, raised
from infimum.compress.search.matrices import to_form
from infimum.compress.write.answer import Answer
from infimum.proof.checkpoint import total
from infimum.proof.rounding import ROOM


def write_adapter(plan: Answer, rank: int, folder: Path, base: Path) -> dict[str, Any]:
    """Write, for every replaced layer, the best matrix of a rank for what was lost, in the norm of the layer's error.

    With W the original and S what is stored, ``lora_B @ lora_A`` is nearest to ``W - S``: the optimum of
    `infimum.proof.theorems.weighted_tail`, as for the layers themselves. Returns what infimum.json says of it: the
    rank, and the total error with its help.
    """
    task = Task(plan.checkpoint, plan.moments, plan.settings)
    layers = adapter_layers(task, plan.table, rank)
    tensors: dict[str, torch.Tensor] = {}
    errors = {row.name: row.error for row in plan.table}
    for layer in layers:
        with one_thread():
            weight, factors = restore(task, plan, layer, rank)
            error, lost = restored_error(task, layer, weight, factors, room=ROOM)
            mean, whole = mean_weight(task, layer)
        errors[layer.name] = raised(error, mean, lost, whole)
        tensors |= factors
    folder.mkdir()
    write_small(folder / WEIGHTS, tensors)
    config = adapter_config(plan.checkpoint, layers, rank, base)
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return {"rank": rank, "value": total(list(errors.values()))}


def restore(task: Task, plan: Answer, layer: Layer, rank: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return the stored weight of a layer, and the factors of its part of an adapter in the checkpoint's dtype."""
    form = plan.forms[layer.name]
    assert isinstance(form, PlainForm)
    member = task.member(layer)
    lost = member.W - layer.matrix(form.weight).double().numpy()
    best = to_form(decompose(lost, member.norm), rank, "factors").rounded(form.weight.dtype)
    assert isinstance(best, FactorForm)
    factors = dict(zip(names_of(layer), (best.right.contiguous(), best.left.contiguous()), strict=True))
    return form.weight, factors
