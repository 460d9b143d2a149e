"""Files .mtx in the Matrix Market format, dense or sparse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import scipy.io

from infimum.cli.formats.limits import refuse_name, require_sides
from infimum.errors import FileFormatError

# Least bytes of the text of one number: a digit and a line end; of one entry: two indices and their separators. An
# array that is stored as one half of a symmetric one has one number for two entries.
NUMBER, ENTRY = 1, 4


def read_matrix_market(path: Path, name: str) -> Any:
    """Read a matrix; a sparse file gives a sparse array."""
    refuse_name(path, name)
    rows, columns, entries, layout, *_ = scipy.io.mminfo(path)
    size = path.stat().st_size
    least = NUMBER * (entries - rows) if layout == "array" else ENTRY * entries
    if least > size:
        raise FileFormatError(f"{path} declares {entries:,} entries and has {size:,} bytes: it is damaged or cut short")
    if layout != "array":
        require_sides(path, (rows, columns))
    return scipy.io.mmread(path)
