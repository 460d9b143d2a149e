"""Linear layers of low rank and of few bits, drop-in for torch.nn.Linear."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch.nn import functional

from infimum.nn.packed import PackedRows, QuantizedEmbedding, TiedLinear, packed_state
from infimum.nn.patches import kernel_of, of_patches


def _bias(size: int, wanted: bool, **options: Any) -> torch.nn.Parameter | None:
    return torch.nn.Parameter(torch.zeros(size, **options)) if wanted else None


def _described(layer: Any, *names: str) -> str:
    return ", ".join(f"{name}={getattr(layer, name)}" for name in names) + f", bias={layer.bias is not None}"


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
        self.register_parameter("bias", _bias(out_features, bias, dtype=dtype, device=device))

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
        return _described(self, "in_features", "out_features", "rank")


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
        self.register_parameter("bias", _bias(out_features, bias, dtype=dtype, device=device))

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
        return _described(self, "in_features", "out_features", "rank")


class QuantizedLinear(PackedRows):
    """``y = Q x + bias`` with ``Q = scales * (integers - zeros)``, a scale and a zero for each group of columns.

    Integers and zeros are stored one after the other, `bits` each, scales as the bits of float16, so that no cast of
    the module changes them. They become numbers whenever the layer is applied: that takes little memory, and no less
    time than a dense layer. None of them is trained.

    Parameters
    ----------
    in_features, out_features : int
        n and m.
    bits : int
        Of an integer, 1 to 8.
    group : int
        Columns that share a scale and a zero; it divides n.
    bias : bool
        Whether a bias is added.
    dtype, device
        As in torch.nn.Linear; `dtype` is that of the bias. Outputs have the dtype of the inputs.
    """

    bias: torch.nn.Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bits: int,
        group: int,
        bias: bool = True,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__(out_features, in_features, bits, group, device=device)
        self.in_features, self.out_features = in_features, out_features
        self.register_parameter("bias", _bias(out_features, bias, dtype=dtype, device=device))

    @classmethod
    def from_quantized(cls, result: Any, bias: torch.Tensor | None = None) -> Self:
        """Build the layer from an answer of `infimum.compress.quantize` with scales in float16."""
        state = packed_state(result)
        (m, n), dtype = result.shape, None if bias is None else bias.dtype
        layer = cls(n, m, result.bits, result.group, bias is not None, dtype=dtype, device=state["integers"].device)
        layer.load_state_dict(state | ({} if bias is None else {"bias": bias}))
        return layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layer to (..., n); returns (..., m)."""
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return functional.linear(x, self.to_dense().to(x.dtype), bias)

    def extra_repr(self) -> str:
        """Describe the layer inside its parent's repr."""
        return _described(self, "in_features", "out_features", "bits", "group")


class QuantizedLowRankLinear(torch.nn.Module):
    """``y = left (right x) + bias`` with two factors of few bits, each of them a `QuantizedLinear`.

    Parameters
    ----------
    in_features, out_features, rank : int
        n, m and r.
    bits, group : int
        As in `QuantizedLinear`; `group` is that of the right factor. The left one has a scale for each row.
    bias : bool
        Whether a bias is added.
    **options
        `dtype` (of the bias) and `device`, as in torch.nn.Linear.
    """

    bias: torch.nn.Parameter | None

    def __init__(
        self, in_features: int, out_features: int, rank: int, bits: int, group: int, bias: bool = True, **options: Any
    ) -> None:
        super().__init__()
        self.in_features, self.out_features, self.rank = in_features, out_features, rank
        self.left = QuantizedLinear(rank, out_features, bits, rank, False, **options)
        self.right = QuantizedLinear(in_features, rank, bits, group, False, **options)
        self.register_parameter("bias", _bias(out_features, bias, **options))

    def to_dense(self) -> torch.Tensor:
        """Return the weight of the equal torch.nn.Linear, (m, n), in float32."""
        return self.left.to_dense() @ self.right.to_dense()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layer to (..., n); returns (..., m)."""
        y: torch.Tensor = self.left(self.right(x))
        return y if self.bias is None else y + self.bias.to(x.dtype)


KINDS: dict[str, Any] = {"pivot": PivotLinear, "factors": LowRankLinear, "channels": torch.nn.Linear}
KINDS |= {"bits": QuantizedLinear, "bit-factors": QuantizedLowRankLinear}
# A tensor without elements whose name is all that it says: transformers lists it where it builds the class of the
# original, for want of trust_remote_code, and stops at what does not fit.
REMEDY = "LOAD_WITH_trust_remote_code_OR_BY_infimum_compress_load"


def replace_layers(model: torch.nn.Module, layers: Mapping[str, Mapping[str, Any]]) -> None:
    """Replace, in place, linear layers and embeddings by smaller ones whose weights are still to be filled in.

    Parameters
    ----------
    model : torch.nn.Module
        Its layers may be torch.nn.Linear, transformers' Conv1D or convolutions that cut patches, and of form "bits"
        torch.nn.Embedding, too.
    layers : mapping
        By name of the layer: ``{"form": "pivot", "rank": 12, "shape": [48, 64]}``, the shape being that of the new
        layer (outputs, inputs), and the form "pivot", "factors", "channels", which is an ordinary one, "bits" or
        "bit-factors", which have ``"bits"`` and ``"group"``, too, or "tied", which has ``"to"``: the name of one of
        the embeddings, whose matrix a head shares.
    """
    for name, chosen in sorted(
        layers.items(), key=lambda item: item[1]["form"] == "tied"
    ):  # a file may be in any order
        parent, _, child = name.rpartition(".")
        owner: Any = model.get_submodule(parent)
        old = getattr(owner, child)
        new = _replacement(model, old, chosen)
        if not isinstance(new, torch.nn.Linear):
            # Stock loaders fill an absent weight with random numbers and only warn; at one without elements they stop.
            new.register_buffer("weight", old.weight.new_empty(0), persistent=not isinstance(new, TiedLinear))
        if isinstance(new, TiedLinear):  # transformers knows nothing more that it would have to tie
            getattr(model, "all_tied_weights_keys", {}).pop(f"{name}.weight", None)
        setattr(owner, child, new)
    if layers:
        model.register_buffer(REMEDY, torch.empty(0, dtype=torch.uint8, device="cpu"))


def _replacement(model: torch.nn.Module, old: Any, chosen: Mapping[str, Any]) -> Any:
    (m, n), form = chosen["shape"], chosen["form"]
    options = {"dtype": old.weight.dtype, "device": old.weight.device}
    own = [chosen[part] for part in ("rank", "bits", "group") if part in chosen]
    if isinstance(old, torch.nn.Embedding):
        return QuantizedEmbedding(m, n, *own, **options)
    new = TiedLinear(model.get_submodule(chosen["to"])) if form == "tied" else KINDS[form](n, m, *own, False, **options)
    if kernel := kernel_of(old):
        new = of_patches(new, kernel)
    new.bias = old.bias if old.bias is None or len(old.bias) == m else torch.nn.Parameter(old.bias[:m].clone())
    return new
