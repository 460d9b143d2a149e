"""Models whose MLPs are all equally narrow: a number in the configuration says it, and no loader of ours is needed."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from pathlib import Path

import torch

from infimum.compress.checkpoint import Checkpoint, empty_model
from infimum.compress.layers import LayerPlan


def narrower_config(checkpoint: Checkpoint, table: Iterable[LayerPlan]) -> dict[str, int]:
    """Return the change of the configuration by which transformers itself builds the planned model; empty if none does.

    Known by its effect: with another number where the old width was, the model has the shapes of the plan.
    """
    rows = {row.name: row for row in table if row.form != "dense"}
    widths = {pair for row in rows.values() for pair in zip(row.shape, row.kept, strict=True) if pair[0] != pair[1]}
    if len(widths) != 1 or any(row.form != "channels" for row in rows.values()):
        return {}
    ((whole, kept),) = widths
    planned = {}
    for name, parameter in checkpoint.skeleton.named_parameters():
        layer, _, part = name.rpartition(".")
        shape = tuple(parameter.shape)
        if layer in rows:
            shape = rows[layer].kept if part == "weight" else rows[layer].kept[:1]
        planned[name] = shape
    for key, value in checkpoint.config.to_dict().items():
        if value == whole:
            config = copy.deepcopy(checkpoint.config)
            setattr(config, key, kept)
            with torch.device("meta"):
                model = empty_model(config)
            if {name: tuple(parameter.shape) for name, parameter in model.named_parameters()} == planned:
                return {key: kept}
    return {}


def change_config(folder: Path, change: dict[str, int]) -> None:
    """Change numbers in the configuration of a model folder."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | change
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
