"""Files that people have, read as NumPy arrays: .npy, .npz, .safetensors, .csv, .tsv, .txt, .mtx, and pictures."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import scipy.sparse

from infimum.cli.formats.limits import SEPARATOR, require_file, require_room
from infimum.cli.formats.matrix_market import read_matrix_market
from infimum.cli.formats.numpy_files import read_npy, read_npz
from infimum.cli.formats.pictures import SUFFIXES, read_picture
from infimum.cli.formats.tables import DELIMITERS, read_table
from infimum.cli.formats.tensors import read_safetensors
from infimum.errors import FileFormatError, InfimumError

READERS: dict[str, Callable[[Path, str], Any]] = {
    ".npy": read_npy,
    ".npz": read_npz,
    ".safetensors": read_safetensors,
    ".mtx": read_matrix_market,
    **dict.fromkeys(DELIMITERS, read_table),
    **dict.fromkeys(SUFFIXES, read_picture),
}
LONGEST = 200  # characters that an error repeats of what a library says


def read_array(source: str, axes: int | None = None, *, sparse: bool = False) -> Any:
    """Read the array that ``FILE`` or ``FILE::NAME`` names, as a NumPy array.

    Text and .mtx files hold matrices; one of a single row or column is read as a vector where `axes` is 1. With
    `sparse`, what is stored without its zeros comes as a SciPy sparse array.

    Raises
    ------
    FileFormatError
        The suffix is unknown, the content is not numbers in that format, NAME is missing, unknown or ambiguous, or the
        file declares far more numbers than it has bytes.
    OSError
        The file cannot be opened.
    """
    filename, _, name = source.partition(SEPARATOR)
    path = Path(filename)
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise FileFormatError(f"{path} must end in one of {', '.join(READERS)}; convert it to one of these first")
    require_file(path)
    try:
        array = READERS[suffix](path, name)
        if scipy.sparse.issparse(array) and not sparse:
            require_room(path, math.prod(array.shape) * array.dtype.itemsize, "this problem needs a dense matrix")
            array = array.toarray()
    except InfimumError:
        raise
    except Exception as error:  # the libraries raise whatever a broken file leads them to
        said = " ".join(str(error).split())[:LONGEST] or type(error).__name__
        raise FileFormatError(f"{path} cannot be read as {suffix}: {said}") from error
    if axes == 1 and array.ndim == 2 and 1 in array.shape and suffix in (*DELIMITERS, ".mtx"):
        return array.reshape(-1)
    return array
