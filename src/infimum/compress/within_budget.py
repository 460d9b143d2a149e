"""From what layers can become to what they become within a budget, with the certificate."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from infimum._system import peak_memory
from infimum.compress.measure.progress import Progress, Steps
from infimum.compress.menu.budget import budget_of
from infimum.compress.menu.layer_plan import dense_row
from infimum.compress.menu.task import Task
from infimum.compress.menu.widths import Choice
from infimum.compress.preview import Preview
from infimum.compress.search.allocation import allocate, uniform
from infimum.compress.search.claims import bound_of
from infimum.compress.search.offers import Offer, build_all
from infimum.compress.write.answer import Answer
from infimum.compress.write.form_shelf import FormShelf
from infimum.proof.certificate import Certificate
from infimum.proof.checkpoint import LayerPlan, shares, total
from infimum.proof.theorems import allocation_dual


class _Shared(NamedTuple):
    """A budget as it is shared: a choice of each group, and the multiplier that bounds every other sharing."""

    budget: int
    choices: tuple[Choice, ...]
    multiplier: float


def _share(task: Task, offers: tuple[Offer, ...]) -> _Shared:
    budget = budget_of(task)
    units, frontiers = [offer.unit for offer in offers], [offer.frontier for offer in offers]
    best = allocate(units, frontiers, budget)
    choices = best.choices if task.settings.allocation == "global" else uniform(units, frontiers, budget)
    return _Shared(budget, choices, best.multiplier)


def preview(task: Task, offers: tuple[Offer, ...]) -> Preview:
    """Share the budget, and say what would be chosen for every layer, without building it."""
    budget, choices, multiplier = _share(task, offers)
    pairs = zip(offers, choices, strict=True)
    rows = {row.name: row for offer, choice in pairs for row in offer.preview(task, choice)}
    errors = [row.error for row in rows.values()]
    bound = bound_of(task, [offer.claimed for offer in offers], budget, multiplier, errors)
    return Preview(task.settings.remove, budget, bound, _with_shares(_in_order(task, rows)))


def within_budget(task: Task, offers: tuple[Offer, ...], on_progress: Progress | None) -> Answer:
    """Share the budget, build what was chosen for every layer, and measure it as stored."""
    budget, choices, multiplier = _share(task, offers)
    rows: dict[str, LayerPlan] = {}
    forms, bounds, steps = FormShelf(), [], Steps(on_progress, "factors")
    for index, built in enumerate(build_all(task, offers, choices)):
        bounds.append(built.claimed)
        rows |= {row.name: row for row in built.rows}
        for name in built.forms.keys() & {row.name for row in built.rows}:
            if isinstance(built.forms, FormShelf):
                forms.adopt(name, built.forms)
            else:
                forms[name] = built.forms[name]
        offers[index].keep(choices[index], built._replace(forms=forms))
        steps.done(len(offers))
    table = _with_shares(_in_order(task, rows))
    certificate = Certificate(
        value=total([row.error for row in table]),
        lower_bound=bound_of(task, bounds, budget, multiplier, [row.error for row in table]),
        theorem=allocation_dual.THEOREM,
        rigour="rounded",
        witness={"multiplier": multiplier},
    )
    peak = peak_memory()
    orders = {each.group.layers[-1].name: each.group.order for each in offers if each.group.order is not None}
    return Answer(*task, table, certificate, budget, multiplier, forms, orders, task.notes, peak)


def _in_order(task: Task, rows: Mapping[str, LayerPlan]) -> list[LayerPlan]:
    layers = task.settings.layers_of(task.checkpoint)
    return [rows.get(layer.name) or dense_row(layer, task.left_out(layer)) for layer in layers]


def _with_shares(table: Sequence[LayerPlan]) -> tuple[LayerPlan, ...]:
    parts = zip(table, shares([row.error for row in table]), strict=True)
    return tuple(dataclasses.replace(row, share=share) for row, share in parts)
