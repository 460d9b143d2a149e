"""A small reference layer: a mixture of experts around `BalancedRouter`."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch.nn import functional

from infimum._arguments import whole_number
from infimum.balance import shared_expert_scale
from infimum.nn.router import BalancedRouter, Routing


class MoE(torch.nn.Module):
    """Mixture of SwiGLU experts, in plain PyTorch: for experiments on one device, and to read.

    Parameters
    ----------
    dim, hidden : int
        Features of a token and of an expert's hidden layer.
    n_experts, k : int
        Number of experts and experts per token.
    shared : int
        Experts that every token uses besides; they are stored as one of hidden width ``shared * hidden``.
    **options
        Of `BalancedRouter`. With shared experts `scale` is by default `infimum.balance.shared_expert_scale`.

    Examples
    --------
    >>> import torch
    >>> from infimum import nn
    >>> layer = nn.MoE(16, 8, n_experts=6, k=2, shared=1)
    >>> y, routing = layer(torch.randn(2, 5, 16))
    >>> y.shape, routing.experts.shape
    (torch.Size([2, 5, 16]), torch.Size([2, 5, 2]))
    """

    fused: ClassVar[dict[str, tuple[int, int]]] = {"up": (2, -2)}  # gate and up: see optim.split_parameters

    def __init__(self, dim: int, hidden: int, n_experts: int, k: int, *, shared: int = 0, **options: Any) -> None:
        super().__init__()
        placed = {name: options.get(name) for name in ("dtype", "device")}
        if whole_number("shared", shared, 0) and "scale" not in options:
            score, gate = options.get("score", "sigmoid"), options.get("gate")
            known = {"score": gate or score, "normalize": options.get("normalize", True)}
            options["scale"] = shared_expert_scale(n_experts, k, shared, **known)
        self.router = BalancedRouter(dim, n_experts, k, **options)
        self.up = torch.nn.Parameter(torch.empty(n_experts, 2 * whole_number("hidden", hidden, 1), dim, **placed))
        self.down = torch.nn.Parameter(torch.empty(n_experts, dim, hidden, **placed))
        self.shared_up = torch.nn.Linear(dim, 2 * shared * hidden, bias=False, **placed) if shared else None
        self.shared_down = torch.nn.Linear(shared * hidden, dim, bias=False, **placed) if shared else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the experts' weights as torch.nn.Linear does."""
        for matrix in (self.up, self.down):
            bound = matrix.shape[-1] ** -0.5
            torch.nn.init.uniform_(matrix, -bound, bound)

    def forward(self, x: torch.Tensor, padding_mask: torch.Tensor | None = None) -> tuple[torch.Tensor, Routing]:
        """Apply to tokens (..., dim); returns the sum of the experts' outputs, and the routing."""
        routing = self.router(x, padding_mask)
        tokens = x.reshape(-1, x.shape[-1])
        width = routing.experts.shape[-1]
        row, slot = routing.active.reshape(-1, width).nonzero(as_tuple=True)
        expert = routing.experts.reshape(-1, width)[row, slot]
        order = torch.argsort(expert, stable=True)  # the tokens of each expert side by side
        row, slot = row[order], slot[order]
        sizes = torch.bincount(expert, minlength=self.up.shape[0]).tolist()
        parts = torch.split(tokens[row], sizes)
        outputs = [_swiglu(part, up, down) for part, up, down in zip(parts, self.up, self.down, strict=True)]
        gates = routing.weights.reshape(-1, width)[row, slot]
        y = torch.zeros_like(tokens).index_add(0, row, (torch.cat(outputs) * gates[:, None]).to(tokens.dtype))
        if self.shared_up is not None and self.shared_down is not None:
            y = y + _swiglu(tokens, self.shared_up.weight, self.shared_down.weight)
        return y.reshape(x.shape), routing


def _swiglu(x: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    gate, value = functional.linear(x, up).chunk(2, dim=-1)
    return functional.linear(functional.silu(gate) * value, down)
