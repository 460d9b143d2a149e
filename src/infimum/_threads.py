"""Threads: work that they share, and states of the process that end with the last block that asked for them."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import threadpoolctl

Item = TypeVar("Item")
Result = TypeVar("Result")


def together(function: Callable[[Item], Result], items: Iterable[Item], at_once: int | None = None) -> list[Result]:
    """Apply a function that leaves the interpreter free, in as many threads as there are processors, or as told."""
    with ThreadPoolExecutor(at_once or os.cpu_count()) as pool:
        return list(pool.map(function, items))


class SharedState:
    """A context manager for a state of the whole process, entered by the first thread and left by the last one.

    Entered by each thread for itself, the one that leaves last would bring back what another had set.
    """

    def __init__(self, enter: Callable[[], contextlib.AbstractContextManager[object]]) -> None:
        self._enter = enter
        self._lock = threading.Lock()
        self._inside = 0
        self._restore = contextlib.ExitStack()

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        """Be in the state while the block runs."""
        with self._lock:
            if self._inside == 0:
                self._restore.enter_context(self._enter())
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0:
                    self._restore.close()


@functools.cache
def _pools() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController()


@contextlib.contextmanager
def _one_blas_thread() -> Iterator[None]:
    pools = [pool for pool in _pools().lib_controllers if pool.user_api == "blas"]
    before = [pool.num_threads for pool in pools]
    _set(pools, [1] * len(pools))
    try:
        yield
    finally:
        _set(pools, before)


def _set(pools: list[Any], numbers: list[int]) -> None:
    """Set numbers of threads. threadpoolctl from 3.8 on obeys only the thread that came first: let it be this one."""
    for pool, number in zip(pools, numbers, strict=True):
        free = getattr(pool, "clear_controlling_thread", lambda **options: None)
        free(force=True)
        pool.set_num_threads(number)
        free(force=True)


@contextlib.contextmanager
def _ignoring() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# Keep the BLAS of NumPy and of SciPy on one thread. Each wheel brings a pool of threads of its own, which goes on
# spinning after a call. Where rank-one updates by the one alternate with products by the other, the two pools were seen
# to take the processors from each other, and the loop to take twenty times as long; so were, on a busy machine, the
# threads of an eigensolver, which wait for each other at every column.
one_thread = SharedState(_one_blas_thread)

# Keep quiet what another library warns of and the caller deals with.
no_warnings = SharedState(_ignoring)
