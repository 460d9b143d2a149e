"""Counting in the backward pass: once for each training step, however often the forward pass is repeated.

Recomputation under activation checkpointing repeats the forward pass, with gradients or without, but the backward pass
of a layer runs once; and it does not run in evaluation.
"""

from __future__ import annotations

from typing import Any

import torch


def moved_tally(tally: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return a tally on the device where the experts are: tools that move parameters and buffers leave it behind.

    On the meta device nothing was counted.
    """
    return torch.zeros_like(tally, device=device) if tally.is_meta else tally.to(device)


def count(
    weights: torch.Tensor, experts: torch.Tensor, active: torch.Tensor, tokens: torch.Tensor, tally: torch.Tensor
) -> torch.Tensor:
    """Return `weights`; their backward pass adds to `tally` (n + 1) the tokens of each active expert, and all tokens.

    `tokens` tells which rows count; the others are padding or not finite. Under a transform of torch.func nothing is
    counted: what it differentiates must not change tensors from outside.
    """
    if not torch.compiler.is_compiling() and torch._C._functorch.is_functorch_wrapped_tensor(weights):
        return weights
    same: torch.Tensor = _Count.apply(weights, experts, active, tokens, tally)  # type: ignore[no-untyped-call]
    return same


class _Count(torch.autograd.Function):
    @staticmethod
    def forward(
        weights: torch.Tensor, experts: torch.Tensor, active: torch.Tensor, tokens: torch.Tensor, tally: torch.Tensor
    ) -> torch.Tensor:
        return weights.view_as(weights)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        _, experts, active, tokens, tally = inputs
        ctx.save_for_backward(experts, active, tokens)
        ctx.tally = tally

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        experts, active, tokens = ctx.saved_tensors
        counted = active & tokens[..., None]
        ctx.tally[:-1].scatter_add_(0, experts.flatten(), counted.flatten().long())
        ctx.tally[-1] += tokens.sum()
        return gradients[0], None, None, None, None
