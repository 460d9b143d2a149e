"""Models on held-out text: perplexity of a language model, embeddings of an encoder, answers of a classifier."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeAlias

import torch
from transformers import PreTrainedModel

from infimum._display import Shown
from infimum.compress.measure.moments import BATCH
from infimum.compress.measure.outputs import answer_of, answers, divergence, embedding, predicted, token_losses
from infimum.compress.measure.samples import Inputs
from infimum.compress.model.heads import Pooling, loader_of
from infimum.errors import CalibrationError, OptionError

Rows: TypeAlias = tuple[tuple[float, int], ...]  # of each row of the text the sum of what is measured, and how often


@dataclass(frozen=True)
class Similarity(Shown):
    """Cosine similarity of a model's sentence embeddings to those of the original, over paragraphs of a text."""

    measure: ClassVar[str] = "sentence embeddings against the original's"
    per_row: ClassVar[str] = "cosine"

    mean: float
    least: float
    paragraphs: int
    tokens: int
    rows: Rows = field(default=(), repr=False)

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
    per_row: ClassVar[str] = "loss per token"

    perplexity: float
    loss: float
    predicted: int
    tokens: int
    rows: Rows = field(default=(), repr=False)

    @property
    def figures(self) -> dict[str, str]:
        """What a table shows, by heading."""
        return {"perplexity": f"{self.perplexity:.4g}", "loss per token": f"{self.loss:.4f}"}

    @property
    def extent(self) -> str:
        """How much text was seen."""
        return f"{self.predicted:,} of {self.tokens:,} tokens predicted"


@dataclass(frozen=True)
class Agreement(Shown):
    """How near the answers of a classifier are to those of the original, over the answers to a text.

    `divergence` is the mean Kullback-Leibler divergence to the original's probabilities, in nats per answer; where the
    answer is a number, the mean squared change. `same` is the share of answers whose most probable class stays (of
    several labels: all of them), of numbers their correlation with the original's.
    """

    measure: ClassVar[str] = "answers against the original's"
    per_row: ClassVar[str] = "divergence"

    divergence: float
    same: float
    answers: int
    tokens: int
    numbers: bool = False
    rows: Rows = field(default=(), repr=False)

    @property
    def figures(self) -> dict[str, str]:
        """What a table shows, by heading."""
        if self.numbers:
            return {"squared change": f"{self.divergence:.3g}", "correlation": f"{self.same:.4f}"}
        return {"divergence": f"{self.divergence:.3g} nats", "same answer": f"{self.same:.1%}"}

    @property
    def extent(self) -> str:
        """How much text was seen."""
        return f"{self.answers:,} answers to {self.tokens:,} tokens"


@dataclass(frozen=True)
class Difference(Shown):
    """What one model has more than another, per token or answer of a text that both have seen: loss, or cosine.

    `standard_error` is that of the mean over the rows of the text, row by row in pairs: how hard a row is, is the same
    for both, and drops out. A difference below about two of them may be that of another text, too.
    """

    mean: float
    standard_error: float
    rows: int

    @property
    def is_told_apart(self) -> bool:
        """Whether the difference is more than two standard errors."""
        return abs(self.mean) > 2.0 * self.standard_error


Score: TypeAlias = Similarity | Perplexity | Agreement


class InRows(Protocol):
    """A score of which every row is known: a `Score`, or that of a task."""

    @property
    def per_row(self) -> str:
        """What the mean of the rows is."""

    @property
    def rows(self) -> Rows:
        """Sum and number, row by row."""


def difference(first: InRows, second: InRows) -> Difference:
    """Compare two models in pairs: what the score of the second is above that of the first, on the same text or task.

    The ratio estimator of a mean over rows of different length.

    Raises
    ------
    OptionError
        The scores are of different kinds or texts, or of a text of one row.

    References
    ----------
    .. [1] W. G. Cochran, "Sampling techniques", 3rd ed., 1977, section 6.
    """
    counts = [count for _, count in first.rows]
    if first.per_row != second.per_row or counts != [count for _, count in second.rows] or len(counts) < 2:
        raise OptionError("two scores of one kind on the same text of several rows were expected")
    changes = [after - before for (before, _), (after, _) in zip(first.rows, second.rows, strict=True)]
    total, size = sum(counts), len(counts)
    mean = math.fsum(changes) / total
    spread = math.fsum((change - mean * count) ** 2 for change, count in zip(changes, counts, strict=True))
    return Difference(mean, math.sqrt(spread * size / (size - 1)) / total, size)


