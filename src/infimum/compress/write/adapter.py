"""The directions that compression loses, as a LoRA adapter in peft's file format."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from infimum._threads import one_thread
from infimum.compress.menu.forms import FactorForm, PlainForm
from infimum.compress.menu.ranks import decompose
from infimum.compress.menu.task import Task
from infimum.compress.model.checkpoint import Layer
from infimum.compress.model.experts import Experts
from infimum.compress.write.answer import Answer
from infimum.compress.write.build import to_form
from infimum.errors import OptionError

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def check_adapter(plan: Answer, rank: int) -> list[Layer]:
    """Return the layers that an adapter of a rank has a part for: those that were replaced.

    Left out are experts: transformers fuses theirs while it loads, so that no adapter finds them.
    """
    if not plan.settings.plain:
        raise OptionError("an adapter needs plain output: peft attaches it to the layers of stock transformers")
    replaced = {row.name for row in plan.table if row.form == "plain"}
    fused = tuple(f"{n}." for n, module in plan.checkpoint.skeleton.named_modules() if isinstance(module, Experts))
    layers = [layer for layer in plan.checkpoint.layers if layer.name in replaced and not layer.name.startswith(fused)]
    if not layers:
        raise OptionError("no layer was replaced that an adapter could restore; remove more, or leave the adapter out")
    most = min(min(layer.shape) for layer in layers)
    if not 1 <= rank <= most:
        raise OptionError(f"the rank of the adapter must be from 1 to {most}, got {rank}")
    return layers


def write_adapter(plan: Answer, rank: int, folder: Path, base: Path) -> None:
    """Write, for every replaced layer, the best matrix of a rank for what was lost, in the norm of the layer's error.

    With W the original and S what is stored, ``lora_B @ lora_A`` is nearest to ``W - S``: the optimum of
    `infimum.proof.theorems.weighted_tail`, as for the layers themselves.
    """
    layers = check_adapter(plan, rank)
    tensors: dict[str, torch.Tensor] = {}
    for layer in layers:
        with one_thread():
            lora_A, lora_B = restore(plan, layer, rank)
        prefix = f"base_model.model.{layer.name}"
        tensors |= {f"{prefix}.lora_A.weight": lora_A, f"{prefix}.lora_B.weight": lora_B}
    folder.mkdir()
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM" if plan.checkpoint.is_language_model else "FEATURE_EXTRACTION",
        "base_model_name_or_path": str(base),
        "inference_mode": True,
        "r": rank,
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": any(layer.transposed for layer in layers),
        "target_modules": [layer.name for layer in layers],
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def restore(plan: Answer, layer: Layer, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return A (rank, inputs) and B (outputs, rank), in the dtype of the checkpoint."""
    form = plan.forms[layer.name]
    assert isinstance(form, PlainForm)
    member = Task(plan.checkpoint, plan.moments, plan.settings).member(layer)
    stored = form.weight.double().numpy()
    lost = member.W - (stored.T if layer.transposed else stored)
    best = to_form(decompose(lost, member.norm), rank, "factors").rounded(form.weight.dtype)
    assert isinstance(best, FactorForm)
    return best.right.contiguous(), best.left.contiguous()
