"""What becomes of one layer: the settings of a plan, and the row of its table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from infimum._arguments import one_of
from infimum.bounds import weighted_tail
from infimum.bounds.allocation_dual import Curve
from infimum.compress.checkpoint import Checkpoint, Layer
from infimum.compress.factor import FactorForm, Form, Objective, PivotForm, decompose, to_form, weighting
from infimum.compress.moments import Moments
from infimum.errors import BudgetError, OptionError

Of: TypeAlias = Literal["linear", "all"]
AllocationRule: TypeAlias = Literal["global", "uniform"]
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


def build_layer(
    layer: Layer, checkpoint: Checkpoint, moments: Moments, settings: Settings, points: Curve, choice: int
) -> tuple[LayerPlan, PivotForm | FactorForm | None]:
    """Replace one layer by its best matrix at the chosen point, rounded to the checkpoint's dtype and measured."""
    if choice == len(points.costs) - 1:
        return dense_row(layer), None
    weight = checkpoint.weight(layer)
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
