"""Processes that torchrun started to share one command."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


def are_several() -> bool:
    """Tell whether torchrun started more than this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1"


def is_first() -> bool:
    """Tell whether this is the process that speaks and writes."""
    return not are_several() or os.environ.get("RANK") == "0"


def prefix() -> str:
    """Return what tells another process from the first where it says something."""
    return "" if is_first() else f"process {os.environ['RANK']}: "


def is_said_by_first(error: Exception) -> bool:
    """Tell whether an error was raised in all processes, of which another says it."""
    if is_first():
        return False
    from infimum.compress.measure.processes import EVERYWHERE

    return EVERYWHERE in getattr(error, "__notes__", ())


@contextmanager
def joined() -> Iterator[None]:
    """Let the processes know each other while the block runs."""
    if not are_several():
        yield
        return
    from torch import distributed

    distributed.init_process_group("gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()
