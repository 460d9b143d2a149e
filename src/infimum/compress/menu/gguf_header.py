"""The beginning of a GGUF file: what is said of the model, and where each of its tensors lies."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from infimum.compress.menu.ggml_blocks import BLOCK_TYPES, row_bytes

VERSION, ALIGNMENT = 3, 32
Value: TypeAlias = bool | int | float | str | list[str] | list[int]
PLAIN = {"F32": (0, 4), "F16": (1, 2), "BF16": (30, 2)}  # number of a dtype in the format, and bytes of a number
UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9  # kinds of values


class FileTensor(NamedTuple):
    """A tensor of the file: its name there, its dtype or block type, and its shape as of a NumPy array."""

    name: str
    kind: str
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Size of its numbers."""
        if self.kind in PLAIN:
            return math.prod(self.shape) * PLAIN[self.kind][1]
        return math.prod(self.shape[:-1]) * row_bytes(self.kind, self.shape[-1])

    @property
    def padding(self) -> int:
        """Bytes of zeros behind it, so that the next one starts at a multiple of the alignment."""
        return -self.bytes % ALIGNMENT


def header(metadata: Mapping[str, Value], tensors: Sequence[FileTensor]) -> bytes:
    """Return all that stands before the numbers of the first tensor."""
    parts = [b"GGUF", struct.pack("<IQQ", VERSION, len(tensors), len(metadata))]
    parts += [part for key, value in metadata.items() for part in (_string(key), _value(value))]
    offset = 0
    for tensor in tensors:
        number = PLAIN[tensor.kind][0] if tensor.kind in PLAIN else BLOCK_TYPES[tensor.kind].number
        dimensions = len(tensor.shape)
        where = struct.pack(f"<I{dimensions}QIQ", dimensions, *reversed(tensor.shape), number, offset)
        parts += [_string(tensor.name), where]
        offset += tensor.bytes + tensor.padding
    whole = b"".join(parts)
    return whole + bytes(-len(whole) % ALIGNMENT)


def places(start: int, tensors: Sequence[FileTensor]) -> Iterator[tuple[FileTensor, int]]:
    """Yield each tensor with the place of its first byte in the file, `start` being that of the first."""
    for tensor in tensors:
        yield tensor, start
        start += tensor.bytes + tensor.padding


def _string(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def _value(value: Value) -> bytes:
    """Write the kind of a value and the value; whole numbers have 32 bits, in lists with a sign."""
    if isinstance(value, bool):
        return struct.pack("<I?", BOOL, value)
    if isinstance(value, int):
        return struct.pack("<II", UINT32, value)
    if isinstance(value, float):
        return struct.pack("<If", FLOAT32, value)
    if isinstance(value, str):
        return struct.pack("<I", STRING) + _string(value)
    if all(isinstance(item, str) for item in value):
        return struct.pack("<IIQ", ARRAY, STRING, len(value)) + b"".join(_string(str(item)) for item in value)
    return struct.pack(f"<IIQ{len(value)}i", ARRAY, INT32, len(value), *value)
