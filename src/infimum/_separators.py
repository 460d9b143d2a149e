"""What stands between the entries of a table that is text."""

from __future__ import annotations

import csv
from collections.abc import Sequence

SEPARATORS = (";", "\t", ",")  # spaces where none of them fits
DECIMAL_COMMA = (";", "\t")  # the separators beside which a comma may be a decimal mark


def separator_of(lines: Sequence[str]) -> str | None:
    """Return what stands between the entries of a table's first rows; None for spaces."""
    for separator in SEPARATORS:
        lengths = {len(row) for row in csv.reader(lines, delimiter=separator)}
        if len(lengths) == 1 and lengths != {1}:
            return separator
    lengths = {len(line.split()) for line in lines}
    if len(lengths) == 1 and lengths != {1}:
        return None
    return next((separator for separator in SEPARATORS if separator in "".join(lines)), ",")
