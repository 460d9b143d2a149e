"""Mixture-of-experts blocks: from matrices stacked over the experts to a linear layer for each matrix of each expert.

Beside a compressed checkpoint this file is part of the code by which transformers loads it: it needs nothing of ours.
"""

from __future__ import annotations

import copy
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


class TakenApart(torch.nn.ModuleList):
    """Modules one by one, where a module had their matrices stacked.

    `parts` say where the matrices lie in the parameters of the module that was replaced, `stacks` their shapes.
    """

    def __init__(
        self, modules: Iterable[torch.nn.Module], parts: Mapping[str, Part], stacks: Mapping[str, tuple[int, ...]]
    ) -> None:
        super().__init__(modules)
        self.parts, self.stacks = dict(parts), dict(stacks)


class Experts(TakenApart):
    """The experts of a block; called as transformers calls its stacked ones. `after` is applied to each's outputs."""

    after: Callable[..., Any] | None = None

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


class ExpertsOfAll(TakenApart):
    """The experts of Llama 4: each is given all tokens, one after the other, zeros for those that are not its own."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Return what every expert makes of its tokens; of zeros it makes zeros."""
        every = hidden_states.view(len(self), -1, hidden_states.shape[-1])
        found = []
        for expert, tokens in zip(self, every, strict=True):
            (own,) = torch.where(tokens.any(dim=-1))
            found.append(torch.zeros_like(tokens).index_add(0, own, expert(tokens[own])))
        return torch.cat(found)


class LinearOfGroups(TakenApart):
    """A linear layer for each group of rows, as JetMoe has them."""

    def forward(self, inputs: torch.Tensor, sizes: list[int]) -> torch.Tensor:
        """Apply to each group, of so many rows, its layer."""
        return torch.cat([layer(rows) for layer, rows in zip(self, torch.split(inputs, sizes), strict=True)])


def unfuse(model: Any) -> Any:
    """Replace, in place, every module that holds its experts' matrices stacked, and return the model.

    Known are those that transformers marks for its implementations of experts, those of DBRX and Llama 4, and JetMoe's
    groups. The layers of an expert are ``experts.3.gate_proj``, ``up_proj`` and ``down_proj``, a group's is a number.
    """
    for name, module in list(model.named_modules()):
        if (apart := _apart(module)) is not None:
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, apart)
    return model


def _apart(module: Any) -> TakenApart | None:
    """Return what takes the place of a module that holds matrices stacked; None of every other module."""
    if parts := _stacks_of(module):
        return _one_by_one(module, parts)
    if type(module).__module__.startswith("torch."):
        return None
    shapes = {name: tuple(parameter.shape) for name, parameter in module.named_parameters(recurse=False)}
    match shapes:
        case {"gate_up_proj": (a, d, ff), "down_proj": (b, f, e)} if (a, d, ff) == (b, e, 2 * f) and len(shapes) == 2:
            small = _small(module, {"gate_up_proj": (2, 3, 8), "down_proj": (2, 4, 3)}, num_experts=2, hidden_size=3)
            return _if_equal(
                module, small, _experts_of_all, torch.cat((_random(5, 3), torch.zeros(5, 3, device="cpu")))
            )
        case {"weight": (_, _, _)} if len(shapes) == 1:
            small = _small(module, {"weight": (2, 4, 3)}, num_experts=2)
            return _if_equal(module, small, _linear_of_groups, _random(5, 3), [2, 3])
    return None


def _small(module: Any, shapes: Mapping[str, tuple[int, ...]], **sizes: int) -> Any:
    """Copy a module with small random parameters, to try on it what it computes."""
    small = copy.copy(module)
    parameters = {name: torch.nn.Parameter(_random(*shape)) for name, shape in shapes.items()}
    vars(small).update(sizes, _parameters=parameters)
    return small


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(len(shape)), device="cpu")


def _if_equal(module: Any, small: Any, build: Callable[[Any], TakenApart], *given: Any) -> TakenApart | None:
    """Take a module apart if its small copy, taken apart, computes what it does whole."""
    try:
        with torch.no_grad():
            whole, apart = small(*given), build(small)(*given)
            return build(module) if torch.allclose(whole, apart, 1e-4, 1e-5) else None
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError, AssertionError):
        return None  # it is called otherwise


def _experts_of_all(module: Any) -> TakenApart:
    stacks = {name: tuple(parameter.shape) for name, parameter in module.named_parameters(recurse=False)}
    count, width, _ = stacks[DOWN]
    kinds = {GATE: ("gate_up_proj", (0, 1)), UP: ("gate_up_proj", (width, 1)), DOWN: (DOWN, None)}
    parts = {f"{name}.weight": Part(stack, count, half, True) for name, (stack, half) in kinds.items()}
    layers = (_layers(module, parts, index) for index in range(count))
    return ExpertsOfAll((Expert(own, lambda gate, up: up * module.act_fn(gate)) for own in layers), parts, stacks)


def _linear_of_groups(module: Any) -> TakenApart:
    layers, shape = [_linear({"weight": matrix}) for matrix in module.weight], tuple(module.weight.shape)
    return LinearOfGroups(layers, {"weight": Part("weight", len(layers), None, False)}, {"weight": shape})


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
    experts = [_layers(module, parts, index) for index in range(next(iter(parts.values())).experts)]
    after = module.post_expert_norm if getattr(module, "has_post_expert_norm", False) else None
    combine = _combine(module)
    for stack in named:  # what was taken apart is no longer needed
        owner, _, child = stack.rpartition(".")
        if not owner.startswith("post_expert_norm"):
            delattr(module.get_submodule(owner), child)
    stacks = {part.parameter: tuple(named[part.parameter].shape) for part in parts.values()}
    found = Experts((Expert(layers, combine) for layers in experts), parts, stacks)
    found.after = after
    return found


def _layers(module: Any, parts: Mapping[str, Part], index: int) -> dict[str, torch.nn.Linear]:
    """Return the linear layers of one expert, by their names."""
    named, tensors = dict(module.named_parameters()), dict[str, dict[str, torch.Tensor]]()
    for name, part in parts.items():
        layer, _, end = name.partition(".")
        tensors.setdefault(layer, {})[end] = part.of(part.block(named[part.parameter], index))
    return {layer: _linear(own) for layer, own in tensors.items()}


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
