"""Mixture-of-experts blocks: from matrices fused over the experts to a linear layer for each matrix of each expert."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class Expert(torch.nn.Module):
    """A gated MLP: ``down_proj(act_fn(gate_proj(x)) * up_proj(x))``."""

    def __init__(
        self, gate_up: torch.Tensor, down: torch.Tensor, act_fn: Callable[[torch.Tensor], torch.Tensor]
    ) -> None:
        super().__init__()
        gate, up = gate_up.chunk(2)
        self.gate_proj, self.up_proj, self.down_proj = _linear(gate), _linear(up), _linear(down)
        self.act_fn = act_fn

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the expert to (tokens, d)."""
        y: torch.Tensor = self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))
        return y


class Experts(torch.nn.ModuleList):
    """The experts of a block; called as transformers calls its fused ones."""

    def forward(
        self, hidden_states: torch.Tensor, top_k_index: torch.Tensor, top_k_weights: torch.Tensor
    ) -> torch.Tensor:
        """Return the weighted sum of every token's experts, (tokens, d)."""
        total = torch.zeros_like(hidden_states)
        for index, expert in enumerate(self):
            token, place = torch.where(top_k_index == index)
            if len(token):
                weighted = expert(hidden_states[token]) * top_k_weights[token, place, None]
                total = total.index_add(0, token, weighted.to(total.dtype))
        return total


def unfuse(model: Any) -> Any:
    """Replace, in place, every module that holds its experts' matrices fused, and return the model.

    Known by its structure: nothing but ``gate_up_proj`` (experts, 2f, d), ``down_proj`` (experts, d, f) and ``act_fn``.
    The names of the layers are then those under which transformers writes the matrices to files:
    ``experts.3.gate_proj.weight``.
    """
    for name, module in list(model.named_modules()):
        if _is_fused(module):
            experts = [Expert(*pair, module.act_fn) for pair in zip(module.gate_up_proj, module.down_proj, strict=True)]
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, Experts(experts))
    return model


def _is_fused(module: Any) -> bool:
    parameters = dict(module.named_parameters(recurse=False))
    if set(parameters) != {"gate_up_proj", "down_proj"} or not hasattr(module, "act_fn"):
        return False
    gate_up, down = parameters["gate_up_proj"], parameters["down_proj"]
    return gate_up.dim() == down.dim() == 3 and tuple(gate_up.shape[1:]) == (2 * down.shape[2], down.shape[1])


def _linear(weight: torch.Tensor) -> torch.nn.Linear:
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    layer.weight = torch.nn.Parameter(weight.detach(), requires_grad=False)
    return layer
