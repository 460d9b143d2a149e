"""Plans whose weight files have a given size, their headers counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from infimum.compress.menu.budget import bytes_of
from infimum.compress.model.checkpoint import Checkpoint
from infimum.compress.write.answer import Answer
from infimum.compress.write.folder import tensors_of
from infimum.compress.write.gguf_file import gguf_size
from infimum.compress.write.safetensors_file import files_size
from infimum.errors import BudgetError, OptionError

Plan = TypeVar("Plan", bound=Answer)

ENOUGH = 0.99  # of the size: then no other budget is tried
AIM = 0.9975  # of the size, for the next one: what a budget leaves unused may not be left again
TRIES = 4
ENTRY_BYTES = 100  # of a tensor in a header, without its name


def fraction_for(checkpoint: Checkpoint, size: float) -> float:
    """Return the fraction of the bytes to remove so that a header fits in, too: as if all layers became integers."""
    layers = checkpoint.layers + checkpoint.vocabulary
    parts = sum(len(tensor.name) + ENTRY_BYTES for tensor in checkpoint.stored())
    parts += 3 * sum(len(layer.name) + ENTRY_BYTES for layer in layers)
    if size <= parts:
        raise BudgetError(
            f"the headers of the files alone take {parts:,} bytes, got a size of {size:,.0f}; give a larger one"
        )
    return max(0.0, 1.0 - (size - parts) / bytes_of(checkpoint))


def of_size(plan: Plan, with_budget: Callable[[float], Plan], size: float) -> Plan:
    """Plan files of at most `size` bytes: change the budget by what the files of the last plan were off."""
    if plan.settings.of != "bytes":
        raise OptionError(f"a size of the files needs a plan with of='bytes', got of={plan.settings.of!r}")
    best: Plan | None = None
    largest, fraction = -1, plan.settings.remove
    for _ in range(TRIES):
        found = plan if fraction == plan.settings.remove else with_budget(fraction)
        written = files_bytes(found)
        if largest < written <= size:
            best, largest = found, written
        if largest >= ENOUGH * size or (fraction == 0.0 and best is not None):
            break
        fraction = max(0.0, fraction + (written - AIM * size) / bytes_of(plan.checkpoint))
        if fraction >= 1.0:  # the header alone takes more
            break
    if best is None:
        raise BudgetError(f"no files of {size:,.0f} bytes were found, the last had {written:,}; give a larger size")
    return best


def files_bytes(plan: Answer) -> int:
    """Return the bytes of the weight files of a plan, headers included."""
    return gguf_size(plan) if plan.settings.format == "gguf" else files_size(tensors_of(plan))
