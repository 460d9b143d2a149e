"""What a file declares is held against the size that it has, before memory is taken."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

from infimum.cli.formats.input_file import InputFile
from infimum.errors import FileFormatError

SEPARATOR = "::"  # FILE::NAME picks one of several arrays in a file
# A compressed or sparse file may need this much memory, or so many times its own size, whichever is more.
ALWAYS, TIMES = 2**28, 1000
POINTER = 8  # bytes that a sparse array takes for each row and column


def require_file(path: Path) -> int:
    """Return the size of a file that can be opened; folders, pipes, devices and empty files are refused."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, a socket or a device"
        raise FileFormatError(f"{path} is {kind}; a file was expected")
    with path.open("rb"):  # what may not be read is reported alike for every format
        pass
    if status.st_size == 0:
        raise FileFormatError(f"{path} is empty: it holds no numbers")
    return status.st_size


def allowed(size: int) -> int:
    """Return the bytes of memory that a file of so many bytes may take."""
    return max(ALWAYS, TIMES * size)


def require_room(file: InputFile, declared: int, advice: str) -> None:
    """Refuse a file whose content would need far more memory than the file has bytes."""
    size, most = file.size, allowed(file.size)
    if declared > most:
        raise FileFormatError(
            f"{file} has {size:,} bytes and declares an array of {amount(declared)}, and at most {amount(most)} are "
            f"read from such a file; {advice}"
        )


def require_sides(file: InputFile, shape: Sequence[int]) -> None:
    """Refuse a sparse array with far more rows and columns, stored or empty, than the file has bytes."""
    require_room(file, POINTER * sum(shape), "leave empty rows and columns away")


def amount(count: int) -> str:
    """Bytes in words, whatever number a file may state."""
    return f"{count:,} bytes" if count < 10**18 else "more than 10^18 bytes"


def refuse_name(file: InputFile, name: str) -> None:
    """Refuse NAME for a file whose array has none."""
    if name:
        raise FileFormatError(f"{file} holds one array without a name: leave {SEPARATOR}{name} away")


def choose(file: InputFile, name: str, names: Sequence[str]) -> str:
    """Return the name of the array that is meant."""
    if name in names:
        return name
    if not name and len(names) == 1:
        return names[0]
    shown = ", ".join(names[:8]) + (f", ... ({len(names)} in all)" if len(names) > 8 else "")
    if not names:
        raise FileFormatError(f"{file} holds no arrays")
    if name:
        raise FileFormatError(f"{file} holds no {name!r}; it holds {shown}")
    raise FileFormatError(f"{file} holds {len(names)} arrays, name one as {file}{SEPARATOR}NAME: {shown}")
