"""BLAS on one thread, for loops of small products."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator

import threadpoolctl

_lock = threading.Lock()
_inside = 0
_restore = contextlib.ExitStack()


@functools.cache
def _pools() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Keep the BLAS of NumPy and of SciPy on one thread.

    Each wheel brings a pool of threads of its own, which goes on spinning after a call. Where rank-one updates by the
    one alternate with products by the other, the two pools were seen to take the processors from each other, and the
    loop to take twenty times as long; so were, on a busy machine, the threads of an eigensolver, which wait for each
    other at every column. The limit is the process's: it ends with the last block that asked for it, in any thread.
    """
    global _inside
    with _lock:
        if _inside == 0:
            _restore.enter_context(_pools().limit(limits=1, user_api="blas"))
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _restore.close()
