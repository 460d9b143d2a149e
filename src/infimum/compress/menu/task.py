"""What is compressed, and the norm in which each layer's error is measured."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from infimum.compress.measure.moments import LayerMoments, Moments, MomentShelf
from infimum.compress.measure.text import Tokens
from infimum.compress.menu.ranks import Damping, Weighting, damped, weighting
from infimum.compress.menu.settings import Settings
from infimum.compress.model.checkpoint import Checkpoint
from infimum.compress.model.layer import Layer
from infimum.compress.model.tensor_files import ITEM_BYTES

UNREACHED = "the output does not depend on it for this text, or too few tokens reach it: kept dense"
ASKED = "kept dense, as was asked"
UNDAMPED = Damping(0.0, 0.0)


class Member(NamedTuple):
    """A layer, or what is left of it: its matrix in float64, and the norm of its error."""

    W: np.ndarray
    norm: Weighting

    def outputs(self, kept: np.ndarray | None) -> Member:
        """Return the layer with these outputs, in this order (None: all as they are)."""
        if kept is None:
            return self
        G = self.norm.G
        left = None if G is None else G[kept] if G.ndim == 1 else G[np.ix_(kept, kept)]
        return Member(self.W[kept], Weighting(self.norm.C, left))

    def damped(self, right: float, left: float) -> Member:
        """Return the layer in a norm whose moments have so many of their mean eigenvalues added.

        Without bound, the left one is as good as none.
        """
        C, G = self.norm.C, self.norm.G
        return Member(self.W, Weighting(damped(C, right), None if G is None or left == math.inf else damped(G, left)))

    def inputs(self, kept: np.ndarray) -> Member:
        """Return the layer with these inputs, in this order; the others are not made good."""
        return Member(self.W[:, kept], Weighting(self.norm.C[np.ix_(kept, kept)], self.norm.G))


class Task(NamedTuple):
    """What is compressed, measured by which moments, with which settings."""

    checkpoint: Checkpoint
    moments: Moments
    settings: Settings

    @property
    def layers(self) -> list[Layer]:
        """The layers that may be replaced, in the order of the model."""
        return [layer for layer in self.settings.layers_of(self.checkpoint) if not self.left_out(layer)]

    def left_out(self, layer: Layer) -> str:
        """Say why a layer stays as it is whatever the budget; empty where it need not."""
        if not self.settings.takes(layer.name):
            return ASKED
        return "" if layer.name in self.moments.layers else UNREACHED

    def member(self, layer: Layer) -> Member:
        """Read a layer, with the norm in which its matrices of lower rank are made and measured."""
        damping = self.settings.damping_of(layer.name)
        return Member(self._matrix(layer), weighting(self.settings.objective, self.moments.whole(layer.name), damping))

    def maker(self, layer: Layer) -> Member:
        """Read a layer, with the undamped norm of the half of the text by which it is rounded.

        Of a matrix that serves twice the norm is the sum of both, each with the mean weight of its rows.
        """
        members = self._members(layer, self.moments.layers)
        if len(members) == 1:
            return members[0]
        both = [moments.right * np.mean(moments.left) for moments in self._moments(layer, self.moments.layers)]
        return Member(members[0].W, Weighting(np.sum(both, axis=0), np.ones(len(members[0].W))))

    def judges(self, layer: Layer) -> list[Member]:
        """Read a layer, with the norms of the half of the text that makes no replacements and judges them.

        They are two where the output head shares the embeddings: the error is the sum of both.
        """
        assert self.moments.judge is not None
        return self._members(layer, self.moments.judge)

    def _members(self, layer: Layer, moments: MomentShelf) -> list[Member]:
        W = self._matrix(layer)
        return [Member(W, weighting(self.settings.objective, each, UNDAMPED)) for each in self._moments(layer, moments)]

    def _matrix(self, layer: Layer) -> np.ndarray:
        W: np.ndarray = self.checkpoint.weight(layer).double().numpy()
        return W

    def _moments(self, layer: Layer, moments: MomentShelf) -> list[LayerMoments]:
        """Return the moments of a layer, and of the head that shares it."""
        heads = [head for head, shared in self.checkpoint.tied.items() if shared == layer.name and head in moments]
        return [moments[name] for name in (layer.name, *heads)]

    def item(self, layer: Layer) -> int:
        """Bytes of a number of a layer."""
        return ITEM_BYTES[self.checkpoint.kind(layer.tensor)]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about checkpoint and text."""
        tokens, widest = self.moments.tokens.count, max(inputs for _, inputs in self.moments.layers.shapes.values())
        notes = () if self.settings.layers_of(self.checkpoint) != self.checkpoint.layers else self.checkpoint.notes
        if tokens >= widest or not isinstance(self.moments.tokens, Tokens):
            return notes
        return (
            *notes,
            f"The text has {tokens} tokens, fewer than the {widest} inputs of the widest layer: directions that it "
            "does not contain count as free. More text gives a better model.",
        )
