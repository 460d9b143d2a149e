"""How a command ends before its time: signals unwind it, so that no temporary file stays behind."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Ended(BaseException):
    """The process was asked to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = 128 + number  # as a shell reports it


@contextmanager
def unwinding() -> Iterator[None]:
    """Raise `Ended` where a signal asks the process to end; the second signal of a kind ends it at once."""

    def stop(number: int, _frame: Any) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise Ended(number)

    main = threading.current_thread() is threading.main_thread()  # no other may change what a signal does
    # what is ignored, as under nohup, or has a handler of somebody else stays so
    ours = [number for number in SIGNALS if main and signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
