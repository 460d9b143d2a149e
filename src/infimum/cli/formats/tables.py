"""Tables of numbers as text, with or without the names of columns and rows: what spreadsheets and pandas write."""

from __future__ import annotations

import csv
import itertools
import warnings
from array import array
from collections.abc import Iterable, Iterator

import numpy as np

from infimum._separators import DECIMAL_COMMA, separator_of
from infimum.cli.formats.input_file import InputFile, Named
from infimum.cli.formats.limits import refuse_name
from infimum.errors import FileFormatError

SUFFIXES = (".csv", ".tsv", ".txt")
COMMENT = "#"


class Lines:
    """The lines of a text but for blank ones and comments; `number` is that of the last one given."""

    def __init__(self, text: Iterable[str]) -> None:
        self.text, self.number = text, 0

    def __iter__(self) -> Iterator[str]:
        for line in self.text:
            self.number += 1
            if line.strip() and not line.startswith(COMMENT):
                yield line


def read_table(file: InputFile, name: str) -> Named:
    """Read rows of numbers of equal length, as a matrix.

    A first row without a number names the columns. Below it, a first column without a number, or without a name, names
    the rows.
    """
    refuse_name(file, name)
    with file.path.open(encoding="utf-8-sig", newline="") as text:
        try:
            separator = separator_of(list(itertools.islice(Lines(text), 2)))
            text.seek(0)
            return _Table(file, separator).read(Lines(text))
        except UnicodeDecodeError as error:
            raise FileFormatError(f"{file} is no text in UTF-8 ({error.reason}): save it as such") from error


class _Table:
    """A table, row by row."""

    def __init__(self, file: InputFile, separator: str | None) -> None:
        self.file, self.separator = file, separator
        self.header: list[str] = []
        self.labels: list[str] | None = None  # names of the rows
        self.numbers, self.width = array("d"), 0
        self.marks: set[str] = set()  # decimal marks, where a comma may be one

    def read(self, lines: Lines) -> Named:
        if self.separator is None:
            rows: Iterable[list[str]] = (line.split() for line in lines)
        else:
            rows = csv.reader(lines, delimiter=self.separator, skipinitialspace=True)
        counts = False
        for row in rows:
            if not self.width:
                counts = row == [str(place) for place in range(len(row))]
            self.add(row, lines.number)
        if not self.numbers:
            raise FileFormatError(f"{self.file} holds no numbers{' below its header' if self.header else ''}")
        named = self.labels is not None
        matrix = np.array(self.numbers).reshape(-1, self.width - named)
        if counts and np.any(matrix != np.floor(matrix)):
            warnings.warn(
                f"{self.file} begins with 0, 1, 2, ..., read as numbers: if they name columns, put {COMMENT} before",
                stacklevel=2,
            )
        rows_named = tuple(self.labels) if self.labels is not None else None
        return Named(matrix, rows_named, tuple(self.header[named:]) or None)

    def add(self, row: list[str], line: int) -> None:
        if not self.width:
            self.width = len(row)
            if self.is_header(row, line):
                return
        if len(row) != self.width:
            raise self.wrong(line, f"rows of equal length were expected, got {len(row)} entries after {self.width}")
        if self.header and not self.numbers and self.width > 1:
            unnamed = not self.header[0]
            self.labels = [] if unnamed or (row[0].strip() and not self.is_number(row[0])) else None
        if self.labels is not None:
            if self.header[0] and self.is_number(row[0]):
                raise self.wrong(line, f"text was expected in the first column, as above it, got {row[0]!r}")
            self.labels.append(row[0].strip())
            row = row[1:]
        try:
            self.numbers.extend(self.floats(row))
        except ValueError:
            raise self.wrong(line, self.complaint(row)) from None
        if self.separator in DECIMAL_COMMA:
            text = "".join(row)
            self.marks.update(mark for mark in ",." if mark in text)
            if len(self.marks) > 1:
                raise self.wrong(line, "numbers have one decimal mark in a file, . or a comma, got both")

    def is_header(self, row: list[str], line: int) -> bool:
        """Take the first row as names, unless all of it are numbers."""
        found = [self.is_number(entry) for entry in row]
        if all(found):
            return False
        names = [entry.strip() for entry in row]
        counted = not names[0] and names[1:] == [str(place) for place in range(len(names) - 1)]  # pandas, no names
        if any(found) and not counted:
            both = f"{row[found.index(False)]!r} and {row[found.index(True)]!r}"
            raise self.wrong(line, f"names of columns, or numbers, were expected, got both: {both}")
        if "" in names[1:]:
            raise self.wrong(line, f"column {names.index('', 1) + 1} of {len(names)} has no name: give it one")
        twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
        if twice is not None:
            raise self.wrong(line, f"two columns have the name {twice!r}: give each its own")
        self.header = names
        return True

    def floats(self, entries: list[str]) -> list[float]:
        """Return the numbers of a row; ValueError where an entry is none."""
        text = "".join(entries)
        if "_" in text:  # digits in Python's own grouping
            raise ValueError(text)
        if self.separator in DECIMAL_COMMA:
            entries = [entry.replace(",", ".") for entry in entries]
        return list(map(float, entries))

    def is_number(self, entry: str) -> bool:
        try:
            self.floats([entry])
        except ValueError:
            return False
        return True

    def complaint(self, row: list[str]) -> str:
        place = next(place for place, entry in enumerate(row) if not self.is_number(entry))
        column = place + self.width - len(row)
        label = repr(self.header[column]) if self.header else column + 1
        return (
            f"a number was expected in column {label}, got {row[place]!r}"
            if row[place].strip()
            else (f"column {label} is empty: fill it in, or leave the row away")
        )

    def wrong(self, line: int, complaint: str) -> FileFormatError:
        return FileFormatError(f"{self.file}, line {line}: {complaint}")
