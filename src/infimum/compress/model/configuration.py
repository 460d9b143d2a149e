"""The configuration of a model folder, and the model without weights that it describes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoConfig, PreTrainedModel

from infimum.compress.model.experts import unfuse
from infimum.compress.model.heads import Head
from infimum.errors import CheckpointError
from infimum.proof.evidence import shown
from infimum.proof.folder import CONFIG

LAYERS = "infimum_layers"  # and in its configuration: form and rank of every layer that is not dense


def read_config(folder: Path) -> Any:
    """Read the configuration of a model folder."""
    if not (folder / CONFIG).is_file():
        raise CheckpointError(f"{folder} has no config.json; give the folder of a transformers checkpoint")
    try:
        return AutoConfig.from_pretrained(folder)
    except Exception as error:  # whatever transformers makes of what a stranger wrote
        raise CheckpointError(
            f"transformers does not know the model that config.json of {folder.name} describes: {shown(str(error))}"
        ) from error


def head_of(folder: Path) -> Head:
    """Read what the model of a folder is for."""
    return Head.of(folder, read_config(folder))


def empty_model(head: Head, config: Any, **options: Any) -> PreTrainedModel:
    """Build the model that a checkpoint holds, its experts one by one, without its weights."""
    try:
        model: PreTrainedModel = unfuse(head.from_config(config, **options))
    except ValueError as error:
        raise CheckpointError(f"transformers has no {head.loader} of this model: {shown(str(error))}") from error
    return model
