"""A linear layer whose weight is stored in few bits, drop-in for torch.nn.Linear."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from infimum.proof.answers.quantized_matrix import QuantizedMatrix


def pack(integers: torch.Tensor, bits: int) -> torch.Tensor:
    """Write integers of so many bits (m, n) one after the other, lowest bit first: uint8 (m, ceil(n * bits / 8))."""
    places = torch.arange(bits, device=integers.device)
    stream = (integers.to(torch.int64)[..., None] >> places & 1).flatten(1)
    stream = functional.pad(stream, (0, -stream.shape[1] % 8)).view(len(stream), -1, 8)
    return torch.sum(stream << torch.arange(8, device=integers.device), dim=-1).to(torch.uint8)


def unpack(packed: torch.Tensor, bits: int, count: int) -> torch.Tensor:
    """Read `count` integers of each row that `pack` wrote: uint8 (m, count)."""
    stream = (packed[..., None] >> torch.arange(8, dtype=torch.uint8, device=packed.device) & 1).flatten(1)
    stream = stream[:, : count * bits].reshape(len(stream), count, bits)
    places = torch.arange(bits, dtype=torch.uint8, device=packed.device)
    return torch.sum(stream << places, dim=-1, dtype=torch.uint8)


class QuantizedLinear(torch.nn.Module):
    """``y = Q x + bias`` with ``Q = scales * (integers - zeros)``, a scale and a zero for each group of columns.

    The integers are stored one after the other, `bits` each, and become numbers whenever the layer is applied: it
    takes little memory, and no less time than a dense layer. Integers, scales and zeros are buffers, not trained.

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
    dtype : torch.dtype, optional
        Of the bias; outputs have the dtype of the inputs.
    scale_dtype : torch.dtype
        In which scales are stored.
    device : torch.device or str, optional
        As in torch.nn.Linear.
    """

    integers: torch.Tensor
    scales: torch.Tensor
    zeros: torch.Tensor
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
        scale_dtype: torch.dtype = torch.float16,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        if not 1 <= bits <= 8 or group < 1 or in_features % group:
            raise ValueError(
                f"1 to 8 bits and a group that divides {in_features} were expected, got {bits} and {group}"
            )
        self.in_features, self.out_features, self.bits, self.group = in_features, out_features, bits, group
        groups, width = in_features // group, (in_features * bits + 7) // 8
        self.register_buffer("integers", torch.zeros(out_features, width, dtype=torch.uint8, device=device))
        self.register_buffer("scales", torch.zeros(out_features, groups, dtype=scale_dtype, device=device))
        self.register_buffer("zeros", torch.zeros(out_features, groups, dtype=torch.uint8, device=device))
        self.register_parameter(
            "bias", torch.nn.Parameter(torch.zeros(out_features, dtype=dtype, device=device)) if bias else None
        )

    @classmethod
    def from_quantized(cls, result: QuantizedMatrix, bias: torch.Tensor | None = None) -> Self:
        """Build the layer from the answer of `infimum.compress.quantize`, whose arrays may be NumPy's or PyTorch's."""
        integers, scales, zeros = map(torch.as_tensor, (result.integers, result.scales, result.zeros))
        m, n = result.shape
        layer = cls(
            n,
            m,
            result.bits,
            result.group,
            bias is not None,
            dtype=None if bias is None else bias.dtype,
            scale_dtype=scales.dtype,
            device=integers.device,
        )
        state = {"integers": pack(integers, result.bits), "scales": scales, "zeros": zeros}
        layer.load_state_dict(state | ({} if bias is None else {"bias": bias}))
        return layer

    def to_dense(self) -> torch.Tensor:
        """Return the weight of the equal torch.nn.Linear, (m, n), in float32: exact where scales are float16."""
        integers = unpack(self.integers, self.bits, self.in_features).view(*self.scales.shape, self.group)
        steps = integers.float() - self.zeros.float()[..., None]
        return (self.scales.float()[..., None] * steps).flatten(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layer to (..., n); returns (..., m)."""
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return functional.linear(x, self.to_dense().to(x.dtype), bias)

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Self:
        """Move and cast as any module, but for the scales: in another dtype they would be another grid."""
        scales = self.scales
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.scales = scales.to(self.scales.device)
        return self

    def extra_repr(self) -> str:
        """Describe the layer inside its parent's repr."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, bits={self.bits}, "
            f"group={self.group}, bias={self.bias is not None}"
        )
