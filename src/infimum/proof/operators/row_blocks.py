"""A matrix larger than memory, read in blocks of rows."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import array_api_compat
import numpy as np

from infimum._arguments import whole_number
from infimum._arrays import Array, widen
from infimum._linalg import adjoint, longest_sum
from infimum._scaling import share_of
from infimum.errors import DTypeError, FileFormatError, LibraryError, ShapeError
from infimum.proof.operators.blockwise import Blockwise

BLOCK_BYTES = 2**26  # of one block in double precision


class RowBlocks(Blockwise):
    """A matrix that is read in blocks of rows, for `svd`, `interpolative` and `cur` of `infimum.lowrank`.

    Every pass reads each block once; the solver is the same as in memory, and so is the certificate. `infimum.verify`
    takes it, too.

    A Dask array is worked on by its own scheduler, on the workers of a cluster where there is one: tall, wide or
    square, cut in either direction or in both. What is as long as its longer side (U of a tall matrix, its columns, the
    coefficients of its rows) comes back as a Dask array, computed, in chunks along those of the source, and what
    travels are matrices of the size of the shorter side. Up to 4000 along that side `svd` takes 3 passes and `verify`
    2. `verify` finds out all anew, and computes factors in chunks once, so that every question gets the same answer.

    Parameters
    ----------
    source : path, array (m, n)
        A .npy file, a Dask array, a memory-mapped array, or anything else that has `shape` and `dtype` and yields rows
        by ``source[i:j]``, such as a dataset of HDF5 or Zarr; m >= n (give the transpose of a wide one) unless it is a
        Dask array.
    rows : int, optional
        Rows of one block. Default: as many as fill 64 MiB in double precision. A Dask array has its chunks.

    Raises
    ------
    ShapeError, DTypeError, LibraryError, FileFormatError
        The source is not a tall matrix of real or complex numbers, or not sliced like one; or the chunks of a Dask
        array are of unknown sizes.
    NonFiniteError
        On the first pass: an entry is NaN or infinite.

    Examples
    --------
    >>> import numpy as np, infimum
    >>> M = infimum.scale.RowBlocks(np.vander(np.linspace(0, 1, 1000), 8), rows=100)
    >>> result = infimum.lowrank.svd(M, rank=3)
    >>> infimum.verify(result, M).theorem
    'eckart_young'
    """

    gram_limit = 4000  # the Gram matrix takes one pass
    dear = True

    def __new__(cls, source: Any = None, rows: int | None = None) -> RowBlocks:
        """Make blocks that are multiplied where they lie, where the source is a Dask array."""
        there = cls is RowBlocks and array_api_compat.is_dask_array(source)
        made: RowBlocks = object.__new__(
            importlib.import_module("infimum.proof.operators.dask_blocks").DaskBlocks if there else cls
        )
        return made

    def __init__(self, source: Any, rows: int | None = None) -> None:
        if isinstance(source, str | Path):
            source = _NpyRows(Path(source))
        if not all(hasattr(source, part) for part in ("shape", "dtype", "__getitem__")):
            raise LibraryError(
                f"source must be a path or have shape, dtype and rows by slicing, got {type(source).__name__}"
            )
        self._require_shape(source.shape)
        dtype = _numpy_dtype(source)
        if dtype.kind not in "biufc":
            raise DTypeError(f"source must hold real or complex numbers, got dtype {dtype}; convert it first")
        self.source, self.name = source, "source"
        self.shape = (int(source.shape[0]), int(source.shape[1]))
        self.outer = np.empty((0, 0), dtype=dtype if dtype.kind in "fc" else np.float64)
        self.eps = float(np.finfo(np.float64).eps) * (2 if self.complex else 1)
        fitting = max(1, BLOCK_BYTES // (self.shape[1] * self.like.dtype.itemsize))
        self.rows = fitting if rows is None else whole_number("rows", rows, least=1)

    @staticmethod
    def _require_shape(shape: tuple[int, ...]) -> None:
        if len(shape) != 2 or not shape[0] >= shape[1] > 0:
            raise ShapeError(f"source must be a matrix with no more columns than rows, got shape {shape}")

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """Read the blocks."""
        for start in range(0, self.shape[0], self.rows):
            rows = slice(start, min(start + self.rows, self.shape[0]))
            block = np.asarray(self.source[rows])
            yield rows, block if block.dtype.kind in "fc" else block.astype(np.float64)

    @property
    def longest_sum(self) -> int:
        """That of the blocks."""
        whole, rest = divmod(self.shape[0], self.rows)
        return longest_sum(*[self.rows] * whole, rest)

    def sum_of_rows(self, share: float) -> np.ndarray:
        """Sum of a share of the rows as they are, in working precision."""
        return np.asarray(sum((share * widen(block)).sum(axis=0) for _, block in self.blocks()))

    def mean_of_rows(self) -> np.ndarray:
        """Mean of the rows as they are, in working precision."""
        share = share_of(self.shape[0])
        return self.sum_of_rows(share) / (share * self.shape[0])

    def less(self, mean: Array) -> RowBlocks:
        """Return the matrix with one vector taken off all rows."""
        return _Less(self, mean)

    def times(self, X: Array) -> Array:
        """Multiply from the left."""
        image = np.empty((self.shape[0], X.shape[1]), dtype=self.like.dtype)
        for rows, block in self.scaled_blocks():
            image[rows] = block @ X
        return image

    def adjoint_times(self, Y: Array) -> Array:
        """Multiply by the conjugate transpose."""
        return sum(adjoint(block) @ Y[rows] for rows, block in self.scaled_blocks())

    def gram_times(self, X: Array) -> tuple[Array, Array]:
        """Multiply by the matrix and its adjoint in one pass."""
        image = np.empty((self.shape[0], X.shape[1]), dtype=self.like.dtype)
        product = np.zeros((self.shape[1], X.shape[1]), dtype=self.like.dtype)
        for rows, block in self.scaled_blocks():
            image[rows] = block @ X
            product += adjoint(block) @ image[rows]
        return image, product


def _numpy_dtype(source: Any) -> np.dtype:
    try:
        dtype: np.dtype = np.dtype(source.dtype)
    except TypeError as error:
        way = "all rows as a Dask array" if hasattr(source, "device_mesh") else "source.numpy()"
        raise LibraryError(
            f"source must have a dtype of NumPy, got a {type(source).__name__} of {source.dtype}; give {way}"
        ) from error
    return dtype


class _Less(RowBlocks):
    """Blocks of rows less one vector."""

    def __init__(self, original: RowBlocks, mean: Array) -> None:
        super().__init__(original.source, original.rows)
        self.mean = mean

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """Read the blocks, and take the vector off."""
        for rows, block in super().blocks():
            with np.errstate(over="ignore"):  # which is refused
                less = widen(block) - self.mean[None, :]
            yield rows, less


class _NpyRows:
    """Rows of a .npy file by reading, not by mapping: no more than a block ever counts as memory."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            try:
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                self.shape, fortran, self.dtype = read(file)
            except ValueError as error:
                raise FileFormatError(f"{path} cannot be read as .npy: {error}") from error
            self.path, self.offset = path, file.tell()
        if fortran or self.dtype.hasobject:
            raise FileFormatError(f"{path} must hold numbers stored row by row (C order); save it so first")

    def __getitem__(self, rows: slice) -> np.ndarray:
        width = self.shape[1]
        count = (rows.stop - rows.start) * width
        start = self.offset + rows.start * width * self.dtype.itemsize
        return np.fromfile(self.path, dtype=self.dtype, count=count, offset=start).reshape(-1, width)
