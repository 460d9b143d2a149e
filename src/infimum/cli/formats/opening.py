"""Where the bytes of an input file come from: a file, one that gzip made, or standard input."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from infimum.cli.formats.input_file import InputFile
from infimum.cli.formats.limits import allowed, amount, require_file
from infimum.errors import FileFormatError
from infimum.report.files import TEMPORARY

STANDARD_INPUT = "-"
PACKED = ".gz"
CHUNK = 2**20
# how files begin, and the suffix of their kind; all pictures are told apart by their content
MAGIC = {
    b"\x93NUMPY": ".npy",
    b"PK\x03\x04": ".npz",
    b"\x1f\x8b": PACKED,
    b"%%MatrixMarket": ".mtx",
    b"PAR1": ".parquet",
    b"MATLAB": ".mat",
    **dict.fromkeys((b"\x89PNG", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*"), ".png"),
}
TORCH = "data.pkl"  # in the archives of torch.save


@contextmanager
def opened(filename: str) -> Iterator[InputFile]:
    """Give the file of that name, unpacked where gzip packed it; ``-`` is standard input.

    Raises
    ------
    FileFormatError
        It is empty, no file, or packs far more than it has bytes.
    OSError
        It cannot be opened.
    """
    path = Path(filename)
    suffix = path.suffix.lower()
    if filename != STANDARD_INPUT and suffix != PACKED:
        require_file(path)
        yield InputFile(path, str(path), suffix)
        return
    with tempfile.TemporaryDirectory(prefix=TEMPORARY) as folder:
        if filename == STANDARD_INPUT:
            target = Path(folder) / "input"
            _copy(_standard_input(), target, "standard input")
            file = InputFile(target, "standard input", suffix_by_content(target, "standard input"))
        else:
            require_file(path)
            file = InputFile(path, str(path), PACKED)
        yield _unpacked(file, Path(folder) / "unpacked", path.with_suffix("").suffix.lower())


def _standard_input() -> IO[bytes]:
    if sys.stdin is None or sys.stdin.closed:
        raise FileFormatError("standard input is closed: name a file in place of -")
    if sys.stdin.isatty():
        raise FileFormatError("standard input is a terminal: send a file to it, as in infimum ... - < FILE")
    return sys.stdin.buffer


def _unpacked(file: InputFile, target: Path, suffix: str) -> InputFile:
    if file.suffix != PACKED:
        return file
    most = allowed(file.size)
    try:
        with gzip.open(file.path) as packed:
            _copy(packed, target, file.name, most)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FileFormatError(f"{file} cannot be unpacked as {PACKED}: {error}") from error
    return InputFile(target, file.name, suffix or suffix_by_content(target, file.name))


class Source(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """Read some."""


def _copy(source: Source, target: Path, name: str, most: int | None = None) -> None:
    """Copy to a temporary file, as far as its disk, or what is allowed, goes."""
    free = shutil.disk_usage(target.parent).free // 2
    copied = 0
    try:
        with target.open("wb") as file:
            while chunk := source.read(CHUNK):
                if not copied and most is None:
                    suffix_of(chunk, name)  # what begins as no known kind does not go on for ever
                copied += file.write(chunk)
                if most is not None and copied > most:
                    raise FileFormatError(
                        f"{name} unpacks to more than {amount(most)}, and at most so much is read of such a file; "
                        "unpack it first"
                    )
                if copied > free:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise FileFormatError(
            f"{name} does not fit the folder for temporary files, {tempfile.gettempdir()}: set TMPDIR to a larger one"
        ) from error
    if not copied:
        raise FileFormatError(f"{name} is empty: it holds no numbers")


def suffix_by_content(path: Path, name: str) -> str:
    """Tell the kind of a file without a suffix from its content."""
    with path.open("rb") as file:
        found = suffix_of(file.read(CHUNK), name)
    return ".pt" if found == ".npz" and _is_torch(path) else found


def suffix_of(head: bytes, name: str) -> str:
    """Tell the kind of a file from how it begins."""
    found = next((suffix for magic, suffix in MAGIC.items() if head.startswith(magic)), None)
    if found is not None:
        return found
    if head[8:9] == b"{" and not any(head[5:8]):  # the length of a header, and its JSON
        return ".safetensors"
    if b"\0" in head:
        raise FileFormatError(f"{name} is neither text nor of a kind that can be told without a suffix: name a file")
    return ".csv"


def _is_torch(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(member.rpartition("/")[2] == TORCH for member in archive.namelist())
    except zipfile.BadZipFile:
        return False
