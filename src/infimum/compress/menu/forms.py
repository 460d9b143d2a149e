"""The forms in which a layer is stored."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np
import torch
from torch.nn.functional import pad

from infimum.compress.menu.ggml_blocks import BLOCK_TYPES, read_blocks, write_blocks
from infimum.compress.menu.grid_loops import Shape
from infimum.compress.menu.rounded_factors import RoundedFactors
from infimum.compress.menu.rounding import Rounded
from infimum.nn.packed import pack, packed_width, unpack
from infimum.proof.checkpoint import LayerPlan
from infimum.proof.grid import Grid


class _Tensors:
    """Fields that are stored under their names beside the name of the layer.

    `bias` is that of a layer that lost outputs; None: there is none, or it is as it was.
    """

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the stored tensors by their names."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def module_tensors(self) -> dict[str, torch.Tensor]:
        """Return the parameters and buffers of the layer that the form is stored for."""
        return self.tensors()

    @property
    def numbers(self) -> int:
        """Weights that are stored; a permutation and a bias do not count."""
        return sum(value.numel() for name, value in self.tensors().items() if name not in ("order", "bias"))

    def rounded(self, dtype: torch.dtype) -> Self:
        """Round to the dtype in which the layer is stored."""
        floats = {name: value.to(dtype) for name, value in self.tensors().items() if value.is_floating_point()}
        rounded: Self = dataclasses.replace(self, **floats)  # type: ignore[type-var]
        return rounded

    @classmethod
    def read(cls, tensors: Mapping[str, torch.Tensor]) -> Self:
        """Build the form from its tensors by their names."""
        return cls(**tensors)


@dataclass(frozen=True)
class PivotForm(_Tensors):
    """``W'[pivots] = rows`` and ``W'[others] = coefficients @ rows``: r(m + n - r) numbers and a permutation.

    `order[i]` is the place of output i in the concatenation (pivots, others). The names are those of
    `infimum.nn.PivotLinear`.
    """

    name: ClassVar[Literal["pivot"]] = "pivot"
    parts: ClassVar = ("rows", "coefficients", "order")

    rows: torch.Tensor
    coefficients: torch.Tensor
    order: torch.Tensor
    bias: torch.Tensor | None = None

    def factors(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the left and right factor in float64: the identity and `coefficients` in output order, and `rows`."""
        left = np.concatenate([np.eye(self.rows.shape[0]), self.coefficients.double().numpy()])
        return left[self.order.numpy()], self.rows.double().numpy()


@dataclass(frozen=True)
class FactorForm(_Tensors):
    """``W' = left @ right``: r(m + n) numbers. The names are those of `infimum.nn.LowRankLinear`."""

    name: ClassVar[Literal["factors"]] = "factors"
    parts: ClassVar = ("left", "right")

    left: torch.Tensor
    right: torch.Tensor
    bias: torch.Tensor | None = None

    def factors(self) -> tuple[np.ndarray, np.ndarray]:
        """Return both factors in float64."""
        return self.left.double().numpy(), self.right.double().numpy()


