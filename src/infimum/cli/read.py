"""Files that people have, read as NumPy or sparse arrays, with the names of rows and columns where they have some."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse

from infimum.cli.formats import pictures, tables
from infimum.cli.formats.input_file import InputFile, Named
from infimum.cli.formats.limits import SEPARATOR, require_room
from infimum.cli.formats.matlab import read_matlab
from infimum.cli.formats.matrix_market import read_matrix_market
from infimum.cli.formats.numpy_files import read_npy, read_npz
from infimum.cli.formats.opening import PACKED, STANDARD_INPUT, opened
from infimum.cli.formats.parquet import read_parquet
from infimum.cli.formats.tensors import read_safetensors
from infimum.cli.formats.torch_files import read_torch
from infimum.errors import FileFormatError, InfimumError

READERS: dict[str, Callable[[InputFile, str], Any]] = {
    **dict.fromkeys(tables.SUFFIXES, tables.read_table),
    ".npy": read_npy,
    ".npz": read_npz,
    ".safetensors": read_safetensors,
    **dict.fromkeys((".pt", ".pth"), read_torch),
    ".parquet": read_parquet,
    ".mat": read_matlab,
    ".mtx": read_matrix_market,
    **dict.fromkeys(pictures.SUFFIXES, pictures.read_picture),
}
VECTORS = (*tables.SUFFIXES, ".mtx", ".mat", ".parquet")  # which hold matrices only
WHOLE = 2.0**53  # below it every whole number is a float
PANIC = "PanicException"  # of libraries in Rust; it derives from BaseException, and has no module to import it from
LONGEST = 200  # characters that an error repeats of what a library says
KINDS = f"{', '.join(READERS)}; packed as {PACKED}, or {STANDARD_INPUT} for standard input"


def read_array(source: str, axes: int | None = None, *, sparse: bool = False) -> Any:
    """Read an array as `read_named` does, for those who ask for no names."""
    return read_named(source, axes, sparse=sparse).array


def read_named(source: str, axes: int | None = None, *, sparse: bool = False, whole: bool = False) -> Named:
    """Read the array that ``FILE`` or ``FILE::NAME`` names, as a NumPy array, with the names that the file has.

    Files that hold matrices only give a vector for one of a single row or column where `axes` is 1, and integers for
    whole numbers where `whole` is set. With `sparse`, what is stored without its zeros comes as a SciPy sparse array.

    Raises
    ------
    FileFormatError
        The suffix is unknown, the content is not numbers in that format, NAME is missing, unknown or ambiguous, or the
        file declares far more numbers than it has bytes.
    OSError
        The file cannot be opened.
    """
    filename, _, name = source.partition(SEPARATOR)
    with opened(filename) as file:
        if file.suffix not in READERS:
            raise FileFormatError(f"{file} must end in one of {', '.join(READERS)}; convert it to one of these first")
        try:
            found = READERS[file.suffix](file, name)
            named = found if isinstance(found, Named) else Named(found)
            if scipy.sparse.issparse(named.array) and not sparse:
                named = replace(named, array=_dense(file, named.array))
        except InfimumError:
            raise
        except BaseException as error:  # the libraries raise whatever a broken file leads them to
            if not isinstance(error, Exception) and type(error).__name__ != PANIC:
                raise
            said = " ".join(str(error).split()).replace(str(file.path), str(file))[:LONGEST] or type(error).__name__
            raise FileFormatError(f"{file} cannot be read as {file.suffix}: {said}") from error
        return _shaped(file, named, axes, whole)


def _dense(file: InputFile, array: Any) -> np.ndarray:
    require_room(file, math.prod(array.shape) * array.dtype.itemsize, "this problem needs a dense matrix")
    return np.asarray(array.toarray())


def _shaped(file: InputFile, named: Named, axes: int | None, whole: bool) -> Named:
    array = named.array
    if 0 in array.shape:
        raise FileFormatError(f"{file} holds no numbers: its array has the shape {array.shape}")
    if file.suffix not in VECTORS or not isinstance(array, np.ndarray):
        return named
    if axes == 1 and array.ndim == 2 and 1 in array.shape:
        array = array.reshape(-1)
        named = Named(array, named.rows if len(named.rows or ()) == array.size else named.columns)
    if whole and array.dtype.kind == "f" and np.all((array == np.floor(array)) & (np.abs(array) < WHOLE)):
        array = array.astype(np.int64)
    return replace(named, array=array)
