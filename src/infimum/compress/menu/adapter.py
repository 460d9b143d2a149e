"""A LoRA adapter beside plain output, in peft's file format: which layers it has parts for, and what it restores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from infimum._threads import one_thread
from infimum.compress.menu.task import Task
from infimum.compress.model.checkpoint import Checkpoint
from infimum.compress.model.experts import TakenApart
from infimum.compress.model.layer import Layer
from infimum.compress.model.tensor_files import read_all
from infimum.errors import InfimumError, OptionError, VerificationError
from infimum.proof import strict_json
from infimum.proof.checkpoint import LARGEST, Description, LayerPlan, follows, same, text, total
from infimum.proof.evidence import number, whole
from infimum.proof.theorems import weighted_tail

TASKS = {  # of peft, by what loads the model
    "AutoModelForCausalLM": "CAUSAL_LM",
    "AutoModelForSequenceClassification": "SEQ_CLS",
    "AutoModelForTokenClassification": "TOKEN_CLS",
    "AutoModelForQuestionAnswering": "QUESTION_ANS",
}
FOLDER, CONFIG, WEIGHTS = "adapter", "adapter_config.json", "adapter_model.safetensors"


def adapter_layers(task: Task, table: Sequence[LayerPlan], rank: int) -> list[Layer]:
    """Return the layers that an adapter of a rank has a part for: those that were replaced.

    Left out are experts: transformers fuses theirs while it loads, so that no adapter finds them; and convolutions.
    """
    checkpoint = task.checkpoint
    if not task.settings.plain:
        raise OptionError("an adapter needs plain output: peft attaches it to the layers of stock transformers")
    replaced = {row.name for row in table if row.form == "plain"}
    fused = tuple(f"{n}." for n, module in checkpoint.skeleton.named_modules() if isinstance(module, TakenApart))
    layers = [
        layer
        for layer in checkpoint.layers
        if layer.name in replaced and not layer.kernel and not layer.name.startswith(fused)
    ]
    if not layers:
        raise OptionError("no layer was replaced that an adapter could restore; remove more, or leave the adapter out")
    most = min(min(layer.shape) for layer in layers)
    if not 1 <= rank <= most:
        raise OptionError(f"the rank of the adapter must be from 1 to {most}, got {rank}")
    return layers


def adapter_config(checkpoint: Checkpoint, layers: Sequence[Layer], rank: int, base: Path) -> dict[str, Any]:
    """Return the configuration of an adapter for the model in the folder `base`."""
    return {
        "peft_type": "LORA",
        "task_type": TASKS.get(checkpoint.head.loader, "FEATURE_EXTRACTION"),
        "base_model_name_or_path": str(base),
        "inference_mode": True,
        "r": rank,
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": any(layer.transposed for layer in layers),
        "target_modules": [layer.name for layer in layers],
    }


def names_of(layer: Layer) -> tuple[str, str]:
    """Return what peft calls the two factors of a layer: A (rank, inputs) and B (outputs, rank)."""
    return f"base_model.model.{layer.name}.lora_A.weight", f"base_model.model.{layer.name}.lora_B.weight"


def restored_error(
    task: Task, layer: Layer, weight: torch.Tensor, factors: Mapping[str, torch.Tensor], *, room: float = 1.0
) -> tuple[float, float]:
    """Measure the error of a layer whose stored weight is helped by its part of the adapter, and its squared norm."""
    lora_A, lora_B = (factors[name].double().numpy() for name in names_of(layer))
    member = task.member(layer)
    left = np.hstack([layer.matrix(weight).double().numpy(), lora_B])
    right = np.vstack([np.eye(layer.shape[1]), lora_A])
    error = weighted_tail.error(member.W, left, right, member.norm.C, member.norm.G, room=room)
    return error, float(np.sum((member.W - left @ right) ** 2))


def check_adapter(
    task: Task, described: Description, folder: Path, tensors: Mapping[str, torch.Tensor], errors: Mapping[str, float]
) -> None:
    """Derive what the adapter beside plain output is, and the total error with its help."""
    claimed = described.adapter
    assert claimed is not None
    rank = whole("adapter: rank", claimed["rank"], least=1, most=LARGEST)
    try:
        layers = adapter_layers(task, described.layers, rank)
    except InfimumError as error:
        raise VerificationError(f"adapter: {error}") from error
    config = strict_json.parse((folder / CONFIG).read_text(encoding="utf-8"))
    base = text("adapter: base_model_name_or_path", config["base_model_name_or_path"])
    same("adapter: configuration", config, adapter_config(task.checkpoint, layers, rank, Path(base)))
    factors = read_all(folder / WEIGHTS)
    same("adapter: tensors", sorted(factors), sorted(n for layer in layers for n in names_of(layer)))
    helped = dict(errors)
    for layer in layers:
        weight = tensors[layer.tensor]
        for name, shape in zip(names_of(layer), ((rank, layer.shape[1]), (layer.shape[0], rank)), strict=True):
            same(f"adapter: {name}", (tuple(factors[name].shape), factors[name].dtype), (shape, weight.dtype))
        with one_thread():
            helped[layer.name], _ = restored_error(task, layer, weight, factors)
    value = number("adapter: value", claimed["value"], least=0.0)
    follows("adapter: total error", value, total(list(helped.values())), 1)
