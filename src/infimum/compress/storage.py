"""Writing a compressed checkpoint, and loading it back. Nothing is pickled, nothing is half-written."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import PreTrainedModel

from infimum.compress.adapter import check_adapter, write_adapter
from infimum.compress.checkpoint import DESCRIPTION, LAYERS, Names, empty_model, open_checkpoint, read_config
from infimum.compress.files import INDEX, Stored, TensorFiles, file_hash, write_tensors
from infimum.compress.forms import FORMS, StoredForm
from infimum.compress.plan import Plan
from infimum.compress.remote_code import describe_layers
from infimum.compress.scratch import claim
from infimum.compress.stock import change_config, narrower_config
from infimum.errors import CheckpointError
from infimum.nn.linear import replace_layers

TEXT, CHANNELS = "calibration.safetensors", "channels.safetensors"
SCHEMA = 1
WEIGHT_SUFFIXES = {".safetensors", ".bin", ".gguf", ".h5", ".msgpack", ".onnx", ".pt", ".pth"}


def save(plan: Plan, out: Path, adapter: int | None = None) -> Path:
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
        if change := narrower_config(plan.checkpoint, plan.table):
            change_config(partial, change)
        elif plan.replaced:
            describe_layers(partial, plan.checkpoint, plan.replaced)
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


def describe(plan: Plan, files: dict[str, str]) -> dict[str, Any]:
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


def read_description(out: Path) -> dict[str, Any]:
    """Read `infimum.json` of a compressed checkpoint."""
    path = out / DESCRIPTION
    if not path.is_file():
        raise CheckpointError(f"{out} has no {DESCRIPTION}; give a folder that infimum.compress wrote")
    try:
        description: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON ({error}); the folder is damaged") from error
    if description.get("schema") != SCHEMA:
        raise CheckpointError(f"{path} has schema {description.get('schema')}, this version reads {SCHEMA}")
    return description


def stored_form(row: dict[str, Any], tensors: Mapping[str, torch.Tensor]) -> StoredForm:
    """Return the stored form of one replaced layer."""
    stem, form = row["tensor"].removesuffix("weight"), FORMS[row["form"]]
    try:
        stored: StoredForm = form(*(tensors[stem + name] for name in form.parts))
    except KeyError as error:
        raise CheckpointError(f"tensor {error.args[0]} is missing; the folder is incomplete") from None
    return stored


def load(out: str | Path) -> PreTrainedModel:
    """Load a compressed checkpoint as a working module in evaluation mode.

    Raises
    ------
    CheckpointError
        The folder was not written by infimum, or is incomplete.

    Notes
    -----
    ``model.save_pretrained(folder)`` writes every tensor of the model with the same bytes, and `load` reads that folder
    again. It has no `infimum.json`: the certificate belongs to the numbers that `Plan.save` wrote.
    """
    out = Path(out)
    config = read_config(out)
    vars(config).pop("auto_map", None)  # save_pretrained would name the code beside this checkpoint, and not copy it
    layers = getattr(config, LAYERS, None)
    if layers is None and not (out / DESCRIPTION).is_file():
        raise CheckpointError(f"{out} was not written by infimum.compress; load it with transformers, or compress it")
    model, tensors = empty_model(config), TensorFiles(out)
    replace_layers(model, layers or {})
    names = Names.between(model, tensors)
    state = {name: tensors[names.in_files(name)] for name in model.state_dict() if names.in_files(name) in tensors}
    missing = model.load_state_dict(state, strict=False, assign=True).missing_keys
    model.tie_weights()
    tied = set(model.all_tied_weights_keys or ())
    if absent := sorted(set(missing) - tied):
        raise CheckpointError(
            f"tensor {names.in_files(absent[0])} is missing from {out.name}; the folder is incomplete"
        )
    model.eval()  # type: ignore[no-untyped-call]
    return model


def load_any(folder: str | Path) -> PreTrainedModel:
    """Load a model folder, compressed by infimum or not, in float32."""
    folder = Path(folder)
    if not (folder / DESCRIPTION).is_file() and not hasattr(read_config(folder), LAYERS):
        return open_checkpoint(folder).load()
    model = load(folder)
    model.float()  # type: ignore[no-untyped-call]
    return model


def tensors_of(plan: Plan) -> Iterator[Stored]:
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
