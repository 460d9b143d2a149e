"""Answers, sizes, versions and names as plain text, alike on the terminal and in the reports."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import platform
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from infimum._arrays import is_array, to_numpy
from infimum.memory import MemoryReport
from infimum.proof.result import Result
from infimum.proof.wording import number

KEY = "names"  # in the JSON of a result, beside its answer
Names = Mapping[str, list[Any]]


def to_json(result: Result | MemoryReport, names: Names | None) -> str:
    """Return a result as JSON, with the names beside the answer."""
    text = result.to_json()
    return f"{text[:-1]}, {json.dumps(KEY)}: {json.dumps(names)}}}" if names else text


def answer(result: Result, names: Names | None = None) -> str:
    """Describe the answer in one line: numbers and short vectors as they are, larger arrays by their size.

    A field of indices is shown by the `names` of what it points to, if there are some.
    """
    fields = {f.name: getattr(result, f.name) for f in dataclasses.fields(result) if f.name != "certificate"}
    flat = {name: item for name, item in (names or {}).items() if not isinstance(item[0], list)}
    shown = {
        name: _listed(flat[name]) if name in flat else _item(item) for name, item in fields.items() if item is not None
    }
    return "; ".join(f"{name} {text}" for name, text in shown.items())


def _listed(entries: Sequence[str]) -> str:
    shown = ", ".join(entries[:6])
    return f"[{shown}]" if len(entries) <= 6 else f"[{shown}, ...] ({len(entries)} in all)"


def _item(item: Any) -> str:
    if is_array(item):
        item = to_numpy(item)
    elif isinstance(item, list | tuple) and item and all(isinstance(entry, list | tuple) for entry in item):
        shown = ", ".join(str(tuple(entry)) for entry in item[:6])
        return shown if len(item) <= 6 else f"{shown}, ... ({len(item)} in all)"
    elif isinstance(item, list | tuple):
        item = np.asarray(item, dtype=None if all(isinstance(entry, int | float) for entry in item) else object)
    if not isinstance(item, np.ndarray):
        return number(item) if isinstance(item, int | float) and not isinstance(item, bool) else str(item)
    if item.ndim == 1 and item.dtype.kind in "iuf" and item.size:
        return _listed([f"{entry:.4g}" if item.dtype.kind == "f" else str(entry) for entry in item])
    return f"({' x '.join(map(str, item.shape))})"


def versions(*packages: str) -> dict[str, str]:
    """Versions of infimum, the packages named, Python and the platform."""
    found = {name: metadata.version(name) for name in ("infimum", *packages)}
    return {**found, "python": platform.python_version(), "platform": platform.platform(terse=True)}


def command(*words: str) -> str:
    """Return a command line that a shell of this platform reads back as these words."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def theorem_page(theorem: str) -> str:
    """Address of a theorem's page where the package says where its documentation is, else its place in the report."""
    for entry in metadata.metadata("infimum").get_all("Project-URL") or ():
        name, _, address = entry.partition(", ")
        if name.lower() in ("documentation", "docs"):
            return f"{address.rstrip('/')}/theorems/{theorem}.html"
    return "#theorem" if theorem_text(theorem) else ""


def theorem_text(theorem: str) -> str:
    """Text of a theorem's page, which the wheel carries and a checkout has among its documentation, else nothing."""
    if not theorem.isidentifier():  # a name that a file brings along must not lead elsewhere
        return ""
    here = Path(__file__).parent
    for folder in (here / "theorems", here.parents[2] / "docs" / "theorems"):
        page = folder / f"{theorem}.md"
        if page.is_file():
            return page.read_text(encoding="utf-8")
    return ""


def size(count: float) -> str:
    """Bytes in a unit that reads well (powers of 1000)."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.4g} {unit}"
        count /= 1000
    return f"{count:.4g} GB"


def percent(part: float) -> str:
    """Return a part as per cent."""
    return f"{100 * part:.1f} %"


def growth(error: float) -> str:
    """Return the factor by which the perplexity grows where the loss grows by `error` nats per token."""
    return f"{math.exp(min(error, 700.0)):.4g}"


def short_kind(kind: str) -> str:
    """Leave out of the name of a kind of layer what stands before the number of its block."""
    return kind.partition("*.")[2] or kind
