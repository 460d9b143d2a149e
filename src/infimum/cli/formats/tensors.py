"""Files .safetensors, whose header the library checks against the size of the file."""

from __future__ import annotations

import json

import numpy as np

from infimum._arguments import optional
from infimum.cli.formats.input_file import InputFile
from infimum.cli.formats.limits import choose
from infimum.errors import FileFormatError

NARROW = ("F8_", "F6_", "F4")  # F64 is double precision


def read_safetensors(file: InputFile, name: str) -> np.ndarray:
    """Read one tensor; bfloat16 comes as float32, which holds every such number."""
    safetensors = optional("safetensors", "cli")
    with safetensors.safe_open(file.path, framework="np") as archive:
        name = choose(file, name, sorted(archive.keys()))
        dtype = archive.get_slice(name).get_dtype()
        if dtype == "BF16":
            return _bfloat16(file, name)
        if dtype.startswith(NARROW):
            raise FileFormatError(f"{file}: {name} is stored as {dtype}; convert it to 16 or 32 bits first")
        return np.asarray(archive.get_tensor(name))


def _bfloat16(file: InputFile, name: str) -> np.ndarray:
    # NumPy has no such type: its 16 bits are the upper half of a float32, so this is exact
    with file.path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        entry = json.loads(stream.read(length))[name]
        start, end = entry["data_offsets"]
        stream.seek(8 + length + start)
        bits = np.frombuffer(stream.read(end - start), dtype="<u2")
    return (bits.astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"])
