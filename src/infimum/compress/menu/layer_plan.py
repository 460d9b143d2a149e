"""The row of a layer that stays as it is."""

from __future__ import annotations

from infimum.compress.model.layer import Layer
from infimum.proof.checkpoint import LayerPlan


def dense_row(layer: Layer, note: str = "") -> LayerPlan:
    """Return the row of a layer that stays as it is."""
    size, rank = layer.size, min(layer.shape)
    return LayerPlan(layer.name, layer.tensor, layer.shape, layer.shape, "dense", rank, size, size, 0.0, 0.0, 0.0, note)
