"""What a budget counts, and how many numbers it leaves to the layers."""

from __future__ import annotations

import math

from infimum.compress.menu.settings import Of
from infimum.compress.menu.task import Task
from infimum.compress.model.checkpoint import Checkpoint, Layer
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
        return whole - math.ceil(removed + _orders(task, task.layers))
    return whole - round(removed)


def _orders(task: Task, layers: list[Layer]) -> float:
    """Numbers that take as many bytes as the permutations, if all of these layers become pivot forms."""
    stores = task.settings.low_rank == "pivot" and not task.settings.rounds
    outputs = sum(layer.shape[0] for layer in layers) if stores else 0
    return outputs * ORDER_BYTES / _item(task.checkpoint)


def _item(checkpoint: Checkpoint) -> int:
    linear = {layer.tensor for layer in checkpoint.layers}
    kinds = {tensor.kind for tensor in checkpoint.stored() if tensor.name in linear}
    if len(kinds) > 1:
        raise OptionError(
            f"a budget of bytes needs linear layers of one dtype, got {', '.join(sorted(kinds))}; use of='linear'"
        )
    return ITEM_BYTES[kinds.pop()]
