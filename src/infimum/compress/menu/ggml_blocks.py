"""The block types of GGML: integers of few bits with the scales of their groups, as tensors of a GGUF file hold them.

Each row of a matrix is a sequence of blocks of equally many columns. Of each type there is said which grids it has, and
how integers and scales lie in the bytes of a block; numbers of 16 bits are float16, lowest byte first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from infimum.compress.menu.grid_loops import Shape
from infimum.compress.menu.rounding import Rounded
from infimum.proof.grid import FLOAT32, Grid

Run = tuple[int, int]  # bits that a byte gives to a number, and how many neighbouring numbers lie in neighbouring bytes


class Blocks(NamedTuple):
    """A layer in blocks of a type: one of the alternatives of the format "gguf"; `form` is the name of the type."""

    bits: int
    group: int
    form: str

    @property
    def rank(self) -> int:
        """Such a layer is one matrix."""
        return 0

    @property
    def grid(self) -> Shape:
        """What the grid of the layer may be."""
        return BLOCK_TYPES[self.form].shape

    def bytes(self, shape: tuple[int, int]) -> int:
        """Bytes of the blocks of a layer."""
        return shape[0] * row_bytes(self.form, shape[1])


class BlockType(NamedTuple):
    """A block type: its number in the file format, columns and bytes of a block, its grids, and its layout.

    `fields` are the parts of a block in their order: "d", the unit of the scales, or the scale itself; "m", that of the
    offsets, or what is added to every number; "scales", how many units scales and offsets have; "low" and "high", the
    lowest and the other bits of the integers, which lie in the `runs` of these names.
    """

    number: int
    columns: int
    shape: Shape
    fields: tuple[str, ...]
    runs: tuple[Run, ...]

    @property
    def bytes(self) -> int:
        """Bytes of a block."""
        return sum(self.width(field) for field in self.fields)

    @property
    def groups(self) -> int:
        """Groups of a block."""
        return self.columns // self.shape.group

    @property
    def middle(self) -> float:
        """The integer that stands for 0, where there are no offsets."""
        return 2.0 ** (self.shape.bits - 1) if self.shape.symmetric else 0.0

    def width(self, field: str) -> int:
        """Bytes of a field."""
        if field == "scales":
            return self.groups if self.shape.levels in (15, 127) else 12  # of 6 bits each: 16 scales, or 8 pairs
        return 2 if field in ("d", "m") else self.columns * self.runs[field == "high"][0] // 8


def _legacy(number: int, bits: int, fields: str, *runs: Run) -> BlockType:
    return BlockType(number, 32, _shape(fields, bits, 32), tuple(fields.split()), runs)


def _super(number: int, bits: int, group: int, levels: int, fields: str, *runs: Run) -> BlockType:
    shape = _shape(fields, bits, group)._replace(block=256, levels=levels)
    return BlockType(number, 256, shape, tuple(fields.split()), runs)


def _shape(fields: str, bits: int, group: int) -> Shape:
    """Return what the grids of a type may be: with offsets engines add in float32, without them nothing is rounded."""
    if " m" in fields:
        return Shape(bits, group, precision=FLOAT32, offset=True)
    return Shape(bits, group, symmetric=True, signed=bits < 8)


BLOCK_TYPES = {
    "Q4_0": _legacy(2, 4, "d low", (4, 16)),
    "Q4_1": _legacy(3, 4, "d m low", (4, 16)),
    "Q5_0": _legacy(6, 5, "d high low", (4, 16), (1, 1)),
    "Q5_1": _legacy(7, 5, "d m high low", (4, 16), (1, 1)),
    "Q8_0": _legacy(8, 8, "d low", (8, 1)),
    "Q2_K": _super(10, 2, 16, 15, "scales low d m", (2, 32)),
    "Q3_K": _super(11, 3, 16, 31, "high low scales d", (2, 32), (1, 32)),
    "Q4_K": _super(12, 4, 32, 63, "d m scales low", (4, 32)),
    "Q5_K": _super(13, 5, 32, 63, "d m scales high low", (4, 32), (1, 32)),
    "Q6_K": _super(14, 6, 16, 127, "low high scales d", (4, 64), (2, 32)),
}


def block_types(columns: int) -> list[str]:
    """Return the types whose blocks fill rows of so many columns."""
    return [name for name, kind in BLOCK_TYPES.items() if columns % kind.columns == 0]


def block_alternatives(shape: tuple[int, int], item: int) -> tuple[Blocks, ...]:
    """Return what is smaller than a layer itself, whose numbers have `item` bytes, cheapest first."""
    kinds = {name: BLOCK_TYPES[name].shape for name in block_types(shape[1])}
    every = [Blocks(grid.bits, grid.group, name) for name, grid in kinds.items()]
    smaller = [one for one in every if one.bytes(shape) < item * shape[0] * shape[1]]
    return tuple(sorted(smaller, key=lambda one: one.bytes(shape)))


def row_bytes(name: str, columns: int) -> int:
    """Bytes of a row of a matrix in a type."""
    kind = BLOCK_TYPES[name]
    return columns // kind.columns * kind.bytes


def write_blocks(stored: Rounded, name: str) -> np.ndarray:
    """Return the bytes of a rounded matrix, uint8 (rows, bytes of a row); its grid is one of the type's shape."""
    kind = BLOCK_TYPES[name]
    grid, shape, rows = stored.grid, kind.shape, len(stored.integers)
    scales, zeros, offsets = (
        part.reshape(-1, kind.groups)
        for part in (grid.scales, grid.zeros, np.zeros(grid.scales.shape) if grid.offsets is None else grid.offsets)
    )
    integers = stored.integers.reshape(-1, kind.groups, shape.group)
    if shape.signed:  # with the lower zero the scale is written as negative, and the integers count downwards
        down = (zeros < kind.middle) & (scales > 0.0)
        scales, integers = np.where(down, -scales, scales), np.where(down[..., None], grid.top - integers, integers)
    fields = _integer_fields(kind, integers.reshape(-1, kind.columns).astype(np.uint8))
    units = np.hstack([scales, -offsets]) if stored.units is None else stored.units.reshape(-1, 2)
    if stored.units is not None:
        multiples = (_multiples(part, unit) for part, unit in zip((scales, offsets), units.T, strict=True))
        fields["scales"] = PACKED[shape.levels][0](*multiples)
    fields |= {"d": _halves(units[:, 0]), "m": _halves(units[:, 1])}
    return np.hstack([fields[field] for field in kind.fields]).reshape(rows, -1)


