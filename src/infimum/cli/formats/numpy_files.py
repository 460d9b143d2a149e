"""Files that NumPy and SciPy write: .npy, and archives .npz of arrays or of one sparse array."""

from __future__ import annotations

import math
import zipfile
from typing import IO, Any

import numpy as np
import scipy.sparse

from infimum.cli.formats.input_file import InputFile
from infimum.cli.formats.limits import amount, choose, refuse_name, require_room, require_sides
from infimum.errors import FileFormatError

# version of the format: bytes that hold the length of the header, and what reads it
HEADERS = {(1, 0): (2, np.lib.format.read_array_header_1_0), (2, 0): (4, np.lib.format.read_array_header_2_0)}
LONGEST = 10_000  # bytes of a header that NumPy reads, too
SPARSE = {"format", "shape", "data"}  # names in an archive that scipy.sparse.save_npz wrote
EXPANDING = "save it uncompressed (numpy.savez) or as .npy"


def read_npy(file: InputFile, name: str) -> np.ndarray:
    """Read the array of a .npy file; nothing is unpickled."""
    refuse_name(file, name)
    with file.path.open("rb") as stream:
        _check_header(file, stream, file.size)
        stream.seek(0)
        return np.asarray(np.load(stream, allow_pickle=False))


def read_npz(file: InputFile, name: str) -> Any:
    """Read one array of an archive, or the sparse array that it holds."""
    with file.path.open("rb") as stream:
        if stream.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX:
            raise FileFormatError(f"{file} holds a single array, not an archive of arrays: rename it to .npy")
    with zipfile.ZipFile(file.path) as archive:
        names = [member.removesuffix(".npy") for member in archive.namelist() if member.endswith(".npy")]
        sparse = not name and set(names) >= SPARSE
        chosen = names if sparse else [choose(file, name, names)]
        for member in chosen:
            _check_member(file, archive, f"{member}.npy")
    if sparse:
        array = scipy.sparse.load_npz(file.path)
        require_sides(file, array.shape)
        if array.format in ("csr", "csc", "bsr"):  # SciPy's reader does not ask whether the indices lie inside
            array.check_format(full_check=True)
        return array
    with np.load(file.path, allow_pickle=False) as arrays:
        return np.asarray(arrays[chosen[0]])


def _check_member(file: InputFile, archive: zipfile.ZipFile, member: str) -> None:
    expanded = archive.getinfo(member).file_size
    require_room(file, expanded, EXPANDING)
    with archive.open(member) as stream:
        _check_header(file, stream, expanded)


def _check_header(file: InputFile, stream: IO[bytes], size: int) -> None:
    """Refuse a header that declares more numbers than the file holds: NumPy would take the memory first."""
    version = np.lib.format.read_magic(stream)
    if version not in HEADERS:
        raise FileFormatError(f"{file} has version {version} of the .npy format: it is no array of numbers")
    width, read_header = HEADERS[version]
    start, length = stream.tell(), int.from_bytes(stream.read(width), "little")
    if length > LONGEST:  # NumPy would take the memory for it first
        raise FileFormatError(f"{file} declares a header of {length:,} bytes: at most {LONGEST:,} are read")
    stream.seek(start)
    shape, _, dtype = read_header(stream)
    declared, held = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if not dtype.hasobject and (declared > held or any(length < 0 for length in shape)):
        raise FileFormatError(
            f"{file} declares {amount(declared)} of numbers and holds {amount(held)}: it is damaged or cut short"
        )
