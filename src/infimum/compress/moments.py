"""Second moments of layer inputs and of output gradients: what the compression errors are measured with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch

from infimum.compress.calibration import Tokens
from infimum.errors import CalibrationError

Progress: TypeAlias = Callable[[str, int, int], None]  # (what, done, of)

BATCH = 32  # paragraphs in one forward pass


@dataclass(frozen=True)
class Moments:
    """Moments of every linear layer, in float64.

    Attributes
    ----------
    inputs : mapping of str to array (n, n)
        ``C``, the mean of ``x x'`` over tokens; layers that read the same tensor share one array.
    gradients : mapping of str to array (m, m)
        ``G``, the sum over the tokens of a paragraph of ``g g'``, averaged over paragraphs and projections, where g is the
        gradient of a random projection of the model's output. Zero for a layer that the output does not depend on.
    tokens : Tokens
        The text.
    seed : int
        Seed of the projections.
    """

    inputs: Mapping[str, np.ndarray]
    gradients: Mapping[str, np.ndarray]
    tokens: Tokens
    seed: int
    projections: int


def collect(
    model: torch.nn.Module,
    layers: Mapping[str, torch.nn.Linear],
    tokens: Tokens,
    *,
    seed: int = 0,
    projections: int = 1,
    on_progress: Progress | None = None,
) -> Moments:
    """Run the model over the text, forwards and backwards, and gather the moments of its linear layers.

    The gradients are those of ``v' z``: z the model's output (`output_of`) and v standard Gaussian, so that the mean of
    ``(v' dz)**2`` is the squared change of the output; no labels are needed.
    """
    generator = torch.Generator().manual_seed(seed)
    gather = _Gather(layers)
    batches = tokens.batches(BATCH)
    model.eval().requires_grad_(False)
    with gather.attached():
        for index, (ids, mask) in enumerate(batches):
            gather.mask = mask
            with torch.enable_grad(), _embeddings_need_gradients(model):
                output = output_of(model, ids, mask)
            for repeat in range(projections):
                direction = torch.randn(output.shape, generator=generator, dtype=torch.float32).to(output.dtype)
                gather.counts_inputs = repeat == 0
                torch.autograd.backward(output, direction, retain_graph=repeat + 1 < projections)
            gather.finish_batch()
            if on_progress:
                on_progress("calibrating", index + 1, len(batches))
    return gather.moments(tokens, seed, projections)


def output_of(model: torch.nn.Module, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return what the user sees of a model: the unit-length mean of the last hidden states over the text, per paragraph.

    That is the sentence embedding whose cosine similarities applications compare.
    """
    hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    weights = mask.to(hidden.dtype)[:, :, None]
    mean = (hidden * weights).sum(dim=1) / weights.sum(dim=1)
    return torch.nn.functional.normalize(mean, dim=-1)


@contextmanager
def _embeddings_need_gradients(model: torch.nn.Module) -> Iterator[None]:
    """Start the autograd graph at the embeddings: the parameters themselves need no gradients, which saves half the work."""
    handle = model.get_input_embeddings().register_forward_hook(lambda _m, _i, output: output.requires_grad_())  # type: ignore[operator]
    try:
        yield
    finally:
        handle.remove()


class _Gather:
    """Hooks that add up the moments while the model runs."""

    def __init__(self, layers: Mapping[str, torch.nn.Linear]) -> None:
        self.layers = layers
        self.mask = torch.ones(0, 0)
        self.leader: dict[str, str] = {}  # layer -> the first layer that read the same tensor
        self.inputs: dict[str, torch.Tensor] = {}
        self.gradients: dict[str, torch.Tensor] = {}
        self.rows: dict[str, int] = {}
        self.paragraphs = 0
        self._seen: list[tuple[str, torch.Tensor]] = []

    @contextmanager
    def attached(self) -> Iterator[None]:
        handles = [layer.register_forward_hook(self._hook(name)) for name, layer in self.layers.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, name: str) -> Callable[[Any, Any, torch.Tensor], None]:
        def forward(_module: Any, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            x = args[0]
            if name not in self.leader:
                # keeping the tensors of the pass alive makes identity of storage mean identity of content
                twin = next((other for other, tensor in self._seen if _same(tensor, x)), name)
                self.leader[name] = twin
            self._seen.append((name, x))
            if self.leader[name] == name:
                rows = self._text_rows(x)
                self.rows[name] = self.rows.get(name, 0) + rows.shape[0]
                _add_gram(self.inputs, name, rows)
            if output.requires_grad:
                output.register_hook(lambda g: _add_gram(self.gradients, name, self._text_rows(g)))

        return forward

    def _text_rows(self, x: torch.Tensor) -> torch.Tensor:
        x = x.detach()
        if x.shape[:-1] == self.mask.shape:
            return x[self.mask.bool()]
        return x.reshape(-1, x.shape[-1])

    def finish_batch(self) -> None:
        self._seen.clear()
        self.paragraphs += self.mask.shape[0]

    def moments(self, tokens: Tokens, seed: int, projections: int) -> Moments:
        for name, total in self.inputs.items():
            if not bool(torch.isfinite(total).all()):
                raise CalibrationError(f"the inputs of {name} are not finite on this text; check the model and its dtype")
        inputs = {name: (total / self.rows[name]).numpy() for name, total in self.inputs.items()}
        gradients = {
            name: (total / (self.paragraphs * projections)).numpy() for name, total in self.gradients.items()
        }
        return Moments(
            inputs={name: inputs[leader] for name, leader in self.leader.items()},
            gradients=gradients,
            tokens=tokens,
            seed=seed,
            projections=projections,
        )


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.data_ptr() == b.data_ptr() and a.shape == b.shape and a.stride() == b.stride()


def _add_gram(totals: dict[str, torch.Tensor], name: str, rows: torch.Tensor) -> None:
    wide = rows.double()
    if name not in totals:
        totals[name] = torch.zeros(wide.shape[-1], wide.shape[-1], dtype=torch.float64)
    totals[name].addmm_(wide.T, wide)
