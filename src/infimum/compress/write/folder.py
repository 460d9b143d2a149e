"""Writing a compressed checkpoint: nothing is pickled, nothing is half-written."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from infimum.compress.measure.scratch import ask_new, new_folder
from infimum.compress.menu.adapter import FOLDER, adapter_layers
from infimum.compress.menu.gguf_file import planned_size
from infimum.compress.menu.loader_files import MODEL_CODE, loader_files, needs_code
from infimum.compress.menu.model_card import CARD, model_card
from infimum.compress.menu.stored_tensors import keeps_stacks
from infimum.compress.menu.task import Task
from infimum.compress.model.pieces import stacked
from infimum.compress.model.tensor_files import Stored, write_small
from infimum.compress.write.adapter import write_adapter
from infimum.compress.write.answer import Answer
from infimum.compress.write.gguf_file import write_gguf
from infimum.compress.write.safetensors_file import write_tensors
from infimum.nn.linear import REMEDY
from infimum.proof.checkpoint import CHANNELS, SCHEMA, TEXT, VERSIONS
from infimum.proof.folder import DESCRIPTION, companions, file_hash, inventory


def write_folder(plan: Answer, out: Path, adapter: int | None = None) -> Path:
    """Write weights, tokenizer, configuration and `infimum.json` to a new folder, whole or not at all.

    Raises
    ------
    CheckpointError
        `out` exists already, or lies inside the checkpoint.
    OptionError
        `adapter`: the plan is not plain, or its layers have no such rank.
    """
    ask_new(out, plan.checkpoint.path)
    if adapter is not None:
        adapter_layers(Task(plan.checkpoint, plan.moments, plan.settings), plan.table, adapter)
    with new_folder(out) as draft:
        _fill(plan, draft, out, adapter)
    return out


def _fill(plan: Answer, draft: Path, out: Path, adapter: int | None) -> None:
    """Write all files, those of which the description holds hashes first."""
    copy_companions(plan.checkpoint.path, draft)
    written = loader_files(plan.checkpoint, plan.table)
    source, code = str(plan.checkpoint.path.resolve()), MODEL_CODE in written
    written[CARD] = model_card(plan.checkpoint, plan.table, source, code=code)
    for name, content in written.items():
        (draft / name).write_text(content, encoding="utf-8", newline="\n")
    if plan.settings.format == "gguf":
        write_gguf(plan, draft)
    else:
        write_tensors(tensors_of(plan), draft)
    added = None if adapter is None else write_adapter(plan, adapter, draft / FOLDER, out)
    tokens = plan.moments.tokens
    write_small(draft / TEXT, {name: torch.from_numpy(array) for name, array in tokens.arrays.items()})
    if plan.orders:
        write_small(draft / CHANNELS, {name: torch.from_numpy(order) for name, order in plan.orders.items()})
    hashes = {name: file_hash(path) for name, path in sorted(inventory(draft).items())}
    description = json.dumps(describe(plan, hashes, added), indent=1) + "\n"
    (draft / DESCRIPTION).write_text(description, encoding="utf-8")
    for path in draft.rglob("*.safetensors"):
        path.chmod(0o644)  # the writer makes them private


def describe(plan: Answer, files: dict[str, str], adapter: dict[str, Any] | None) -> dict[str, Any]:
    """Return what `infimum.json` says: enough to load the model, to repeat the run and to check every claim."""
    tokens, certificate = plan.moments.tokens, plan.certificate
    return {
        "schema": SCHEMA,
        "original": {"path": str(plan.checkpoint.path.resolve()), "sha256": plan.checkpoint.sha256},
        "settings": asdict(plan.settings),
        "calibration": {
            "paragraphs": tokens.rows,
            "tokens": tokens.count,
            "sha256": tokens.sha256,
            "goal": plan.moments.goal,
            "seed": plan.moments.seed,
            "projections": plan.moments.projections,
            "split": plan.moments.judge is not None,
        },
        "budget": plan.budget,
        "multiplier": plan.multiplier,
        "certificate": {"value": certificate.value, "lower_bound": certificate.lower_bound},
        "layers": [asdict(row) for row in plan.table],
        "notes": list(plan.notes),
        "adapter": adapter,
        "peak_memory": plan.peak_memory,
        "versions": versions(),
        "files": files,
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that take part."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in VERSIONS[1:]}


def tensors_of(plan: Answer) -> Iterator[Stored]:
    """Yield what the output consists of, in the order of the original's files."""
    stems = {row.tensor.removesuffix("weight"): row.name for row in plan.table if row.form != "dense"}
    stacks = stacks_of(plan)
    for tensor in plan.checkpoint.stored():
        if tensor.name in stacks:
            if (stack := stacks[tensor.name]) is not None:
                yield stack
            continue
        stem, _, part = tensor.name.rpartition(".")
        parts = {p.name: p for p in plan.forms.stored(stems[f"{stem}."])} if f"{stem}." in stems else {}
        if part != "weight" and part not in parts:
            yield tensor
        elif part == "weight":
            # Stock loaders fill an absent weight with random numbers and only warn; at one of another shape they stop.
            mark = {"weight": tensor._replace(shape=(0,), read=lambda: torch.empty(0))}
            replaced = parts if "weight_packed" in parts else mark | parts  # of the former they know the parts
            for kind, value in (replaced if parts else {"weight": tensor}).items():
                yield value._replace(name=f"{stem}.{kind}")
    if needs_code(plan.checkpoint, plan.table):
        yield Stored(plan.checkpoint.names.in_files(REMEDY), "U8", (0,), partial(torch.empty, 0, dtype=torch.uint8))


def stacks_of(plan: Answer) -> dict[str, Stored | None]:
    """Return the stacks of experts that stay whole, each by the first of its pieces; None by the others."""
    found: dict[str, Stored | None] = {}
    seen: set[str] = set()
    pieces = plan.checkpoint.tensors.pieces if keeps_stacks(plan.table) else {}
    plain = {row.tensor: row.name for row in plan.table if row.form == "plain"}

    def value(tensor: str) -> torch.Tensor:
        form = plan.forms.get(plain.get(tensor, ""))
        return plan.checkpoint.read(tensor) if form is None else form.tensors()["weight"]

    for name, piece in pieces.items():
        if piece.stack is not None:
            stack, (kind, shape), _ = piece.stack
            whole = Stored(stack, kind, shape, partial(stacked, pieces, stack, value))
            found[name] = None if stack in seen else whole
            seen.add(stack)
    return found


def bytes_of_output(plan: Answer) -> int:
    """Bytes of all tensors of the output, or of the whole file of a format that says more."""
    if plan.settings.format == "gguf":
        return planned_size(plan.checkpoint, plan.table)
    return sum(tensor.bytes for tensor in tensors_of(plan))


def copy_companions(source: Path, target: Path) -> None:
    """Copy tokenizer, configuration and the like."""
    for name, path in companions(source).items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target / name)
