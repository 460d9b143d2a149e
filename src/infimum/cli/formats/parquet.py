"""Files .parquet: read by PyArrow, through which pandas reads them, too, or else by Polars."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np

from infimum._arguments import optional
from infimum.cli.formats.input_file import InputFile, Named
from infimum.cli.formats.limits import refuse_name, require_room
from infimum.errors import FileFormatError, MissingExtraError

PANDAS = "pandas"  # the key under which pandas says which columns name the rows
ITEMSIZE = 8


class WithArrow:
    """A file that PyArrow reads."""

    def __init__(self, path: Path) -> None:
        self.file = optional("pyarrow.parquet", "parquet").ParquetFile(path)
        self.names: list[str] = self.file.schema_arrow.names
        self.rows: int = self.file.metadata.num_rows
        self.notes = {key.decode(): text for key, text in (self.file.schema_arrow.metadata or {}).items()}
        groups = (self.file.metadata.row_group(place) for place in range(self.file.metadata.num_row_groups))
        self.unpacked: int = sum(group.total_byte_size for group in groups)

    def columns(self) -> list[tuple[int, np.ndarray]]:
        """Return how many entries each column lacks, and its entries."""
        table = self.file.read()
        return [(column.null_count, column.to_numpy()) for column in table.columns]


class WithPolars:
    """A file that Polars reads."""

    unpacked = 0  # which it does not say

    def __init__(self, path: Path) -> None:
        self.path, self.polars = path, optional("polars", "parquet")
        self.names: list[str] = list(self.polars.read_parquet_schema(path))
        self.rows: int = self.polars.scan_parquet(path).select(self.polars.len()).collect().item()
        self.notes: dict[str, Any] = self.polars.read_parquet_metadata(path)

    def columns(self) -> list[tuple[int, np.ndarray]]:
        """Return how many entries each column lacks, and its entries."""
        frame = self.polars.read_parquet(self.path)
        return [(column.null_count(), column.to_numpy()) for column in frame.get_columns()]


READERS: dict[str, type[WithArrow] | type[WithPolars]] = {"pyarrow": WithArrow, "polars": WithPolars}


def read_parquet(file: InputFile, name: str) -> Named:
    """Read a table of numbers; a column of text, or the index of pandas, names the rows."""
    refuse_name(file, name)
    reader = next((READERS[package] for package in READERS if importlib.util.find_spec(package)), None)
    if reader is None:
        raise MissingExtraError(
            f'{file} needs PyArrow (as pandas does) or Polars: pip install "infimum[parquet]", or write .csv or .npy'
        )
    table = reader(file.path)
    if len(set(table.names)) < len(table.names):
        raise FileFormatError(f"{file} has two columns of one name: give each its own")
    require_room(file, max(table.unpacked, ITEMSIZE * table.rows * len(table.names)), "write it as .npy")
    columns = dict(zip(table.names, table.columns(), strict=True))
    index = _index(table.notes) & columns.keys()
    others = [name for name, (_, values) in columns.items() if values.dtype.kind not in "biuf" and name not in index]
    if not index and len(others) == 1 and all(isinstance(entry, str) for entry in columns[others[0]][1]):
        index = {others.pop()}  # a column of text; decimals, dates and lists name nothing
    if others:
        raise FileFormatError(f"{file}: column {others[0]!r} holds no numbers: leave it away, or make it the index")
    names = [name for name in columns if name not in index]
    for name in names:
        if columns[name][0]:
            raise FileFormatError(f"{file}: column {name!r} lacks {columns[name][0]:,} entries: fill them in")
    arrays = [columns[name][1] for name in names]
    if not arrays or not len(arrays[0]):
        raise FileFormatError(f"{file} holds no numbers")
    matrix = np.column_stack([array.astype(np.float64) if array.dtype.kind == "b" else array for array in arrays])
    labels = [tuple(map(str, columns[name][1])) for name in columns if name in index]
    return Named(matrix, labels[0] if len(labels) == 1 else None, tuple(names))


def _index(notes: dict[str, Any]) -> set[str]:
    """Return the columns that pandas made of the names of the rows."""
    try:
        listed = json.loads(notes[PANDAS])["index_columns"]
        return {name for name in listed if isinstance(name, str)}
    except (KeyError, TypeError, ValueError, RecursionError):
        return set()
