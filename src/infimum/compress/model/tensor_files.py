"""The tensors of a model folder: which is in which file, each read when it is asked for; and small files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from infimum.errors import CheckpointError
from infimum.proof import strict_json
from infimum.proof.folder import own_file

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
LONGEST_HEADER = 2**25  # bytes: some 300,000 tensors
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

Kind: TypeAlias = tuple[str, tuple[int, ...]]  # as safetensors calls the dtype, and the shape


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a safetensors file; a length of its header that none of real models has is refused before it is read."""
    try:
        with path.open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
        if not 0 < header <= min(LONGEST_HEADER, path.stat().st_size):
            raise CheckpointError(
                f"{path.name} is damaged or incomplete: its header should have {header} bytes; download it again"
            )
        with safe_open(path, "pt") as handle:
            yield handle
    except SafetensorError as error:
        raise CheckpointError(f"{path.name} is damaged or incomplete ({error}); download it again") from error


def read_all(path: Path) -> dict[str, torch.Tensor]:
    """Read all tensors of a small file."""
    with opened(path) as handle:
        return {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118  (it is no mapping)


def locate(path: Path) -> dict[str, Path]:
    """Map every tensor to its file."""
    if (path / INDEX).is_file():
        if (path / WEIGHTS).is_file():
            raise CheckpointError(
                f"{path.name} holds {WEIGHTS} beside {INDEX}: loaders differ in which one they read; remove one"
            )
        try:
            mapping: dict[str, str] = strict_json.parse((path / INDEX).read_text(encoding="utf-8"))["weight_map"]
            shards = {name: path / name for name in sorted(set(mapping.values())) if Path(name).name == name}
            if len(shards) < len(set(mapping.values())):
                raise ValueError("a shard must be a file of this folder")
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{INDEX} of {path.name} is damaged ({error!r}); download it again") from error
        missing = [name for name, shard in shards.items() if not shard.is_file()]
        if missing:
            raise CheckpointError(f"shard {missing[0]} is named in {INDEX} but is not there; download it again")
        return _checked_shards(mapping, {name: own_file(shard, path) for name, shard in shards.items()})
    if (path / WEIGHTS).is_file():
        return dict.fromkeys(names_in(own_file(path / WEIGHTS, path)), path / WEIGHTS)
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
        for key in names_in(shard):
            if key in holders:
                raise CheckpointError(f"tensor {key} is in two shards ({holders[key]} and {name}); which one counts?")
            holders[key] = name
    if absent := sorted(holders.keys() - mapping.keys()):
        raise CheckpointError(f"{INDEX} does not name tensor {absent[0]}, which is in {holders[absent[0]]}")
    for key, name in mapping.items():
        if holders.get(key) != name:
            raise CheckpointError(
                f"{INDEX} says that tensor {key} is in {name}, but it is not; download the shard again"
            )
    return {key: shards[name] for key, name in holders.items()}


def names_in(path: Path) -> list[str]:
    """Return the names of the tensors of a file."""
    with opened(path) as handle:
        return list(handle.keys())


class Stored(NamedTuple):
    """A tensor that is read when it is asked for; `kind` as safetensors writes it: "F32", "BF16", "I32"."""

    name: str
    kind: str
    shape: tuple[int, ...]
    read: Callable[[], torch.Tensor]

    @classmethod
    def within(cls, path: Path, part: str, name: str = "") -> Stored:
        """Describe a tensor of a file, under its own name or another."""
        with opened(path) as handle:
            header = handle.get_slice(part)
            return cls(name or part, header.get_dtype(), tuple(header.get_shape()), lambda: _read(path, part))

    @property
    def bytes(self) -> int:
        """Size of the numbers."""
        return ITEM_BYTES[self.kind] * math.prod(self.shape)


class TensorFiles(Mapping[str, torch.Tensor]):
    """The tensors of a model folder, each read when it is asked for."""

    def __init__(self, folder: Path, files: Mapping[str, Path] | None = None) -> None:
        self._folder, self._files = folder, locate(folder) if files is None else files

    def __getitem__(self, name: str) -> torch.Tensor:
        return _read(self._files[name], name)

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    @property
    def paths(self) -> set[Path]:
        """The files that hold the tensors, and the table of their contents if there is one."""
        index = {self._folder / INDEX} if (self._folder / INDEX).is_file() else set()
        return set(self._files.values()) | index

    def rows(self, name: str, rows: tuple[int, int] | None) -> torch.Tensor:
        """Read some rows of a tensor; None: all."""
        return _read(self._files[name], name, rows)

    def kinds(self) -> dict[str, Kind]:
        """Return dtype, as safetensors calls it, and shape of every tensor."""
        found = (Stored.within(path, name) for name, path in self._files.items())
        return {tensor.name: (tensor.kind, tensor.shape) for tensor in found}


def _read(path: Path, name: str, rows: tuple[int, int] | None = None) -> torch.Tensor:
    with opened(path) as handle:
        tensor: torch.Tensor = handle.get_tensor(name) if rows is None else handle.get_slice(name)[slice(*rows)]
    return tensor


def same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors have the same dtype, shape and bits: 0 and -0 differ."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return torch.equal(*(tensor.contiguous().flatten().view(torch.uint8) for tensor in (one, other)))


def write_small(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write tensors that are all in memory; a disk that is full is an error of its own."""
    try:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata={"format": "pt"})
    except SafetensorError as error:
        raise OSError(f"{path} cannot be written: {error}") from error
