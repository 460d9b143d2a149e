"""Moments of the layers on a text: what the compression errors are measured with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch

from infimum.bounds import weighted_tail
from infimum.compress.calibration import Tokens
from infimum.errors import CalibrationError

Progress: TypeAlias = Callable[[str, int, int], None]  # (what, done, of)

BATCH = 16  # paragraphs in one forward pass: more need more memory and are not faster on a processor


@dataclass(frozen=True)
class LayerMoments:
    """Moments of one linear layer with n inputs and m outputs, in float64.

    With x the inputs and g the gradients at the outputs, one row per token, the gradient of a projection of the model's
    output by the layer's weight is the m x n matrix ``D = sum over the tokens of a paragraph of g x'``.

    Attributes
    ----------
    inputs : array (n, n)
        Mean of ``x x'`` over tokens.
    right : array (n, n)
        Mean of ``D' D`` over paragraphs and projections.
    left : array (m, m)
        Mean of ``D D'`` over its trace: the Kronecker product of `left` and `right` models the mean of
        ``vec(D) vec(D)'``, with the same partial traces.
    gradient : float
        Mean squared gradient: of one output, summed over the tokens of a paragraph.
    """

    inputs: np.ndarray
    right: np.ndarray
    left: np.ndarray
    gradient: float


@dataclass(frozen=True)
class Moments:
    """Moments of every linear layer that the model's output depends on, and how they were measured.

    Attributes
    ----------
    layers : mapping of str to LayerMoments
        By name of the layer; layers that the output does not depend on are absent.
    tokens : Tokens
        The text.
    seed, projections : int
        Seed and number, per paragraph, of the random projections of the output.
    """

    layers: Mapping[str, LayerMoments]
    tokens: Tokens
    seed: int
    projections: int


def collect(
    model: torch.nn.Module,
    layers: Mapping[str, torch.nn.Module],
    tokens: Tokens,
    *,
    seed: int = 0,
    projections: int = 1,
    on_progress: Progress | None = None,
) -> Moments:
    """Run the model over the text, forwards and backwards, and gather the moments of its linear layers.

    The gradients are those of ``v' z``: z the model's output (`output_of`) and v standard Gaussian. The mean of
    ``(v' dz)**2`` is the squared change of the output, and to first order it is the mean of ``trace(D' dW)**2``: no
    labels are needed.
    """
    generator = torch.Generator().manual_seed(seed)
    gather = _Gather(layers)
    batches = tokens.batches(BATCH)
    model.requires_grad_(False)
    with gather.attached():
        for index, (ids, mask) in enumerate(batches):
            gather.begin(mask)
            with torch.enable_grad(), _embeddings_need_gradients(model):
                output = output_of(model, ids, mask)
            for repeat in range(projections):
                direction = torch.randn(output.shape, generator=generator, dtype=torch.float32).to(output.dtype)
                torch.autograd.backward(output, direction, retain_graph=repeat + 1 < projections)
            if on_progress:
                on_progress("calibrating", index + 1, len(batches))
    return Moments(gather.moments(len(tokens.ids) * projections), tokens, seed, projections)


def output_of(model: torch.nn.Module, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return what applications compare: the unit-length mean of the last hidden states over the text, per paragraph."""
    hidden: torch.Tensor = model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states[-1]
    weights = mask.to(hidden.dtype)[:, :, None]
    mean = (hidden * weights).sum(dim=1) / weights.sum(dim=1)
    return torch.nn.functional.normalize(mean, dim=-1)


@contextmanager
def _embeddings_need_gradients(model: Any) -> Iterator[None]:
    """Start the autograd graph at the embeddings: the parameters need no gradients, which saves half the work."""
    handle = model.get_input_embeddings().register_forward_hook(lambda _m, _i, output: output.requires_grad_())
    try:
        yield
    finally:
        handle.remove()


class _Gather:
    """Hooks that add up the moments while the model runs."""

    def __init__(self, layers: Mapping[str, torch.nn.Module]) -> None:
        self._layers = layers
        self._mask = torch.ones(0, 0)
        self._sums: dict[tuple[str, str], torch.Tensor] = {}
        self._rows: dict[str, int] = {}

    @contextmanager
    def attached(self) -> Iterator[None]:
        handles = [layer.register_forward_hook(self._hook(name)) for name, layer in self._layers.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def begin(self, mask: torch.Tensor) -> None:
        self._mask = mask.bool()

    def _hook(self, name: str) -> Callable[[Any, tuple[torch.Tensor, ...], torch.Tensor], None]:
        def forward(_module: Any, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            x = args[0].detach().double()
            text = x[self._mask] if x.shape[:-1] == self._mask.shape else x.reshape(-1, x.shape[-1])
            self._rows[name] = self._rows.get(name, 0) + text.shape[0]
            self._add(name, "inputs", text.T @ text)
            if output.requires_grad:
                output.register_hook(lambda gradient: self._backward(name, x, gradient.detach().double()))  # type: ignore[no-untyped-call]

        return forward

    def _backward(self, name: str, x: torch.Tensor, g: torch.Tensor) -> None:
        if g.dim() == 2:  # a layer that sees one vector per paragraph
            x, g = x[:, None], g[:, None]
        # D' D = x' (g g') x and D D' = g' (x x') g, paragraph by paragraph, without forming D; padding has g = 0
        weighted_x, weighted_g = (g @ g.mT) @ x, (x @ x.mT) @ g
        self._add(name, "right", x.flatten(0, 1).T @ weighted_x.flatten(0, 1))
        self._add(name, "left", g.flatten(0, 1).T @ weighted_g.flatten(0, 1))
        self._add(name, "gradient", (g**2).sum() / g.shape[-1])

    def _add(self, name: str, moment: str, value: torch.Tensor) -> None:
        key = (name, moment)
        self._sums[key] = self._sums[key].add_(value) if key in self._sums else value

    def moments(self, passes: int) -> dict[str, LayerMoments]:
        found = {}
        for name in self._layers:
            if (name, "left") not in self._sums:
                continue
            inputs, right, left, gradient = (
                self._sums.pop((name, moment)).numpy() for moment in ("inputs", "right", "left", "gradient")
            )
            if not all(np.all(np.isfinite(moment)) for moment in (inputs, right, left)):
                raise CalibrationError(f"activations or gradients of {name} are not finite; check the model")
            energy = float(np.trace(left))
            if energy > 0.0:
                inputs /= self._rows[name]
                right /= passes
                left /= energy
                inputs, right, left = (weighted_tail.semidefinite(moment) for moment in (inputs, right, left))
                found[name] = LayerMoments(inputs, right, left, float(gradient) / passes)
        return found
