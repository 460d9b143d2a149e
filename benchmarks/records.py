"""Results on disk: written whole or not at all; a run that was stopped is taken up again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
MODELS = RESULTS / "models"  # figures of models, which are not the ratios that `benchmarks.tables` shows


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document; an interrupted run leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(draft, path)


class Rows:
    """Rows of one document, known by some of their fields, stored one by one.

    Rows of an earlier run are kept if that run had the same `setting`; else the file is refused.
    """

    def __init__(
        self, path: Path, setting: Mapping[str, Any], machine: Mapping[str, Any], key: tuple[str, ...]
    ) -> None:
        self._path, self._key = path, key
        self.document: dict[str, Any] = {**setting, "machine": machine, "rows": []}
        if path.exists():
            earlier = json.loads(path.read_text(encoding="utf-8"))
            if any(earlier.get(name) != value for name, value in setting.items()):
                raise SystemExit(f"{path} was measured in another setting; remove it, or give another --out")
            self.document["rows"] = earlier["rows"]

    def __contains__(self, key: tuple[Any, ...]) -> bool:
        return any(self._of(row) == key for row in self.document["rows"])

    def add(self, row: dict[str, Any]) -> None:
        """Store a row, in place of one of the same key."""
        kept = [other for other in self.document["rows"] if self._of(other) != self._of(row)]
        self.document["rows"] = [*kept, row]
        write(self._path, self.document)
        print(json.dumps(row), flush=True)

    def _of(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in self._key)
