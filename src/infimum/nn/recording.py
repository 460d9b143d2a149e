"""Recording the scores of a step in its backward pass, for rules that need more than counts.

A module of its own, loaded when scores are recorded: keeping the compiler away loads it, and that takes as long as
PyTorch.
"""

from __future__ import annotations

from typing import Any

import torch


@torch.compiler.disable  # type: ignore[untyped-decorator]  # a list that grows cannot be compiled
def record(
    weights: torch.Tensor, scores: torch.Tensor, tokens: torch.Tensor, recorded: list[torch.Tensor]
) -> torch.Tensor:
    """Return `weights`; their backward pass appends the scores of the tokens that count to `recorded`."""
    same: torch.Tensor = _Record.apply(weights, scores, tokens, recorded)  # type: ignore[no-untyped-call]
    return same


class _Record(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, weights: torch.Tensor, scores: torch.Tensor, tokens: torch.Tensor, recorded: list[torch.Tensor]
    ) -> torch.Tensor:
        ctx.save_for_backward(scores, tokens)
        ctx.recorded = recorded
        return weights.view_as(weights)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        scores, tokens = ctx.saved_tensors
        ctx.recorded.append(scores[tokens])
        return gradients[0], None, None, None
