"""The output options that every problem command has: what to write, checked before any work is done."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Group, Parameter

from infimum._arguments import optional
from infimum._arrays import is_array, to_numpy
from infimum.cli.screen import FLAG, Talk
from infimum.errors import OptionError, OutputError
from infimum.memory import MemoryReport
from infimum.proof.result import Result
from infimum.report.files import check_output, replacing, write_text
from infimum.report.page import data_beside, result_beside
from infimum.report.plain_text import Names, to_json

OUTPUT = Group("Output", sort_key=2)
STDOUT = Path("-")


@Parameter(name="*", group=OUTPUT)  # the options stand beside the others: --json, not --outputs.json
@dataclass(frozen=True, kw_only=True)
class Outputs(Talk):
    """Where the answer goes, besides the table on the screen."""

    json: Path | None = None
    "Write answer and certificate as JSON; - or nothing after it: to stdout, in place of the table."
    report: Path | None = None
    "Write a report: one self-contained .html file, and beside it its content (.json) and the answer (.result.json)."
    plot: Path | None = None
    "Write a picture: .png, .svg or .pdf."
    save: Path | None = None
    "Write the arrays of the answer: .npz or .safetensors, or .csv for vectors of one length."
    force: Annotated[bool, FLAG] = False
    "Overwrite files that exist."

    def check(self) -> None:
        """Refuse what cannot be written, before any work is done."""
        wanted: Mapping[str, tuple[str, ...]] = {
            "json": (".json",),
            "report": (".html", ".htm"),
            "plot": (".png", ".svg", ".pdf"),
            "save": (".npz", ".safetensors", ".csv"),
        }
        paths = []
        for name, suffixes in wanted.items():
            path = getattr(self, name)
            if path is not None and path != STDOUT:
                paths.append(check_output(path, suffixes=suffixes, overwrite=self.force))
        if self.report is not None:
            beside = data_beside(self.report), result_beside(self.report)
            paths += [check_output(path, overwrite=self.force) for path in beside]
        if len(set(paths)) < len(paths):
            raise OptionError("two outputs have the same name (a report also writes .json and .result.json beside it)")

    def write(self, result: Result | MemoryReport, names: Names | None = None, **details: Any) -> list[Path]:
        """Write what was asked for; return the files. `details` are those of `infimum.report.write`."""
        from infimum import report
        from infimum.report import drawing

        written: list[Path] = []
        if self.json == STDOUT:
            sys.stdout.write(to_json(result, names) + "\n")
        elif self.json is not None:
            write_text(self.json, to_json(result, names) + "\n")
            written.append(self.json)
        if self.report is not None:
            details = {**details, "names": names} if names else details
            written.append(report.write(result, self.report, overwrite=self.force, **details))
        if self.plot is not None:
            with replacing(self.plot) as temporary:
                drawing.save(drawing.with_names(result, names), temporary)
            written.append(self.plot)
        if self.save is not None:
            save_arrays(result, self.save)
            written.append(self.save)
        return written


def save_arrays(result: Result | MemoryReport, path: Path) -> None:
    """Write the arrays and numbers of an answer to a file, each under its field's name."""
    fields = {f.name: getattr(result, f.name) for f in dataclasses.fields(result) if f.name != "certificate"}
    arrays = {
        name: np.ascontiguousarray(to_numpy(item) if is_array(item) else np.asarray(item))
        for name, item in fields.items()
        if is_array(item) or isinstance(item, int | float | complex) or _is_table(item)
    }
    if path.suffix.lower() == ".csv":
        write_text(path, _as_columns({name: array for name, array in arrays.items() if is_array(fields[name])}))
        return
    with replacing(path) as temporary:
        if path.suffix.lower() == ".npz":
            with temporary.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]  # its other parameter is named file
            return
        numpy_format = optional("safetensors.numpy", "cli")
        complex_ones = [name for name, array in arrays.items() if array.dtype.kind == "c"]
        if complex_ones:
            raise OutputError(f"safetensors has no complex numbers ({', '.join(complex_ones)}): save as .npz instead")
        # not save_file, whose error for a full disk is its own
        temporary.write_bytes(numpy_format.save(arrays))


def _as_columns(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the vectors as CSV text, one column each, with every digit."""
    if len({array.shape for array in arrays.values()}) != 1 or any(array.ndim != 1 for array in arrays.values()):
        raise OutputError("a .csv file holds vectors of one length, and this answer is not made of such: save as .npz")
    rows = zip(*(array.tolist() for array in arrays.values()), strict=True)
    return "\n".join([",".join(arrays), *(",".join(map(repr, row)) for row in rows)]) + "\n"


def _is_table(item: Any) -> bool:
    """Tell whether nested lists or tuples of numbers make a rectangular array."""
    if not isinstance(item, list | tuple) or not item:
        return False
    try:
        return np.asarray(item).dtype.kind in "biufc"
    except ValueError:
        return False
