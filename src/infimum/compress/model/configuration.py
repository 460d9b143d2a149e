"""The configuration of a model folder, the model without weights that it describes, and the names in its files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, PreTrainedModel

from infimum.compress.model.experts import unfuse
from infimum.errors import CheckpointError
from infimum.proof.evidence import shown
from infimum.proof.folder import check_model_folder

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


def is_language_model(config: Any) -> bool:
    """Whether the checkpoint of this configuration holds a causal language model, rather than a bare encoder."""
    architecture: str = (config.architectures or [""])[0]
    return architecture.endswith(("ForCausalLM", "LMHeadModel"))


def empty_model(config: Any, **options: Any) -> PreTrainedModel:
    """Build the model that the checkpoint holds, its experts one by one, without its weights."""
    kind = AutoModelForCausalLM if is_language_model(config) else AutoModel
    model: PreTrainedModel = unfuse(kind.from_config(config, **options))  # type: ignore[no-untyped-call]
    return model


@dataclass(frozen=True)
class Names:
    """Names in the files: those of the model without `dropped` in front, with `added` ("bert." and the like)."""

    dropped: str = ""
    added: str = ""

    @classmethod
    def between(cls, model: PreTrainedModel, files: Iterable[str]) -> Names:
        """Find the difference under which most names of the model are in the files."""
        wanted, base, present = list(model.state_dict()), f"{model.base_model_prefix}.", set(files)
        candidates = (cls(), cls(added=base), cls(dropped=base))
        return max(candidates, key=lambda names: sum(names.in_files(name) in present for name in wanted))

    def in_files(self, name: str) -> str:
        """Name in the files of what the model calls `name`."""
        return self.added + name.removeprefix(self.dropped)
