"""Mixture-of-experts blocks: from matrices stacked over the experts to a linear layer for each matrix of each expert.

Beside a compressed checkpoint this file is part of the code by which transformers loads it: it needs nothing of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import torch
from transformers import PreTrainedModel
from transformers.conversion_mapping import (
    get_model_conversion_mapping,
    register_checkpoint_conversion_mapping,
)
from transformers.core_model_loading import WeightRenaming

GATE, UP, DOWN = "gate_proj", "up_proj", "down_proj"
MARKS = {"has_gate", "has_bias", "is_transposed", "is_concatenated"}  # of transformers, on modules of stacked experts
DBRX = {"mlp.w1", "mlp.v1", "mlp.w2"}
STACKED = {"gate_up_proj": (GATE, UP), "up_proj": (UP,), "down_proj": (DOWN,)}  # what is in the stack of this name


class Part(NamedTuple):
    """One matrix of every expert, or its bias, as part of a parameter of the module that holds them all.

    The parameter is a stack of `experts` blocks, one after the other in its first axis. Where gate and up share a
    block, `half` says the first of the outputs that belong to the part and the step to the next. `turned`: outputs are
    the last axis.
    """

    parameter: str
    experts: int
    half: tuple[int, int] | None
    turned: bool

    def of(self, block: torch.Tensor) -> torch.Tensor:
        """Return the part of one expert's block, (outputs, inputs) or (outputs,), as a view."""
        whole = block.mT if self.turned and block.dim() == 2 else block
        if self.half is None:
            return whole
        begin, step = self.half
        return whole[begin::step][: len(whole) // 2]

    def block(self, stack: torch.Tensor, index: int) -> torch.Tensor:
        """Return the block of one expert, as a view."""
        rows = len(stack) // self.experts
        block = stack[index * rows : (index + 1) * rows]
        return block[0] if len(stack) == self.experts else block


class Expert(torch.nn.Module):
    """An MLP, with a gate or without: ``down_proj(combine(gate_proj(x), up_proj(x)))``."""

    def __init__(self, layers: Mapping[str, torch.nn.Linear], combine: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.combine = combine
        self.inner = tuple(name for name in layers if name != DOWN)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the expert to (tokens, d)."""
        down: Any = self.down_proj
        y: torch.Tensor = down(self.combine(*(getattr(self, name)(x) for name in self.inner)))
        return y


class Experts(torch.nn.ModuleList):
    """The experts of a block; called as transformers calls its stacked ones.

    `parts` say where the matrices lie in the parameters of the module that was replaced, `stacks` their shapes.
    """

    def __init__(
        self,
        experts: Iterable[Expert],
        parts: Mapping[str, Part],
        stacks: Mapping[str, tuple[int, ...]],
        after: Callable[..., Any] | None,
    ) -> None:
        super().__init__(experts)
        self.parts, self.stacks, self.after = dict(parts), dict(stacks), after

    def forward(
        self, hidden_states: torch.Tensor, top_k_index: torch.Tensor, top_k_weights: torch.Tensor
    ) -> torch.Tensor:
        """Return the weighted sum of every token's experts, of the shape of the hidden states."""
        tokens = hidden_states.reshape(-1, hidden_states.shape[-1])
        total = torch.zeros_like(tokens)
        for index, expert in enumerate(self):
            token, place = torch.where(top_k_index == index)
            if len(token):
                y = expert(tokens[token])
                weighted = (y if self.after is None else self.after(y)) * top_k_weights[token, place, None]
                total = total.index_add(0, token, weighted.to(total.dtype))
        return total.view_as(hidden_states)


def unfuse(model: Any) -> Any:
    """Replace, in place, every module that holds its experts' matrices stacked, and return the model.

    Known are those that transformers marks for its implementations of experts, and DBRX's. The layers of an expert are
    ``experts.3.gate_proj``, ``up_proj`` and ``down_proj``.
    """
    for name, module in list(model.named_modules()):
        if parts := _stacks_of(module):
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, _one_by_one(module, parts))
    return model


def layers_of_experts(rules: Iterable[Any]) -> list[Any]:
    """Return rules by which files' names become those of layers: what stacks experts renames them, other joints go."""
    rules, experts = list(rules), []
    for rule in rules:
        stack = rule.target_patterns[0].rpartition(".")[0]
        for source, part in zip(rule.source_patterns, stacked_parts(rule), strict=False):
            before, _, after = source.removesuffix("weight").partition("*.")
            one = WeightRenaming(rf"{before}(\d+)\.{after}", rf"{stack}.\1.{part}.")
            one.scope_prefix, one.base_model_prefix = rule.scope_prefix, rule.base_model_prefix
            experts.append(one)
    return [rule for rule in rules if not hasattr(rule, "operations")] + experts


def stacked_parts(rule: Any) -> tuple[str, ...]:
    """Return what the tensors of an expert are called one by one, where a rule only stacks them; else nothing."""
    if not hasattr(rule, "operations"):
        return ()
    parts = STACKED.get(rule.target_patterns[0].rpartition(".")[2], ())
    operations = [type(operation).__name__ for operation in rule.operations]
    alone = all(source.count("*.") == 1 for source in rule.source_patterns) and len(rule.target_patterns) == 1
    plain = operations in (["MergeModulelist"], ["MergeModulelist", "Concatenate"])
    return parts if alone and plain and len(parts) == len(rule.source_patterns) else ()


def keep_names(model: PreTrainedModel, kind: type[PreTrainedModel]) -> None:
    """Let transformers load a model by the rules of `kind`, its experts one by one: no tensor is made of others.

    Rules belong to names of classes, so the models inside get classes of their own, which have none.
    """
    own, model.__class__ = type(model), kind
    rules = layers_of_experts(get_model_conversion_mapping(model, add_legacy=False))
    model.__class__ = own
    register_checkpoint_conversion_mapping(own.__name__, rules, overwrite=True)
    for module in model.modules():
        if isinstance(module, PreTrainedModel) and module is not model:
            inner = type(module)
            module.__class__ = type(f"Compressed{inner.__name__}", (inner,), {"__module__": inner.__module__})
            register_checkpoint_conversion_mapping(type(module).__name__, [], overwrite=True)


def _stacks_of(module: Any) -> dict[str, Part]:
    """Return where the matrices of a module of stacked experts lie; empty of every other module."""
    if DBRX <= set(dict(module.named_parameters())) == DBRX and hasattr(module, "num_experts"):
        named = zip((GATE, UP, DOWN), ("mlp.w1", "mlp.v1", "mlp.w2"), strict=True)
        return {f"{name}.weight": Part(stack, module.num_experts, None, name == DOWN) for name, stack in named}
    own = dict(module.named_parameters(recurse=False))
    inner = "gate_up_proj" if getattr(module, "has_gate", True) else "up_proj"
    wanted = {
        f"{name}{end}" for name in (inner, DOWN) for end in ("", "_bias")[: 1 + getattr(module, "has_bias", False)]
    }
    if not (set(vars(module)) >= MARKS and set(own) == wanted and own[DOWN].dim() == 3):
        return {}
    found, count = {}, len(own[DOWN])
    for name in (GATE, UP, DOWN) if module.has_gate else (UP, DOWN):
        half = None
        if module.has_gate and name != DOWN:
            begin = int(name == UP)
            width = own[DOWN].shape[1 if module.is_transposed else 2]
            half = (begin * width, 1) if module.is_concatenated else (begin, 2)
        stack = DOWN if name == DOWN else inner
        found[f"{name}.weight"] = Part(stack, count, half, module.is_transposed)
        if module.has_bias:
            found[f"{name}.bias"] = Part(f"{stack}_bias", count, half, False)
    return found


def _one_by_one(module: Any, parts: Mapping[str, Part]) -> Experts:
    named = dict(module.named_parameters())
    count = next(iter(parts.values())).experts
    experts = []
    for index in range(count):
        layers = {}
        for name in (GATE, UP, DOWN):
            if f"{name}.weight" in parts:
                own = {end: parts[f"{name}.{end}"] for end in ("weight", "bias") if f"{name}.{end}" in parts}
                layers[name] = _linear(
                    {end: part.of(part.block(named[part.parameter], index)) for end, part in own.items()}
                )
        experts.append(layers)
    after = module.post_expert_norm if getattr(module, "has_post_expert_norm", False) else None
    combine = _combine(module)
    for stack in named:  # what was taken apart is no longer needed
        owner, _, child = stack.rpartition(".")
        if not owner.startswith("post_expert_norm"):
            delattr(module.get_submodule(owner), child)
    stacks = {part.parameter: tuple(named[part.parameter].shape) for part in parts.values()}
    return Experts((Expert(layers, combine) for layers in experts), parts, stacks, after)


def _combine(module: Any) -> Callable[..., torch.Tensor]:
    """Return what a module makes of its inner products."""
    if not hasattr(module, "_apply_gate"):
        act = module.mlp.activation_fn
        return lambda gate, up: act(gate) * up
    if not module.has_gate:
        return lambda up: module.act_fn(up)
    if module.is_concatenated:
        return lambda gate, up: module._apply_gate(torch.cat((gate, up), dim=-1))
    return lambda gate, up: module._apply_gate(torch.stack((gate, up), dim=-1).flatten(-2))


def _linear(tensors: Mapping[str, torch.Tensor]) -> torch.nn.Linear:
    rows, columns = tensors["weight"].shape
    layer = torch.nn.Linear(columns, rows, bias="bias" in tensors, device="meta")
    for name, value in tensors.items():
        setattr(layer, name, torch.nn.Parameter(value.detach(), requires_grad=False))
    return layer
