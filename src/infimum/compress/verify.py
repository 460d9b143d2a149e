"""Checking a compressed checkpoint: every number and every bound, from the original and the output alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from infimum._threads import one_thread
from infimum.compress.measure.moments import Moments, Progress
from infimum.compress.measure.passes import collect
from infimum.compress.measure.text import Tokens
from infimum.compress.menu.budget import budget_of
from infimum.compress.menu.forms import PlainForm, StoredForm, stored_form
from infimum.compress.menu.layer_plan import UNREACHED, LayerPlan, dense_row
from infimum.compress.menu.replacement import Replacement, lowered, measure, replacements_of
from infimum.compress.menu.settings import Settings
from infimum.compress.menu.task import Task
from infimum.compress.menu.widths import Choice, Group, partition, unit_of
from infimum.compress.model.checkpoint import Checkpoint, Layer, open_checkpoint
from infimum.compress.model.tensor_files import TensorFiles, file_hash
from infimum.errors import CheckpointError, ShapeError, VerificationError
from infimum.proof.certificate import Certificate
from infimum.proof.checkpoint import CHANNELS, DESCRIPTION, TEXT, read_description
from infimum.proof.theorems.allocation_dual import Unit, dual_value

RELATIVE = 1e-3  # the model runs in float32: another machine or thread count moves the moments by about 1e-5


def verify(out: str | Path, original: str | Path | None = None, *, on_progress: Progress | None = None) -> Certificate:
    """Recompute every error and every bound of a compressed checkpoint and compare them with what it claims.

    The moments are measured anew, by running the original model on the token ids stored in the output; files are
    compared with their hashes, untouched tensors with the original's.

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
        Total error and bound as derived here.

    Raises
    ------
    VerificationError
        Names the file, tensor or claim that does not hold.
    CheckpointError
        The output or the original is missing or incomplete.
    """
    out = Path(out)
    description = read_description(out)
    _check_hashes(out, description["files"])
    checkpoint = open_checkpoint(original or description["original"]["path"])
    if checkpoint.sha256 != description["original"]["sha256"]:
        raise VerificationError(f"{checkpoint.path} is not the checkpoint that was compressed: its hashes differ")
    tensors = TensorFiles(out)
    try:
        _check_untouched(checkpoint, description, tensors)
        moments = _moments(out, checkpoint, description["calibration"], on_progress)
        task = Task(checkpoint, moments, Settings(**description["settings"]))
        orders = load_file(out / CHANNELS) if (out / CHANNELS).is_file() else {}
        return _check_claims(task, description, tensors, orders, on_progress)
    except (LookupError, TypeError, ShapeError) as error:
        raise VerificationError(f"{DESCRIPTION} or the tensors are malformed: {error!r}") from error


def _check_hashes(out: Path, files: dict[str, str]) -> None:
    for name, expected in files.items():
        if not (out / name).is_file():
            raise CheckpointError(f"{name} is missing from {out}")
        if file_hash(out / name) != expected:
            raise VerificationError(f"{name} was changed after it was written: its hash differs")


def _check_untouched(checkpoint: Checkpoint, description: dict[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
    replaced = {row["tensor"] for row in description["layers"] if row["form"] != "dense"}
    narrower = {row["name"] for row in description["layers"] if row["kept"][0] != row["shape"][0]}
    replaced |= {layer.bias for layer in checkpoint.layers if layer.name in narrower}
    for name, tensor in checkpoint.blocks():
        if name not in replaced and not (name in tensors and torch.equal(tensor, tensors[name])):
            raise VerificationError(f"tensor {name} should be as in the original, and is not")


def _moments(out: Path, checkpoint: Checkpoint, calibration: dict[str, Any], on_progress: Progress | None) -> Moments:
    text = load_file(out / TEXT)
    tokens = Tokens(text["ids"].numpy(), text["mask"].numpy(), calibration["source"])
    if tokens.sha256 != calibration["sha256"]:
        raise VerificationError("the stored calibration tokens are not those of the run: their hash differs")
    chosen = {name: calibration[name] for name in ("seed", "projections")}
    return collect(checkpoint, tokens, **chosen, on_progress=on_progress)


def _check_claims(
    task: Task,
    description: dict[str, Any],
    tensors: Mapping[str, torch.Tensor],
    orders: dict[str, torch.Tensor],
    on_progress: Progress | None,
) -> Certificate:
    rows = {row["name"]: row for row in description["layers"]}
    units, total, spent, together = [], 0.0, 0, partition(task)
    for index, layers in enumerate(together):
        claimed = [rows.pop(layer.name) for layer in layers]
        with one_thread():
            unit, derived = _derive(task, _group(layers, orders), claimed, tensors)
        units.append(unit)
        for row, own in zip(claimed, derived, strict=True):
            _check_row(row, own)
            total, spent = total + own.error, spent + own.cost
        if on_progress:
            on_progress("verifying", index + 1, len(together))
    unreached = {layer.name: layer for layer in task.checkpoint.layers if layer.name not in task.moments.layers}
    for name, row in rows.items():  # what the output does not depend on takes no part in the budget
        _check_row(row, dense_row(unreached[name], UNREACHED))
    budget = budget_of(task)
    _compare("budget", description["budget"], budget)
    if spent > budget:
        raise VerificationError(f"the layers store {spent} numbers, the budget is {budget}")
    bound = dual_value(units, budget, description["multiplier"])
    _compare("total error", description["certificate"]["value"], total)
    _compare("total lower bound", description["certificate"]["lower_bound"], bound)
    return Certificate(total, bound, "allocation_dual", "rounded", witness={"multiplier": description["multiplier"]})


def _group(layers: tuple[Layer, ...], orders: dict[str, torch.Tensor]) -> Group:
    """Take the order of channels from the output: which channels go is chosen there, and proved for that order."""
    if len(layers) == 1:
        return Group(layers)
    order, channels = orders[layers[-1].name].numpy(), layers[-1].shape[1]
    if sorted(order.tolist()) != list(range(channels)):
        raise VerificationError(f"{CHANNELS}: {layers[-1].name} should have an order of its {channels} channels")
    return Group(layers, order)


def _derive(
    task: Task, group: Group, claimed: Sequence[dict[str, Any]], tensors: Mapping[str, torch.Tensor]
) -> tuple[Unit, list[LayerPlan]]:
    """Derive what a group can become, and its rows of the table; of the claims only width, form and rank are read."""
    unit = unit_of(task, group)
    width = claimed[-1]["kept"][1]
    if width not in group.widths:
        raise VerificationError(f"{claimed[-1]['name']}: a width of {group.widths} was expected, got {width}")
    alternative = group.widths.index(width)
    points = []
    for row, curve in zip(claimed, unit[alternative], strict=True):
        last = len(curve.costs) - 1
        points.append(last if row["rank"] == min(row["kept"]) else int(row["rank"]) - 1)
        if not 0 <= points[-1] <= last:
            raise VerificationError(
                f"{row['name']}: a rank from 1 to {min(row['kept'])} was expected, got {row['rank']}"
            )
    rows, distances = [], []
    for part, row in zip(replacements_of(group, unit, Choice(alternative, tuple(points))), claimed, strict=True):
        stored = None if row["form"] == "dense" else stored_form(row, tensors)
        if (stored is None) != part.is_whole:
            raise VerificationError(f"{row['name']}: form {row['form']} does not fit what is kept, {row['kept']}")
        _check_stored(task, part, stored, tensors)
        derived, distance = measure(task, part, stored)
        rows.append(derived)
        distances.append(distance)
    return lowered(unit, distances), rows


def _check_stored(
    task: Task, part: Replacement, stored: StoredForm | None, tensors: Mapping[str, torch.Tensor]
) -> None:
    """Compare the stored tensors of a layer, shape and number, with what it should have become, and its bias."""
    name, bias = part.layer.name, task.checkpoint.bias(part.layer)
    if isinstance(stored, PlainForm):
        outside = torch.ones(part.layer.shape, dtype=torch.bool)
        outside[np.ix_(*part.places)] = False
        weight = stored.weight.T if part.layer.transposed else stored.weight
        if weight.shape != part.layer.shape or bool(weight[outside].any()):
            raise VerificationError(f"{name} should have the shape {part.layer.shape}, and zeros for what was removed")
    elif stored is not None:
        left, right = stored.factors()
        shape, cost = (left.shape[0], right.shape[1]), int(part.points.costs[part.point])
        if shape != part.shape or stored.numbers != cost:
            raise VerificationError(
                f"{name} stores {stored.numbers} numbers for shape {shape}, expected were {cost} for {part.shape}"
            )
        if bias is not None and part.outputs is not None:
            bias = bias[part.outputs]
    if bias is not None and not torch.equal(tensors[part.layer.bias], bias):
        raise VerificationError(f"the bias of {name} should be that of the original, and is not")


def _check_row(claimed: dict[str, Any], derived: LayerPlan) -> None:
    for name in ("tensor", "shape", "kept", "form", "rank", "cost", "dense_cost", "note"):
        value = getattr(derived, name)
        if claimed[name] != (list(value) if isinstance(value, tuple) else value):
            raise VerificationError(f"{derived.name}: {name} is claimed to be {claimed[name]!r}, derived {value!r}")
    _compare(f"{derived.name}: error", claimed["error"], derived.error)
    _compare(f"{derived.name}: lower bound", claimed["lower_bound"], derived.lower_bound)


def _compare(what: str, claimed: float, derived: float) -> None:
    if not math.isclose(claimed, derived, rel_tol=RELATIVE, abs_tol=np.finfo(float).tiny):
        raise VerificationError(f"{what}: claimed {claimed:.6g}, derived {derived:.6g}")
