"""What becomes of one layer: its row of the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from infimum.compress.model.checkpoint import Layer

UNREACHED = "the output does not depend on it for this text, or too few tokens reach it: kept dense"


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
