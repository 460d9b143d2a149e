"""The plan: which layer is replaced by what, under one budget, with a certificate for each layer and for the whole."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from infimum._arguments import axes
from infimum.compress.budget_curve import POINTS, draw_curve, neighbours
from infimum.compress.calibrate import Batches, calibrate, checkpoint_of
from infimum.compress.file_size import of_size
from infimum.compress.measure.moments import Moments
from infimum.compress.measure.progress import Progress
from infimum.compress.measure.text import Text
from infimum.compress.menu.checks import check_moments, check_names, check_target
from infimum.compress.menu.defaults import DAMPING, for_engines, usual_menu
from infimum.compress.menu.gguf_model import check_model
from infimum.compress.menu.ranks import Form, Objective
from infimum.compress.menu.settings import AllocationRule, Format, Kind, Of, Settings
from infimum.compress.menu.task import Task
from infimum.compress.model.checkpoint import Checkpoint
from infimum.compress.preview import Preview
from infimum.compress.search.allocation import STEP, allocate, last, value
from infimum.compress.search.dampings import judged_dampings
from infimum.compress.search.elimination import ordered_groups
from infimum.compress.search.offers import Offer, offer_all
from infimum.compress.within_budget import preview, within_budget
from infimum.compress.write.answer import Answer
from infimum.compress.write.folder import write_folder
from infimum.errors import BudgetError
from infimum.proof.rounding import ROOM
from infimum.proof.theorems.allocation_dual import lower_bound


@dataclass(frozen=True)
class Plan(Answer):
    """A compressed model, not yet written, and what it was chosen from: the answer of `plan`.

    Attributes
    ----------
    checkpoint, moments, settings : Checkpoint, Moments, Settings
        What is compressed, what was measured on a text, and the choices.
    table : tuple of LayerPlan
        One row per linear layer.
    certificate : Certificate
        `value`: sum of the measured errors. `lower_bound`: no choice of ranks within the budget, and no matrices of
        those ranks, have a smaller sum; with few bits: no other choice of the roundings that were made, measured on the
        half of the text that made none. It speaks of this objective on this text, not of accuracy on a task.
    budget : int
        Numbers that the replaceable layers may store.
    multiplier : float
        The Lagrange multiplier that proves the bound: error per stored number.
    forms : mapping
        Stored numbers of every replaced layer, in the checkpoint's dtype, read from disk when they are asked for.
    orders : mapping
        Channels from the last to be given up to the first, by the name of the layer that reads them.
    notes : tuple of str
        What the user should know.
    peak_memory : int
        Largest resident size of the process so far, bytes.
    offers : tuple of Offer
        What each group of layers can become.
    """

    offers: tuple[Offer, ...]

    def with_budget(self, remove: float, *, on_progress: Progress | None = None) -> Plan:
        """Plan another budget with the same moments and spectra: nothing is measured on text again."""
        settings = dataclasses.replace(self.settings, remove=remove)
        return _planned(Task(self.checkpoint, self.moments, settings), self.offers, on_progress)

    def with_size(self, size: float, *, on_progress: Progress | None = None) -> Plan:
        """Plan weight files of at most `size` bytes, headers counted, and of nearly as many; `of` is "bytes".

        Raises
        ------
        BudgetError
            No such files were found.
        OptionError
            The plan was made with another `of`.
        """
        return of_size(self, partial(self.with_budget, on_progress=on_progress), size)

    def with_own_format(self, *, on_progress: Progress | None = None) -> Plan:
        """Plan the same budget on the same moments in infimum's own format, which holds more than those of engines."""
        chosen = {name: getattr(self.settings, name) for name in ("remove", "of", "objective", "keep", "only")}
        return plan(self.checkpoint, **chosen, format="infimum", moments=self.moments, on_progress=on_progress)

    def with_target(self, error: float, *, on_progress: Progress | None = None) -> Plan:
        """Plan to remove as much as found possible with a total error of at most `error`, on the same moments.

        Raises
        ------
        BudgetError
            `error` is so small that rounding alone exceeds it.
        OptionError
            `error` is not above 0.
        """
        check_target(error)
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
        check_target(error)
        most = self._most()
        fraction = last(lambda remove: self._at(remove)[1] <= error, most) + STEP
        return fraction if fraction < most and self._at(fraction)[1] > error else 1.0

    def _most(self) -> float:
        """Return the largest fraction that can be removed: every layer at its smallest."""
        return self.settings.remove + (self.budget - self._least()) / self.denominator

    def _least(self) -> int:
        """Return the cost of every layer at its smallest."""
        return sum(int(offer.frontier.costs[0]) for offer in self.offers)

    def _at(self, remove: float) -> tuple[float, float]:
        """Error of the best plan found at a budget (before rounding), and the lower bound for all."""
        budget = math.floor(self.budget + (self.settings.remove - remove) * self.denominator)
        budget = max(budget, self._least())  # a fraction of `_most` may be rounded below it
        units = [offer.unit for offer in self.offers]
        best = allocate(units, [offer.frontier for offer in self.offers], budget)
        claimed = [offer.claimed for offer in self.offers]
        return value(units, best.choices), lower_bound(claimed, budget, best.multiplier, room=ROOM)

    def curve(self, points: int = 25, *, within: tuple[float, float] = (0.0, 1.0)) -> list[tuple[float, float, float]]:
        """Return (fraction removed, least total error found, lower bound) for budgets from small to whole.

        Fractions are of the settings' denominator, those of the range `within` that can be removed; errors are those of
        the best matrices before rounding.
        """
        fractions = np.linspace(max(within[0], 0.0), min(within[1], self._most()), points)
        return [(float(remove), *self._at(float(remove))) for remove in fractions]

    def previews(self, points: int = 41) -> list[Preview]:
        """Return what `with_budget` would choose for budgets from whole to the smallest, without building any of it."""
        every = np.linspace(0.0, math.floor(self._most() / STEP) * STEP, points).tolist()
        settings = [dataclasses.replace(self.settings, remove=remove) for remove in every]
        return [preview(Task(self.checkpoint, self.moments, one), self.offers) for one in settings]

    def plot(self, ax: Any = None) -> Any:
        """Draw the least error and its lower bound for budgets like this one, and return the axes."""
        return draw_curve(self, self.curve(POINTS, within=neighbours(self.settings.remove)), axes(ax))

    def save(self, out: str | Path, *, adapter: int | None = None) -> Path:
        """Write the compressed checkpoint to a new folder `out` (see `infimum.compress.load`).

        With `adapter`, of a plain plan, also ``out/adapter``: what was lost, as far as matrices of this rank restore
        it, as a LoRA adapter for peft (see `infimum.compress.write.adapter.write_adapter`).
        """
        return write_folder(self, Path(out), adapter)


