"""A written output with other numbers in the same places."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from infimum._system import peak_memory
from infimum._threads import one_thread
from infimum.compress.measure.scratch import ask_new
from infimum.compress.menu.alternatives import Alternative, AnyAlternative
from infimum.compress.menu.compressed_tensors import Packed
from infimum.compress.menu.forms import (
    BitFactorsForm,
    BitsForm,
    LowerForm,
    PackedForm,
    PlainForm,
    StoredForm,
    stored_form,
)
from infimum.compress.menu.rounded_layer import measure_bits, unpack_rounded
from infimum.compress.menu.task import Task
from infimum.compress.menu.widths import Group, Kept, partition
from infimum.compress.menu.written_output import WrittenOutput
from infimum.compress.search.claims import mean_weight, raised, reduced
from infimum.compress.write.answer import Answer
from infimum.compress.write.form_shelf import FormShelf
from infimum.errors import OptionError
from infimum.proof.certificate import Certificate
from infimum.proof.checkpoint import LayerPlan, shares, total
from infimum.proof.rounding import ROOM
from infimum.proof.theorems import allocation_dual, weighted_tail


def open_to_change(out: Path, target: Path, original: str | Path | None) -> tuple[WrittenOutput, dict[str, StoredForm]]:
    """Read a written output whose numbers are to become others, and what of it can: forms of replaced layers.

    Raises
    ------
    CheckpointError
        The output or the original is missing or incomplete; `target` exists.
    VerificationError
        The files are not those that were written, or the original is another.
    OptionError
        Nothing can: all is plain matrices and blocks, or the model has encoder and decoder.
    """
    ask_new(target, out)
    output = WrittenOutput.open(out, original)
    if output.checkpoint.config.is_encoder_decoder:
        raise OptionError(f"{out} is a model of encoder and decoder; only models of one part can be changed")
    forms = tunable_forms(output)
    if not forms:
        raise OptionError(
            f"{out} holds nothing that can be changed: no layer was replaced, or by a plain matrix or blocks"
        )
    return output, forms


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


def parts_of(output: WrittenOutput, task: Task) -> dict[str, tuple[Kept, LayerPlan]]:
    """Return what is kept of every layer that may be replaced, and its row of the table."""
    orders, rows = output.orders(), {row.name: row for row in output.described.layers}
    found: dict[str, tuple[Kept, LayerPlan]] = {}
    for layers in partition(task):
        order = orders.get(layers[-1].name)
        group = Group(layers) if order is None else Group(layers, order.numpy(), output.settings.widths)
        width = rows[layers[-1].name].kept[1] if order is not None else layers[-1].shape[1]
        found |= {part.layer.name: (part, rows[part.layer.name]) for part in group.parts(width)}
    return found


def with_forms(output: WrittenOutput, task: Task, forms: Mapping[str, StoredForm]) -> Answer:
    """Measure other numbers in the places of those that are stored, and return them as an answer to write.

    The bound speaks of what layers were offered. What is stored is offered, too: where its error has fallen, the
    least sum over all choices may have fallen as much, and not more.
    """
    stored = output.described
    rows, shelf = {row.name: row for row in stored.layers}, FormShelf()
    for name, (part, row) in parts_of(output, task).items():
        if row.form != "dense":
            shelf[name] = forms[name]
            with one_thread():
                rows[name] = _measured(task, part, row, forms[name])
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
    named = {name: np.asarray(order) for name, order in output.orders().items()}
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
    assert not isinstance(form, PlainForm)
    one = alternative_of(task, part, row)
    found, change = measure_bits(task, part, one, unpack_rounded(part, one, form), room=ROOM)
    bound = float(reduced(np.array(found.lower_bound), mean, whole))
    return dataclasses.replace(found, error=raised(found.error, mean, change, whole), lower_bound=bound)


def alternative_of(task: Task, part: Kept, row: LayerPlan) -> AnyAlternative:
    """Return in which way a layer was rounded."""
    if row.form == PackedForm.name:
        return Packed(row.bits, row.group, task.checkpoint.kind(part.layer.tensor))
    return Alternative(row.bits, row.group, row.rank if row.form == BitFactorsForm.name else 0)
