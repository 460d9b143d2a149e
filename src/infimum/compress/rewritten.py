"""A written output with other numbers in the same places."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from infimum._system import peak_memory
from infimum._threads import one_thread
from infimum.compress.measure.moments import Progress
from infimum.compress.menu.alternatives import Alternative, AnyAlternative
from infimum.compress.menu.compressed_tensors import Packed
from infimum.compress.menu.forms import BitFactorsForm, BitsForm, LowerForm, PackedForm, StoredForm, stored_form
from infimum.compress.menu.rounded_layer import measure_bits
from infimum.compress.menu.task import Task
from infimum.compress.menu.widths import Group, Kept, partition
from infimum.compress.menu.written_output import WrittenOutput
from infimum.compress.search.claims import mean_weight, raised, reduced
from infimum.compress.write.answer import Answer
from infimum.compress.write.form_shelf import FormShelf
from infimum.proof.certificate import Certificate
from infimum.proof.checkpoint import LayerPlan, shares, total
from infimum.proof.rounding import ROOM
from infimum.proof.theorems import allocation_dual, weighted_tail


def tunable_forms(output: WrittenOutput) -> dict[str, StoredForm]:
    """Return what is stored of every replaced layer, but for plain matrices and blocks."""
    layers = {layer.name: layer for layer in output.checkpoint.layers}
    found: dict[str, StoredForm] = {}
    for row in output.described.layers:
        form = stored_form(row, output.tensors)
        if isinstance(form, LowerForm | BitsForm) and row.kept[0] != row.shape[0]:
            bias = layers[row.name].bias
            form = dataclasses.replace(form, bias=output.tensors.get(bias))
        if isinstance(form, LowerForm | BitsForm | BitFactorsForm | PackedForm):
            found[row.name] = form
    return found


def with_forms(output: WrittenOutput, forms: Mapping[str, StoredForm], on_progress: Progress | None) -> Answer:
    """Measure other numbers in the places of those that are stored, and return them as an answer to write.

    The bound speaks of what layers were offered. What is stored is offered, too: where its error has fallen, the
    least sum over all choices may have fallen as much, and not more.
    """
    stored = output.described
    task, orders = output.task(on_progress), output.orders()
    rows, shelf = {row.name: row for row in stored.layers}, FormShelf()
    for layers in partition(task):
        order = orders.get(layers[-1].name)
        group = Group(layers) if order is None else Group(layers, order.numpy(), output.settings.widths)
        for part in group.parts(rows[layers[-1].name].kept[1] if order is not None else layers[-1].shape[1]):
            name = part.layer.name
            if rows[name].form == "dense":
                continue
            shelf[name] = forms[name]
            with one_thread():
                rows[name] = _measured(task, part, rows[name], forms[name])
    errors = [row.error for row in rows.values()]
    gained = math.fsum(max(row.error - rows[row.name].error, 0.0) for row in stored.layers)
    table = tuple(
        dataclasses.replace(row, share=share) for row, share in zip(rows.values(), shares(errors), strict=True)
    )
    certificate = Certificate(
        value=total(errors),
        lower_bound=max(math.nextafter(stored.lower_bound - gained, -math.inf), 0.0) if gained else stored.lower_bound,
        theorem=allocation_dual.THEOREM,
        rigour="rounded",
        witness={"multiplier": stored.multiplier},
    )
    peak = peak_memory()
    named = {name: np.asarray(order) for name, order in orders.items()}
    return Answer(*task, table, certificate, stored.budget, stored.multiplier, shelf, named, stored.notes, peak)


def _measured(task: Task, part: Kept, row: LayerPlan, form: StoredForm) -> LayerPlan:
    """Measure a layer as it is stored now, and claim what follows on any machine."""
    mean, whole = mean_weight(task, part.layer)
    if isinstance(form, LowerForm):
        member = task.member(part.layer).outputs(part.outputs)
        left, narrow = form.factors()
        right = np.zeros((narrow.shape[0], part.layer.shape[1]))
        right[:, part.places[1]] = narrow
        error = weighted_tail.error(member.W, left, right, member.norm.C, member.norm.G, room=ROOM)
        change = float(np.sum((member.W - left @ right) ** 2))
        return dataclasses.replace(row, error=raised(error, mean, change, whole))
    columns, one = part.shape[1], _alternative(task, part, row)
    if isinstance(form, BitFactorsForm):
        found, change = measure_bits(task, part, one, form.unpacked(row.bits, row.rank, columns), room=ROOM)
    elif isinstance(form, PackedForm):
        found, change = measure_bits(task, part, one, form.unpacked(one.grid, columns), room=ROOM)
    else:
        assert isinstance(form, BitsForm)
        found, change = measure_bits(task, part, one, form.unpacked(row.bits, columns), room=ROOM)
    bound = float(reduced(np.array(found.lower_bound), mean, whole))
    return dataclasses.replace(found, error=raised(found.error, mean, change, whole), lower_bound=bound)


def _alternative(task: Task, part: Kept, row: LayerPlan) -> AnyAlternative:
    if row.form == PackedForm.name:
        return Packed(row.bits, row.group, task.checkpoint.kind(part.layer.tensor))
    return Alternative(row.bits, row.group, row.rank if row.form == BitFactorsForm.name else 0)
