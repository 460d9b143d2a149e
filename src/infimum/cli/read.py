"""Files that people have, read as NumPy arrays: .npy, .npz, .safetensors, .csv, .tsv, .txt, .mtx, and pictures."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from infimum._arguments import optional
from infimum.errors import FileFormatError

SEPARATOR = "::"  # FILE::NAME picks one of several arrays in a file


def read_array(source: str, axes: int | None = None, *, sparse: bool = False) -> Any:
    """Read the array that ``FILE`` or ``FILE::NAME`` names, as a NumPy array.

    Text and .mtx files hold matrices; one of a single row or column is read as a vector where `axes` is 1. With
    `sparse`, what is stored without its zeros comes as a SciPy sparse array.

    Raises
    ------
    FileFormatError
        The suffix is unknown, the content is not numbers in that format, or NAME is missing, unknown or ambiguous.
    OSError
        The file cannot be opened.
    """
    filename, _, name = source.partition(SEPARATOR)
    path = Path(filename)
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise FileFormatError(f"{path} must end in one of {', '.join(READERS)}; convert it to one of these first")
    with path.open("rb"):  # a missing file is reported alike for every format
        pass
    try:
        array = READERS[suffix](path, name)
    except FileFormatError:
        raise
    except (ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise FileFormatError(f"{path} cannot be read as {suffix}: {error}") from error
    if scipy.sparse.issparse(array):
        if sparse:
            return array
        array = array.toarray()
    if axes == 1 and array.ndim == 2 and 1 in array.shape and suffix in (*DELIMITERS, ".mtx"):
        return array.reshape(-1)
    return array


def _npy(path: Path, name: str) -> np.ndarray:
    _refuse_name(path, name)
    return np.asarray(np.load(path, allow_pickle=False))


def _npz(path: Path, name: str) -> Any:
    with path.open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise FileFormatError(f"{path} holds a single array, not an archive of arrays: rename it to .npy")
        if not name and {"format", "shape", "data"} <= set(archive.files):  # as scipy.sparse.save_npz writes it
            return scipy.sparse.load_npz(path)
        return np.asarray(archive[_choose(path, name, archive.files)])


def _safetensors(path: Path, name: str) -> np.ndarray:
    safetensors = optional("safetensors", "cli")
    try:
        with safetensors.safe_open(path, framework="np") as archive:
            name = _choose(path, name, sorted(archive.keys()))
            dtype = archive.get_slice(name).get_dtype()
            if dtype == "BF16":
                return _bfloat16(path, name)
            if dtype.startswith(("F8", "F6", "F4")):
                raise FileFormatError(f"{path}: {name} is stored as {dtype}; convert it to 16 or 32 bits first")
            return np.asarray(archive.get_tensor(name))
    except safetensors.SafetensorError as error:
        raise FileFormatError(f"{path} cannot be read as .safetensors: {error}") from error


def _bfloat16(path: Path, name: str) -> np.ndarray:
    # NumPy has no such type: its 16 bits are the upper half of a float32, so this is exact
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(length))[name]
        start, end = entry["data_offsets"]
        file.seek(8 + length + start)
        bits = np.frombuffer(file.read(end - start), dtype="<u2")
    return (bits.astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"])


def _matrix_market(path: Path, name: str) -> Any:
    import scipy.io

    _refuse_name(path, name)
    return scipy.io.mmread(path)


DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": None}


def _text(path: Path, name: str) -> np.ndarray:
    _refuse_name(path, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "no data" is reported below
        try:
            table = np.loadtxt(path, delimiter=DELIMITERS[path.suffix.lower()], ndmin=2, encoding="utf-8-sig")
        except ValueError as error:
            advice = "expected rows of numbers of equal length; start a heading with #"
            raise FileFormatError(f"{path}: {advice} ({str(error).rstrip('.')})") from error
    if table.size == 0:
        raise FileFormatError(f"{path} holds no numbers")
    return table


def _image(path: Path, name: str) -> np.ndarray:
    """Read a picture as one number a pixel: grey as it is stored, colours by their luminance (ITU-R 601)."""
    _refuse_name(path, name)
    pillow = optional("PIL.Image", "cli")
    try:
        with pillow.open(path) as picture:
            deep = picture.mode in ("I", "F") or picture.mode.startswith("I;16")  # more than 8 bits, one channel
            return np.asarray(picture if deep else picture.convert("L"), dtype=np.float64)
    except pillow.UnidentifiedImageError as error:
        raise FileFormatError(
            f"{path} cannot be read as a picture: its content is none, or of an unknown kind"
        ) from error


def _refuse_name(path: Path, name: str) -> None:
    if name:
        raise FileFormatError(f"{path} holds one array without a name: leave {SEPARATOR}{name} away")


def _choose(path: Path, name: str, names: Sequence[str]) -> str:
    if name in names:
        return name
    if not name and len(names) == 1:
        return names[0]
    shown = ", ".join(names[:8]) + (f", ... ({len(names)} in all)" if len(names) > 8 else "")
    if not names:
        raise FileFormatError(f"{path} holds no arrays")
    if name:
        raise FileFormatError(f"{path} holds no {name!r}; it holds {shown}")
    raise FileFormatError(f"{path} holds {len(names)} arrays, name one as {path}{SEPARATOR}NAME: {shown}")


READERS: dict[str, Callable[[Path, str], Any]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".safetensors": _safetensors,
    ".mtx": _matrix_market,
    **dict.fromkeys(DELIMITERS, _text),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"), _image),
}
