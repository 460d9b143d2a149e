"""A mixture of experts around `BalancedRouter`, on one process or with its experts spread over several."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import distributed
from torch.nn import functional

from infimum._arguments import whole_number
from infimum.balance import shared_expert_scale
from infimum.errors import OptionError
from infimum.nn.grouped import grouped_linear
from infimum.nn.router import BalancedRouter, Routing


class MoE(torch.nn.Module):
    """Mixture of SwiGLU experts, in plain PyTorch.

    Parameters
    ----------
    dim, hidden : int
        Features of a token and of an expert's hidden layer.
    n_experts, k : int
        Number of experts and experts per token.
    shared : int
        Experts that every token uses besides; they are stored as one of hidden width ``shared * hidden``.
    capacity : float, optional
        An expert takes at most ``ceil(capacity * m * k / n_experts)`` of the m tokens of this process and call, those
        with the largest weights; for the others it is inactive. Default: all of its tokens.
    group : torch.distributed.ProcessGroup, optional
        Expert parallelism: every process of the group holds ``n_experts`` divided by their number of experts, in the
        order of the ranks, and the router and shared experts as a whole. Tokens travel to their experts and back, two
        all-to-all exchanges each way; gradients of the experts are those of all tokens of the group. All processes
        call forward and backward alike.
    **options
        Of `BalancedRouter`. With shared experts `scale` is by default `infimum.balance.shared_expert_scale`.

    Raises
    ------
    OptionError
        Numbers that do not fit together.

    Notes
    -----
    Without `group` the layer compiles into one graph, and torch.func differentiates it.

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

    def __init__(
        self,
        dim: int,
        hidden: int,
        n_experts: int,
        k: int,
        *,
        shared: int = 0,
        capacity: float | None = None,
        group: distributed.ProcessGroup | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        placed = {name: options.get(name) for name in ("dtype", "device")}
        if whole_number("shared", shared, 0) and "scale" not in options:
            score, gate = options.get("score", "sigmoid"), options.get("gate")
            known = {"score": gate or score, "normalize": options.get("normalize", True)}
            options["scale"] = shared_expert_scale(n_experts, k, shared, **known)
        if capacity is not None and not 0.0 < capacity < math.inf:
            raise OptionError(f"capacity must be a positive number, in units of the mean load, got {capacity!r}")
        self.router = BalancedRouter(dim, n_experts, k, **options)
        self.capacity, self.group = capacity, group
        processes = 1 if group is None else distributed.get_world_size(group)
        if n_experts % processes:
            raise OptionError(f"n_experts={n_experts} do not spread evenly over the {processes} processes of the group")
        here = n_experts // processes
        self.up = torch.nn.Parameter(torch.empty(here, 2 * whole_number("hidden", hidden, 1), dim, **placed))
        self.down = torch.nn.Parameter(torch.empty(here, dim, hidden, **placed))
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
        width, n = routing.experts.shape[-1], self.router.n_experts
        # the tokens of each expert side by side, and behind them what is not active
        label = routing.experts.masked_fill(~routing.active, n).flatten()
        order = torch.argsort(label, stable=True)
        if self.capacity is not None:
            label, order = self._within_capacity(label, routing.weights.detach().flatten(), len(tokens))
            routing = routing._replace(active=(label < n).reshape(routing.experts.shape))
        sizes = torch.zeros(n + 1, dtype=torch.int64, device=x.device).scatter_add_(0, label, torch.ones_like(label))[
            :n
        ]
        if not torch.compiler.is_compiling():
            order = order[: int(sizes.sum())]
        row = order // width
        outputs = self._apply_experts(tokens[row], sizes)
        gates = routing.weights.flatten()[order] * (label[order] < n)
        y = torch.zeros_like(tokens).index_add(0, row, (outputs * gates[:, None]).to(tokens.dtype))
        if self.shared_up is not None and self.shared_down is not None:
            y = y + self.shared_down(_gated(self.shared_up(tokens)))
        return y.reshape(x.shape), routing

    def _within_capacity(
        self, label: torch.Tensor, weights: torch.Tensor, tokens: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return experts, n for those that are full or inactive, and the order by expert, the largest weights first."""
        n = self.router.n_experts
        most = math.ceil(float(self.capacity or 0.0) * tokens * self.router.k / n)
        order = torch.argsort(weights, descending=True, stable=True)
        order = order[torch.argsort(label[order], stable=True)]
        ranked = label[order]
        place = torch.arange(len(order), device=order.device) - torch.searchsorted(ranked, ranked)
        label = label.scatter(0, order, torch.where(place < most, ranked, n))
        return label, torch.argsort(label, stable=True)

    def _apply_experts(self, rows: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
        """Apply the experts to rows in their order, ``sizes[j]`` of them to expert j."""
        up, down = self.up, self.down
        if torch.is_autocast_enabled(rows.device.type):
            dtype = torch.get_autocast_dtype(rows.device.type)
            rows, up, down = rows.to(dtype), up.to(dtype), down.to(dtype)
        if self.group is None:
            return grouped_linear(_gated(grouped_linear(rows, up, sizes)), down, sizes)
        from infimum.nn.exchange import exchange

        here = self.up.shape[0]
        arriving = torch.empty_like(sizes)
        distributed.all_to_all_single(arriving, sizes, group=self.group)
        sent, received = (counts.reshape(-1, here).sum(1).tolist() for counts in (sizes, arriving))
        rows = exchange(rows, sent, received, self.group)
        # they come by process, and by expert within: to one expert side by side
        expert = torch.arange(here, device=rows.device).repeat(len(sent)).repeat_interleave(arriving)
        order = torch.argsort(expert, stable=True)
        counts = arriving.reshape(-1, here).sum(0)
        outputs = grouped_linear(_gated(grouped_linear(rows[order], up, counts)), down, counts)
        return exchange(torch.zeros_like(outputs).index_copy(0, order, outputs), received, sent, self.group)


def _gated(hidden: torch.Tensor) -> torch.Tensor:
    gate, value = hidden.chunk(2, dim=-1)
    return functional.silu(gate) * value
