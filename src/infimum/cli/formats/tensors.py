"""Files .safetensors, whose header the library checks against the size of the file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from infimum._arguments import optional
from infimum.cli.formats.limits import choose
from infimum.errors import FileFormatError

NARROW = ("F8", "F6", "F4")


def read_safetensors(path: Path, name: str) -> np.ndarray:
    """Read one tensor; bfloat16 comes as float32, which holds every such number."""
    safetensors = optional("safetensors", "cli")
    with safetensors.safe_open(path, framework="np") as archive:
        name = choose(path, name, sorted(archive.keys()))
        dtype = archive.get_slice(name).get_dtype()
        if dtype == "BF16":
            return _bfloat16(path, name)
        if dtype.startswith(NARROW):
            raise FileFormatError(f"{path}: {name} is stored as {dtype}; convert it to 16 or 32 bits first")
        return np.asarray(archive.get_tensor(name))


def _bfloat16(path: Path, name: str) -> np.ndarray:
    # NumPy has no such type: its 16 bits are the upper half of a float32, so this is exact
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(length))[name]
        start, end = entry["data_offsets"]
        file.seek(8 + length + start)
        bits = np.frombuffer(file.read(end - start), dtype="<u2")
    return (bits.astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"])
