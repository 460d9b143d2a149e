"""The names of a model's parameters and those of the tensors in its files."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from transformers import PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping

from infimum.compress.model.experts import layers_of_experts


@dataclass(frozen=True)
class Names:
    """What is called what: `transformers` renames while it loads, and puts "bert." and the like in front or leaves it.

    `renamed` has the names in the files by those of the model; of the others those in the files begin with `added`
    where those of the model begin with `dropped`. `own` are those that are no tensors of files, but made of such.
    """

    renamed: Mapping[str, str] = field(default_factory=dict)
    dropped: str = ""
    added: str = ""
    own: frozenset[str] = frozenset()

    @classmethod
    def between(cls, model: PreTrainedModel, files: Iterable[str]) -> Names:
        """Apply the rules of transformers, and the difference in front under which most names are then in the files."""
        rules = layers_of_experts(get_model_conversion_mapping(model))
        loaded = {renamed(name, rules): name for name in files}
        wanted, base = list(model.state_dict()), f"{model.base_model_prefix}."
        candidates = (cls(), cls(added=base), cls(dropped=base))
        best = max(candidates, key=lambda names: sum(names.in_files(name) in loaded for name in wanted))
        changed = {
            best.dropped + name.removeprefix(best.added): there for name, there in loaded.items() if name != there
        }
        return cls(changed, best.dropped, best.added)

    def with_own(self, own: Iterable[str]) -> Names:
        """Return the names where some tensors are called as the model calls them."""
        return dataclasses.replace(self, own=frozenset(own))

    def in_files(self, name: str) -> str:
        """Name in the files of what the model calls `name`: a parameter, or a part that a layer is stored as."""
        stem, _, part = name.rpartition(".")
        if name in self.own or f"{stem}.weight" in self.own:
            return name
        if name in self.renamed:
            return self.renamed[name]
        if (weight := self.renamed.get(f"{stem}.weight")) is not None:
            return f"{weight.removesuffix('weight')}{part}"
        return self.added + name.removeprefix(self.dropped)


def is_computed(model: PreTrainedModel, name: str) -> bool:
    """Tell whether a parameter need not be in a file: the model computes it from its configuration."""
    patterns: Iterable[str] = getattr(model, "_keys_to_ignore_on_load_missing", None) or ()
    return any(re.search(pattern, name) for pattern in patterns)


def renamed(name: str, rules: Iterable[Any]) -> str:
    """Return what rules of transformers that rename make of a name."""
    for rule in rules:
        name, _ = rule.rename_source_key(name)
    return name
