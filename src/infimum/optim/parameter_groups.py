"""Which parameters of a model go to Muon, and which to AdamW."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch.nn.modules.conv import _ConvNd

from infimum.errors import LibraryError, OptionError
from infimum.optim.matrices import Split

TABLES = ("Embedding", "Router", "VQ")  # in the name of a class: its matrices are looked up in, or choose experts


class _Place(NamedTuple):
    name: str
    parameter: torch.nn.Parameter
    module: torch.nn.Module
    own: str  # name within the module


def split_parameters(
    model: torch.nn.Module, *, adamw: Sequence[str] = (), split: Mapping[str, Split] | None = None
) -> list[dict[str, Any]]:
    """Sort the parameters of a model into groups for `MuonAdamW`: hidden matrices to Muon, all else to AdamW.

    To Muon go the weights of linear layers, stacks of matrices (experts), and convolutions of one group. To AdamW go
    embeddings and what is tied to them, the output head, routers, codebooks, convolutions of several groups, and,
    without weight decay, biases and everything with fewer than two axes. Parameters that need no gradient are left
    out. The groups hold pairs of name and parameter: ``param_names`` of the optimizer's groups tells who went where.

    Parameters
    ----------
    model : torch.nn.Module
        May lie on the meta device or be sharded.
    adamw : sequence of str
        Parts of names of other parameters that go to AdamW.
    split : mapping of str to Split, optional
        Fused matrices by the end of their names, without ``.weight``: for example ``{"qkv_proj": Split((512, 128,
        128)), "c_attn": Split(3, axis=-1), "gate_up_proj": Split(2)}``. `torch.nn.MultiheadAttention` and
        `infimum.nn.MoE` are known.

    Returns
    -------
    list of dict
        Groups with ``algorithm`` ("muon" or "adamw") and what they need besides: ``layout``, ``split``,
        ``weight_decay``. None is empty.

    Raises
    ------
    LibraryError, OptionError
        The model is none; a name in `adamw` or `split` fits no parameter, or no parts of a matrix.

    Examples
    --------
    >>> import torch
    >>> from infimum import optim
    >>> model = torch.nn.MultiheadAttention(8, 2)
    >>> [(group["algorithm"], [name for name, _ in group["params"]]) for group in optim.split_parameters(model)]
    [('muon', ['in_proj_weight']), ('muon', ['out_proj.weight']), ('adamw', ['in_proj_bias', 'out_proj.bias'])]
    """
    if not isinstance(model, torch.nn.Module):
        raise LibraryError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    rules, places = dict(split or {}), list(_places(model))
    for kind, words in (("adamw", adamw), ("split", rules)):
        for word in words:
            if not any(_named(place, word, kind) for place in places):
                raise OptionError(f"{kind} names {word!r}, but no trainable parameter of the model is called so")
    tables = {id(place.parameter) for place in places if _is_table(place.module)} | _heads(model)
    groups: dict[tuple[Any, ...], dict[str, Any]] = {}
    for place in places:
        vector = place.parameter.ndim < 2 or place.own.endswith("bias")  # experts have stacks of biases
        to_adamw = vector or id(place.parameter) in tables or any(_named(place, word, "adamw") for word in adamw)
        options: dict[str, Any] = {"algorithm": "adamw"} if to_adamw else _for_muon(place, rules)
        if vector:
            options["weight_decay"] = 0.0
        key = tuple(options.items())
        groups.setdefault(key, {"params": [], **options})["params"].append((place.name, place.parameter))
    return sorted(groups.values(), key=lambda group: (group["algorithm"] == "adamw", "weight_decay" in group))


def _places(model: torch.nn.Module) -> Iterator[_Place]:
    """Yield every trainable parameter once, where it is first found; tied ones at an embedding if there is one."""
    found: dict[int, _Place] = {}
    for prefix, module in model.named_modules():
        for own, parameter in module.named_parameters(recurse=False):
            place = _Place(f"{prefix}.{own}".lstrip("."), parameter, module, own)
            if parameter.requires_grad and (id(parameter) not in found or _is_table(module)):
                found[id(parameter)] = place
    yield from found.values()


def _is_table(module: torch.nn.Module) -> bool:
    return any(word in type(module).__name__ for word in TABLES)


def _heads(model: torch.nn.Module) -> set[int]:
    """Return the output head: the one that the model names, or layers as wide as one of its embeddings is long."""
    named = getattr(model, "get_output_embeddings", lambda: None)()
    if named is not None:
        return {id(parameter) for parameter in named.parameters(recurse=False)}
    sizes = {module.num_embeddings for module in model.modules() if isinstance(module, torch.nn.Embedding)}
    heads = (m for m in model.modules() if isinstance(m, torch.nn.Linear) and m.out_features in sizes)
    return {id(head.weight) for head in heads}


def _named(place: _Place, word: str, kind: str) -> bool:
    if kind == "adamw":
        return word in place.name
    return place.parameter.ndim >= 2 and f".{place.name.removesuffix('.weight')}".endswith(f".{word}")


def _for_muon(place: _Place, rules: Mapping[str, Split]) -> dict[str, Any]:
    if isinstance(place.module, _ConvNd):
        # the kernels of several groups are several matrices, of a few columns each
        return {"algorithm": "muon", "layout": "convolution"} if place.module.groups == 1 else {"algorithm": "adamw"}
    rule = next((rule for word, rule in rules.items() if _named(place, word, "split")), None)
    if rule is None:
        rule = _known(place)
    if rule is None:
        return {"algorithm": "muon"}
    Split(*rule).lengths(place.parameter.shape)
    return {"algorithm": "muon", "split": Split(*rule)}


def _known(place: _Place) -> Split | None:
    """Return how the matrices of known layers are fused."""
    if isinstance(place.module, torch.nn.MultiheadAttention) and place.own == "in_proj_weight":
        return Split(3)
    fused = getattr(place.module, "fused", {}).get(place.own)
    return None if fused is None else Split(*fused)
