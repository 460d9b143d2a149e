"""Counting in the backward pass: once for each training step, however often the forward pass is repeated.

Recomputation under activation checkpointing repeats the forward pass, with gradients or without, but the backward pass
of a layer runs once; and it does not run in evaluation.
"""

from __future__ import annotations

from typing import Any

import torch


def count(weights: torch.Tensor, experts: torch.Tensor, counted: torch.Tensor, tally: torch.Tensor) -> torch.Tensor:
    """Return `weights`; their backward pass adds the counted tokens of each expert, and of all, to `tally` (n + 1)."""
    same: torch.Tensor = _Count.apply(weights, experts, counted, tally)  # type: ignore[no-untyped-call]
    return same


@torch.compiler.disable  # type: ignore[untyped-decorator]  # a list that grows cannot be compiled
def record(
    weights: torch.Tensor, scores: torch.Tensor, real: torch.Tensor, recorded: list[torch.Tensor]
) -> torch.Tensor:
    """Return `weights`; their backward pass appends the scores of the real tokens to `recorded`."""
    same: torch.Tensor = _Record.apply(weights, scores, real, recorded)  # type: ignore[no-untyped-call]
    return same


class _Count(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, weights: torch.Tensor, experts: torch.Tensor, counted: torch.Tensor, tally: torch.Tensor
    ) -> torch.Tensor:
        ctx.save_for_backward(experts, counted)
        ctx.tally = tally
        return weights.view_as(weights)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        experts, counted = ctx.saved_tensors
        ctx.tally[:-1].scatter_add_(0, experts.flatten(), counted.flatten().long())
        ctx.tally[-1] += counted.any(-1).sum()
        return gradients[0], None, None, None


class _Record(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, weights: torch.Tensor, scores: torch.Tensor, real: torch.Tensor, recorded: list[torch.Tensor]
    ) -> torch.Tensor:
        ctx.save_for_backward(scores, real)
        ctx.recorded = recorded
        return weights.view_as(weights)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        scores, real = ctx.saved_tensors
        ctx.recorded.append(scores[real])
        return gradients[0], None, None, None
