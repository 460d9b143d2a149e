"""Models on held-out text: the perplexity of a language model, the embeddings of an encoder."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import torch
from transformers import PreTrainedModel

from infimum._display import Shown
from infimum.compress.measure.moments import BATCH, output_of, token_losses
from infimum.compress.measure.text import Tokens
from infimum.compress.model.configuration import is_language_model
from infimum.errors import CalibrationError


@dataclass(frozen=True)
class Similarity(Shown):
    """Cosine similarity of a model's sentence embeddings to those of the original, over paragraphs of a text."""

    measure: ClassVar[str] = "sentence embeddings against the original's"

    mean: float
    least: float
    paragraphs: int
    tokens: int

    @property
    def figures(self) -> dict[str, str]:
        """What a table shows, by heading."""
        return {"mean cosine": f"{self.mean:.4f}", "least cosine": f"{self.least:.4f}"}

    @property
    def extent(self) -> str:
        """How much text was seen."""
        return f"{self.paragraphs:,} paragraphs, {self.tokens:,} tokens"


@dataclass(frozen=True)
class Perplexity(Shown):
    """Perplexity of a language model: the exponential of `loss`, the mean loss in nats over the `predicted` tokens.

    Every token is predicted from those before it in its row, so the first of each row is not.
    """

    measure: ClassVar[str] = "prediction of the next token"

    perplexity: float
    loss: float
    predicted: int
    tokens: int

    @property
    def figures(self) -> dict[str, str]:
        """What a table shows, by heading."""
        return {"perplexity": f"{self.perplexity:.4g}", "loss per token": f"{self.loss:.4f}"}

    @property
    def extent(self) -> str:
        """How much text was seen."""
        return f"{self.predicted:,} of {self.tokens:,} tokens predicted"


Score: TypeAlias = Similarity | Perplexity


def embeddings(model: PreTrainedModel, tokens: Tokens) -> torch.Tensor:
    """Return the unit-length mean of the last hidden states per paragraph, (paragraphs, width)."""
    with torch.no_grad():
        return torch.cat([output_of(model, ids, mask) for ids, mask in _batches(tokens)])


def similarity(reference: torch.Tensor, model: PreTrainedModel, tokens: Tokens) -> Similarity:
    """Compare a model with `reference`, the original's `embeddings` of the same tokens."""
    cosines = (reference * embeddings(model, tokens)).sum(dim=1)
    return Similarity(float(cosines.mean()), float(cosines.min()), len(cosines), tokens.count)


def perplexity(model: PreTrainedModel, tokens: Tokens) -> Perplexity:
    """Measure the perplexity of a language model on a text."""
    total, predicted = 0.0, 0
    with torch.no_grad():
        for ids, mask in _batches(tokens):
            total += float(token_losses(model, ids, mask).double().sum())
            predicted += int(mask[:, 1:].sum())
    if predicted == 0:
        raise CalibrationError("perplexity needs rows of at least two tokens: the first of each row is not predicted")
    loss = total / predicted
    return Perplexity(math.exp(loss) if loss < 700.0 else math.inf, loss, predicted, tokens.count)


def scorer(original: PreTrainedModel, tokens: Tokens) -> Callable[[PreTrainedModel], Score]:
    """Return the function that scores a model on a text: perplexity, or similarity to the `original` encoder."""
    if is_language_model(original.config):
        return lambda model: perplexity(model, tokens)
    reference = embeddings(original, tokens)
    return lambda model: similarity(reference, model, tokens)


def _batches(tokens: Tokens) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return tokens.batches(max(1, BATCH // tokens.ids.shape[1]))
