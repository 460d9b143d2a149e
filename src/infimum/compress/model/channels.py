"""Which layers of a model can be narrowed together: found by what its modules compute, not by what they are called."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from infimum.compress.model.checkpoint import Checkpoint
from infimum.compress.model.layer import Layer

CHANNELS, KEPT = 6, [0, 2, 3]  # of the small copy on which a candidate is tried: how many, and which stay


@dataclass(frozen=True)
class Channels:
    """Channels between linear layers: channel i depends on row i of each producer, and only the consumer reads it.

    Without it every producer loses a row and the consumer a column. `name` is the module that holds them all.
    """

    name: str
    producers: tuple[Layer, ...]
    consumer: Layer

    @property
    def count(self) -> int:
        """Number of channels."""
        return self.consumer.shape[1]

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Producers and consumer, in the order of the model."""
        return (*self.producers, self.consumer)


def channels_of(checkpoint: Checkpoint) -> tuple[Channels, ...]:
    """Find the channels of a model, in its order: those of MLPs, gated ones, and experts.

    A candidate is the smallest module with one layer from f to d and one or two from d to f, for an f that is not d.
    That its channels are independent is tried on a copy that has few of them and random weights.
    """
    inside: dict[str, list[Layer]] = {}
    for layer in (layer for layer in checkpoint.layers if not layer.kernel):
        owner = layer.name
        while owner:
            owner = owner.rpartition(".")[0]
            inside.setdefault(owner, []).append(layer)
    found: dict[Layer, Channels] = {}
    taken: set[Layer] = set()
    tried: dict[tuple[Any, ...], bool] = {}
    for name in sorted(inside, key=lambda name: name.count(".") + bool(name), reverse=True):
        module = checkpoint.skeleton.get_submodule(name)
        for candidate in _candidates(name, [layer for layer in inside[name] if layer not in taken]):
            kind = (type(module), *((layer.name.removeprefix(name), layer.shape) for layer in candidate.layers))
            if kind not in tried:
                tried[kind] = _independent(module, candidate)
            if tried[kind]:
                found[candidate.consumer] = candidate
                taken.update(candidate.layers)
    return tuple(found[layer] for layer in checkpoint.layers if layer in found)


def _candidates(name: str, layers: Sequence[Layer]) -> Iterator[Channels]:
    shapes = Counter(layer.shape for layer in layers)
    for consumer in layers:
        d, f = consumer.shape
        if f != d and shapes[d, f] == 1 and shapes[f, d] in (1, 2):
            yield Channels(name, tuple(layer for layer in layers if layer.shape == (f, d)), consumer)


def _independent(module: torch.nn.Module, channels: Channels) -> bool:
    """Whether a module without some channels computes what it does when its consumer has zeros for them."""
    d, generator = channels.consumer.shape[0], torch.Generator().manual_seed(0)
    *producers, consumer = (layer.name.removeprefix(f"{channels.name}.") for layer in channels.layers)
    x = torch.randn((1, 3, d), generator=generator, dtype=torch.float64)
    try:
        whole = copy.deepcopy(module)
        for name in (*producers, consumer):
            bias = getattr(module.get_submodule(name), "bias", None) is not None
            sizes = (CHANNELS, d) if name == consumer else (d, CHANNELS)
            whole.set_submodule(name, torch.nn.Linear(*sizes, bias=bias, device="meta"))
        whole.double().to_empty(device="cpu").eval()
        for tensor in (*whole.parameters(), *whole.buffers()):
            tensor.data.copy_(torch.randn(tensor.shape, generator=generator))
        narrow, dropped = copy.deepcopy(whole), [k for k in range(CHANNELS) if k not in KEPT]
        for name in producers:
            _slice(narrow.get_submodule(name), ("weight", "bias"), 0)
        _slice(narrow.get_submodule(consumer), ("weight",), 1)
        with torch.no_grad():
            before = _first(whole(x))
            whole.get_submodule(consumer).weight[:, dropped] = 0.0  # type: ignore[operator]
            after, result = _first(whole(x)), _first(narrow(x))
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError, AssertionError):
        return False  # it takes more than one input, or relies on the number of channels
    return bool(torch.allclose(after, result, 1e-4, 1e-4)) and not torch.allclose(before, after)


def _slice(linear: Any, names: Sequence[str], axis: int) -> None:
    """Keep the outputs (axis 0) or the inputs (axis 1) in `KEPT`."""
    for name in names:
        if (value := getattr(linear, name)) is not None:
            setattr(linear, name, torch.nn.Parameter(value.data.index_select(axis, torch.tensor(KEPT))))


def _first(output: Any) -> torch.Tensor:
    return output if isinstance(output, torch.Tensor) else output[0]
