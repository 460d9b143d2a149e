"""Linear layers of low rank, drop-in for torch.nn.Linear."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch.nn import functional


class LowRankLinear(torch.nn.Module):
    """``y = left (right x) + bias``: a linear layer of rank r with r(m + n) weights.

    Parameters
    ----------
    in_features, out_features, rank : int
        n, m and r.
    bias : bool
        Whether a bias is added.
    dtype, device
        As in torch.nn.Linear.
    """

    bias: torch.nn.Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        rank: int,
        bias: bool = True,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.in_features, self.out_features, self.rank = in_features, out_features, rank
        self.left = torch.nn.Parameter(torch.zeros(out_features, rank, dtype=dtype, device=device))
        self.right = torch.nn.Parameter(torch.zeros(rank, in_features, dtype=dtype, device=device))
        self.register_parameter(
            "bias", torch.nn.Parameter(torch.zeros(out_features, dtype=dtype, device=device)) if bias else None
        )

    @classmethod
    def from_factors(cls, left: torch.Tensor, right: torch.Tensor, bias: torch.Tensor | None = None) -> Self:
        """Build the layer from its factors, (m, r) and (r, n)."""
        layer = cls(
            right.shape[1], left.shape[0], right.shape[0], bias is not None, dtype=left.dtype, device=left.device
        )
        layer.load_state_dict({"left": left, "right": right, **({} if bias is None else {"bias": bias})})
        return layer

    def to_dense(self) -> torch.Tensor:
        """Return the weight of the equal torch.nn.Linear, (m, n)."""
        return self.left @ self.right

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layer to (..., n); returns (..., m)."""
        return functional.linear(functional.linear(x, self.right), self.left, self.bias)

    def extra_repr(self) -> str:
        """Describe the layer inside its parent's repr."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, rank={self.rank}, "
            f"bias={self.bias is not None}"
        )


class PivotLinear(torch.nn.Module):
    """A linear layer of rank r that stores r of its rows and the others as combinations of them.

    ``W[pivots] = rows``, ``W[others] = coefficients rows``: r(m + n - r) weights and a permutation, which is the
    dimension of the set of matrices of rank r and never more than mn. Any rank-r matrix has this form.

    Parameters
    ----------
    in_features, out_features, rank : int
        n, m and r.
    bias : bool
        Whether a bias is added.
    dtype, device
        As in torch.nn.Linear.
    """

    order: torch.Tensor
    bias: torch.nn.Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        rank: int,
        bias: bool = True,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.in_features, self.out_features, self.rank = in_features, out_features, rank
        self.rows = torch.nn.Parameter(torch.zeros(rank, in_features, dtype=dtype, device=device))
        self.coefficients = torch.nn.Parameter(torch.zeros(out_features - rank, rank, dtype=dtype, device=device))
        self.register_buffer("order", torch.arange(out_features, dtype=torch.int32, device=device))
        self.register_parameter(
            "bias", torch.nn.Parameter(torch.zeros(out_features, dtype=dtype, device=device)) if bias else None
        )

    @classmethod
    def from_pivots(
        cls, rows: torch.Tensor, coefficients: torch.Tensor, order: torch.Tensor, bias: torch.Tensor | None = None
    ) -> Self:
        """Build the layer; ``order[i]`` is the place of output i in the concatenation (pivot rows, other rows)."""
        rank, n = rows.shape
        layer = cls(n, rank + coefficients.shape[0], rank, bias is not None, dtype=rows.dtype, device=rows.device)
        state = {"rows": rows, "coefficients": coefficients, "order": order.to(torch.int32)}
        layer.load_state_dict(state | ({} if bias is None else {"bias": bias}))
        return layer

    def to_dense(self) -> torch.Tensor:
        """Return the weight of the equal torch.nn.Linear, (m, n)."""
        return torch.cat([self.rows, self.coefficients @ self.rows]).index_select(0, self.order)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layer to (..., n); returns (..., m)."""
        pivots = functional.linear(x, self.rows)
        others = functional.linear(pivots, self.coefficients)
        y = torch.cat([pivots, others], dim=-1).index_select(-1, self.order)
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        """Describe the layer inside its parent's repr."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, rank={self.rank}, "
            f"bias={self.bias is not None}"
        )


def replace_layers(model: torch.nn.Module, layers: Mapping[str, Mapping[str, Any]]) -> None:
    """Replace, in place, linear layers by smaller ones whose weights are still to be filled in.

    Parameters
    ----------
    model : torch.nn.Module
        Its layers may be torch.nn.Linear or transformers' Conv1D.
    layers : mapping
        By name of the layer: ``{"form": "pivot", "rank": 12, "shape": [48, 64]}``, the shape being that of the new
        layer (outputs, inputs), and the form "pivot", "factors" or "channels", which is an ordinary one.
    """
    for name, chosen in layers.items():
        parent, _, child = name.rpartition(".")
        owner: Any = model.get_submodule(parent)
        old, (m, n) = getattr(owner, child), chosen["shape"]
        options = {"dtype": old.weight.dtype, "device": old.weight.device}
        new: Any
        if chosen["form"] == "channels":
            new = torch.nn.Linear(n, m, False, **options)
        else:
            kind: Any = {"pivot": PivotLinear, "factors": LowRankLinear}[chosen["form"]]
            new = kind(n, m, chosen["rank"], False, **options)
            # Stock loaders fill an absent weight with random numbers and only warn; at one without elements they stop.
            new.register_buffer("weight", old.weight.new_empty(0))
        new.bias = old.bias if old.bias is None or len(old.bias) == m else torch.nn.Parameter(old.bias[:m].clone())
        setattr(owner, child, new)
