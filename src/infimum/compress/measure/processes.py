"""Several processes that compress one model: each does a part of the work, and all know what every part gave.

They are those of `torch.distributed`, which torchrun starts. Where it is not initialised there is one process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from torch import distributed

from infimum.errors import ProcessError

EVERYWHERE = "raised in all processes that share the work"  # a note of such errors

Item = TypeVar("Item")
Result = TypeVar("Result")


def place() -> tuple[int, int]:
    """Return the number of this process, and how many there are."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def spread(items: Sequence[Item], work: Callable[[list[Item]], list[Result]]) -> list[Result]:
    """Let every process do its part of the items, by turns, and return the results of all in their order.

    `work` takes a list and returns as many results. What it raises in one process is raised in all of them, so that
    none waits for one that has ended.
    """
    rank, count = place()
    if count == 1:
        return work(list(items))
    outcome: list[Result] | Exception
    try:
        outcome = work(list(items[rank::count]))
    except Exception as error:
        outcome = error
    found: list[Any] = [None] * count
    _gloo(distributed.all_gather_object, found, outcome)
    for other in found:
        if isinstance(other, Exception):
            other.add_note(EVERYWHERE)
            raise other
    return [found[index % count][index // count] for index in range(len(items))]


def told(value: Any, source: int) -> Any:
    """Return what the process `source` has as its `value`."""
    if place()[1] == 1:
        return value
    held = [value]
    _gloo(distributed.broadcast_object_list, held, source)
    return held[0]


def _gloo(operation: Callable[..., Any], *arguments: Any) -> None:
    try:
        operation(*arguments)
    except RuntimeError as error:  # how gloo says that the other side is gone
        raise ProcessError("another of the processes that share this work has ended: see what it said") from error
