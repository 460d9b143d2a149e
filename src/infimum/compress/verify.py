"""Checking a compressed checkpoint: every number and every bound, from the original and the output alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from infimum.compress.measure.progress import Progress, Steps
from infimum.compress.measure.side_by_side import two_by_two
from infimum.compress.menu import adapter
from infimum.compress.menu.budget import budget_of
from infimum.compress.menu.forms import PivotForm, PlainForm, StoredForm, stored_form
from infimum.compress.menu.judging import check_scales
from infimum.compress.menu.layer_plan import dense_row
from infimum.compress.menu.loader_files import MODEL_CODE, loader_files
from infimum.compress.menu.model_card import CARD, model_card
from infimum.compress.menu.replacement import Replacement, form_of, measure, near_rank, replacements_of
from infimum.compress.menu.rounded_layer import derive_rounded
from infimum.compress.menu.stored_tensors import check_tensors
from infimum.compress.menu.task import Task
from infimum.compress.menu.widths import Choice, Group, partition, unit_of
from infimum.compress.menu.written_output import WrittenOutput
from infimum.compress.model.layer import Layer
from infimum.compress.model.pieces import ModelTensors
from infimum.compress.model.tensor_files import INDEX, ITEM_BYTES, same_bits
from infimum.errors import CalibrationError, InfimumError, VerificationError
from infimum.proof import checkpoint as proof
from infimum.proof import folder as files
from infimum.proof import strict_json
from infimum.proof.certificate import Certificate
from infimum.proof.checkpoint import CHANNELS, TEXT, LayerPlan
from infimum.proof.evidence import indices, shown, whole
from infimum.proof.theorems import allocation_dual
from infimum.proof.theorems.allocation_dual import Unit

TRUSTED = (
    "infimum.compress.verify",
    "infimum.compress.model.checkpoint",
    "infimum.compress.model.configuration",
    "infimum.compress.model.tensor_files",
    "infimum.compress.model.experts",
    "infimum.compress.model.heads",
    "infimum.compress.model.names",
    "infimum.compress.model.pieces",
    "infimum.compress.model.linear_maps",
    "infimum.compress.model.layer",
    "infimum.compress.model.channels",
    "infimum.compress.model.blockwise",
    "infimum.compress.model.block_calls",
    "infimum.compress.model.vocabulary",
    "infimum.compress.measure.text",
    "infimum.compress.measure.samples",
    "infimum.compress.measure.leaves",
    "infimum.compress.measure.moments",
    "infimum.compress.measure.processes",
    "infimum.compress.measure.outputs",
    "infimum.compress.measure.passes",
    "infimum.compress.measure.collect",
    "infimum.compress.measure.side_by_side",
    "infimum.compress.measure.progress",
    "infimum.compress.measure.vocabulary",
    "infimum.compress.measure.scratch",
    "infimum.compress.menu.settings",
    "infimum.compress.menu.task",
    "infimum.compress.menu.ranks",
    "infimum.compress.menu.judging",
    "infimum.compress.menu.widths",
    "infimum.compress.menu.forms",
    "infimum.compress.menu.budget",
    "infimum.compress.menu.alternatives",
    "infimum.compress.menu.rounding",
    "infimum.compress.menu.rounded_factors",
    "infimum.compress.menu.compressed_tensors",
    "infimum.compress.menu.vllm_rules",
    "infimum.compress.menu.ggml_blocks",
    "infimum.compress.menu.gguf_header",
    "infimum.compress.menu.gguf_tokenizer",
    "infimum.compress.menu.gguf_model",
    "infimum.compress.menu.gguf_file",
    "infimum.compress.menu.rounded_menu",
    "infimum.compress.menu.grid_loops",
    "infimum.compress.menu.seen",
    "infimum.compress.menu.rounded_layer",
    "infimum.compress.menu.layer_plan",
    "infimum.compress.menu.replacement",
    "infimum.compress.menu.stored_tensors",
    "infimum.compress.menu.written_output",
    "infimum.compress.menu.loader_files",
    "infimum.compress.menu.model_card",
    "infimum.compress.menu.adapter",
    "infimum.nn.linear",
    "infimum.nn.packed",
    "infimum.nn.patches",
)
"""What `infimum verify FOLDER` runs, beside `infimum.proof` and the ground: who believes a certificate of a folder
believes these modules. They read the two checkpoints, run the original to measure its moments, and derive what each
layer can become. No module of `search` or `write`, and not `plan`, is among them."""


def verify(out: str | Path, original: str | Path | None = None, *, on_progress: Progress | None = None) -> Certificate:
    """Derive every statement of a compressed checkpoint from the original and the output, or refuse it.

    The moments are measured anew, by running the original model on the token ids stored in the output. Errors and
    bounds must follow from what is derived: claimed errors may not be smaller, claimed bounds not larger. All other
    statements must be equal. Every file and every tensor must be accounted for: weights, configuration and code by
    what they must be, tokenizer and the like by the hashes of the original's.

    Parameters
    ----------
    out : path
        Folder written by `Plan.save`.
    original : path, optional
        Folder of the original checkpoint, if it is not where it was.
    on_progress : callable, optional
        Called with (what, done, of).

    Returns
    -------
    Certificate
        Total error and bound as derived here; the witness holds the hashes of the original's files.

    Raises
    ------
    VerificationError
        Names the file, tensor or claim that does not hold.
    CheckpointError
        The output or the original is missing or incomplete.
    """
    out = Path(out)
    try:
        return _check(WrittenOutput.open(out, original), on_progress)
    except CalibrationError as error:
        raise VerificationError(f"{TEXT} does not fit the model: {error}") from error
    except InfimumError:
        raise
    except Exception as error:  # whatever a stranger's evidence breaks is the evidence's fault
        raise VerificationError(f"the check of {out} failed: {shown(repr(error))}") from error


def _check(output: WrittenOutput, on_progress: Progress | None) -> Certificate:
    """Check files and tensors, then measure and derive every row."""
    described, checkpoint, settings = output.described, output.checkpoint, output.settings
    names = [layer.name for layer in settings.layers_of(checkpoint)]
    proof.same("the layers of the table", [row.name for row in described.layers], names)
    orders = output.orders()
    _check_files(output)
    check_tensors(checkpoint, described.layers, output.tensors)
    task = output.task(on_progress)
    if isinstance(settings.damping, Mapping):
        groups = [_group(task, layers, orders) for layers in partition(task)]
        check_scales(task, groups, settings.damping)
    units, derived = _derive_all(task, output, orders, on_progress)
    budget = budget_of(task)
    proof.same("budget", described.budget, budget)
    spent = sum(row.cost for row in derived.values() if not row.note)
    if spent > budget:
        raise VerificationError(f"the layers store {spent} numbers, the budget is {budget}")
    proof.same("notes", described.notes, task.notes)
    bound = allocation_dual.lower_bound(units, budget, described.multiplier)
    errors = {name: row.error for name, row in derived.items()}
    error = proof.total(list(errors.values()))
    proof.check_totals(described, error, bound)
    if described.adapter is not None:
        adapter.check_adapter(task, described, output.path / adapter.FOLDER, output.tensors, errors)
    witness = {"multiplier": described.multiplier, "original": checkpoint.sha256}
    return Certificate(error, bound, allocation_dual.THEOREM, "rounded", witness=witness)


def _check_files(output: WrittenOutput) -> None:
    """Ask that every file is what this model needs, and that there is no other."""
    out, described, checkpoint = output.path, output.described, output.checkpoint
    written = loader_files(checkpoint, described.layers)
    written[CARD] = model_card(checkpoint, described.layers, described.original, code=MODEL_CODE in written)
    expected = set(files.check_companions(out, checkpoint.path, written)) | {TEXT}
    expected |= {path.relative_to(out).as_posix() for path in output.tensors.paths}
    if described.adapter is not None:
        expected |= {f"{adapter.FOLDER}/{name}" for name in (adapter.CONFIG, adapter.WEIGHTS)}
    if odd := sorted(expected ^ (described.files.keys() - {CHANNELS})):
        raise VerificationError(f"{out} should hold the files of this model and no other; one that differs: {odd[0]}")
    if isinstance(output.tensors, ModelTensors) and (out / INDEX).is_file():
        index = strict_json.parse((out / INDEX).read_text(encoding="utf-8"))
        size = sum(ITEM_BYTES[kind] * math.prod(shape) for kind, shape in output.tensors.kinds().values())
        proof.mapping(INDEX, index, ("metadata", "weight_map"))
        proof.same(f"{INDEX}: metadata", index["metadata"], {"total_size": size})


def _derive_all(
    task: Task, output: WrittenOutput, orders: Mapping[str, torch.Tensor], on_progress: Progress | None
) -> tuple[list[Unit], dict[str, LayerPlan]]:
    """Derive what all layers can become, and compare each row of the table with its own."""
    rows = {row.name: row for row in output.described.layers}
    derived: dict[str, LayerPlan] = {}
    units, groups = [], partition(task)
    narrowed = sorted(layers[-1].name for layers in groups if len(layers) > 1 and task.settings.narrows)
    proof.same(f"the layers of {CHANNELS}", sorted(orders), narrowed)
    proof.same(f"whether there is {CHANNELS}", CHANNELS in output.described.files, bool(narrowed))

    def derive(layers: tuple[Layer, ...]) -> tuple[Unit, list[LayerPlan]]:
        claimed = [rows[layer.name] for layer in layers]
        return _derive(task, _group(task, layers, orders), claimed, output.tensors)

    for unit, own in two_by_two(derive, groups, Steps(on_progress, "verifying")):
        units.append(unit)
        derived |= {row.name: row for row in own}
    for layer in task.settings.layers_of(task.checkpoint):  # what is left out takes no part in the budget
        proof.check_row(rows[layer.name], derived.setdefault(layer.name, dense_row(layer, task.left_out(layer))))
    return units, derived


def _group(task: Task, layers: tuple[Layer, ...], orders: Mapping[str, torch.Tensor]) -> Group:
    """Take the order of channels from the output: which channels go is chosen there, and proved for that order."""
    if len(layers) == 1 or not task.settings.narrows:
        return Group(layers)
    channels, name = layers[-1].shape[1], layers[-1].name
    order = indices(f"{CHANNELS}: {name}", orders[name].numpy(), channels, channels)
    return Group(layers, order, task.settings.widths)


def _derive(
    task: Task, group: Group, claimed: Sequence[LayerPlan], tensors: Mapping[str, torch.Tensor]
) -> tuple[Unit, list[LayerPlan]]:
    """Derive what a group can become, and its rows of the table; of the claims only width, form and rank are read."""
    if task.settings.rounds:
        return derive_rounded(task, group, claimed, tensors)
    width = claimed[-1].kept[1]
    if width not in group.widths:
        raise VerificationError(f"{claimed[-1].name}: a width of {group.widths} was expected, got {width}")
    alternative = group.widths.index(width)
    unit = unit_of(task, group)
    points = []
    for row, curve in zip(claimed, unit[alternative], strict=True):
        last = len(curve.costs) - 1
        full = row.rank == min(row.kept)
        points.append(last if full else whole(f"{row.name}: rank", row.rank, least=1, most=last) - 1)
    rows, distances = [], []
    for part, row in zip(replacements_of(group, unit, Choice(alternative, tuple(points))), claimed, strict=True):
        proof.same(f"{row.name}: form", row.form, form_of(task.settings, part))
        stored = stored_form(row, tensors)
        _check_stored(task, part, stored, tensors)
        derived = measure(task, part, stored)
        rows.append(derived.row)
        distances.append(derived.distance)
    return near_rank(unit, rows, distances)


def _check_stored(
    task: Task, part: Replacement, stored: StoredForm | None, tensors: Mapping[str, torch.Tensor]
) -> None:
    """Compare what is stored of a layer with what it should have become: its numbers, their places, and its bias."""
    name, bias = part.layer.name, task.checkpoint.bias(part.layer)
    if isinstance(stored, PlainForm):
        outside = torch.ones(part.layer.shape, dtype=torch.bool)
        outside[np.ix_(*part.places)] = False
        if bool(part.layer.matrix(stored.weight)[outside].any()):
            raise VerificationError(f"{name} should have zeros for what was removed")
    elif stored is not None:
        if isinstance(stored, PivotForm):
            indices(f"{name}: order", stored.order.numpy(), len(stored.order), len(stored.order))
        proof.same(f"{name}: numbers that are stored", stored.numbers, int(part.points.costs[part.point]))
        if bias is not None and part.outputs is not None:
            bias = bias[part.outputs]
    if bias is not None and not same_bits(tensors[part.layer.bias], bias):
        raise VerificationError(f"the bias of {name} should be that of the original, and is not")
