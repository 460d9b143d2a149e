"""Files .mat of MATLAB and Octave, up to version 7; version 7.3 is another format."""

from __future__ import annotations

import io
import math
import struct
import zlib
from typing import Any

import numpy as np
import scipy.io
import scipy.sparse

from infimum.cli.formats.input_file import InputFile
from infimum.cli.formats.limits import allowed, amount, choose, require_room
from infimum.errors import FileFormatError

HEADER = 128  # bytes before the first element; the last four are version and order of the bytes
ORDER = {b"IM": "<", b"MI": ">"}
COMPRESSED = 15  # kind of an element
ITEMSIZE = {"double": 16, "single": 8, "sparse": 0, "logical": 1}  # at most, of complex numbers
INTEGERS = {f"{sign}int{bits}": bits // 4 for sign in ("", "u") for bits in (8, 16, 32, 64)}
NUMBERS = {**ITEMSIZE, **INTEGERS}
AS_V7 = "save it with -v7, or as .npy"


def read_matlab(file: InputFile, name: str) -> Any:
    """Read one variable that holds numbers; a sparse one gives a sparse array."""
    content = file.path.read_bytes()
    if content.startswith(b"MATLAB 7.3") or content[1:4] == b"HDF":
        raise FileFormatError(f"{file} has version 7.3 of the format, which is not read: {AS_V7}")
    if content[HEADER - 2 : HEADER] in ORDER and 0 not in content[:4]:  # before version 5 nothing is compressed
        content = _inflated(file, content)
    found = {variable: (shape, kind) for variable, shape, kind in scipy.io.whosmat(io.BytesIO(content))}
    numbers = [variable for variable, (_, kind) in found.items() if kind in NUMBERS]
    chosen = choose(file, name, numbers)
    shape, kind = found[chosen]
    require_room(file, math.prod(shape) * NUMBERS[kind], AS_V7)
    array = scipy.io.loadmat(io.BytesIO(content), variable_names=[chosen])[chosen]
    if not scipy.sparse.issparse(array):
        return np.asarray(array)
    array = scipy.sparse.csc_array(array)
    array.check_format(full_check=True)
    return array


def _inflated(file: InputFile, content: bytes) -> bytes:
    """Unpack the elements under the limit, so that every size which the file states is held against real bytes."""
    order = ORDER[content[HEADER - 2 : HEADER]]
    most = allowed(file.size)
    parts, start, room = [content[:HEADER]], HEADER, most
    while start + 8 <= len(content):
        kind, length = struct.unpack(f"{order}II", content[start : start + 8])
        end = start + 8 + length
        if kind == COMPRESSED:
            unpacker = zlib.decompressobj()
            parts.append(unpacker.decompress(content[start + 8 : end], room))
            if not unpacker.eof:
                raise FileFormatError(f"{file} is cut short, or unpacks to more than {amount(most)}: {AS_V7}")
            if parts[-1].startswith(struct.pack(f"{order}I", COMPRESSED)):
                raise FileFormatError(f"{file} is compressed twice, as MATLAB never does: {AS_V7}")
        else:
            parts.append(content[start:end])
        room -= len(parts[-1])
        if room <= 0:
            raise FileFormatError(f"{file} unpacks to more than {amount(most)}: {AS_V7}")
        start = end
    return b"".join(parts)
