"""Checking a compressed checkpoint: every number and every bound, from the original and the output alone."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from infimum.bounds import weighted_tail
from infimum.bounds.allocation_dual import Curve, dual_value
from infimum.certificate import Certificate
from infimum.compress.checkpoint import DESCRIPTION, Checkpoint, Layer, open_checkpoint
from infimum.compress.collection import collect
from infimum.compress.factor import PlainForm, cost, curve, one_thread, spectrum, weighting
from infimum.compress.files import file_hash
from infimum.compress.layers import UNREACHED, LayerPlan, Settings, dense_row, measure_plain
from infimum.compress.moments import Moments, Progress
from infimum.compress.plan import budget_of
from infimum.compress.storage import TEXT, read_description, read_tensors, stored_form
from infimum.compress.text import Tokens
from infimum.errors import CheckpointError, ShapeError, VerificationError

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
    tensors = read_tensors(out)
    try:
        _check_untouched(checkpoint, description, tensors)
        moments = _moments(out, checkpoint, description["calibration"], on_progress)
        return _check_claims(checkpoint, description, tensors, moments, on_progress)
    except (LookupError, TypeError, ShapeError) as error:
        raise VerificationError(f"{DESCRIPTION} or the tensors are malformed: {error!r}") from error


def _check_hashes(out: Path, files: dict[str, str]) -> None:
    for name, expected in files.items():
        if not (out / name).is_file():
            raise CheckpointError(f"{name} is missing from {out}")
        if file_hash(out / name) != expected:
            raise VerificationError(f"{name} was changed after it was written: its hash differs")


def _check_untouched(checkpoint: Checkpoint, description: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    replaced = {row["tensor"] for row in description["layers"] if row["form"] != "dense"}
    for name, tensor in checkpoint.blocks():
        if name not in replaced and not (name in tensors and torch.equal(tensor, tensors[name])):
            raise VerificationError(f"tensor {name} should be as in the original, and is not")


def _moments(out: Path, checkpoint: Checkpoint, calibration: dict[str, Any], on_progress: Progress | None) -> Moments:
    text = load_file(out / TEXT)
    tokens = Tokens(text["ids"].numpy(), text["mask"].numpy(), calibration["source"])
    if tokens.sha256 != calibration["sha256"]:
        raise VerificationError("the stored calibration tokens are not those of the run: their hash differs")
    chosen = {name: calibration[name] for name in ("goal", "seed", "projections")}
    return collect(checkpoint, tokens, **chosen, on_progress=on_progress)


def _check_claims(
    checkpoint: Checkpoint,
    description: dict[str, Any],
    tensors: dict[str, torch.Tensor],
    moments: Moments,
    on_progress: Progress | None,
) -> Certificate:
    settings = Settings(**description["settings"])
    rows = {row["name"]: row for row in description["layers"]}
    curves, total, spent = [], 0.0, 0
    for index, layer in enumerate(checkpoint.layers):
        with one_thread():
            points, derived = _derive(layer, checkpoint, settings, moments, rows[layer.name], tensors)
        _check_row(rows[layer.name], derived)
        # what the output does not depend on takes no part in the budget
        if points is not None:
            curves.append(points)
            total, spent = total + derived.error, spent + derived.cost
        if on_progress:
            on_progress("verifying", index + 1, len(checkpoint.layers))
    budget = budget_of(checkpoint, settings, moments)
    _compare("budget", description["budget"], budget)
    if spent > budget:
        raise VerificationError(f"the layers store {spent} numbers, the budget is {budget}")
    bound = dual_value(curves, budget, description["multiplier"])
    _compare("total error", description["certificate"]["value"], total)
    _compare("total lower bound", description["certificate"]["lower_bound"], bound)
    return Certificate(total, bound, "allocation_dual", "rounded", witness={"multiplier": description["multiplier"]})


def _derive(
    layer: Layer,
    checkpoint: Checkpoint,
    settings: Settings,
    moments: Moments,
    row: dict[str, Any],
    tensors: dict[str, torch.Tensor],
) -> tuple[Curve | None, LayerPlan]:
    """Derive the choices of a layer and its row of the table from the weights; of the claims only the form is read."""
    reached, dense = layer.name in moments.layers, row["form"] == "dense"
    if not reached and not dense:
        raise VerificationError(f"{layer.name} was replaced, but its error cannot be measured on the stored text")
    derived = dense_row(layer, "" if reached else UNREACHED)
    if not reached:
        return None, derived
    W = checkpoint.weight(layer).double().numpy()
    norm = weighting(settings.objective, moments.layers[layer.name], settings.damping)
    tails = spectrum(W, norm)
    points = curve(tails, layer.shape, settings.form)
    if dense:
        return points, derived
    stored = stored_form(row, tensors)
    if isinstance(stored, PlainForm):
        rank, full = int(row["rank"]), stored.weight.T if layer.transposed else stored.weight
        if not 1 <= rank < len(tails):
            raise VerificationError(f"{layer.name}: a rank from 1 to {len(tails) - 1} was expected, got {rank}")
        derived = dataclasses.replace(
            derived,
            form="plain",
            rank=rank,
            cost=int(cost(np.array(rank), layer.shape, settings.form)),
            lower_bound=float(tails[rank]),
        )
        derived, points = measure_plain(derived, W, full.double().numpy(), norm, points)
        return points, derived
    left, right = stored.factors()
    rank = right.shape[0]
    return points, dataclasses.replace(
        derived,
        form=settings.form,
        rank=rank,
        cost=sum(part.numel() for name, part in stored.tensors().items() if name != "order"),
        error=weighted_tail.error(W, left, right, norm.C, norm.G),
        lower_bound=float(tails[rank]),
    )


def _check_row(claimed: dict[str, Any], derived: LayerPlan) -> None:
    for name in ("tensor", "shape", "form", "rank", "cost", "dense_cost", "note"):
        value = getattr(derived, name)
        if claimed[name] != (list(value) if name == "shape" else value):
            raise VerificationError(f"{derived.name}: {name} is claimed to be {claimed[name]!r}, derived {value!r}")
    _compare(f"{derived.name}: error", claimed["error"], derived.error)
    _compare(f"{derived.name}: lower bound", claimed["lower_bound"], derived.lower_bound)


def _compare(what: str, claimed: float, derived: float) -> None:
    if not math.isclose(claimed, derived, rel_tol=RELATIVE, abs_tol=np.finfo(float).tiny):
        raise VerificationError(f"{what}: claimed {claimed:.6g}, derived {derived:.6g}")
