"""Matrices of few bits in packed rows, and the embedding that looks its vectors up in one."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch.nn import functional


def packed_width(count: int, bits: int) -> int:
    """Return how many bytes a row of `count` integers of so many bits takes."""
    return (count * bits + 7) // 8


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


def packed_state(result: Any) -> dict[str, torch.Tensor]:
    """Return the buffers of a `PackedRows` for an answer of `infimum.compress.quantize` with scales in float16."""
    integers, scales, zeros = map(torch.as_tensor, (result.integers, result.scales, result.zeros))
    if scales.dtype != torch.float16:
        raise ValueError(f"scales in float16 were expected, got {scales.dtype}; give scales='float16' to quantize")
    packed = {"integers": pack(integers, result.bits), "zeros": pack(zeros, result.bits)}
    return packed | {"scales": scales.view(torch.int16)}


class PackedRows(torch.nn.Module):
    """A matrix ``scales * (integers - zeros)`` as it is stored: integers and zeros packed, scales as bits of float16.

    Parameters
    ----------
    rows, columns : int
        Shape of the matrix.
    bits : int
        Of an integer, 1 to 8.
    group : int
        Columns that share a scale and a zero; it divides `columns`.
    device
        As in torch.nn.Linear.
    """

    integers: torch.Tensor
    scales: torch.Tensor
    zeros: torch.Tensor

    def __init__(
        self, rows: int, columns: int, bits: int, group: int, *, device: torch.device | str | None = None
    ) -> None:
        super().__init__()
        if not 1 <= bits <= 8 or group < 1 or columns % group:
            raise ValueError(f"1 to 8 bits and a group that divides {columns} were expected, got {bits} and {group}")
        self.rows, self.columns, self.bits, self.group = rows, columns, bits, group
        groups = columns // group
        for name, count in (("integers", columns), ("zeros", groups)):
            shape = (rows, packed_width(count, bits))
            self.register_buffer(name, torch.zeros(shape, dtype=torch.uint8, device=device))
        self.register_buffer("scales", torch.zeros(rows, groups, dtype=torch.int16, device=device))

    def to_dense(self) -> torch.Tensor:
        """Return the matrix, (rows, columns), exactly, in float32."""
        return self._numbers(self.integers, self.scales, self.zeros)

    def look_up(self, ids: torch.Tensor) -> torch.Tensor:
        """Return rows of the matrix, (..., columns), exactly, in float32; no other row is unpacked."""
        chosen = ids.flatten()
        return self._numbers(self.integers[chosen], self.scales[chosen], self.zeros[chosen]).view(
            *ids.shape, self.columns
        )

    def _numbers(self, integers: torch.Tensor, scales: torch.Tensor, zeros: torch.Tensor) -> torch.Tensor:
        groups = scales.shape[1]
        steps = unpack(integers, self.bits, self.columns).view(-1, groups, self.group).float()
        steps -= unpack(zeros, self.bits, groups).float()[..., None]
        return (scales.view(torch.float16).float()[..., None] * steps).flatten(1)


class QuantizedEmbedding(PackedRows):
    """An embedding whose vectors are ``scales * (integers - zeros)``; only those that are looked up are unpacked.

    They are stored as the rows of `infimum.nn.QuantizedLinear` are, and none of them is trained.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        As in torch.nn.Embedding.
    bits : int
        Of an integer, 1 to 8.
    group : int
        Neighbouring entries of a vector that share a scale and a zero; it divides `embedding_dim`.
    dtype, device
        As in torch.nn.Embedding; `dtype` is that of the outputs, and follows when the module is cast.
    """

    weight: torch.Tensor

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        bits: int,
        group: int,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__(num_embeddings, embedding_dim, bits, group, device=device)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.register_buffer("weight", torch.empty(0, dtype=dtype, device=device))

    @classmethod
    def from_quantized(cls, result: Any, *, dtype: torch.dtype | None = None) -> Self:
        """Build the embedding from an answer of `infimum.compress.quantize` with scales in float16."""
        state = packed_state(result)
        (m, n), device = result.shape, state["integers"].device
        layer = cls(m, n, result.bits, result.group, dtype=dtype, device=device)
        layer.load_state_dict(state, strict=False)
        return layer

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Look ids (...) up; returns (..., embedding_dim)."""
        return self.look_up(ids).to(self.weight.dtype)

    def extra_repr(self) -> str:
        """Describe the module inside its parent's repr."""
        return f"{self.num_embeddings}, {self.embedding_dim}, bits={self.bits}, group={self.group}"


class TiedLinear(torch.nn.Module):
    """``y = Q x + bias`` with the matrix Q of an embedding, which stores it: a head that shares its vectors.

    Parameters
    ----------
    source : PackedRows
        The embedding. It is no child of this module, so that its buffers have one name in the model.
    """

    bias: torch.nn.Parameter | None

    def __init__(self, source: Any) -> None:
        super().__init__()
        self._source = (source,)
        self.out_features, self.in_features = source.rows, source.columns
        self.register_parameter("bias", None)

    def to_dense(self) -> torch.Tensor:
        """Return the weight of the equal torch.nn.Linear, (m, n), exactly, in float32."""
        matrix: torch.Tensor = self._source[0].to_dense()
        return matrix

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layer to (..., n); returns (..., m)."""
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return functional.linear(x, self.to_dense().to(x.dtype), bias)

    def extra_repr(self) -> str:
        """Describe the module inside its parent's repr."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
