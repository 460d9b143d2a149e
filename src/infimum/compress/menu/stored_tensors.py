"""Which tensors a compressed checkpoint consists of: their names, kinds and shapes, and nothing else beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from infimum.compress.menu.gguf_file import GgufTensors
from infimum.compress.menu.gguf_model import check_model
from infimum.compress.menu.loader_files import needs_code
from infimum.compress.menu.settings import Format
from infimum.compress.model.checkpoint import Checkpoint
from infimum.compress.model.pieces import ModelTensors
from infimum.compress.model.tensor_files import Kind, TensorFiles, same_bits
from infimum.errors import VerificationError
from infimum.nn.linear import REMEDY
from infimum.nn.packed import packed_width
from infimum.proof.checkpoint import LayerPlan, same

OutputTensors: TypeAlias = ModelTensors | GgufTensors


def expected_tensors(checkpoint: Checkpoint, table: Sequence[LayerPlan]) -> dict[str, Kind]:
    """Return kind and shape of every tensor of a model that became what the table says."""
    rows = {row.tensor.removesuffix("weight"): row for row in table if row.form != "dense"}
    expected: dict[str, Kind] = {}
    for tensor in checkpoint.stored():
        stem, _, part = tensor.name.rpartition(".")
        row = rows.get(f"{stem}.")
        if row is None or row.form == "plain":
            expected[tensor.name] = (tensor.kind, tensor.shape)
        elif part == "weight":
            expected |= {f"{stem}.{name}": kind for name, kind in _parts(row, tensor.kind).items()}
        else:
            expected[tensor.name] = (tensor.kind, row.kept[:1] if part == "bias" else tensor.shape)
    return expected | ({checkpoint.names.in_files(REMEDY): ("U8", (0,))} if needs_code(checkpoint, table) else {})


def keeps_stacks(table: Iterable[LayerPlan]) -> bool:
    """Whether stacks of experts stay whole: no code of ours is needed to load the output."""
    return all(row.form in ("dense", "plain", "packed") for row in table)


def _parts(row: LayerPlan, kind: str) -> dict[str, Kind]:
    """Parts of a layer; one that is no longer called weight leaves a mark, at which stock loaders stop."""
    (m, n), r = row.kept, row.rank
    if row.form == "pivot":
        parts = {"rows": (kind, (r, n)), "coefficients": (kind, (m - r, r)), "order": ("I32", (m,))}
        return {"weight": (kind, (0,)), **parts}
    if row.form == "bits":
        return {"weight": (kind, (0,)), **_packed(m, n, row.bits, row.group)}
    if row.form == "bit-factors":
        sides = {"left": _packed(m, r, row.bits, r), "right": _packed(r, n, row.bits, row.group)}
        named = {f"{side}.{name}": part for side, parts in sides.items() for name, part in parts.items()}
        return {"weight": (kind, (0,)), **named}
    if row.form == "packed":
        words, scales = -(-n * row.bits // 32), "BF16" if kind == "BF16" else "F16"
        groups = n // row.group if row.group else 0
        sizes = {"weight_scale": (scales, (m, groups)), "weight_shape": ("I64", (2,))}
        return {"weight_packed": ("I32", (m, words)), **sizes}
    if row.form == "factors":
        return {"weight": (kind, (0,)), "left": (kind, (m, r)), "right": (kind, (r, n))}
    return {"weight": (kind, (m, n))}


def _packed(m: int, n: int, bits: int, group: int) -> dict[str, Kind]:
    groups = n // group if group and n % group == 0 else 0
    packed: dict[str, Kind] = {
        name: ("U8", (m, packed_width(count, bits))) for name, count in (("integers", n), ("zeros", groups))
    }
    return {"scales": ("I16", (m, groups)), **packed}


def open_tensors(out: Path, checkpoint: Checkpoint, format: Format, table: Sequence[LayerPlan]) -> OutputTensors:
    """Open the tensors of an output in the file of its format."""
    if format == "gguf":
        check_model(checkpoint)
        return GgufTensors(out, checkpoint, table)
    return ModelTensors(checkpoint.skeleton, TensorFiles(out))


def check_tensors(checkpoint: Checkpoint, table: Sequence[LayerPlan], found: OutputTensors) -> None:
    """Ask that there is every expected tensor and no other, and that what was not replaced is the original's bits."""
    if isinstance(found, GgufTensors):
        found.check()
        return
    expected, kinds = expected_tensors(checkpoint, table), found.kinds()
    if unknown := sorted(kinds.keys() - expected.keys()):
        raise VerificationError(f"tensor {unknown[0]} is none of this model; nothing accounts for it")
    if missing := sorted(expected.keys() - kinds.keys()):
        raise VerificationError(f"tensor {missing[0]} is missing; the folder is incomplete")
    stacks = checkpoint.tensors.stacks if keeps_stacks(table) else {}
    same("the stacks of experts", found.stacks, stacks)
    same("the tensors that are taken apart", found.taken_apart, sorted(stacks))  # by code beside the weights none is
    for name, kind in expected.items():
        same(f"tensor {name}: kind and shape", kinds[name], kind)
    replaced = {row.tensor for row in table if row.form != "dense"}
    narrower = {row.name for row in table if row.kept[0] != row.shape[0]}
    replaced |= {layer.bias for layer in checkpoint.layers if layer.name in narrower}
    for name, tensor in checkpoint.blocks():
        if name not in replaced and not same_bits(tensor, found[name]):
            raise VerificationError(f"tensor {name} should be as in the original, and is not")
