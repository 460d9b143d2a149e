"""What blocks are called with beside hidden states: values, and marks for what other blocks return."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch


class Call(NamedTuple):
    """What a block is called with on one batch, beside the hidden states that it works on.

    In place of tensors that other blocks return stand marks: `Carried`, and `Crossing`.
    """

    args: tuple[Any, ...]
    options: dict[str, Any]


class Carried(NamedTuple):
    """What the block before returned beside its hidden states, at this place."""

    place: int


class Crossing(NamedTuple):
    """What depends on the embeddings or on what left other chains: one of the tensors that `reach` returns."""

    number: int


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """Change what is in tuples, lists and dicts."""
    if isinstance(value, tuple) and not isinstance(value, Carried | Crossing):
        made = [mapped(one, change) for one in value]
        return type(value)(*made) if hasattr(value, "_fields") else tuple(made)
    if isinstance(value, list):
        return [mapped(one, change) for one in value]
    if type(value) is dict:
        return {key: mapped(one, change) for key, one in value.items()}
    return change(value)


def carried_places(call: Call) -> set[int]:
    """Return the places of what is carried to a block."""
    found: set[int] = set()
    mapped(tuple(call), lambda x: found.add(x.place) if isinstance(x, Carried) else None)
    return found


def marked(before: tuple[Any, ...], args: tuple[Any, ...], options: dict[str, Any]) -> Call:
    """Mark what the block before returned beside its hidden states."""
    tensors = {id(other): place for place, other in enumerate(before) if isinstance(other, torch.Tensor)}
    return Call(*mapped((args, options), lambda x: Carried(tensors[id(x)]) if id(x) in tensors else x))


def crossed(call: Call, crossing: list[torch.Tensor]) -> Call:
    """Put marks in place of tensors that need a gradient, and add these to a list."""

    def mark(value: Any) -> Any:
        if not (isinstance(value, torch.Tensor) and value.requires_grad):
            return value
        number = next((k for k, known in enumerate(crossing) if known is value), len(crossing))
        if number == len(crossing):
            crossing.append(value)
        return Crossing(number)

    return Call(*mapped(tuple(call), mark))


def is_real(value: Any) -> bool:
    """Whether a value is a tensor that can have a gradient."""
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def noise(other: torch.Tensor) -> torch.Tensor:
    """Return a tensor like another, with nothing of what it says."""
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(other.shape, generator=generator) if other.is_floating_point() else torch.zeros(other.shape)
    return values.to(other.dtype)


def same(one: Any, other: Any) -> bool:
    """Whether two arguments are the same, tensors by their values."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and (one is other or torch.equal(one, other))
    if isinstance(one, tuple | list):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return not isinstance(other, torch.Tensor) and bool(one == other)