def plan(
    model: str | Path | Checkpoint,
    *,
    remove: float = 0.2,
    of: Of = "linear",
    calib: Text | Batches = "pydoc",
    objective: Objective = "two-sided",
    allocation: AllocationRule = "global",
    menu: Sequence[Kind] | Literal["auto"] = "auto",
    form: Form = "pivot",
    damping: float | None = None,
    plain: bool = False,
    keep: Sequence[str] = (),
    only: Sequence[str] = (),
    format: Format | Literal["auto"] = "auto",
    moments: Moments | None = None,
    tokens: int | None = None,
    max_tokens: int | None = None,
    projections: int = 1,
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
    calib : "pydoc", path, list of str, array of int or iterable of dicts
        Calibration text, or inputs of other kinds; see `calibrate`.
    objective : {"two-sided", "activation", "plain"}
        "activation": C is the moment of the inputs, G a scalar; "plain": neither (truncated SVD).
    allocation : {"global", "uniform"}
        "global" shares the budget so that the sum of errors is least; "uniform" gives each layer the same fraction.
    menu : "auto" or some of "bits", "ranks", "widths"
        What layers may become. "bits": integers of 2 to 8 bits, a scale for each group of columns, whose bytes count as
        as many numbers; half of the text makes them and the other half judges them. "ranks": matrices of lower rank,
        with "bits" in the menu as two factors of 6 bits. "widths": matrices of full rank without some of the channels
        of an MLP. "auto": all that the format holds; where bits are not possible (`plain`, uniform allocation, moments
        that were not split) ranks and, of a language model, widths.
    form : {"pivot", "factors"}
        How matrices of rank r are stored without "bits" in the menu: in r(m + n - r) numbers, or in r(m + n).
    damping : float, optional
        How much heavier than G its diagonal weighs in their mean. By default what one half of the text made is judged
        by the other, layer by layer; of moments that were not split 0.03 for a language model, 0.01 for an encoder.
        With "bits" in the menu it has no effect: there every alternative is judged.
    plain : bool
        Multiply the factors out: the output has the shapes of the original and loads in stock transformers, at its
        full size. Budget and cost still count the numbers of `form`.
    keep, only : sequence of str
        Layers that stay as they are, and those that alone may be replaced: names, or patterns such as
        ``"*.attention.*"``. Layers that stay count in the denominator of `remove`.
    format : {"auto", "infimum", "compressed-tensors", "gguf"}
        How few bits are stored. "infimum": all that `menu` names; loads by `infimum.compress.load`, or by transformers
        with the code beside the weights. "compressed-tensors": integers of 4 and 8 bits in groups of 32, 64 and 128
        columns or whole rows, around 0, the same for layers that engines make one of; loads in stock transformers with
        the package of that name, and in vLLM. "gguf": block types, Q2_K to Q8_0, in a file that llama.cpp runs.
        "auto": compressed-tensors for a language model whose `menu` is "auto" if the budget leaves room for 4 bits,
        otherwise infimum.
    moments : Moments, optional
        What `calibrate` returned, to plan several times on one calibration; `calib` and what follows are then ignored.
    tokens, max_tokens, projections, seed : int
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
    checkpoint = checkpoint_of(model)
    whole = plain or allocation == "uniform" or (moments is not None and moments.judge is None)
    chosen: Format = "infimum" if format == "auto" else format
    kinds = usual_menu(checkpoint.head.goal, chosen, whole=whole) if menu == "auto" else tuple(menu)
    patterns = tuple(keep), tuple(only)
    constant = DAMPING[checkpoint.head.goal] if damping is None else damping
    settings = Settings(remove, of, objective, allocation, kinds, form, constant, plain, *patterns, chosen)
    check_names(checkpoint, settings)
    if format == "gguf":
        check_model(checkpoint)
    judged = damping is None and objective == "two-sided" and not settings.rounds
    if moments is None:
        size: dict[str, Any] = {"tokens": tokens, "max_tokens": max_tokens, "projections": projections, "seed": seed}
        size |= {"split": settings.rounds or judged, "inputs": objective == "activation"}
        moments = calibrate(checkpoint, calib, **size, on_progress=on_progress)
    check_moments(checkpoint, moments, split=settings.rounds)
    task = Task(checkpoint, moments, settings)
    if menu == format == "auto":
        task = for_engines(task)
    groups = ordered_groups(task, on_progress)
    if judged and moments.judge is not None:
        settings = dataclasses.replace(settings, damping=judged_dampings(task, groups, on_progress))
        task = task._replace(settings=settings)
    return _planned(task, offer_all(task, groups, on_progress), on_progress)


def _planned(task: Task, offers: tuple[Offer, ...], on_progress: Progress | None) -> Plan:
    return Plan(**vars(within_budget(task, offers, on_progress)), offers=offers)
