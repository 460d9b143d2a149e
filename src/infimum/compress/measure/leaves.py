"""Where the graph of a model starts: at embeddings and real inputs, so that parameters need no gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from infimum.compress.measure import outputs
from infimum.compress.model.vocabulary import embeddings_of


@dataclass
class Leaves:
    """Where a graph starts, and the ids of the tokens whose embeddings are the first of them."""

    tensors: list[torch.Tensor]
    ids: torch.Tensor


@contextmanager
def leaves_of(model: Any, given: outputs.Given) -> Iterator[Leaves]:
    """Start the graph at embeddings and at inputs that are real: parameters need no gradients, half of the work.

    Encoder and decoder may have modules of their own for embeddings, with one matrix.
    """
    found, embeddings = Leaves([], torch.empty((0, 0), dtype=torch.int64)), embeddings_of(model)

    def hook(module: Any, inputs: tuple[torch.Tensor, ...], output: Any) -> Any:
        whole = output if isinstance(output, tuple) else (output,)  # I-BERT has a scale beside them
        leaf = whole[0].requires_grad_()
        if not found.ids.numel() and _has_matrix_of(module, embeddings):
            found.ids = inputs[0]
            found.tensors.insert(0, leaf)
        else:
            found.tensors.append(leaf)
        copied = whole[0].clone(), *whole[1:]  # what a model changes in place must be no leaf
        return copied if isinstance(output, tuple) else copied[0]

    handles = [module.register_forward_hook(hook) for module in _listened(model, given)]
    real = [] if isinstance(given, torch.Tensor) else [x for x in given.values() if x.is_floating_point()]
    for tensor in real:
        tensor.requires_grad_()
    try:
        yield found
    finally:
        found.tensors += real
        for handle in handles:
            handle.remove()


def _listened(model: Any, given: outputs.Given) -> list[Any]:
    """Return the modules that embed tokens."""
    every = [module for module in model.modules() if isinstance(module, torch.nn.Embedding)]
    if not isinstance(given, torch.Tensor):
        return every
    embeddings = embeddings_of(model)
    if embeddings is None or not model.config.is_encoder_decoder:  # half of T5 calls a module that shares the matrix
        return [
            embeddings,
            *(module for module in every if module is not embeddings and _has_matrix_of(module, embeddings)),
        ]
    return [module for module in every if module.weight.shape == embeddings.weight.shape]


def _has_matrix_of(module: torch.nn.Embedding, embeddings: Any) -> bool:
    return embeddings is not None and module.weight is embeddings.weight


def gradients_of(
    values: Sequence[torch.Tensor], leaves: Sequence[torch.Tensor], directions: Sequence[Sequence[torch.Tensor]]
) -> list[tuple[torch.Tensor | None, ...]]:
    """Gradients by leaves of the sum of the products of values with directions; hooks see all between them."""
    live = [k for k, value in enumerate(values) if value.requires_grad]
    if not live or not leaves:
        return [(None,) * len(leaves) for _ in directions]
    last, options = len(directions) - 1, {"allow_unused": True}
    return [
        torch.autograd.grad(
            [values[k] for k in live], leaves, [to[k] for k in live], retain_graph=number < last, **options
        )
        for number, to in enumerate(directions)
    ]
