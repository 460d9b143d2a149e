"""What becomes of one layer: the settings of a plan, and the row of its table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from infimum._arguments import one_of
from infimum.compress.checkpoint import Layer
from infimum.compress.factor import Form, Objective
from infimum.errors import BudgetError, OptionError

Of: TypeAlias = Literal["linear", "all", "bytes"]
AllocationRule: TypeAlias = Literal["global", "uniform"]
Forms: TypeAlias = Literal["auto", "mixed", "pivot", "factors", "channels"]
UNREACHED = "the output does not depend on it for this text, or too few tokens reach it: kept dense"


@dataclass(frozen=True)
class Settings:
    """The choices of a plan; see `plan` for their meaning."""

    remove: float = 0.2
    of: Of = "linear"
    objective: Objective = "two-sided"
    allocation: AllocationRule = "global"
    form: Forms = "pivot"
    damping: float = 0.01
    plain: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.remove < 1.0:
            raise BudgetError(f"remove must be a fraction of at least 0 and below 1, got {self.remove}")
        one_of("of", self.of, ("linear", "all", "bytes"))
        if self.plain and self.of == "bytes":
            raise OptionError("plain output has as many bytes as the original; give of='linear' or of='all'")
        one_of("objective", self.objective, ("two-sided", "activation", "plain"))
        one_of("allocation", self.allocation, ("global", "uniform"))
        one_of("form", self.form, ("mixed", "pivot", "factors", "channels"))
        if not 0.0 < self.damping <= 1.0:
            raise OptionError(f"damping must be above 0 and at most 1, got {self.damping}")

    @property
    def narrows(self) -> bool:
        """Whether channels may be removed."""
        return self.form in ("mixed", "channels")

    @property
    def low_rank(self) -> Form | None:
        """The form in which layers of lower rank are stored; None where they keep their rank."""
        forms: dict[str, Form | None] = {"mixed": "pivot", "pivot": "pivot", "factors": "factors"}
        return forms.get(self.form)


@dataclass(frozen=True)
class LayerPlan:
    """What becomes of one layer.

    `kept` are the outputs and inputs that are left; what the removal of channels loses is an error of the layer that
    read them. Form "channels" is a smaller matrix of full rank.
    `cost` and `dense_cost` count numbers, `cost` those of the settings' form (form "plain" stores the product of its
    factors, as many numbers as before); `error` is measured on the numbers as stored, `lower_bound` holds for every
    matrix of that rank (form "plain": and for those as near to one as its rounding left it); `share` is the part of
    the total error.
    """

    name: str
    tensor: str
    shape: tuple[int, int]
    kept: tuple[int, int]
    form: Literal["pivot", "factors", "channels", "plain", "dense"]
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


def dense_row(layer: Layer, note: str = "") -> LayerPlan:
    """Return the row of a layer that stays as it is."""
    size, rank = layer.size, min(layer.shape)
    return LayerPlan(layer.name, layer.tensor, layer.shape, layer.shape, "dense", rank, size, size, 0.0, 0.0, 0.0, note)
