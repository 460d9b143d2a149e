"""The names of a model's parameters and those of the tensors in its files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from transformers import PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping

EXPERT = re.compile(r"\.experts\.(\d+)\.")
PARTS = {
    "gate_up_proj": ("gate_proj", "up_proj"),
    "down_proj": ("down_proj",),
}  # of an expert, by what they are fused to


@dataclass(frozen=True)
class Names:
    """What is called what: `transformers` renames while it loads, and puts "bert." and the like in front or leaves it.

    `renamed` has the names in the files by those of the model; of the others those in the files begin with `added`
    where those of the model begin with `dropped`. `made` are those that it makes of others: joined, cut or turned.
    """

    renamed: Mapping[str, str] = field(default_factory=dict)
    dropped: str = ""
    added: str = ""
    made: frozenset[str] = frozenset()

    @classmethod
    def between(cls, model: PreTrainedModel, files: Iterable[str]) -> Names:
        """Apply the rules of transformers, and the difference in front under which most names are then in the files."""
        present = list(files)
        rules = get_model_conversion_mapping(model)
        made: set[str] = set()
        loaded = {_loaded(name, rules, made): name for name in present}
        wanted, base = list(model.state_dict()), f"{model.base_model_prefix}."
        candidates = (cls(), cls(added=base), cls(dropped=base))
        best = max(candidates, key=lambda names: sum(names.in_files(name) in loaded for name in wanted))
        front = best.added, best.dropped
        changed = {_moved(name, *front): there for name, there in loaded.items() if name != there}
        return cls(changed, best.dropped, best.added, frozenset(_moved(name, *front) for name in made))

    def in_files(self, name: str) -> str:
        """Name in the files of what the model calls `name`: a parameter, or a part that a layer is stored as."""
        if name in self.renamed:
            return self.renamed[name]
        stem, _, part = name.rpartition(".")
        if (weight := self.renamed.get(f"{stem}.weight")) is not None:
            return f"{weight.removesuffix('weight')}{part}"
        return self.added + name.removeprefix(self.dropped)


def is_computed(model: PreTrainedModel, name: str) -> bool:
    """Tell whether a parameter need not be in a file: the model computes it from its configuration."""
    patterns: Iterable[str] = getattr(model, "_keys_to_ignore_on_load_missing", None) or ()
    return any(re.search(pattern, name) for pattern in patterns)


def _moved(name: str, added: str, dropped: str) -> str:
    """Return what the model calls a name that transformers has made of one in the files."""
    return dropped + name.removeprefix(added)


def _loaded(name: str, rules: Iterable[Any], made: set[str]) -> str:
    """Return the name that transformers gives a tensor of a file, if it is one whole parameter or part of an expert.

    The names of parameters that it makes of more or less than one tensor are added to `made`.
    """
    for rule in rules:
        if not hasattr(rule, "operations"):
            name, _ = rule.rename_source_key(name)
            continue
        renamed, source = rule.rename_source_key(name)
        if source is None:
            continue
        expert, parts = EXPERT.search(name), PARTS.get(renamed.rpartition(".")[2], ())
        if expert is None or len(parts) != len(rule.source_patterns):
            made.add(renamed)
            return name
        part = parts[rule.source_patterns.index(source)]
        return f"{name[: expert.end()]}{part}.weight"
    return name
