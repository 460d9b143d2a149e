"""Writing a compressed checkpoint: nothing is pickled, nothing is half-written."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from infimum.compress.measure.scratch import claim
from infimum.compress.menu.loader_files import loader_files
from infimum.compress.model.tensor_files import INDEX, Stored, file_hash
from infimum.compress.write.adapter import check_adapter, write_adapter
from infimum.compress.write.answer import Answer
from infimum.compress.write.safetensors_file import write_tensors
from infimum.errors import CheckpointError
from infimum.proof.checkpoint import CHANNELS, DESCRIPTION, SCHEMA, TEXT

WEIGHT_SUFFIXES = {".safetensors", ".bin", ".gguf", ".h5", ".msgpack", ".onnx", ".pt", ".pth"}


def write_folder(plan: Answer, out: Path, adapter: int | None = None) -> Path:
    """Write weights, tokenizer, configuration and `infimum.json` to a new folder, whole or not at all.

    Raises
    ------
    CheckpointError
        `out` exists already.
    OptionError
        `adapter`: the plan is not plain, or its layers have no such rank.
    """
    if out.exists():
        raise CheckpointError(f"{out} exists already; give a new folder or remove that one first")
    if adapter is not None:
        check_adapter(plan, adapter)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial, lock = claim(out.parent, f".{out.name}.infimum-partial-")
    try:
        _copy_companions(plan.checkpoint.path, partial)
        for name, content in loader_files(plan.checkpoint, plan.table).items():
            (partial / name).write_text(content, encoding="utf-8")
        write_tensors(tensors_of(plan), partial)
        if adapter is not None:
            write_adapter(plan, adapter, partial / "adapter", out)
        tokens = plan.moments.tokens
        save_file({"ids": torch.from_numpy(tokens.ids), "mask": torch.from_numpy(tokens.mask)}, partial / TEXT)
        if plan.orders:
            save_file({name: torch.from_numpy(order) for name, order in plan.orders.items()}, partial / CHANNELS)
        written = sorted(path for path in partial.rglob("*") if path.is_file())
        hashes = {path.relative_to(partial).as_posix(): file_hash(path) for path in written}
        (partial / DESCRIPTION).write_text(json.dumps(describe(plan, hashes), indent=1) + "\n", encoding="utf-8")
        for path in partial.rglob("*.safetensors"):
            path.chmod(0o644)  # the writer makes them private, and folders made for a temporary purpose are too
        partial.chmod(0o755)
        os.rename(partial, out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    finally:
        os.close(lock)
    return out


def describe(plan: Answer, files: dict[str, str]) -> dict[str, Any]:
    """Return what `infimum.json` says: enough to load the model, to repeat the run and to check every claim."""
    tokens, certificate = plan.moments.tokens, plan.certificate
    return {
        "schema": SCHEMA,
        "original": {"path": str(plan.checkpoint.path.resolve()), "sha256": plan.checkpoint.sha256},
        "settings": asdict(plan.settings),
        "calibration": {
            "source": tokens.source,
            "paragraphs": int(tokens.ids.shape[0]),
            "tokens": tokens.count,
            "sha256": tokens.sha256,
            "goal": plan.moments.goal,
            "seed": plan.moments.seed,
            "projections": plan.moments.projections,
        },
        "budget": plan.budget,
        "multiplier": plan.multiplier,
        "certificate": {"value": certificate.value, "lower_bound": certificate.lower_bound},
        "layers": [asdict(row) for row in plan.table],
        "notes": list(plan.notes),
        "peak_memory": plan.peak_memory,
        "versions": versions(),
        "files": files,
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that take part."""
    packages = ("infimum", "numpy", "scipy", "torch", "transformers", "safetensors")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}}


def tensors_of(plan: Answer) -> Iterator[Stored]:
    """Yield what the output consists of, in the order of the original's files."""
    stems = {row.tensor.removesuffix("weight"): row.name for row in plan.table if row.form != "dense"}
    for tensor in plan.checkpoint.stored():
        stem, _, part = tensor.name.rpartition(".")
        parts = {p.name: p for p in plan.forms.stored(stems[f"{stem}."])} if f"{stem}." in stems else {}
        if part != "weight" and part not in parts:
            yield tensor
        elif part == "weight":
            # Stock loaders fill an absent weight with random numbers and only warn; at one of another shape they stop.
            mark = tensor._replace(shape=(0,), read=lambda: torch.empty(0))
            for kind, value in ({"weight": mark} | parts if parts else {"weight": tensor}).items():
                yield value._replace(name=f"{stem}.{kind}")


def _copy_companions(source: Path, target: Path) -> None:
    """Copy tokenizer, configuration and the like: every file that holds no weights."""
    for path in source.iterdir():
        if path.suffix in WEIGHT_SUFFIXES or path.name == INDEX or path.name.startswith("."):
            continue
        if path.is_dir():
            shutil.copytree(path, target / path.name)
        else:
            shutil.copy2(path, target / path.name)