def read_blocks(blocks: np.ndarray, name: str) -> Rounded:
    """Read what `write_blocks`, or another writer, has written; a negative scale becomes one of the other zero."""
    kind = BLOCK_TYPES[name]
    shape, rows = kind.shape, len(blocks)
    ends = np.cumsum([kind.width(field) for field in kind.fields])[:-1]
    fields = dict(zip(kind.fields, np.split(blocks.reshape(-1, kind.bytes), ends, axis=1), strict=True))
    d, m = (np.ascontiguousarray(fields.get(field, fields["d"])).view("<f2").astype(np.float64) for field in "dm")
    scales, offsets = d, -m
    if "scales" in fields:
        parts = PACKED[shape.levels][1](fields["scales"])
        scales, offsets = (unit * part for unit, part in zip((d, m), parts, strict=True))
    integers = _integers(kind, fields).reshape(-1, kind.groups, shape.group).astype(np.float64)
    zeros = np.full(scales.shape, kind.middle)
    if shape.signed:
        down, top = scales < 0.0, 2.0**shape.bits - 1.0
        scales, zeros = np.abs(scales), np.where(down, top - zeros, zeros)
        integers = np.where(down[..., None], top - integers, integers)
    scales, zeros, offsets = (part.reshape(rows, -1) for part in (scales, zeros, offsets))
    grid = Grid(shape.bits, scales, zeros, shape.precision, offsets if shape.offset else None)
    units = np.stack([d, m], axis=-1).reshape(rows, -1, 2) if shape.block else None
    return Rounded(integers.reshape(rows, -1), grid, units)


