"""The plan: which layer is replaced by what, under one budget, with a certificate for each layer and for the whole."""

from __future__ import annotations

import dataclasses
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import PreTrainedModel

from infimum._threads import one_thread
from infimum.compress.allocation import STEP, Frontier, allocate, frontier, last, uniform, value
from infimum.compress.budget import budget_of, numbers_of
from infimum.compress.calibration import calibrate, goal_of
from infimum.compress.checkpoint import LAYERS, Checkpoint, open_checkpoint
from infimum.compress.factor import Objective
from infimum.compress.forms import FormShelf
from infimum.compress.layers import UNREACHED, AllocationRule, Forms, LayerPlan, Of, Settings, dense_row
from infimum.compress.moments import Goal, Moments, Progress
from infimum.compress.parts import build, lowered, measure, parts_of
from infimum.compress.text import Text
from infimum.compress.units import Group, Task, group_of, partition, unit_of
from infimum.errors import BudgetError, CalibrationError
from infimum.nn.linear import replace_layers
from infimum.proof.certificate import Certificate
from infimum.proof.theorems.allocation_dual import Unit, dual_value


class Offer(NamedTuple):
    """What a group of layers can become: its alternatives, and the lower convex hull of their costs and errors."""

    group: Group
    unit: Unit
    frontier: Frontier


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
        Stored numbers of every replaced layer, in the checkpoint's dtype, read from disk when they are asked for.
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
    forms: FormShelf
    offers: tuple[Offer, ...]
    notes: tuple[str, ...]
    peak_memory: int

    @property
    def linear_size(self) -> int:
        """Weights of all linear layers before compression."""
        return sum(row.dense_cost for row in self.table)

    @property
    def denominator(self) -> float:
        """What the settings' `remove` is a fraction of, in numbers of the linear layers."""
        return numbers_of(self.checkpoint, self.settings.of)

    @property
    def removed(self) -> int:
        """Numbers that are no longer stored."""
        return sum(row.dense_cost - row.cost for row in self.table)

    def with_budget(self, remove: float, *, on_progress: Progress | None = None) -> Plan:
        """Plan another budget with the same moments and spectra: nothing is measured on text again."""
        settings = dataclasses.replace(self.settings, remove=remove)
        return _solve(Task(self.checkpoint, self.moments, settings), self.offers, on_progress)

    def with_target(self, error: float, *, on_progress: Progress | None = None) -> Plan:
        """Plan to remove as much as found possible with a total error of at most `error`, on the same moments.

        Raises
        ------
        BudgetError
            `error` is not above 0, or so small that rounding alone exceeds it.
        """
        _check_target(error)
        limit = error  # on matrices that are not rounded; what is stored is, and so the limit may have to fall
        for _ in range(10):
            fraction = last(lambda remove, limit=limit: self._at(remove)[0] <= limit, self._most())  # type: ignore[misc]
            plan = self.with_budget(fraction, on_progress=on_progress)
            if plan.certificate.value <= error:
                return plan
            limit *= 0.999 * error / plan.certificate.value
        raise BudgetError(f"a total error of {error:g} is below rounding; give a larger target")

    def most_removable(self, error: float) -> float:
        """Return a fraction that is proved out of reach: no plan that removes so much has an error of at most `error`.

        1.0 where nothing is proved. It holds for these moments, this form, and all ranks and matrices.
        """
        _check_target(error)
        most = self._most()
        fraction = last(lambda remove: self._at(remove)[1] <= error, most) + STEP
        return fraction if fraction < most and self._at(fraction)[1] > error else 1.0

    def _most(self) -> float:
        """Return the largest fraction that can be removed: every layer at its smallest."""
        smallest = sum(float(offer.frontier.costs[0]) for offer in self.offers)
        return self.settings.remove + (self.budget - smallest) / self.denominator

    def _at(self, remove: float) -> tuple[float, float]:
        """Error of the best plan found at a budget (before rounding), and the lower bound for all."""
        budget = self.budget + (self.settings.remove - remove) * self.denominator
        _, units, frontiers = zip(*self.offers, strict=True)
        best = allocate(units, frontiers, budget)
        return value(units, best.choices), dual_value(units, budget, best.multiplier)

    def curve(self, points: int = 25) -> list[tuple[float, float, float]]:
        """Return (fraction removed, least total error found, lower bound) for budgets from small to whole.

        Fractions are of the settings' denominator; errors are those of the best matrices before rounding.
        """
        return [(float(remove), *self._at(float(remove))) for remove in np.linspace(0.0, self._most(), points)]

    def apply(self, model: PreTrainedModel) -> PreTrainedModel:
        """Replace the planned layers of a loaded model in place, and return it."""
        replace_layers(model, self.replaced)
        setattr(model.config, LAYERS, self.replaced)
        with torch.no_grad():
            for name, form in self.forms.items():
                for part, tensor in form.tensors().items():
                    getattr(model.get_submodule(name), part).copy_(tensor)
        return model

    @property
    def replaced(self) -> dict[str, dict[str, Any]]:
        """Form, rank and shape of the layers that become layers of another kind, as in the output's configuration."""
        return {
            row.name: {"form": row.form, "rank": row.rank, "shape": list(row.kept)}
            for row in self.table
            if row.form not in ("dense", "plain")
        }

    @property
    def orders(self) -> dict[str, np.ndarray]:
        """Channels from the last to be given up to the first, by the name of the layer that reads them."""
        return {group.layers[-1].name: group.order for group, _, _ in self.offers if group.order is not None}

    def save(self, out: str | Path, *, adapter: int | None = None) -> Path:
        """Write the compressed checkpoint to a new folder `out` (see `infimum.compress.load`).

        With `adapter`, of a plain plan, also ``out/adapter``: what was lost, as far as matrices of this rank restore
        it, as a LoRA adapter for peft (see `infimum.compress.adapter.write_adapter`).
        """
        from infimum.compress.storage import save

        return save(self, Path(out), adapter)


