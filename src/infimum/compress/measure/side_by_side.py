"""What is done at the same time: halves of a text, each by its share of the threads, and layers, two at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import nullcontext
from typing import TypeAlias, TypeVar

import torch

from infimum._threads import one_thread, together
from infimum.compress.measure.progress import Steps
from infimum.compress.model.layer import Layer

Item = TypeVar("Item")
Result = TypeVar("Result")
Step: TypeAlias = Callable[[], None]
ALONE = 2**23  # numbers in a layer from which two of them are not worked on at a time, for the memory that takes


class _StoppedError(Exception):
    """Another part has failed."""


def threads_for(parts: int) -> int:
    """Return with how many threads each of these parts runs at the same time; 0 where they have to take turns."""
    return torch.get_num_threads() // parts if parts > 1 else 0


def side_by_side(work: Callable[[Item, Step], Result], items: Sequence[Item]) -> list[Result]:
    """Apply a function to all items at the same time.

    Two halves with a thread each take less time than one after the other with two: the products of a block with a batch
    are small, and threads that share one wait for each other after each.

    `work` calls its second argument now and then: that ends it when another item has failed, or the caller was
    interrupted.
    """
    every, share, failed = torch.get_num_threads(), threads_for(len(items)), threading.Event()

    def go_on() -> None:
        if failed.is_set():
            raise _StoppedError

    def run(item: Item) -> Result:
        torch.set_num_threads(share)
        return work(item, go_on)

    try:
        with one_thread(), ThreadPoolExecutor(len(items)) as pool:
            running = [pool.submit(run, item) for item in items]
            try:
                wait(running, return_when=FIRST_EXCEPTION)
            finally:
                failed.set()  # all are done, or one has failed, or this thread was interrupted
    finally:
        torch.set_num_threads(every)
    errors = [future.exception() for future in running]
    for error in errors:
        if error is not None and not isinstance(error, _StoppedError):
            raise error
    return [future.result() for future in running]


def two_by_two(
    work: Callable[[Item], Result], items: Sequence[Item], layers_of: Callable[[Item], Iterable[Layer]], steps: Steps
) -> list[Result]:
    """Apply a function to all items, two at a time: while the one waits for a single thread the other goes on.

    The function has loops of its own that all processors share. More at a time would need more memory: items with a
    layer of more than `ALONE` numbers wait for each other.
    """
    large = threading.Semaphore()

    def one(item: Item) -> Result:
        with large if max(layer.size for layer in layers_of(item)) > ALONE else nullcontext():
            found = work(item)
        steps.done(len(items))
        return found

    with one_thread():
        return together(one, items, at_once=2)
