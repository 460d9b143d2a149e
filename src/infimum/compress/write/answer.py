"""What was decided: the table of the layers, its certificate, and the stored numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel

from infimum._display import Shown
from infimum.compress.measure.moments import Moments
from infimum.compress.menu.budget import numbers_of
from infimum.compress.menu.loader_files import replaced_layers
from infimum.compress.menu.settings import Settings
from infimum.compress.model.checkpoint import Checkpoint
from infimum.compress.model.configuration import LAYERS
from infimum.compress.write.form_shelf import FormShelf
from infimum.nn.linear import replace_layers
from infimum.proof.certificate import Certificate
from infimum.proof.checkpoint import LayerPlan


@dataclass(frozen=True)
class Answer(Shown):
    """A compressed model, not yet written; what its parts are says `infimum.compress.Plan`, which derives from it."""

    checkpoint: Checkpoint
    moments: Moments
    settings: Settings
    table: tuple[LayerPlan, ...]
    certificate: Certificate
    budget: int
    multiplier: float
    forms: FormShelf
    orders: Mapping[str, np.ndarray]
    notes: tuple[str, ...]
    peak_memory: int

    def _facts(self) -> dict[str, str]:
        replaced = sum(row.form != "dense" for row in self.table)
        removed = f"{self.removed:,} of {self.linear_size:,} numbers ({self.removed / self.linear_size:.1%})"
        facts = {"model": self.checkpoint.path.name, "removed": removed, "layers": f"{replaced} of {len(self.table)}"}
        facts["menu"] = ", ".join(self.settings.menu)
        if self.notes:
            facts["notes"] = f"{len(self.notes)} in all"
        return {**facts, "certificate": str(self.certificate)}

    @property
    def linear_size(self) -> int:
        """Weights of all linear layers before compression."""
        return sum(layer.size for layer in self.checkpoint.layers)

    @property
    def denominator(self) -> float:
        """What the settings' `remove` is a fraction of, in numbers of the linear layers."""
        return numbers_of(self.checkpoint, self.settings.of)

    @property
    def removed(self) -> int:
        """Numbers of the linear layers that are no longer stored."""
        linear = {layer.name for layer in self.checkpoint.layers}
        return sum(row.dense_cost - row.cost for row in self.table if row.name in linear)

    def apply(self, model: PreTrainedModel) -> PreTrainedModel:
        """Replace the planned layers of a loaded model in place, and return it."""
        layers = replaced_layers(self.checkpoint, self.table)
        replace_layers(model, layers)
        setattr(model.config, LAYERS, layers)
        with torch.no_grad():
            for name, form in self.forms.items():
                state = model.get_submodule(name).state_dict()
                for part, tensor in form.module_tensors().items():
                    state[part].copy_(tensor)
        return model
