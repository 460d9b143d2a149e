"""Tables of numbers as text: .csv, .tsv and .txt."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from infimum.cli.formats.limits import refuse_name
from infimum.errors import FileFormatError

DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": None}


def read_table(path: Path, name: str) -> np.ndarray:
    """Read rows of numbers of equal length, as a matrix."""
    refuse_name(path, name)
    with path.open(encoding="utf-8-sig") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "no data" is reported below
        try:
            table = np.loadtxt(file, delimiter=DELIMITERS[path.suffix.lower()], ndmin=2)
        except ValueError as error:
            advice = "expected rows of numbers of equal length; start a heading with #"
            raise FileFormatError(f"{path}: {advice} ({str(error).rstrip('.')})") from error
    if table.size == 0:
        raise FileFormatError(f"{path} holds no numbers")
    return table
