"""Saving a compressed model that was loaded: with the code by which transformers loads it, and what it is by now."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from infimum.compress.menu.loader_files import auto_map, code_files, has_experts
from infimum.compress.model.configuration import LAYERS
from infimum.compress.model.heads import Head
from infimum.nn.linear import KINDS, REMEDY
from infimum.nn.packed import QuantizedEmbedding, TiedLinear

OURS = tuple({*KINDS.values(), QuantizedEmbedding, TiedLinear} - {torch.nn.Linear})


def keep_code(model: PreTrainedModel, head: Head) -> PreTrainedModel:
    """Let ``model.save_pretrained(folder)`` write the code that loads it, beside the weights, and return the model."""
    # of the object, not of its class: that stays the one of transformers
    vars(model)["save_pretrained"] = partial(_save, model, head)
    vars(model)["_weight_conversions"] = []  # saved under its own names: transformers would join what it cuts
    return model


def _save(model: PreTrainedModel, head: Head, save_directory: Any, *args: Any, **options: Any) -> None:
    config: Any = model.config
    layers = {name: chosen for name, chosen in getattr(config, LAYERS, {}).items() if _is_replaced(model, name, chosen)}
    setattr(config, LAYERS, layers)
    if layers:
        config.auto_map = auto_map(head, type(model))
    elif hasattr(model, REMEDY):  # all is dense again
        delattr(model, REMEDY)
    try:
        type(model).save_pretrained(model, save_directory, *args, **options)
    finally:
        vars(config).pop("auto_map", None)
    for name, text in code_files(type(model), by_rules=has_experts(model)).items() if layers else ():
        (Path(save_directory) / name).write_text(text, encoding="utf-8", newline="\n")


def _is_replaced(model: PreTrainedModel, name: str, chosen: Any) -> bool:
    """Whether a layer still is what the configuration says: what an adapter was merged into is dense again."""
    return chosen["form"] == "channels" or isinstance(model.get_submodule(name), OURS)