@dataclass(frozen=True)
class NarrowForm(_Tensors):
    """A matrix of full rank that lost rows or columns, (outputs, inputs): the weight of a torch.nn.Linear."""

    name: ClassVar[Literal["channels"]] = "channels"
    parts: ClassVar = ("weight",)

    weight: torch.Tensor
    bias: torch.Tensor | None = None

    def factors(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the matrix and the identity in float64."""
        return self.weight.double().numpy(), np.eye(self.weight.shape[1])


@dataclass(frozen=True)
class BitsForm(_Tensors):
    """Integers and zeros, packed, and the bits of scales in float16: the buffers of `infimum.nn.QuantizedLinear`."""

    name: ClassVar[Literal["bits"]] = "bits"
    parts: ClassVar = ("integers", "scales", "zeros")

    integers: torch.Tensor
    scales: torch.Tensor
    zeros: torch.Tensor
    bias: torch.Tensor | None = None

    @classmethod
    def of(cls, stored: Rounded, bias: torch.Tensor | None = None) -> BitsForm:
        """Pack a rounded layer."""
        integers, zeros = (
            pack(torch.from_numpy(part), stored.grid.bits) for part in (stored.integers, stored.grid.zeros)
        )
        return cls(integers, torch.from_numpy(stored.grid.scales.astype(np.float16)).view(torch.int16), zeros, bias)

    def unpacked(self, bits: int, columns: int) -> Rounded:
        """Read integers and grid, in float64."""
        scales = self.scales.view(torch.float16).double().numpy()
        integers, zeros = (
            unpack(part, bits, count).double().numpy()
            for part, count in ((self.integers, columns), (self.zeros, scales.shape[1]))
        )
        return Rounded(integers, Grid(bits, scales, zeros))


@dataclass(frozen=True)
class BitFactorsForm(_Tensors):
    """Two factors, each of integers of few bits: the parts of `infimum.nn.QuantizedLowRankLinear`."""

    name: ClassVar[Literal["bit-factors"]] = "bit-factors"
    parts: ClassVar = tuple(f"{side}.{part}" for side in ("left", "right") for part in BitsForm.parts)

    left: BitsForm
    right: BitsForm

    @classmethod
    def of(cls, stored: RoundedFactors) -> BitFactorsForm:
        """Pack both factors."""
        return cls(BitsForm.of(stored.left), BitsForm.of(stored.right))

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the stored tensors by their names."""
        sides = {"left": self.left, "right": self.right}
        return {f"{side}.{name}": value for side, form in sides.items() for name, value in form.tensors().items()}

    @classmethod
    def read(cls, tensors: Mapping[str, torch.Tensor]) -> BitFactorsForm:
        """Build the form from its tensors by their names."""
        return cls(*(BitsForm(*(tensors[f"{side}.{part}"] for part in BitsForm.parts)) for side in ("left", "right")))

    def unpacked(self, bits: int, rank: int, columns: int) -> RoundedFactors:
        """Read integers and grids, in float64."""
        return RoundedFactors(self.left.unpacked(bits, rank), self.right.unpacked(bits, columns))


@dataclass(frozen=True)
class PackedForm(_Tensors):
    """Integers around 0 and scales as the package compressed-tensors stores them, in its format "pack-quantized".

    The integers of a row follow each other in words of 32 bits, lowest bit first, each with half its range added, so
    that they are ours: 0 of the grid is in the middle.
    """

    name: ClassVar[Literal["packed"]] = "packed"
    parts: ClassVar = ("weight_packed", "weight_scale", "weight_shape")

    weight_packed: torch.Tensor
    weight_scale: torch.Tensor
    weight_shape: torch.Tensor

    @classmethod
    def of(cls, stored: Rounded, scales: torch.dtype) -> PackedForm:
        """Pack a rounded layer."""
        stream = pack(torch.from_numpy(stored.integers), stored.grid.bits)
        words = pad(stream, (0, -stream.shape[1] % 4)).view(torch.int32)
        return cls(words, torch.from_numpy(stored.grid.scales).to(scales), torch.tensor(stored.integers.shape))

    def unpacked(self, shape: Shape, columns: int) -> Rounded:
        """Read integers and grid, in float64."""
        scales = self.weight_scale.double().numpy()
        integers = unpack(self.weight_packed.view(torch.uint8), shape.bits, columns).double().numpy()
        zeros = np.full_like(scales, 2.0 ** (shape.bits - 1))
        return Rounded(integers, Grid(shape.bits, scales, zeros, shape.precision))

    def module_tensors(self) -> dict[str, torch.Tensor]:
        """Return the buffers of the `infimum.nn.QuantizedLinear` in a model that has the same numbers."""
        columns = int(self.weight_shape[1])
        bits = 32 * self.weight_packed.shape[1] // columns
        zeros = pack(torch.full(self.weight_scale.shape, 2 ** (bits - 1)), bits)
        integers = self.weight_packed.view(torch.uint8)[:, : packed_width(columns, bits)]
        scales = self.weight_scale.to(torch.float16).view(torch.int16)
        return {"weight": torch.empty(0), "integers": integers, "scales": scales, "zeros": zeros}


@dataclass(frozen=True)
class BlocksForm(_Tensors):
    """The blocks of a matrix as GGUF files hold them, row by row; the class of each type has its name."""

    name: ClassVar[str]
    parts: ClassVar = ("blocks",)

    blocks: torch.Tensor

    @classmethod
    def of(cls, stored: Rounded) -> Self:
        """Write a rounded layer."""
        return cls(torch.from_numpy(write_blocks(stored, cls.name)))

    def unpacked(self) -> Rounded:
        """Read integers and grid, in float64."""
        return read_blocks(self.blocks.numpy(), self.name)

    def module_tensors(self) -> dict[str, torch.Tensor]:
        """Return the weight that engines compute with, in float32."""
        return {"weight": torch.from_numpy(self.unpacked().matrix()).float()}


BLOCK_FORMS: dict[str, type[BlocksForm]] = {
    name: type(f"{name}Form", (BlocksForm,), {"name": name}) for name in BLOCK_TYPES
}
globals().update({form.__name__: form for form in BLOCK_FORMS.values()})  # where processes that share them look


@dataclass(frozen=True)
class PlainForm(_Tensors):
    """The product, multiplied out and rounded, in the shape and the orientation of the original's weight."""

    name: ClassVar[Literal["plain"]] = "plain"
    parts: ClassVar = ("weight",)

    weight: torch.Tensor


LowerForm: TypeAlias = PivotForm | FactorForm | NarrowForm
RoundedForm: TypeAlias = BitsForm | BitFactorsForm | PackedForm | BlocksForm
StoredForm: TypeAlias = LowerForm | PlainForm | RoundedForm
FORMS: dict[str, Any] = {
    form.name: form for form in (PivotForm, FactorForm, NarrowForm, BitsForm, BitFactorsForm, PackedForm, PlainForm)
}
FORMS |= BLOCK_FORMS


def stored_form(row: LayerPlan, tensors: Mapping[str, torch.Tensor]) -> StoredForm | None:
    """Return the stored form of a layer; None where it stays as it is."""
    if row.form == "dense":
        return None
    form, stem = FORMS[row.form], row.tensor.removesuffix("weight")
    stored: StoredForm = form.read({name: tensors[stem + name] for name in form.parts})
    return stored