def embeddings(model: PreTrainedModel, tokens: Inputs, *, pooling: Pooling = "mean") -> torch.Tensor:
    """Return a unit-length vector per paragraph, (paragraphs, width): the mean of the last hidden states, or one.

    Raises
    ------
    OptionError
        `pooling` is not "mean", "cls" (the first token) or "lasttoken".
    """
    with torch.no_grad():
        return torch.cat([embedding(model, ids, mask, pooling) for ids, mask in _batches(tokens)])


def similarity(
    reference: torch.Tensor, model: PreTrainedModel, tokens: Inputs, *, pooling: Pooling = "mean"
) -> Similarity:
    """Compare a model with `reference`, the original's `embeddings` of the same tokens."""
    cosines = (reference * embeddings(model, tokens, pooling=pooling)).sum(dim=1)
    rows = tuple((cosine, 1) for cosine in cosines.tolist())
    return Similarity(float(cosines.mean()), float(cosines.min()), len(cosines), tokens.count, rows)


def perplexity(model: PreTrainedModel, tokens: Inputs) -> Perplexity:
    """Measure the perplexity of a language model on a text."""
    rows: list[tuple[float, int]] = []
    with torch.no_grad():
        for ids, mask in _batches(tokens):
            losses = token_losses(model, ids, mask).double().sum(dim=1)
            rows += zip(losses.tolist(), predicted(model, ids, mask).tolist(), strict=True)
    total, count = (sum(column) for column in zip(*rows, strict=True))
    if count == 0:
        raise CalibrationError("perplexity needs rows of at least two tokens: the first of each row is not predicted")
    loss = total / count
    return Perplexity(math.exp(loss) if loss < 700.0 else math.inf, loss, count, tokens.count, tuple(rows))


def agreement(original: PreTrainedModel, model: PreTrainedModel, tokens: Inputs) -> Agreement:
    """Compare the answers of a classifier with those of the original on the same text; both are run."""
    kind, rows, pairs = answer_of(original), [], []
    with torch.no_grad():
        for ids, mask in _batches(tokens):
            before, after = (answers(each, ids, mask) for each in (original, model))
            wanted = mask.bool() if before.shape[:2] == mask.shape else torch.ones(before.shape[:2], dtype=torch.bool)
            counts = wanted.sum(dim=1).tolist()
            before, after = before[wanted].double(), after[wanted].double()
            far = torch.split(divergence(before, after, kind), counts)
            rows += [(float(part.sum()), count) for part, count in zip(far, counts, strict=True)]
            pairs.append(
                (before, after) if kind == "number" else _classes(before, after, several=kind == "each or none")
            )
    one, other = (torch.cat(part) for part in zip(*pairs, strict=True))
    if kind == "number":
        same = float(torch.corrcoef(torch.stack((one.flatten(), other.flatten())))[0, 1])
    else:
        same = float((one == other).flatten(1).all(dim=1).double().mean())
    mean = sum(total for total, _ in rows) / len(one)
    return Agreement(mean, same, len(one), tokens.count, kind == "number", tuple(rows))


def _classes(before: torch.Tensor, after: torch.Tensor, *, several: bool) -> tuple[torch.Tensor, torch.Tensor]:
    if several:
        return before > 0.0, after > 0.0
    return before.argmax(dim=-1, keepdim=True), after.argmax(dim=-1, keepdim=True)


def scorer(
    original: PreTrainedModel, tokens: Inputs, *, pooling: Pooling = "mean"
) -> Callable[[PreTrainedModel], Score]:
    """Return the function that scores a model on a text as its class asks.

    It is the perplexity of a language model; of others it is how near they are to the `original`.
    """
    _, goal = loader_of(type(original).__name__)
    if goal == "loss":
        return lambda model: perplexity(model, tokens)
    if goal == "logits":
        return lambda model: agreement(original, model, tokens)
    reference = embeddings(original, tokens, pooling=pooling)
    return lambda model: similarity(reference, model, tokens, pooling=pooling)


def _batches(tokens: Inputs) -> Any:
    return tokens.batches(max(1, BATCH // tokens.length))
