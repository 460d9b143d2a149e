"""The plan: which layer is replaced by what, under one budget, with a certificate for each layer and for the whole."""

from __future__ import annotations

import dataclasses
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch
from transformers import AutoTokenizer

from infimum._arguments import one_of
from infimum.bounds import weighted_tail
from infimum.bounds.allocation_dual import Curve, dual_value
from infimum.certificate import Certificate
from infimum.compress.allocation import allocate, uniform
from infimum.compress.calibration import Text, tokenize
from infimum.compress.checkpoint import Checkpoint, Layer, open_checkpoint
from infimum.compress.factor import (
    FactorForm,
    Form,
    Objective,
    PivotForm,
    curve,
    decompose,
    spectrum,
    to_form,
    weighting,
)
from infimum.compress.moments import Moments, Progress, collect
from infimum.errors import BudgetError, CalibrationError, OptionError

Of: TypeAlias = Literal["linear", "all"]
AllocationRule: TypeAlias = Literal["global", "uniform"]
UNREACHED = "the output does not depend on it for this text: kept dense"


@dataclass(frozen=True)
class Settings:
    """The choices of a plan; see `plan` for their meaning."""

    remove: float = 0.2
    of: Of = "linear"
    objective: Objective = "two-sided"
    allocation: AllocationRule = "global"
    form: Form = "pivot"
    damping: float = 0.01

    def __post_init__(self) -> None:
        if not 0.0 <= self.remove < 1.0:
            raise BudgetError(f"remove must be a fraction of at least 0 and below 1, got {self.remove}")
        one_of("of", self.of, ("linear", "all"))
        one_of("objective", self.objective, ("two-sided", "activation", "plain"))
        one_of("allocation", self.allocation, ("global", "uniform"))
        one_of("form", self.form, ("pivot", "factors"))
        if not 0.0 < self.damping <= 1.0:
            raise OptionError(f"damping must be above 0 and at most 1, got {self.damping}")


@dataclass(frozen=True)
class LayerPlan:
    """What becomes of one layer.

    `cost` and `dense_cost` count stored numbers; `error` is measured on the numbers as stored, `lower_bound` holds for
    every matrix of that rank, `share` is the part of the total error.
    """

    name: str
    tensor: str
    shape: tuple[int, int]
    form: Literal["pivot", "factors", "dense"]
    rank: int
    cost: int
    dense_cost: int
    error: float
    lower_bound: float
    share: float
    note: str = ""

    @property
    def gap(self) -> float:
        """``error - lower_bound``: what another matrix of the same rank could gain at most."""
        return self.error - self.lower_bound


@dataclass(frozen=True)
class Plan:
    """A compressed model, not yet written: the answer of `plan`.

    Attributes
    ----------
    table : tuple of LayerPlan
        One row per linear layer.
    certificate : Certificate
        `value`: sum of the measured errors. `lower_bound`: no choice of ranks within the budget, and no matrices of
        those ranks, have a smaller sum. It speaks of this objective on this text, not of accuracy on a task.
    budget : int
        Numbers that the replaceable layers may store.
    multiplier : float
        The Lagrange multiplier that proves the bound: error per stored number.
    forms : mapping
        Stored numbers of every replaced layer, in the checkpoint's dtype.
    notes : tuple of str
        What the user should know.
    peak_memory : int
        Largest resident size of the process so far, bytes.
    """

    checkpoint: Checkpoint
    moments: Moments
    settings: Settings
    table: tuple[LayerPlan, ...]
    certificate: Certificate
    budget: int
    multiplier: float
    forms: Mapping[str, PivotForm | FactorForm]
    curves: Mapping[str, Curve]
    notes: tuple[str, ...]
    peak_memory: int

    @property
    def linear_size(self) -> int:
        """Weights of all linear layers before compression."""
        return sum(row.dense_cost for row in self.table)

    @property
    def removed(self) -> int:
        """Numbers that are no longer stored."""
        return sum(row.dense_cost - row.cost for row in self.table)

    def with_budget(self, remove: float, *, on_progress: Progress | None = None) -> Plan:
        """Plan another budget with the same moments and spectra: nothing is measured on text again."""
        return _solve(
            self.checkpoint, self.moments, dataclasses.replace(self.settings, remove=remove), self.curves, on_progress
        )

    def curve(self, points: int = 25) -> list[tuple[float, float, float]]:
        """Return (fraction removed, least total error found, lower bound) for budgets from small to whole.

        Fractions are of the settings' denominator; errors are those of the best matrices before rounding.
        """
        curves = list(self.curves.values())
        smallest = sum(float(c.costs[0]) for c in curves)
        fixed = self.budget + _numbers(self.checkpoint, self.settings.of) * self.settings.remove
        rows = []
        for budget in np.linspace(smallest, fixed, points):
            chosen = allocate(curves, float(budget))
            error = sum(float(c.errors[k]) for c, k in zip(curves, chosen.choices, strict=True))
            fraction = (fixed - float(budget)) / _numbers(self.checkpoint, self.settings.of)
            rows.append((fraction, error, dual_value(curves, float(budget), chosen.multiplier)))
        return rows[::-1]

    def apply(self, model: torch.nn.Module) -> torch.nn.Module:
        """Replace the planned layers of a loaded model in place, and return it."""
        from infimum.compress.storage import module_of

        for row in self.table:
            if row.form != "dense":
                parent, _, child = row.name.rpartition(".")
                owner = model.get_submodule(parent)
                setattr(owner, child, module_of(self.forms[row.name], getattr(owner, child)))
        return model

    def save(self, out: str | Path) -> Path:
        """Write the compressed checkpoint to a new folder `out` (see `infimum.compress.load`)."""
        from infimum.compress.storage import save

        return save(self, Path(out))


