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
    shards: list[list[Stored]] = [[]]
    size = 0
    for tensor in tensors:
        if shards[-1] and size + tensor.bytes > SHARD_BYTES:
            shards.append([])
            size = 0
        shards[-1].append(tensor)
        size += tensor.bytes
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


def write_file(path: Path, tensors: Sequence[Stored]) -> None:
    """Write one file in safetensors format: length of the header, header, numbers without gaps.

    The safetensors package writes only what is all in memory.
    """
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    ordered, end = (
        sorted(tensors, key=lambda tensor: (-ITEM_BYTES[tensor.kind], tensor.name)),
        0,
    )  # wide ones first: aligned
    for tensor in ordered:
        start, end = end, end + tensor.bytes
        header[tensor.name] = {"dtype": tensor.kind, "shape": tensor.shape, "data_offsets": (start, end)}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in ordered:
            file.write(tensor.read().contiguous().flatten().view(torch.uint8).numpy().data)
