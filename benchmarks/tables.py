"""Tables from the stored results: plain text for the terminal, Markdown for the documentation."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

HEADER = ("method", "error / floor", "time ratio", "quartiles", "seconds", "of which proof")


def cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return one row of the table; the columns are those of `HEADER`."""
    if "failure" in row:
        return (row["contender"], f"failed: {row['failure']}", "", "", "", "")
    ratio, quality, proof = row["time_ratio"], row["quality_ratio"], row["certificate_seconds"]
    return (
        row["contender"],
        _quality(quality),
        f"{ratio['median']:.2f}" if ratio else "",
        f"{ratio['q1']:.2f} to {ratio['q3']:.2f}" if ratio else "",
        f"{row['seconds']['median']:.3g}",
        f"{proof['median']:.3g}" if proof else "",
    )


def _quality(spread: Mapping[str, float] | None) -> str:
    """Return the median; draws that differ by more than one per cent also show the worst."""
    if spread is None:
        return "floor is 0"
    text = _number(spread["median"])
    return f"{text} (worst {_number(spread['max'])})" if spread["max"] > 1.01 * spread["median"] else text


def quality_text(row: Mapping[str, Any]) -> str:
    """Return error over floor of a row, its median alone."""
    return _number(row["quality_ratio"]["median"]) if row["quality_ratio"] else "floor is 0"


def _number(ratio: float) -> str:
    excess = ratio - 1.0
    return f"{ratio:.4g}" if abs(excess) >= 1e-3 else f"1 + {excess:.0e}" if excess > 0.0 else "1"


def groups(rows: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, list[Mapping[str, Any]]]]:
    """Yield (title, rows) for each comparison."""
    for key, group in itertools.groupby(rows, key=lambda row: (row["problem"], row["input"], row["task"])):
        yield "{}: {}, {}".format(*key), list(group)


def plain(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the tables as aligned text."""
    lines: list[str] = []
    for title, group in groups(rows):
        table = [HEADER, *map(cells, group)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines += ["", title]
        lines += ["  " + "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in table]
    return "\n".join(lines)


def markdown(folder: Path) -> str:
    """Return all results of a folder as Markdown sections, one per benchmark module."""
    return "\n".join(_section(json.loads(path.read_text(encoding="utf-8"))) for path in sorted(folder.glob("*.json")))


def _section(document: Mapping[str, Any]) -> str:
    machine = document["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines = [
        f"## {document['name']}",
        "",
        f"{machine['date']}, commit {machine['commit']}; {machine['processor']}, {machine['cores']} cores, "
        f"{machine['threads']} thread(s); "
        f"Python {machine['python']}; {versions}.",
    ]
    for title, group in groups(document["rows"]):
        lines += ["", f"**{title}**", "", _line(HEADER), "|---|--:|--:|--:|--:|--:|", *map(_line, map(cells, group))]
    return "\n".join(lines) + "\n"


def _line(row: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
