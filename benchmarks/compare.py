"""``python -m benchmarks compare A B``: what changed between two stored runs of one benchmark module.

A and B are files, or ``NAME@REVISION``: the record of that module as it was stored in a revision of the repository.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import records

Record = Mapping[str, Any]
Key = tuple[str, str, str, str]

TIMES = 1.1  # where the quartiles are apart by chance, the medians differ by less
SAME = 1e-6  # of a quality: below lies rounding


def main(arguments: Sequence[str]) -> int:
    """Print the comparison; the exit status is 0 whatever it says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks compare", description=__doc__)
    parser.add_argument("before", metavar="A")
    parser.add_argument("after", metavar="B")
    given = parser.parse_args(arguments)
    print(compared(read(given.before), read(given.after)))
    return 0


def read(source: str) -> Record:
    """Return a stored record."""
    if Path(source).is_file():
        text = Path(source).read_text(encoding="utf-8")
    elif "@" in source:
        name, _, revision = source.partition("@")
        path = f"{revision}:benchmarks/{records.RESULTS.name}/{name}.json"
        done = subprocess.run(
            ["git", "show", path], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"there is no record {path}: {done.stderr.strip()}")
        text = done.stdout
    else:
        raise SystemExit(f"expected a file, or NAME@REVISION, got {source}")
    document: Record = json.loads(text)
    if not document.get("rows") or "contender" not in document["rows"][0]:
        raise SystemExit(f"{source} is no record of a benchmark module: its rows name no contenders")
    return document


def compared(before: Record, after: Record) -> str:
    """Return the rows that both records have, side by side, and those that only one has."""
    old, new = by_key(before), by_key(after)
    lines = [f"A: {setting(before)}", f"B: {setting(after)}"]
    if any(before["machine"][name] != after["machine"][name] for name in ("processor", "cores", "threads")):
        lines.append("Not the same machine and threads: compare the ratios in each record, not the seconds.")
    title = None
    for key in (key for key in new if key in old):
        if key[:3] != title:
            title = key[:3]
            lines += ["", "{}: {}, {}".format(*title)]
        lines.append("  " + "  ".join(cell for cell in cells(key[3], old[key], new[key]) if cell))
    for name, missing in (("A", [k for k in old if k not in new]), ("B", [k for k in new if k not in old])):
        lines += [f"only in {name}: {'; '.join(key)}" for key in missing]
    return "\n".join(lines)


def by_key(record: Record) -> dict[Key, Record]:
    """Return the rows of a record by problem, input, task and contender."""
    return {(row["problem"], row["input"], row["task"], row["contender"]): row for row in record["rows"]}


def setting(record: Record) -> str:
    """Say when, of which commit and on what a record was measured."""
    machine = record["machine"]
    commit, date = machine.get("commit", "unknown"), machine["date"]
    return f"{record['name']}, {date}, commit {commit}, {machine['processor']}, {machine['threads']} thread(s)"


def cells(contender: str, old: Record, new: Record) -> tuple[str, ...]:
    """Return one line: seconds and quality before and after, and what is more than chance."""
    if "failure" in old or "failure" in new:
        return (contender, *(row.get("failure", "worked") for row in (old, new)))
    ratio = new["seconds"]["median"] / old["seconds"]["median"]
    times = f"{old['seconds']['median']:.3g} s -> {new['seconds']['median']:.3g} s ({ratio:.2f})"
    return (f"{contender:24s}", times, speed(old["seconds"], new["seconds"], ratio), quality(old, new))


def speed(old: Mapping[str, float], new: Mapping[str, float], ratio: float) -> str:
    """Return "faster" or "slower" where the quartiles are apart."""
    if ratio > TIMES and new["q1"] > old["q3"]:
        return "slower"
    return "faster" if ratio < 1.0 / TIMES and new["q3"] < old["q1"] else ""


def quality(old: Record, new: Record) -> str:
    """Return what became of the error over the floor; the floor is proved, so it may have moved, too."""
    if old["quality_ratio"] is None or new["quality_ratio"] is None:
        return ""
    was, now = old["quality_ratio"]["median"], new["quality_ratio"]["median"]
    if abs(now - was) <= SAME * was:
        return ""
    return f"error / floor {was:.4g} -> {now:.4g} ({'worse' if now > was else 'better'})"
