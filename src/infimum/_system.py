"""What differs between operating systems: locks on folders, and the memory that a process has taken."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any


def _module(name: str) -> Any:
    """Import a module that Windows does not have; None there."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


_fcntl, _resource = _module("fcntl"), _module("resource")


def can_lock() -> bool:
    """Whether folders can be locked here; if not, nobody can tell whether one is in use."""
    return _fcntl is not None


def open_folder(folder: Path) -> int:
    """Open a folder to be locked by `lock` while the returned file descriptor is open; -1 where none can be."""
    return os.open(folder, os.O_RDONLY) if can_lock() else -1


def close_folder(descriptor: int) -> None:
    """Close what `open_folder` opened, and so give up its lock."""
    if descriptor >= 0:
        os.close(descriptor)


def lock(descriptor: int) -> bool:
    """Take the lock on an open folder, if nobody has it; there is none, and so nobody has it, where none can be."""
    if not can_lock():
        return True
    try:
        _fcntl.flock(descriptor, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def peak_memory() -> int:
    """Return the largest resident size of this process so far, in bytes; 0 where the system does not say."""
    if _resource is None:
        return 0
    size = int(_resource.getrusage(_resource.RUSAGE_SELF).ru_maxrss)
    return size if sys.platform == "darwin" else 1024 * size