def calibrate(
    model: str | Path | Checkpoint,
    calib: Text = "pydoc",
    *,
    max_tokens: int = 64,
    projections: int = 1,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> Moments:
    """Measure input and gradient moments of every linear layer of a checkpoint on a text.

    Parameters
    ----------
    model : path or Checkpoint
        Folder of a transformers checkpoint in safetensors format.
    calib : "pydoc", path or list of str
        The Python documentation, a .txt file (paragraphs between blank lines), a .jsonl file (field "text"), strings.
    max_tokens : int
        Longest paragraph, in tokens.
    projections : int
        Random projections of the output per paragraph; more give better moments, and cost a backward pass each.
    seed : int
        Seed of the projections.
    on_progress : callable, optional
        Called with (what, done, of).

    Raises
    ------
    CheckpointError, CalibrationError
        Each says what was expected, what came, and what to do.
    """
    checkpoint = model if isinstance(model, Checkpoint) else open_checkpoint(model)
    tokens = tokenize(calib, AutoTokenizer.from_pretrained(checkpoint.path), max_tokens=max_tokens)
    loaded = checkpoint.load()
    layers = {layer.name: loaded.get_submodule(layer.name) for layer in checkpoint.layers}
    return collect(loaded, layers, tokens, seed=seed, projections=projections, on_progress=on_progress)


def plan(
    model: str | Path | Checkpoint,
    *,
    remove: float = 0.2,
    of: Of = "linear",
    calib: Text = "pydoc",
    objective: Objective = "two-sided",
    allocation: AllocationRule = "global",
    form: Form = "pivot",
    damping: float = 0.01,
    moments: Moments | None = None,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> Plan:
    """Compress the linear layers of a transformer: minimises the summed error of all layers under one budget.

    The error of a layer is ``tr(G dW C dW')``, with C and G the right and left moments of the gradient of the model's
    output by its weight (`LayerMoments`): layer by layer a model of the squared change of the output.

    Parameters
    ----------
    model : path or Checkpoint
        Folder of a transformers checkpoint in safetensors format.
    remove : float
        Fraction of the numbers to remove, 0 <= remove < 1.
    of : {"linear", "all"}
        Denominator of `remove`: the weights of the linear layers, or of the whole model.
    calib : "pydoc", path or list of str
        Calibration text; see `calibrate`.
    objective : {"two-sided", "activation", "plain"}
        "activation": C is the moment of the inputs, G a scalar; "plain": neither (truncated SVD).
    allocation : {"global", "uniform"}
        "global" shares the budget so that the sum of errors is least; "uniform" gives each layer the same fraction.
    form : {"pivot", "factors"}
        "pivot": r(m + n - r) numbers; "factors": r(m + n).
    damping : float
        Added to G, relative to its mean eigenvalue.
    moments : Moments, optional
        What `calibrate` returned, to plan several times on one calibration; `calib` and `seed` are then ignored.
    seed : int
        Seed of the random projections.
    on_progress : callable, optional
        Called with (what, done, of).

    Returns
    -------
    Plan
        `table`, `certificate`, `save`, `apply`, `curve`, `with_budget`.

    Raises
    ------
    CheckpointError, CalibrationError, BudgetError, OptionError
        Each says what was expected, what came, and what to do.

    References
    ----------
    .. [1] X. Wang et al., "SVD-LLM", ICLR 2025 (the one-sided objective).
    .. [2] V. Gupta, T. Koren, Y. Singer, "Shampoo: preconditioned stochastic tensor optimization", ICML 2018
       (the Kronecker model of the second moment of a gradient).
    """
    settings = Settings(remove, of, objective, allocation, form, damping)
    checkpoint = model if isinstance(model, Checkpoint) else open_checkpoint(model)
    if moments is None:
        moments = calibrate(checkpoint, calib, seed=seed, on_progress=on_progress)
    _check_moments(checkpoint, moments)
    curves = {}
    reached = [layer for layer in checkpoint.layers if layer.name in moments.layers]
    for index, layer in enumerate(reached):
        W = checkpoint.read(layer.tensor).double().numpy()
        norm = weighting(objective, moments.layers[layer.name], damping)
        curves[layer.name] = curve(spectrum(W, norm), layer.shape, form)
        if on_progress:
            on_progress("spectra", index + 1, len(reached))
    return _solve(checkpoint, moments, settings, curves, on_progress)


def _check_moments(checkpoint: Checkpoint, moments: Moments) -> None:
    shapes = {layer.name: layer.shape for layer in checkpoint.layers}
    got = {name: (len(found.left), len(found.right)) for name, found in moments.layers.items()}
    if not got or any(shapes.get(name) != shape for name, shape in got.items()):
        raise CalibrationError(
            f"moments of the linear layers of {checkpoint.path.name} were expected, got those of "
            f"{len(got)} layers that are not its own; calibrate this checkpoint"
        )


def _numbers(checkpoint: Checkpoint, of: Of) -> int:
    return sum(layer.size for layer in checkpoint.layers) if of == "linear" else sum(checkpoint.sizes.values())


def budget_of(checkpoint: Checkpoint, settings: Settings, moments: Moments) -> int:
    """Numbers that the layers which the output depends on may store."""
    reached = sum(layer.size for layer in checkpoint.layers if layer.name in moments.layers)
    return reached - round(settings.remove * _numbers(checkpoint, settings.of))


def _solve(
    checkpoint: Checkpoint,
    moments: Moments,
    settings: Settings,
    curves: Mapping[str, Curve],
    on_progress: Progress | None,
) -> Plan:
    """Share the budget, build every layer at its rank, and measure it as stored."""
    layers = {layer.name: layer for layer in checkpoint.layers}
    budget = budget_of(checkpoint, settings, moments)
    points = list(curves.values())
    best = allocate(points, budget)
    choices = best.choices if settings.allocation == "global" else uniform(points, budget)
    forms, rows = {}, []
    for index, (name, choice) in enumerate(zip(curves, choices, strict=True)):
        row, stored = _build(layers[name], checkpoint, moments, settings, curves[name], choice)
        rows.append(row)
        if stored is not None:
            forms[name] = stored
        if on_progress:
            on_progress("factors", index + 1, len(curves))
    total = sum(row.error for row in rows)
    rows = [dataclasses.replace(row, share=row.error / total if total else 0.0) for row in rows]
    planned = {row.name: row for row in rows}
    table = tuple(planned.get(name) or dense_row(layer, UNREACHED) for name, layer in layers.items())
    certificate = Certificate(
        value=total,
        lower_bound=dual_value(points, budget, best.multiplier),
        theorem="allocation_dual",
        rigour="rounded",
        witness={"multiplier": best.multiplier},
    )
    notes = (*checkpoint.notes, *_text_notes(moments))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Plan(
        checkpoint, moments, settings, table, certificate, budget, best.multiplier, forms, dict(curves), notes, peak
    )


def _build(
    layer: Layer, checkpoint: Checkpoint, moments: Moments, settings: Settings, points: Curve, choice: int
) -> tuple[LayerPlan, PivotForm | FactorForm | None]:
    """Replace one layer by its best matrix at the chosen point, rounded to the checkpoint's dtype and measured."""
    if choice == len(points.costs) - 1:
        return dense_row(layer), None
    weight = checkpoint.read(layer.tensor)
    W = weight.double().numpy()
    norm = weighting(settings.objective, moments.layers[layer.name], settings.damping)
    decomposition, rank = decompose(W, norm), choice + 1
    stored = to_form(decomposition, rank, settings.form).rounded(weight.dtype)
    error = weighted_tail.error(W, *stored.factors(), norm.C, norm.G)
    bound = float(decomposition.tails[rank])
    cost = int(points.costs[choice])
    return LayerPlan(
        layer.name, layer.tensor, layer.shape, settings.form, rank, cost, layer.size, error, bound, 0.0
    ), stored


def dense_row(layer: Layer, note: str = "") -> LayerPlan:
    """Return the row of a layer that stays as it is."""
    size, rank = layer.size, min(layer.shape)
    return LayerPlan(layer.name, layer.tensor, layer.shape, "dense", rank, size, size, 0.0, 0.0, 0.0, note)


def _text_notes(moments: Moments) -> tuple[str, ...]:
    widest = max(layer.inputs.shape[0] for layer in moments.layers.values())
    if moments.tokens.count >= widest:
        return ()
    return (
        f"The text has {moments.tokens.count} tokens, fewer than the {widest} inputs of the widest layer: directions "
        "that it does not contain count as free. More text gives a better model.",
    )
