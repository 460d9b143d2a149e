"""Pictures, read as one number a pixel."""

from __future__ import annotations

import warnings

import numpy as np

from infimum._arguments import optional
from infimum.cli.formats.input_file import InputFile
from infimum.cli.formats.limits import refuse_name, require_room
from infimum.errors import FileFormatError

FORMATS = ("PNG", "JPEG", "BMP", "TIFF")  # no other is tried, whatever the content: some run other programs
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
NUMBER = np.dtype(np.float64).itemsize


def read_picture(file: InputFile, name: str) -> np.ndarray:
    """Read a picture as one number a pixel: grey as it is stored, colours by their luminance (ITU-R 601)."""
    refuse_name(file, name)
    pillow = optional("PIL.Image", "cli")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pillow.DecompressionBombWarning)  # the size is asked below
            picture = pillow.open(file.path, formats=FORMATS)
    except pillow.UnidentifiedImageError as error:
        raise FileFormatError(
            f"{file} cannot be read as a picture: its content is none, or of an unknown kind"
        ) from error
    with picture:
        require_room(file, picture.width * picture.height * NUMBER, "scale the picture down")
        deep = picture.mode in ("I", "F") or picture.mode.startswith("I;16")  # more than 8 bits, one channel
        return np.asarray(picture if deep else picture.convert("L"), dtype=np.float64)
