"""From what layers can become to what they become within a budget, with the certificate."""

from __future__ import annotations

import dataclasses
import resource

from infimum.compress.measure.moments import Progress
from infimum.compress.menu.budget import budget_of
from infimum.compress.menu.layer_plan import dense_row
from infimum.compress.menu.task import Task
from infimum.compress.search.allocation import allocate, uniform
from infimum.compress.search.offers import Offer, build_all
from infimum.compress.write.answer import Answer
from infimum.compress.write.form_shelf import FormShelf
from infimum.proof.certificate import Certificate
from infimum.proof.checkpoint import LayerPlan, shares, total
from infimum.proof.rounding import ROOM
from infimum.proof.theorems import allocation_dual
from infimum.proof.theorems.allocation_dual import dual_value


def within_budget(task: Task, offers: tuple[Offer, ...], on_progress: Progress | None) -> Answer:
    """Share the budget, build what was chosen for every layer, and measure it as stored."""
    budget = budget_of(task)
    units, frontiers = [offer.unit for offer in offers], [offer.frontier for offer in offers]
    best = allocate(units, frontiers, budget)
    choices = best.choices if task.settings.allocation == "global" else uniform(units, frontiers, budget)
    rows: dict[str, LayerPlan] = {}
    forms, bounds = FormShelf(), []
    for index, built in enumerate(build_all(task, offers, choices)):
        bounds.append(built.claimed)
        rows |= {row.name: row for row in built.rows}
        for name, form in built.forms.items():
            forms[name] = form
        if on_progress:
            on_progress("factors", index + 1, len(offers))
    layers = task.settings.layers_of(task.checkpoint)
    table = [rows.get(layer.name) or dense_row(layer, task.left_out(layer)) for layer in layers]
    errors = [row.error for row in table]
    parts = zip(table, shares(errors), strict=True)
    certificate = Certificate(
        value=total(errors),
        lower_bound=dual_value(bounds, budget, best.multiplier, room=ROOM),
        theorem=allocation_dual.THEOREM,
        rigour="rounded",
        witness={"multiplier": best.multiplier},
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    orders = {each.group.layers[-1].name: each.group.order for each in offers if each.group.order is not None}
    rows_with_shares = tuple(dataclasses.replace(row, share=share) for row, share in parts)
    return Answer(*task, rows_with_shares, certificate, budget, best.multiplier, forms, orders, task.notes, peak)
