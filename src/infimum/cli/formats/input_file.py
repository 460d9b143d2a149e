"""What every reader is given: a file, its kind, and what it is called; and what every reader gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class InputFile:
    """A file with its kind, and the name that messages give it: never that of a temporary file."""

    path: Path
    name: str
    suffix: str

    def __str__(self) -> str:
        return self.name

    @property
    def size(self) -> int:
        """Number of its bytes."""
        return self.path.stat().st_size


@dataclass(frozen=True)
class Named:
    """An array, and the names of its rows and columns where the file has them."""

    array: Any
    rows: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
