"""Writing tensors to files, one in memory at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from infimum.compress.model.tensor_files import INDEX, ITEM_BYTES, WEIGHTS, Stored

SHARD_BYTES = 5 * 10**9


def write_tensors(tensors: Iterable[Stored], folder: Path) -> None:
    """Write tensors to files of at most `SHARD_BYTES`, one tensor in memory at a time."""
    shards = _shards(tensors)
    if len(shards) == 1:
        write_file(folder / WEIGHTS, shards[0])
        return
    weight_map: dict[str, str] = {}
    for index, shard in enumerate(shards):
        name = f"model-{index + 1:05d}-of-{len(shards):05d}.safetensors"
        write_file(folder / name, shard)
        weight_map |= dict.fromkeys((tensor.name for tensor in shard), name)
    total = {"total_size": sum(tensor.bytes for shard in shards for tensor in shard)}
    (folder / INDEX).write_text(json.dumps({"metadata": total, "weight_map": weight_map}, indent=1), encoding="utf-8")


def files_size(tensors: Iterable[Stored]) -> int:
    """Return the bytes of the files that `write_tensors` writes, headers included."""
    return sum(len(_head(shard)) + sum(tensor.bytes for tensor in shard) for shard in _shards(tensors))


def _shards(tensors: Iterable[Stored]) -> list[list[Stored]]:
    shards: list[list[Stored]] = [[]]
    size = 0
    for tensor in tensors:
        if shards[-1] and size + tensor.bytes > SHARD_BYTES:
            shards.append([])
            size = 0
        shards[-1].append(tensor)
        size += tensor.bytes
    return shards


def write_file(path: Path, tensors: Sequence[Stored]) -> None:
    """Write one file in safetensors format: length of the header, header, numbers without gaps.

    The safetensors package writes only what is all in memory.
    """
    with path.open("wb") as file:
        file.write(_head(tensors))
        for tensor in _ordered(tensors):
            file.write(tensor.read().contiguous().flatten().view(torch.uint8).numpy().data)


def _ordered(tensors: Sequence[Stored]) -> list[Stored]:
    return sorted(tensors, key=lambda tensor: (-ITEM_BYTES[tensor.kind], tensor.name))  # wide ones first: aligned


def _head(tensors: Sequence[Stored]) -> bytes:
    """Return what stands before the numbers: the length of the header, and the header."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for tensor in _ordered(tensors):
        start, end = end, end + tensor.bytes
        header[tensor.name] = {"dtype": tensor.kind, "shape": tensor.shape, "data_offsets": (start, end)}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