DAMPING = {"embedding": 0.01, "loss": 0.03}  # the best of those tried
FORMS: dict[Goal, Forms] = {"embedding": "pivot", "loss": "mixed"}


def plan(
    model: str | Path | Checkpoint,
    *,
    remove: float = 0.2,
    of: Of = "linear",
    calib: Text = "pydoc",
    objective: Objective = "two-sided",
    allocation: AllocationRule = "global",
    form: Forms = "auto",
    damping: float | None = None,
    plain: bool = False,
    moments: Moments | None = None,
    tokens: int | None = None,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> Plan:
    """Compress the linear layers of a transformer: minimises the summed error of all layers under one budget.

    The error of a layer is ``tr(G dW C dW')``, with C and G the right and left moments of a gradient by its weight
    (`LayerMoments`): layer by layer a model of the increase of a language model's loss, in nats per token, or of the
    squared change of an encoder's embedding.

    Parameters
    ----------
    model : path or Checkpoint
        Folder of a transformers checkpoint in safetensors format.
    remove : float
        Fraction of the numbers to remove, 0 <= remove < 1.
    of : {"linear", "all", "bytes"}
        Denominator of `remove`: the weights of the linear layers, those of the whole model, or the bytes of all
        tensors, among which the permutations of pivot forms count.
    calib : "pydoc", path, list of str or array of int
        Calibration text; see `calibrate`.
    objective : {"two-sided", "activation", "plain"}
        "activation": C is the moment of the inputs, G a scalar; "plain": neither (truncated SVD).
    allocation : {"global", "uniform"}
        "global" shares the budget so that the sum of errors is least; "uniform" gives each layer the same fraction.
    form : {"auto", "mixed", "pivot", "factors", "channels"}
        "pivot": matrices of rank r in r(m + n - r) numbers; "factors": in r(m + n); "channels": matrices of full rank
        without some of the channels of an MLP; "mixed": channels and pivots in one budget. "auto": "mixed" for a
        language model, "pivot" for an encoder.
    damping : float, optional
        Added to G, relative to its mean eigenvalue: by default 0.03 for a language model, 0.01 for an encoder.
    plain : bool
        Multiply the factors out: the output has the shapes of the original and loads in stock transformers, at its
        full size. Budget and cost still count the numbers of `form`.
    moments : Moments, optional
        What `calibrate` returned, to plan several times on one calibration; `calib`, `tokens` and `seed` are then
        ignored.
    tokens, seed : int
        Size and seed of the calibration; see `calibrate`.
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
    checkpoint = model if isinstance(model, Checkpoint) else open_checkpoint(model)
    form = FORMS[goal_of(checkpoint)] if form == "auto" else form
    damping = DAMPING[goal_of(checkpoint)] if damping is None else damping
    settings = Settings(remove, of, objective, allocation, form, damping, plain)
    if moments is None:
        moments = calibrate(checkpoint, calib, tokens=tokens, seed=seed, on_progress=on_progress)
    _check_moments(checkpoint, moments)
    task, offers = Task(checkpoint, moments, settings), []
    together = partition(task)
    for index, layers in enumerate(together):
        with one_thread():
            group = group_of(task, layers)
            unit = unit_of(task, group)
        offers.append(Offer(group, unit, frontier(unit)))
        if on_progress:
            on_progress("spectra", index + 1, len(together))
    return _solve(task, tuple(offers), on_progress)


def _check_target(error: float) -> None:
    if not error > 0.0:
        raise BudgetError(f"the target must be a total error above 0, got {error}")


def _check_moments(checkpoint: Checkpoint, moments: Moments) -> None:
    shapes = {layer.name: layer.shape for layer in checkpoint.layers}
    got = moments.layers.shapes
    if not got or any(shapes.get(name) != shape for name, shape in got.items()):
        raise CalibrationError(
            f"moments of the linear layers of {checkpoint.path.name} were expected, got those of "
            f"{len(got)} layers that are not its own; calibrate this checkpoint"
        )


def _solve(task: Task, offers: tuple[Offer, ...], on_progress: Progress | None) -> Plan:
    """Share the budget, build what was chosen for every layer, and measure it as stored."""
    budget = budget_of(task)
    groups, units, frontiers = zip(*offers, strict=True)
    best = allocate(units, frontiers, budget)
    choices = best.choices if task.settings.allocation == "global" else uniform(units, frontiers, budget)
    forms = FormShelf()
    rows: dict[str, LayerPlan] = {}
    bounds = []
    for index, (group, unit, choice) in enumerate(zip(groups, units, choices, strict=True)):
        distances = []
        for part in parts_of(group, unit, choice):
            with one_thread():
                stored = build(task, part)
                row, distance = measure(task, part, stored)
            rows[row.name] = row
            distances.append(distance)
            if stored is not None:
                forms[row.name] = stored
        bounds.append(lowered(unit, distances))
        if on_progress:
            on_progress("factors", index + 1, len(groups))
    total = sum(row.error for row in rows.values())
    table = tuple(
        dataclasses.replace(rows[layer.name], share=rows[layer.name].error / total if total else 0.0)
        if layer.name in rows
        else dense_row(layer, UNREACHED)
        for layer in task.checkpoint.layers
    )
    certificate = Certificate(
        value=total,
        lower_bound=dual_value(bounds, budget, best.multiplier),
        theorem="allocation_dual",
        rigour="rounded",
        witness={"multiplier": best.multiplier},
    )
    notes = (*task.checkpoint.notes, *_text_notes(task.moments))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Plan(*task, table, certificate, budget, best.multiplier, forms, offers, notes, peak)


def _text_notes(moments: Moments) -> tuple[str, ...]:
    widest = max(inputs for _, inputs in moments.layers.shapes.values())
    if moments.tokens.count >= widest:
        return ()
    return (
        f"The text has {moments.tokens.count} tokens, fewer than the {widest} inputs of the widest layer: directions "
        "that it does not contain count as free. More text gives a better model.",
    )
