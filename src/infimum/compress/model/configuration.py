"""The configuration of a model folder, and the model without weights that it describes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from transformers import AutoConfig, PreTrainedModel

from infimum.compress.model.experts import unfuse
from infimum.compress.model.heads import Head
from infimum.errors import CheckpointError
from infimum.proof.evidence import shown
from infimum.proof.folder import check_model_folder

POOLER = "pooler."
LAYERS = "infimum_layers"  # and in its configuration: form and rank of every layer that is not dense


def read_config(folder: Path) -> Any:
    """Read the configuration of a model folder."""
    check_model_folder(folder)
    try:
        return AutoConfig.from_pretrained(folder)
    except Exception as error:  # whatever transformers makes of what a stranger wrote
        raise CheckpointError(
            f"transformers does not know the model that config.json of {folder.name} describes: {shown(str(error))}"
        ) from error


def head_of(folder: Path) -> Head:
    """Read what the model of a folder is for."""
    return Head.of(folder, read_config(folder))


def empty_model(head: Head, config: Any, files: Iterable[str], **options: Any) -> PreTrainedModel:
    """Build the model that files of these tensors hold, its experts one by one, without its weights.

    A pooler that is in no file is left out: what counts of an encoder are the vectors before it.
    """
    try:
        model: PreTrainedModel = unfuse(head.from_config(config, **options))
    except ValueError as error:
        raise CheckpointError(f"transformers has no {head.loader} of this model: {shown(str(error))}") from error
    pooler = next((name for name, _ in model.named_parameters() if name.startswith(POOLER)), None)
    if pooler is None or any(name.endswith(pooler) for name in files):
        return model
    try:
        return cast(PreTrainedModel, unfuse(head.from_config(config, **options, add_pooling_layer=False)))
    except TypeError:  # it cannot do without
        return model
