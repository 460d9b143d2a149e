"""What becomes of one layer: the settings of a plan, and the row of its table."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import torch

from infimum._arguments import one_of
from infimum.bounds import weighted_tail
from infimum.bounds.allocation_dual import Curve
from infimum.compress.checkpoint import Checkpoint, Layer
from infimum.compress.factor import (
    FactorForm,
    Form,
    Objective,
    PivotForm,
    PlainForm,
    Weighting,
    decompose,
    to_form,
    weighting,
)
from infimum.compress.moments import Moments
from infimum.errors import BudgetError, OptionError

Of: TypeAlias = Literal["linear", "all"]
AllocationRule: TypeAlias = Literal["global", "uniform"]
StoredForm: TypeAlias = PivotForm | FactorForm | PlainForm
UNREACHED = "the output does not depend on it for this text, or too few tokens reach it: kept dense"


@dataclass(frozen=True)
class Settings:
    """The choices of a plan; see `plan` for their meaning."""

    remove: float = 0.2
    of: Of = "linear"
    objective: Objective = "two-sided"
    allocation: AllocationRule = "global"
    form: Form = "pivot"
    damping: float = 0.01
    plain: bool = False

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

    `cost` and `dense_cost` count numbers, `cost` those of the settings' form (form "plain" stores the product of its
    factors, as many numbers as before); `error` is measured on the numbers as stored, `lower_bound` holds for every
    matrix of that rank (form "plain": and for those as near to one as its rounding left it); `share` is the part of
    the total error.
    """

    name: str
    tensor: str
    shape: tuple[int, int]
    form: Literal["pivot", "factors", "plain", "dense"]
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


class Built(NamedTuple):
    """A layer as it will be stored: its row, its form (None: dense), and the curve that bounds its error."""

    row: LayerPlan
    form: StoredForm | None
    points: Curve


def build_layer(
    layer: Layer, checkpoint: Checkpoint, moments: Moments, settings: Settings, points: Curve, choice: int
) -> Built:
    """Replace one layer by its best matrix at the chosen point, rounded to the checkpoint's dtype and measured."""
    if choice == len(points.costs) - 1:
        return Built(dense_row(layer), None, points)
    weight = checkpoint.weight(layer)
    W = weight.double().numpy()
    norm = weighting(settings.objective, moments.layers[layer.name], settings.damping)
    decomposition, rank = decompose(W, norm), choice + 1
    row = dataclasses.replace(
        dense_row(layer),
        form="plain" if settings.plain else settings.form,
        rank=rank,
        cost=int(points.costs[choice]),
        lower_bound=float(decomposition.tails[rank]),
    )
    if settings.plain:
        product = torch.from_numpy(decomposition.left[:, :rank] @ decomposition.right[:rank]).to(weight.dtype)
        row, points = measure_plain(row, W, product.double().numpy(), norm, points)
        return Built(row, PlainForm(product.T.contiguous() if layer.transposed else product), points)
    stored = to_form(decomposition, rank, settings.form).rounded(weight.dtype)
    error = weighted_tail.error(W, *stored.factors(), norm.C, norm.G)
    return Built(dataclasses.replace(row, error=error), stored, points)


def measure_plain(
    row: LayerPlan, W: np.ndarray, stored: np.ndarray, norm: Weighting, points: Curve
) -> tuple[LayerPlan, Curve]:
    """Measure a product that was rounded, and lower the bounds accordingly.

    The rounded matrix has full rank, and may be better than every matrix of the rank that it had: what is bounded are
    all matrices as near to one of their rank.
    """
    nearest = decompose(stored, norm)
    distance = weighted_tail.error(stored, nearest.left[:, : row.rank], nearest.right[: row.rank], norm.C, norm.G)
    error = weighted_tail.error(W, stored, np.eye(W.shape[1]), norm.C, norm.G)
    bound = float(weighted_tail.lowered(np.array(row.lower_bound), distance))
    lowered = Curve(points.costs, weighted_tail.lowered(points.errors, distance))
    return dataclasses.replace(row, error=error, lower_bound=bound), lowered


def dense_row(layer: Layer, note: str = "") -> LayerPlan:
    """Return the row of a layer that stays as it is."""
    size, rank = layer.size, min(layer.shape)
    return LayerPlan(layer.name, layer.tensor, layer.shape, "dense", rank, size, size, 0.0, 0.0, 0.0, note)
