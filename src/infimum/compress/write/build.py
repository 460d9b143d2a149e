"""The matrices for what was chosen, in the forms in which they are stored, and kept on disk until they are written."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import scipy.linalg
import torch

from infimum.compress.measure.scratch import Shelf
from infimum.compress.menu.forms import FactorForm, LowerForm, NarrowForm, PivotForm, PlainForm, StoredForm
from infimum.compress.menu.ranks import Decomposition, Form, decompose
from infimum.compress.menu.replacement import Replacement
from infimum.compress.menu.task import Task
from infimum.compress.menu.widths import narrowing
from infimum.compress.model.tensor_files import Stored


def build(task: Task, part: Replacement) -> StoredForm | None:
    """Return the best matrix for a part as it is stored, rounded to the checkpoint's dtype; None: as it is."""
    if part.is_whole:
        return None
    member = task.member(part.layer).outputs(part.outputs)
    if part.inputs is not None:
        order = np.append(part.inputs, np.setdiff1d(np.arange(part.layer.shape[1]), part.inputs))
        repaired = narrowing(member, order).repaired(member.W[:, order], len(part.inputs))
        member = member.inputs(part.inputs)._replace(W=repaired)
    dtype = task.checkpoint.read(part.layer.tensor).dtype
    best = None if part.has_full_rank else decompose(*member)
    if task.settings.plain:
        matrix = member.W if best is None else best.left[:, : part.rank] @ best.right[: part.rank]
        whole = np.zeros(part.layer.shape)
        whole[np.ix_(*part.places)] = matrix
        return PlainForm(torch.from_numpy(whole.T if part.layer.transposed else whole).to(dtype).contiguous())
    form = task.settings.low_rank
    narrow: LowerForm = NarrowForm(torch.from_numpy(member.W))
    stored = (narrow if best is None or form is None else to_form(best, part.rank, form)).rounded(dtype)
    if part.outputs is None or (bias := task.checkpoint.bias(part.layer)) is None:
        return stored
    return dataclasses.replace(stored, bias=bias[part.outputs])


def to_form(decomposition: Decomposition, rank: int, form: Form) -> PivotForm | FactorForm:
    """Return the best matrix of a rank in the form in which it is stored (float64, not yet rounded)."""
    left, right = decomposition.left[:, :rank], decomposition.right[:rank]
    if form == "factors":
        balance = np.sqrt(np.linalg.norm(right, axis=1) / np.maximum(np.linalg.norm(left, axis=0), 1e-300))
        balance = np.where(balance > 0.0, balance, 1.0)
        return FactorForm(torch.from_numpy(left * balance), torch.from_numpy(right / balance[:, None]))
    # pivoted QR of the transposed left factor: rows that span it well, so that the coefficients stay small
    _, triangle, pivots = scipy.linalg.qr(left.T, mode="economic", pivoting=True, check_finite=False)
    diagonal = np.abs(np.diag(triangle))
    full = int(np.count_nonzero(diagonal > np.finfo(float).eps * diagonal[0]))
    coefficients = np.zeros((left.shape[0] - rank, rank))
    coefficients[:, :full] = scipy.linalg.solve_triangular(
        triangle[:full, :full], triangle[:full, rank:], check_finite=False
    ).T
    order = np.empty(left.shape[0], dtype=np.int32)
    order[pivots] = np.arange(left.shape[0])
    rows = left[pivots[:rank]] @ right
    return PivotForm(torch.from_numpy(rows), torch.from_numpy(coefficients), torch.from_numpy(order))


class FormShelf(Mapping[str, StoredForm]):
    """The forms of replaced layers by their names, kept on disk."""

    def __init__(self) -> None:
        self._shelf = Shelf()
        self._kinds: dict[str, type[StoredForm]] = {}

    def __setitem__(self, name: str, form: StoredForm) -> None:
        self._shelf.put(name, form.tensors())
        self._kinds[name] = type(form)

    def __getitem__(self, name: str) -> StoredForm:
        return self._kinds[name](**self._shelf.get(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)

    def stored(self, name: str) -> list[Stored]:
        """Describe the tensors of a layer without reading them."""
        return self._shelf.stored(name)
