"""The matrices of lower rank or with fewer channels for what was chosen, in the forms in which they are stored."""

from __future__ import annotations

import dataclasses

import numpy as np
import scipy.linalg
import torch

from infimum.compress.menu.forms import FactorForm, LowerForm, NarrowForm, PivotForm, PlainForm, StoredForm
from infimum.compress.menu.ranks import Decomposition, Form, decompose
from infimum.compress.menu.replacement import Replacement
from infimum.compress.menu.rounded_factors import balanced
from infimum.compress.menu.task import Task
from infimum.compress.menu.widths import narrowing


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
        return PlainForm(part.layer.weight(torch.from_numpy(whole)).to(dtype).contiguous())
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
        return FactorForm(*map(torch.from_numpy, balanced(left, right)))
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
