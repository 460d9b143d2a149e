"""Numbers that are too many for memory: folders for a temporary purpose, and tensors kept in them."""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from infimum.compress.model.tensor_files import Stored

PREFIX = "infimum-scratch-"


def claim(parent: Path, prefix: str) -> tuple[Path, int]:
    """Make a folder that belongs to this process while the returned file descriptor is open.

    Folders of that prefix whose process ended without removing them, killed for instance, are removed. A lock on the
    folder tells: it ends with the process, however that ends.
    """
    with _locked(parent):  # between its making and its lock a folder would look abandoned
        for old in parent.glob(f"{glob.escape(prefix)}*"):
            with suppress(OSError), _locked(old, fcntl.LOCK_NB):
                shutil.rmtree(old, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return folder, descriptor


@contextmanager
def _locked(folder: Path, flags: int = 0) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | flags)
        yield
    finally:
        os.close(descriptor)


class Shelf:
    """Tensors by name in a folder among the system's temporary files (TMPDIR), which goes when this object does."""

    def __init__(self) -> None:
        self._folder, descriptor = claim(Path(tempfile.gettempdir()), PREFIX)
        self._files: dict[Any, Path] = {}
        weakref.finalize(self, _remove, self._folder, descriptor, os.getpid())

    def put(self, name: Any, tensors: Mapping[str, torch.Tensor]) -> None:
        """Store tensors under a new name."""
        path = self._folder / f"{len(self._files)}.safetensors"
        save_file({part: tensor.contiguous() for part, tensor in tensors.items()}, path)
        self._files[name] = path

    def get(self, name: Any) -> dict[str, torch.Tensor]:
        """Read the tensors of a name."""
        return load_file(self._files[name])

    def stored(self, name: Any) -> list[Stored]:
        """Describe the tensors of a name without reading them."""
        path = self._files[name]
        with safe_open(path, "pt") as handle:
            parts = list(handle.keys())
        return [Stored.within(path, part) for part in parts]

    def pop(self, name: Any) -> dict[str, torch.Tensor]:
        """Read the tensors of a name for the last time."""
        tensors = self.get(name)
        self._files[name].unlink()
        return tensors


def _remove(folder: Path, descriptor: int, owner: int) -> None:
    if os.getpid() == owner:  # a forked process has a copy of the object, not of the folder
        shutil.rmtree(folder, ignore_errors=True)
    os.close(descriptor)
