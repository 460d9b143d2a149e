"""How far a compressed model is from the original: by what both say of the same inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from infimum.compress.measure.outputs import Given, answer_of, answers, divergence, embedding
from infimum.compress.model.heads import Head


class Distance:
    """Distance to an original, a number per answer: the divergence of predictions, of embeddings the squared change."""

    def __init__(self, original: Any, head: Head) -> None:
        self._original, self._head = original.requires_grad_(False), head

    def __call__(self, model: Any, ids: Given, mask: torch.Tensor) -> torch.Tensor:
        """Return the distances on a batch; what leads to them in `model` can be differentiated."""
        if self._head.goal == "embedding":
            with torch.no_grad():
                before = embedding(self._original, ids, mask, self._head.pooling)
            return (embedding(model, ids, mask, self._head.pooling) - before).square().sum(dim=-1)
        with torch.no_grad():
            before = answers(self._original, ids, mask)
        after = answers(model, ids, mask)
        wanted = mask.bool() if before.shape[:2] == mask.shape else torch.ones(before.shape[:2], dtype=torch.bool)
        return divergence(before[wanted].float(), after[wanted].float(), answer_of(self._original))

    def mean(self, model: Any, batches: Sequence[tuple[Given, torch.Tensor]]) -> float:
        """Return the mean over all answers of the batches."""
        total, count = 0.0, 0
        with torch.no_grad():
            for ids, mask in batches:
                found = self(model, ids, mask).double()
                total, count = total + float(found.sum()), count + found.numel()
        return total / count
