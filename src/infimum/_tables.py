"""Tables with names, of pandas, Polars and xarray: known by what they offer, not by import."""

from __future__ import annotations

from typing import Any

import numpy as np

from infimum.errors import DTypeError, LibraryError

NUMBERS = "biufc"  # kinds of NumPy's dtypes that are numbers
NAMED = 8  # columns that an error names


def is_table(item: Any) -> bool:
    """Tell whether `item` is a frame, a series or a labelled array: it has a shape, and its numbers by `to_numpy`."""
    return hasattr(item, "to_numpy") and hasattr(item, "shape")


def values(table: Any, name: str) -> np.ndarray:
    """Return the numbers of a table; missing ones are NaN."""
    if getattr(table, "chunks", None) is not None:  # xarray around blocks that are not computed yet
        raise LibraryError(
            f"{name} must be in memory: call {name}.load() first, or where matrices larger than memory are taken give "
            f"infimum.scale.RowBlocks({name}.data)"
        )
    columns = zip(getattr(table, "columns", ()), _kinds(table), strict=False)
    others = [str(column) for column, kind in columns if kind not in NUMBERS]
    if others:
        some = ", ".join(others[:NAMED]) + ", ..." * (len(others) > NAMED)
        raise DTypeError(f"{name} must hold numbers, but these columns do not: {some}; drop or encode them first")
    array = np.asarray(table.to_numpy())
    if array.dtype.kind == "O" and hasattr(table, "columns"):  # pandas' numbers with a mask
        return np.asarray(table.to_numpy(dtype=np.float64, na_value=np.nan))
    return array


def _kinds(table: Any) -> list[str]:
    """Return the kind of each column, as NumPy names kinds."""
    kinds = []
    for dtype in getattr(table, "dtypes", ()) if hasattr(table, "columns") else ():
        if hasattr(dtype, "is_numeric"):  # Polars
            numeric = dtype.is_numeric() or str(dtype) == "Boolean"
            kinds.append("f" if numeric and str(dtype) != "Decimal" else "O")
        else:
            kinds.append(getattr(dtype, "kind", "O"))
    return kinds


def labels(item: Any, axis: int) -> tuple[str, ...] | None:
    """Return the names of the rows (`axis` 0) or columns (1) of a table; None where it has none."""
    if not is_table(item) or len(item.shape) != 2:
        return None
    if hasattr(item, "dims") and hasattr(item, "coords"):  # xarray
        dimension = item.dims[axis]
        return tuple(str(label) for label in item.coords[dimension].values) if dimension in item.coords else None
    index = getattr(item, "columns" if axis else "index", None)
    # a pandas table that was given no names counts its rows and columns
    if index is None or callable(index) or type(index).__name__ == "RangeIndex":
        return None
    return tuple(str(label) for label in index)
