"""What is compressed, and the norm in which each layer's error is measured."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from infimum.compress.measure.moments import Moments
from infimum.compress.menu.ranks import Weighting, weighting
from infimum.compress.menu.settings import Settings
from infimum.compress.model.checkpoint import Checkpoint, Layer


class Member(NamedTuple):
    """A layer, or what is left of it: its matrix in float64, and the norm of its error."""

    W: np.ndarray
    norm: Weighting

    def outputs(self, kept: np.ndarray | None) -> Member:
        """Return the layer with these outputs, in this order (None: all as they are)."""
        if kept is None:
            return self
        G = self.norm.G
        return Member(self.W[kept], Weighting(self.norm.C, None if G is None else G[np.ix_(kept, kept)]))

    def inputs(self, kept: np.ndarray) -> Member:
        """Return the layer with these inputs, in this order; the others are not made good."""
        return Member(self.W[:, kept], Weighting(self.norm.C[np.ix_(kept, kept)], self.norm.G))


class Task(NamedTuple):
    """What is compressed, measured by which moments, with which settings."""

    checkpoint: Checkpoint
    moments: Moments
    settings: Settings

    def member(self, layer: Layer, *, damped: bool = True) -> Member:
        """Read a layer, with the norm in which its replacements are made."""
        damping = self.settings.damping if damped else 0.0
        norm = weighting(self.settings.objective, self.moments.layers[layer.name], damping)
        return Member(self.checkpoint.weight(layer).double().numpy(), norm)

    def judge(self, layer: Layer) -> Member:
        """Read a layer, with the norm of the half of the text that makes no replacements and judges them."""
        assert self.moments.judge is not None
        norm = weighting(self.settings.objective, self.moments.judge[layer.name], 0.0)
        return Member(self.checkpoint.weight(layer).double().numpy(), norm)

    def item(self, layer: Layer) -> int:
        """Bytes of a number of a layer."""
        return self.checkpoint.read(layer.tensor).element_size()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about checkpoint and text."""
        tokens, widest = self.moments.tokens.count, max(inputs for _, inputs in self.moments.layers.shapes.values())
        if tokens >= widest:
            return self.checkpoint.notes
        return (
            *self.checkpoint.notes,
            f"The text has {tokens} tokens, fewer than the {widest} inputs of the widest layer: directions that it "
            "does not contain count as free. More text gives a better model.",
        )
