"""Rows that change processes and come back: the all-to-all of expert parallelism, with gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed


def exchange(rows: torch.Tensor, sent: list[int], received: list[int], group: distributed.ProcessGroup) -> torch.Tensor:
    """Send the first ``sent[0]`` rows to the first process of the group, the next to the second; return what comes."""
    arrived: torch.Tensor = _Exchange.apply(rows, sent, received, group)  # type: ignore[no-untyped-call]
    return arrived


class _Exchange(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, rows: torch.Tensor, sent: list[int], received: list[int], group: distributed.ProcessGroup
    ) -> torch.Tensor:
        ctx.way_back = received, sent, group
        arrived = rows.new_empty(sum(received), *rows.shape[1:])
        distributed.all_to_all_single(arrived, rows.contiguous(), received, sent, group=group)
        return arrived

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[Any, ...]:
        return exchange(gradients[0], *ctx.way_back), None, None, None
