"""The files of a model folder: which tensor is where."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from infimum.errors import CheckpointError

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


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
