"""Output files: nothing half-written, nothing overwritten by accident."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infimum.errors import OptionError, OutputError

TEMPORARY = ".infimum-"  # how the names of files begin that are not whole yet


def check_output(path: str | Path, *, suffixes: tuple[str, ...] = (), overwrite: bool = False) -> Path:
    """Return `path` if a file can be written there, before any work is spent on its content.

    Raises
    ------
    OptionError
        The suffix is not one of `suffixes`.
    OutputError
        The folder does not exist or is closed, or the file exists and `overwrite` is False.
    """
    path = Path(path)
    if suffixes and path.suffix.lower() not in suffixes:
        raise OptionError(f"{path} must end in {' or '.join(suffixes)}")
    if not path.parent.is_dir():
        raise OutputError(f"{path} cannot be written: there is no folder {path.parent}; make it first")
    _require_open(path, path.parent)
    if path.is_dir():
        raise OutputError(f"{path} is a folder; a file name was expected")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists; choose another name, or allow overwriting (--force, overwrite=True)")
    return path


def check_folder(path: Path) -> None:
    """Raise `OutputError` if no folder can be made there, before any work is spent on its content."""
    _require_open(path, next(folder for folder in (path, *path.absolute().parents) if folder.exists()))


def _require_open(path: Path, folder: Path) -> None:
    """Raise `OutputError` if nothing can be written into `folder`, on the way to `path`."""
    try:  # what a folder allows does not tell: the file system may be read-only, or make no files at all
        with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=folder):
            pass
    except OSError as error:
        reason = f"the folder {folder} is closed to you" if folder.is_dir() else f"{folder} is no folder"
        raise OutputError(f"{path} cannot be written: {reason}; choose another one") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; it takes the place of `path` when the block ends well, or vanishes.

    An error of the file system, such as a full disk, names `path`.
    """
    temporary = None
    try:
        # same folder, so that the renaming is atomic; same suffix, because writers choose the format by it
        handle, name = tempfile.mkstemp(prefix=TEMPORARY, suffix=path.suffix, dir=path.parent)
        temporary = Path(name)
        os.close(handle)
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes private files
        temporary.replace(path)
    except OSError as error:
        if error.errno is None or (error.filename and Path(str(error.filename)).name[: len(TEMPORARY)] != TEMPORARY):
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file as UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
