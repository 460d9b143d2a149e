"""Arrays that do not lie in one place: Dask's, in chunks on the workers of a cluster, and those of many devices.

Dask is never imported: whoever has such an array has loaded it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import array_api_compat
import numpy as np

from infimum.errors import LibraryError


def in_chunks(item: Any) -> bool:
    """Tell whether `item` is a Dask array."""
    return type(item) is not np.ndarray and bool(array_api_compat.is_dask_array(item))


def on_device(array: Any) -> bool:
    """Tell whether an array lies in a memory that the host does not reach, such as a GPU's."""
    return not isinstance(array, np.ndarray) and "cpu" not in str(array_api_compat.device(array)).lower()


def settled(*arrays: Any) -> tuple[Any, ...]:
    """Have Dask arrays computed, by one graph, and left where their chunks are; anything else is returned as it is."""
    chunked = [array for array in arrays if in_chunks(array)]
    done = iter(sys.modules["dask"].persist(*chunked) if chunked else ())
    return tuple(next(done) if in_chunks(array) else array for array in arrays)


def at_hand(array: Any) -> Any:
    """Bring a small Dask array here, in the library of its chunks; any other is returned as it is."""
    return array.compute() if in_chunks(array) else array


def with_places(function: Callable[..., Any], array: Any, *others: Any) -> Any:
    """Return ``function(array, range of its columns, *others)``, applied to the chunks by themselves where it has some.

    The chunks are those of a wide array: of whole columns.
    """
    if not in_chunks(array):
        return function(array, range(array.shape[1]), *others)
    return array.map_blocks(partial(_placed, function, others), dtype=array.dtype)


def _placed(function: Callable[..., Any], others: tuple[Any, ...], chunk: Any, block_info: Any = None) -> Any:
    return function(chunk, range(*block_info[0]["array-location"][1]), *others)


def deciding(arrays: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arrays whose library counts: those in chunks, where the others are of the kind of their chunks."""
    chunked = {name: array for name, array in arrays.items() if in_chunks(array)}
    kinds = {type(array._meta) for array in chunked.values()}
    return chunked if all(name in chunked or type(array) in kinds for name, array in arrays.items()) else arrays


def require_one_place(item: Any, name: str) -> None:
    """Raise `LibraryError` where an array is spread over chunks, processes or devices."""
    if in_chunks(item):
        raise LibraryError(
            f"{name} must be in memory, got a Dask array: bring it there with {name}.compute(), or where matrices "
            f"larger than memory are taken give infimum.scale.RowBlocks({name})"
        )
    if hasattr(item, "full_tensor") and hasattr(item, "device_mesh"):
        raise LibraryError(
            f"{name} must be in one process, got a DTensor spread over {item.device_mesh.size()} of them: give "
            f"{name}.full_tensor(), or the rows of all processes as a Dask array in infimum.scale.RowBlocks"
        )
    if array_api_compat.is_jax_array(item) and len(getattr(item, "devices", set)()) > 1:
        raise LibraryError(
            f"{name} must be on one device, got a JAX array on {len(item.devices())}: give "
            f"jax.device_put({name}, jax.devices()[0]), or infimum.scale.RowBlocks({name}), read row by row"
        )