def _integer_fields(kind: BlockType, integers: np.ndarray) -> dict[str, np.ndarray]:
    """Write the lowest bits and the others; eight of them are a number with a sign."""
    bits = kind.runs[0][0]
    if bits == 8:
        return {"low": integers ^ 0x80}
    fields = {"low": _pack(integers & (1 << bits) - 1, kind.runs[0])}
    return fields | {"high": _pack(integers >> bits, kind.runs[1])} if "high" in kind.fields else fields


def _integers(kind: BlockType, fields: dict[str, np.ndarray]) -> np.ndarray:
    bits = kind.runs[0][0]
    if bits == 8:
        return fields["low"] ^ 0x80
    low = _unpack(fields["low"], kind.runs[0])
    return low | _unpack(fields["high"], kind.runs[1]) << bits if "high" in fields else low


def _halves(numbers: np.ndarray) -> np.ndarray:
    return numbers.astype("<f2").view(np.uint8).reshape(len(numbers), 2)


def _multiples(numbers: np.ndarray, unit: np.ndarray) -> np.ndarray:
    return np.rint(numbers / np.where(unit > 0.0, unit, 1.0)[:, None]).astype(np.int64)


def _pack(numbers: np.ndarray, run: Run) -> np.ndarray:
    """Write runs of neighbours into the bits of as many bytes, the first run into the lowest bits."""
    (bits, length), count = run, len(numbers)
    parts = numbers.astype(np.uint8).reshape(count, -1, 8 // bits, length)
    places = np.arange(0, 8, bits, dtype=np.uint8)[:, None]
    return np.asarray(np.bitwise_or.reduce(parts << places, axis=2)).reshape(count, -1)


def _unpack(packed: np.ndarray, run: Run) -> np.ndarray:
    (bits, length), count = run, len(packed)
    parts = packed.reshape(count, -1, 1, length) >> np.arange(0, 8, bits, dtype=np.uint8)[:, None]
    return (parts & (1 << bits) - 1).astype(np.uint8).reshape(count, -1)


def _pack_15(scales: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    return _pack(np.hstack([scales, offsets]), (4, 16))


def _unpack_15(packed: np.ndarray) -> Iterable[np.ndarray]:
    return np.hsplit(_unpack(packed, (4, 16)).astype(np.float64), 2)


def _pack_31(scales: np.ndarray, _: np.ndarray) -> np.ndarray:
    return np.hstack([_pack(scales + 32 & 15, (4, 8)), _pack(scales + 32 >> 4, (2, 4))])


def _unpack_31(packed: np.ndarray) -> Iterable[np.ndarray]:
    scales = _unpack(packed[:, :8], (4, 8)) | _unpack(packed[:, 8:], (2, 4)) << 4
    return scales - 32.0, np.zeros(scales.shape)


def _pack_63(scales: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Six bits of four scales and four offsets a byte each; the others' upper two in what is left of these bytes."""
    first, second = np.hstack([scales[:, :4], offsets[:, :4]]), np.hstack([scales[:, 4:], offsets[:, 4:]])
    return np.hstack([(first | second >> 4 << 6).astype(np.uint8), _pack(second & 15, (4, 4))])


def _unpack_63(packed: np.ndarray) -> Iterable[np.ndarray]:
    first, second = packed[:, :8] & 63, _unpack(packed[:, 8:], (4, 4)) | packed[:, :8] >> 6 << 4
    halves = [np.hsplit(part.astype(np.float64), 2) for part in (first, second)]
    return (np.hstack(pair) for pair in zip(*halves, strict=True))


def _pack_127(scales: np.ndarray, _: np.ndarray) -> np.ndarray:
    return scales.astype(np.int8).view(np.uint8)


def _unpack_127(packed: np.ndarray) -> Iterable[np.ndarray]:
    scales = np.ascontiguousarray(packed).view(np.int8).astype(np.float64)
    return scales, np.zeros(scales.shape)


Packing = tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], Callable[[np.ndarray], Iterable[np.ndarray]]]
PACKED: dict[int, Packing] = {  # of scales and offsets, by the largest multiple
    15: (_pack_15, _unpack_15),
    31: (_pack_31, _unpack_31),
    63: (_pack_63, _unpack_63),
    127: (_pack_127, _unpack_127),
}
