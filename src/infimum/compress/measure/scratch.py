"""Folders for a temporary purpose: those that become an output when they are whole, and tensors kept in one."""

from __future__ import annotations

import errno
import glob
import itertools
import os
import shutil
import tempfile
import time
import warnings
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from infimum._system import can_lock, close_folder, lock, open_folder
from infimum.compress.model.tensor_files import Stored, names_in, read_all, write_small
from infimum.errors import CheckpointError

PREFIX = "infimum-scratch-"
SILENCE, PATIENCE = 2.0, 60.0  # seconds of waiting for a lock before a word is said, and at all


def claim(parent: Path, prefix: str) -> tuple[Path, int]:
    """Make a folder that belongs to this process while the returned file descriptor is open.

    Folders of that prefix whose process ended without removing them, killed for instance, are removed. A lock on the
    folder tells: it ends with the process, however that ends.
    """
    with _locked(parent, PATIENCE):  # between its making and its lock a folder would look abandoned
        for old in parent.glob(f"{glob.escape(prefix)}*") if can_lock() else ():
            with suppress(OSError), _locked(old):
                shutil.rmtree(old, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        descriptor = open_folder(folder)
        lock(descriptor)  # which is new, so that nobody has it
    return folder, descriptor


def ask_new(out: Path, source: Path) -> None:
    """Ask that a folder to write is not there, nor inside one that is read, which would not be what it was.

    Raises
    ------
    CheckpointError
        It is.
    """
    if out.exists():
        raise CheckpointError(f"{out} exists already; give a new folder or remove that one first")
    if out.resolve().is_relative_to(source.resolve()):
        raise CheckpointError(f"{out} lies inside {source}, which is to stay as it is; give a folder beside it")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yield a folder to fill, which gets the name `out` at the end, or goes if anything fails."""
    out.parent.mkdir(parents=True, exist_ok=True)
    draft, held = claim(out.parent, f".{out.name}.infimum-partial-")
    try:
        yield draft
        draft.chmod(0o755)  # folders made for a temporary purpose are private
        os.rename(draft, out)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    finally:
        close_folder(held)


@contextmanager
def _locked(folder: Path, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock on a folder, for which to wait at most so many seconds."""
    descriptor, start, said = open_folder(folder), time.monotonic(), False
    try:
        while not lock(descriptor):
            waited = time.monotonic() - start
            if waited >= patience:
                message = f"another process has held the lock on it for {waited:.0f} s; end that, or set TMPDIR"
                raise TimeoutError(errno.ETIMEDOUT, message, str(folder))
            if waited >= SILENCE and not said:
                said = True
                warnings.warn(f"waiting for another process, which holds the lock on {folder}", stacklevel=4)
            time.sleep(0.05)
        yield
    finally:
        close_folder(descriptor)


class Shelf:
    """Tensors by name in a folder among the system's temporary files (TMPDIR), which goes when this object does."""

    def __init__(self) -> None:
        self._folder, descriptor = claim(Path(tempfile.gettempdir()), PREFIX)
        self._files: dict[Any, Path] = {}
        self._numbers = itertools.count()
        weakref.finalize(self, _remove, self._folder, descriptor, os.getpid())

    def put(self, name: Any, tensors: Mapping[str, torch.Tensor]) -> None:
        """Store tensors under a name, which is new or was read for the last time."""
        path = self._folder / f"{next(self._numbers)}.safetensors"
        write_small(path, tensors)
        self._files[name] = path

    def get(self, name: Any) -> dict[str, torch.Tensor]:
        """Read the tensors of a name."""
        return read_all(self._files[name])

    def adopt(self, name: Any, other: Shelf) -> None:
        """Store what another shelf has under a name, without reading it; both keep it."""
        path = self._folder / f"{next(self._numbers)}.safetensors"
        try:
            os.link(other._files[name], path)
        except OSError:  # a file system without links
            shutil.copyfile(other._files[name], path)
        self._files[name] = path

    def stored(self, name: Any) -> list[Stored]:
        """Describe the tensors of a name without reading them."""
        path = self._files[name]
        return [Stored.within(path, part) for part in names_in(path)]

    def pop(self, name: Any) -> dict[str, torch.Tensor]:
        """Read the tensors of a name for the last time."""
        tensors = self.get(name)
        self._files.pop(name).unlink()
        return tensors

    def __contains__(self, name: object) -> bool:
        return name in self._files


def _remove(folder: Path, descriptor: int, owner: int) -> None:
    if os.getpid() == owner:  # a forked process has a copy of the object, not of the folder
        shutil.rmtree(folder, ignore_errors=True)
    close_folder(descriptor)
