"""A GGUF file that was written for a plan: every byte of it follows from the original, but for those of the blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch

from infimum.compress.menu.forms import BLOCK_FORMS, BlocksForm
from infimum.compress.menu.gguf_header import places
from infimum.compress.menu.gguf_model import FILE, Source, file_header, sources
from infimum.compress.model.checkpoint import Checkpoint
from infimum.errors import CheckpointError, VerificationError
from infimum.proof.checkpoint import LayerPlan


def planned_sources(checkpoint: Checkpoint, table: Iterable[LayerPlan]) -> list[Source]:
    """Return the tensors of the file of a plan."""
    return sources(checkpoint, {row.tensor: row.form for row in table if row.form in BLOCK_FORMS})


def planned_size(checkpoint: Checkpoint, table: Iterable[LayerPlan]) -> int:
    """Return the bytes of the file of a plan."""
    tensors = planned_sources(checkpoint, table)
    sizes = (source.tensor.bytes + source.tensor.padding for source in tensors)
    return len(file_header(checkpoint, tensors)) + sum(sizes)


class GgufTensors(Mapping[str, torch.Tensor]):
    """The tensors of the file, by the original's names and in the original's order: its own, and blocks beside them.

    Nothing is read from the file but blocks: all else is compared with what it must be.
    """

    def __init__(self, folder: Path, checkpoint: Checkpoint, table: Iterable[LayerPlan]) -> None:
        self._path, self._checkpoint = folder / FILE, checkpoint
        if not self._path.is_file():
            raise CheckpointError(f"{folder} has no {FILE}; the folder is incomplete")
        tensors = planned_sources(checkpoint, table)
        self._header = file_header(checkpoint, tensors)
        where = dict(places(len(self._header), [source.tensor for source in tensors]))
        self._places = {_name(source): (source, where[source.tensor]) for source in tensors}

    def __getitem__(self, name: str) -> torch.Tensor:
        source, place = self._places[name]
        if source.tensor.kind not in BLOCK_FORMS:
            return self._checkpoint.read(source.original)
        return torch.from_numpy(source.blocks(self._read(place, source.tensor.bytes)))

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    @property
    def paths(self) -> set[Path]:
        """The files that hold the tensors."""
        return {self._path}

    def check(self) -> None:
        """Ask that all but the blocks is as it must be: what is said of the model, tensors of the original, gaps."""
        if not np.array_equal(self._read(0, len(self._header)), np.frombuffer(self._header, np.uint8)):
            raise VerificationError(
                f"what {FILE} says of model, tokenizer and tensors is not what follows for this plan"
            )
        end = len(self._header)
        for source, place in self._places.values():
            tensor = source.tensor
            stored, end = self._read(place, tensor.bytes + tensor.padding), place + tensor.bytes + tensor.padding
            same = tensor.kind in BLOCK_FORMS or np.array_equal(stored[: tensor.bytes], self._original(source))
            if not same or stored[tensor.bytes :].any():
                raise VerificationError(f"tensor {tensor.name} of {FILE} should be as in the original, and is not")
        if self._path.stat().st_size != end:
            raise VerificationError(f"{FILE} should have {end} bytes, got {self._path.stat().st_size}")

    def _original(self, source: Source) -> np.ndarray:
        return source.stored(self._checkpoint.read(source.original) if source.value is None else source.value)

    def _read(self, place: int, count: int) -> np.ndarray:
        found = np.fromfile(self._path, np.uint8, count, offset=place)
        if len(found) < count:
            raise VerificationError(f"{FILE} ends too early; it is incomplete")
        return found


def _name(source: Source) -> str:
    """Return the original's name of a tensor, or that of the blocks which replace it."""
    if source.tensor.kind in BLOCK_FORMS:
        return source.original.removesuffix("weight") + BlocksForm.parts[0]
    return source.original or source.tensor.name
