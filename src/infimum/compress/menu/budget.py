"""What a budget counts, and how many numbers it leaves to the layers."""

from __future__ import annotations

import math

from infimum.compress.menu.gguf_header import ALIGNMENT
from infimum.compress.menu.gguf_model import file_header, sources
from infimum.compress.menu.settings import Of
from infimum.compress.menu.task import Task
from infimum.compress.model.checkpoint import Checkpoint
from infimum.compress.model.tensor_files import ITEM_BYTES
from infimum.errors import OptionError

ORDER_BYTES = 4  # of the permutation that a pivot form stores beside its numbers, per output


def numbers_of(checkpoint: Checkpoint, of: Of) -> float:
    """Return what is removed a fraction of, counted in numbers of the linear layers."""
    if of == "linear":
        return sum(layer.size for layer in checkpoint.layers)
    if of == "all":
        return sum(checkpoint.sizes.values())
    return bytes_of(checkpoint) / _item(checkpoint)


def bytes_of(checkpoint: Checkpoint) -> int:
    """Bytes of all tensors."""
    return sum(tensor.bytes for tensor in checkpoint.stored())


def budget_of(task: Task) -> int:
    """Numbers that the layers which may be replaced may store."""
    checkpoint, _, settings = task
    whole = sum(layer.size for layer in task.layers)
    removed = settings.remove * numbers_of(checkpoint, settings.of)
    if settings.of == "bytes":
        return whole - math.ceil(removed + _beside(task))
    return whole - round(removed)


def _beside(task: Task) -> float:
    """Numbers that take as many bytes as what is stored beside those of the layers.

    That are the permutations, if all layers become pivot forms, or all that a GGUF file holds besides, with the widest
    gaps.
    """
    size = 0
    if task.settings.format == "gguf":
        tensors = sources(task.checkpoint, {})
        whole = len(file_header(task.checkpoint, tensors)) + sum(source.tensor.bytes for source in tensors)
        size = whole + (ALIGNMENT - 1) * len(tensors) - bytes_of(task.checkpoint)
    elif task.settings.low_rank == "pivot" and not task.settings.rounds:
        size = ORDER_BYTES * sum(layer.shape[0] for layer in task.layers)
    return size / _item(task.checkpoint)


def _item(checkpoint: Checkpoint) -> int:
    linear = {layer.tensor for layer in checkpoint.layers}
    kinds = {tensor.kind for tensor in checkpoint.stored() if tensor.name in linear}
    if len(kinds) > 1:
        raise OptionError(
            f"a budget of bytes needs linear layers of one dtype, got {', '.join(sorted(kinds))}; use of='linear'"
        )
    return ITEM_BYTES[kinds.pop()]
