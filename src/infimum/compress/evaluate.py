"""Dense against compressed on held-out text."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from infimum.compress.calibration import Tokens
from infimum.compress.moments import BATCH, output_of


@dataclass(frozen=True)
class Similarity:
    """Cosine similarity of a model's sentence embeddings to those of the original, over paragraphs of a text."""

    mean: float
    least: float
    paragraphs: int
    tokens: int


def embeddings(model: PreTrainedModel, tokens: Tokens) -> torch.Tensor:
    """Return the unit-length mean of the last hidden states per paragraph, (paragraphs, width)."""
    with torch.no_grad():
        return torch.cat([output_of(model, ids, mask) for ids, mask in tokens.batches(BATCH)])


def similarity(reference: torch.Tensor, model: PreTrainedModel, tokens: Tokens) -> Similarity:
    """Compare a model with `reference`, the original's `embeddings` of the same tokens."""
    cosines = (reference * embeddings(model, tokens)).sum(dim=1)
    return Similarity(float(cosines.mean()), float(cosines.min()), len(cosines), tokens.count)
