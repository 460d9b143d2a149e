"""Files .mtx in the Matrix Market format, dense or sparse.

Read here and not by SciPy, whose native reader ends the process on a zero byte, or on a number that is cut off.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TextIO

import numpy as np
import scipy.sparse

from infimum.cli.formats.input_file import InputFile
from infimum.cli.formats.limits import amount, refuse_name, require_sides
from infimum.errors import FileFormatError

BANNER = ["%%matrixmarket", "matrix"]
LAYOUTS = ("array", "coordinate")
# columns that a value takes, by its field
FIELDS = {"real": ["f8"], "double": ["f8"], "complex": ["f8", "f8"], "integer": ["i8"], "pattern": []}
MIRRORED = {"symmetric": 1, "skew-symmetric": -1, "hermitian": 1}  # sign of the half that is not stored
NUMBER, ENTRY = 2, 4  # least bytes of the line of one number, and of one entry: digits, separators and the line end
LINE = 2**16  # characters of a line before the numbers


class Header(NamedTuple):
    """What the first lines of a file declare; `stored` numbers or entries follow."""

    layout: str
    field: str
    symmetry: str
    shape: tuple[int, int]
    stored: int


def read_matrix_market(file: InputFile, name: str) -> Any:
    """Read a matrix; a sparse file gives a sparse array."""
    refuse_name(file, name)
    size = file.size
    with file.path.open(encoding="latin-1") as stream:  # comments may hold anything
        header = _header(file, stream)
        least = header.stored * (NUMBER if header.layout == "array" else ENTRY)
        if least > size + NUMBER:  # the last line may lack its end
            raise FileFormatError(
                f"{file} declares {header.stored:,} numbers and has {amount(size)}: it is damaged or cut short"
            )
        if header.layout == "coordinate":
            require_sides(file, header.shape)
        columns = ["i8", "i8"] if header.layout == "coordinate" else []
        kinds = [*columns, *FIELDS[header.field]]
        dtype = np.dtype([(f"f{place}", kind) for place, kind in enumerate(kinds)])
        table = np.loadtxt(stream, dtype=dtype, ndmin=1, comments="%") if header.stored else np.empty(0, dtype)
    if table.size != header.stored:
        raise FileFormatError(f"{file} declares {header.stored:,} numbers and holds {table.size:,}")
    parts = [table[name] for name in table.dtype.names or ()]
    return _sparse(header, parts) if header.layout == "coordinate" else _dense(header, parts)


def _header(file: InputFile, stream: TextIO) -> Header:
    words = stream.readline(LINE).lower().split()
    if len(words) != 5 or words[:2] != BANNER or words[2] not in LAYOUTS or words[3] not in FIELDS:
        raise FileFormatError(f"{file} cannot be read as .mtx: it must begin with %%MatrixMarket matrix and its kind")
    _, _, layout, field, symmetry = words
    line = stream.readline(LINE)
    while line.startswith("%") or line.isspace():
        line = stream.readline(LINE)
    sizes = [int(word) for word in line.split()]
    if len(sizes) != (2 if layout == "array" else 3) or min(sizes) < 0:
        raise FileFormatError(f"{file} cannot be read as .mtx: it must state its rows and columns")
    rows, columns, *entries = sizes
    if symmetry not in ("general", *MIRRORED) or (symmetry != "general" and rows != columns):
        raise FileFormatError(f"{file} cannot be read as .mtx: a {rows} x {columns} matrix is not {symmetry}")
    stored = {"general": rows * columns, "skew-symmetric": rows * (rows - 1) // 2}.get(symmetry, rows * (rows + 1) // 2)
    return Header(layout, field, symmetry, (rows, columns), entries[0] if entries else stored)


def _values(parts: list[np.ndarray], count: int) -> np.ndarray:
    """Return the values of the entries: one column, two of a complex number, or none of a pattern."""
    if not parts:
        return np.ones(count)
    return parts[0] + 1j * parts[1] if len(parts) == 2 else parts[0]


def _sparse(header: Header, parts: list[np.ndarray]) -> Any:
    rows, columns, values = parts[0] - 1, parts[1] - 1, _values(parts[2:], header.stored)
    if header.symmetry in MIRRORED:
        off = rows != columns
        rows, columns = np.concatenate([rows, columns[off]]), np.concatenate([columns, rows[off]])
        values = np.concatenate([values, _mirrored(header, values[off])])
    return scipy.sparse.coo_array((values, (rows, columns)), shape=header.shape)


def _dense(header: Header, parts: list[np.ndarray]) -> np.ndarray:
    values = _values(parts, header.stored)
    if header.symmetry not in MIRRORED:
        return np.asarray(values.reshape(header.shape, order="F"))
    matrix = np.zeros(header.shape, values.dtype)
    first = 1 if header.symmetry == "skew-symmetric" else 0
    columns, rows = np.triu_indices(header.shape[0], first)  # the lower half, column by column
    matrix[columns, rows] = _mirrored(header, values)
    matrix[rows, columns] = values
    return matrix


def _mirrored(header: Header, values: np.ndarray) -> np.ndarray:
    return np.asarray(MIRRORED[header.symmetry] * (values.conj() if header.symmetry == "hermitian" else values))
