"""The tensors of a model folder: which is in which file, each read when it is asked for."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open

from infimum.errors import CheckpointError

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
ITEM_BYTES = {
    "F64": 8,
    "I64": 8,
    "U64": 8,
    "C64": 8,
    "F32": 4,
    "I32": 4,
    "U32": 4,
    "F16": 2,
    "BF16": 2,
    "I16": 2,
    "U16": 2,
}
ITEM_BYTES |= dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E8M0", "I8", "U8", "BOOL"), 1)


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def locate(path: Path) -> dict[str, Path]:
    """Map every tensor to its file."""
    if (path / INDEX).is_file():
        try:
            mapping: dict[str, str] = json.loads((path / INDEX).read_text(encoding="utf-8"))["weight_map"]
        except (ValueError, KeyError) as error:
            raise CheckpointError(f"{INDEX} of {path.name} is damaged ({error!r}); download it again") from error
        shards = {name: path / name for name in sorted(set(mapping.values()))}
        missing = [name for name, shard in shards.items() if not shard.is_file()]
        if missing:
            raise CheckpointError(f"shard {missing[0]} is named in {INDEX} but is not there; download it again")
        return _checked_shards(mapping, shards)
    if (path / WEIGHTS).is_file():
        return dict.fromkeys(_keys(path / WEIGHTS), path / WEIGHTS)
    if list(path.glob("*.gguf")):
        raise CheckpointError(
            f"{path.name} holds a GGUF file; load it with transformers (gguf_file=...) and save it anew"
        )
    if list(path.glob("*.bin")):
        raise CheckpointError(
            f"{path.name} holds pickled weights only; load it and save_pretrained as safetensors first"
        )
    raise CheckpointError(f"{path} holds neither {WEIGHTS} nor {INDEX}; the weights are missing")


def _checked_shards(mapping: dict[str, str], shards: dict[str, Path]) -> dict[str, Path]:
    holders: dict[str, str] = {}
    for name, shard in shards.items():
        for key in _keys(shard):
            if key in holders:
                raise CheckpointError(f"tensor {key} is in two shards ({holders[key]} and {name}); which one counts?")
            holders[key] = name
    for key, name in mapping.items():
        if holders.get(key) != name:
            raise CheckpointError(
                f"{INDEX} says that tensor {key} is in {name}, but it is not; download the shard again"
            )
    return {key: shards[name] for key, name in holders.items()}


def _keys(path: Path) -> list[str]:
    try:
        with safe_open(path, "pt") as handle:
            return list(handle.keys())
    except SafetensorError as error:
        raise CheckpointError(f"{path.name} is damaged or incomplete ({error}); download it again") from error


class Stored(NamedTuple):
    """A tensor that is read when it is asked for; `kind` as safetensors writes it: "F32", "BF16", "I32"."""

    name: str
    kind: str
    shape: tuple[int, ...]
    read: Callable[[], torch.Tensor]

    @classmethod
    def within(cls, path: Path, part: str, name: str = "") -> Stored:
        """Describe a tensor of a file, under its own name or another."""
        with safe_open(path, "pt") as handle:
            header = handle.get_slice(part)
            return cls(name or part, header.get_dtype(), tuple(header.get_shape()), lambda: _read(path, part))

    @property
    def bytes(self) -> int:
        """Size of the numbers."""
        return ITEM_BYTES[self.kind] * math.prod(self.shape)


class TensorFiles(Mapping[str, torch.Tensor]):
    """The tensors of a model folder, each read when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self._files = locate(folder)

    def __getitem__(self, name: str) -> torch.Tensor:
        return _read(self._files[name], name)

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def _read(path: Path, name: str) -> torch.Tensor:
    with safe_open(path, "pt") as handle:
        tensor: torch.Tensor = handle.get_tensor(name)
    return tensor
