"""Moments of the matrices that have a row for each token: the embeddings and the output head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from infimum.compress.measure.moments import LayerMoments
from infimum.compress.model.checkpoint import Checkpoint
from infimum.compress.model.vocabulary import embeddings_of
from infimum.errors import CalibrationError
from infimum.proof.theorems import weighted_tail


class VocabularyGather:
    """Adds up moments whose left one is a diagonal: a matrix would have as many columns as there are tokens.

    Embeddings E are a linear layer that is given one-hot vectors, so that the gradient by row v is the sum of the
    gradients g at the places of token v. Per token (goal "loss") the moments are how often each token occurs, and half
    the mean of ``g g'``. Else, with G_v that sum in a row of text, they are the mean of ``|G_v|**2``, and the mean of
    ``sum_v G_v G_v'`` over its trace. The products of different rows are left out: what rounding does to them is
    hardly correlated.

    Of an output head they are half the mean squared gradient of each logit, and the mean of ``x x'`` of its inputs.
    """

    def __init__(self, checkpoint: Checkpoint, model: Any, *, per_token: bool) -> None:
        names = {id(module): name for name, module in model.named_modules()}
        embeddings, self._head = embeddings_of(model), model.get_output_embeddings()
        self._names = (names.get(id(embeddings), ""), names.get(id(self._head), ""))
        self._per_token, self._mask = per_token, torch.ones(0, 0)
        own = {layer.name for layer in checkpoint.vocabulary}
        self._known = own | {head for head, shared in checkpoint.tied.items() if shared in own}
        shapes = [(0, 0) if m is None else tuple(m.weight.shape) for m in (embeddings, self._head)]
        self._tokens, self._logits = (torch.zeros(rows, dtype=torch.float64) for rows, _ in shapes)
        self._gradients, self._inputs = (torch.zeros((n, n), dtype=torch.float64) for _, n in shapes)
        self._seen = 0

    def begin(self, mask: torch.Tensor) -> None:
        """Say which tokens of the next batch are text."""
        self._mask = mask.bool()

    def embedded(self, ids: torch.Tensor, gradients: Sequence[torch.Tensor]) -> None:
        """Add the gradients at the embeddings of a batch, one for each direction."""
        if self._names[0] not in self._known or not ids.numel():
            return
        if self._per_token:
            text = ids[self._mask] if ids.shape == self._mask.shape else ids.flatten()  # XLNet has rows behind places
            self._tokens += torch.bincount(text, minlength=len(self._tokens))
        for gradient in gradients:
            rows = gradient.flatten(0, 1)
            if not self._per_token:
                places = torch.arange(len(ids))[:, None] * len(self._tokens) + ids
                which, index = torch.unique(places, return_inverse=True)
                rows = torch.zeros(len(which), rows.shape[1]).index_add_(0, index.flatten(), rows)
                self._tokens.index_add_(0, which % len(self._tokens), rows.double().square().sum(dim=1))
            self._gradients += rows.T @ rows

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Listen to the output head."""
        if self._names[1] not in self._known:
            yield
            return
        handle = self._head.register_forward_hook(self._forward)
        try:
            yield
        finally:
            handle.remove()

    def _forward(self, _module: Any, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        rows = args[0].detach()[self._mask]
        self._inputs += rows.T @ rows
        self._seen += len(rows)
        if output.requires_grad:
            output.register_hook(self._backward)  # type: ignore[no-untyped-call]

    def _backward(self, gradient: torch.Tensor) -> None:
        # the norm needs no second array of the size of all logits
        self._logits += torch.linalg.vector_norm(gradient.detach().flatten(0, -2), dim=0).double() ** 2

    def moments(self, passes: int) -> dict[str, LayerMoments]:
        """Return the moments of what the goal depends on; sums of gradients are divided by `passes`."""
        embeddings, head = self._names
        found = {}
        if energy := float(self._gradients.trace()):
            right = self._gradients / (2 * passes if self._per_token else energy)
            found[embeddings] = _moments(embeddings, right, self._tokens / passes)
        if self._seen and bool(self._logits.any()):
            found[head] = _moments(head, self._inputs / self._seen, self._logits / (2 * passes))
        return found


def _moments(name: str, right: torch.Tensor, left: torch.Tensor) -> LayerMoments:
    if not bool(torch.isfinite(right).all() & torch.isfinite(left).all()):
        raise CalibrationError(f"activations or gradients of {name} are not finite; check the model")
    C: np.ndarray = weighted_tail.semidefinite(right.numpy())
    return LayerMoments(C, C, left.numpy(), float(left.mean()))
