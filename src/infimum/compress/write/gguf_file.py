"""Writing a plan as a GGUF file, one tensor in memory at a time."""

from __future__ import annotations

from pathlib import Path

from infimum.compress.menu.gguf_file import planned_sources
from infimum.compress.menu.gguf_model import FILE, file_header
from infimum.compress.write.answer import Answer


def gguf_size(plan: Answer) -> int:
    """Return the bytes of the file of a plan."""
    tensors = planned_sources(plan.checkpoint, plan.table)
    numbers = sum(source.tensor.bytes + source.tensor.padding for source in tensors)
    return len(file_header(plan.checkpoint, tensors)) + numbers


def write_gguf(plan: Answer, folder: Path) -> None:
    """Write the file of a plan: the header, and each tensor with the zeros that lead to the next."""
    tensors = planned_sources(plan.checkpoint, plan.table)
    names = {row.tensor: row.name for row in plan.table}
    with (folder / FILE).open("wb") as file:
        file.write(file_header(plan.checkpoint, tensors))
        for source in tensors:
            value = source.value
            if value is None:
                form = plan.forms.get(names.get(source.original, ""))
                value = plan.checkpoint.read(source.original) if form is None else form.tensors()["blocks"]
            file.write(source.stored(value).data)
            file.write(bytes(source.tensor.padding))
