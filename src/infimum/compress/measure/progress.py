"""How far the work is, told to whoever asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[str, int, int], None]  # (what, done, of)


class Steps:
    """Counts the steps of one kind of work, which threads share."""

    def __init__(self, on_progress: Progress | None, what: str) -> None:
        self._on_progress, self._what, self._done, self._lock = on_progress, what, 0, threading.Lock()

    def done(self, of: int) -> None:
        """Say that one more is done of so many; what is begun anew counts once."""
        with self._lock:
            self._done = min(self._done + 1, of)
            if self._on_progress:
                self._on_progress(self._what, self._done, of)
