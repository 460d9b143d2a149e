"""What a model returns on a batch of text: what calibration differentiates, and what evaluations compare."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, TypeAlias, get_args

import torch

from infimum._arguments import one_of
from infimum.compress.model.heads import Head, Pooling

Answer: TypeAlias = Literal["one of many", "each or none", "number"]  # what the logits of one answer say

LEAST = -1e4  # logit of what is no answer


def output_of(head: Head) -> Callable[[Any, torch.Tensor, torch.Tensor], torch.Tensor]:
    """Return the function of model, ids and mask whose value counts for a head."""
    if head.goal == "embedding":
        return partial(embedding, pooling=head.pooling)
    return token_losses if head.goal == "loss" else answers


def embedding(model: Any, ids: torch.Tensor, mask: torch.Tensor, pooling: Pooling = "mean") -> torch.Tensor:
    """Return what applications compare: one vector of unit length per paragraph, made of the last hidden states."""
    one_of("pooling", pooling, get_args(Pooling))
    hidden: torch.Tensor = model(input_ids=ids, attention_mask=mask).last_hidden_state
    if pooling == "cls":
        one = hidden[:, 0]
    elif pooling == "lasttoken":
        one = hidden[torch.arange(len(ids)), mask.sum(dim=1) - 1]
    else:
        weights = mask.to(hidden.dtype)[:, :, None]
        one = (hidden * weights).sum(dim=1) / weights.sum(dim=1)
    return torch.nn.functional.normalize(one, dim=-1)


def token_losses(model: Any, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the loss of each token given those before it in its row, in nats: (rows, length - 1), 0 at padding.

    A model of encoder and decoder reads the first half of a row and predicts the second: (rows, length of that).
    """
    if model.config.is_encoder_decoder:
        return _second_half(model, ids, mask)
    logits: torch.Tensor = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    # the last position has nothing to predict; its loss is cut off, not its logits, which are large to copy
    following = torch.nn.functional.pad(ids[:, 1:], (0, 1))
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), following.flatten(), reduction="none")
    return losses.view(ids.shape)[:, :-1] * mask[:, 1:]


def _second_half(model: Any, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    half, config = ids.shape[1] // 2, model.config
    starts = (getattr(config, name, None) for name in ("decoder_start_token_id", "pad_token_id"))
    start = next((token for token in starts if token is not None), 0)
    wanted = ids[:, half:]
    before = torch.cat((torch.full_like(ids[:, :1], start), wanted[:, :-1]), dim=1)
    read = {"input_ids": ids[:, :half].contiguous(), "attention_mask": mask[:, :half].contiguous()}
    logits: torch.Tensor = model(**read, decoder_input_ids=before, use_cache=False).logits
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), wanted.flatten(), reduction="none")
    return losses.view(wanted.shape) * mask[:, half:]


def predicted(model: Any, mask: torch.Tensor) -> int:
    """Return how many tokens of a batch `token_losses` predicts."""
    return int(mask[:, mask.shape[1] // 2 if model.config.is_encoder_decoder else 1 :].sum())


def answers(model: Any, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the logits of a model's answers, (rows, answers, classes): one for a text, one for each token, or ends.

    At padding they are 0; where the classes are places of the text they are far below all others.
    """
    with _padded(model, ids, mask) as padded:
        output = model(input_ids=padded, attention_mask=mask)
    if "start_logits" in output:
        ends = torch.stack((output.start_logits, output.end_logits), dim=1)
        return ends.masked_fill(mask[:, None] == 0, LEAST)
    logits: torch.Tensor = output.logits
    return logits[:, None] if logits.dim() == 2 else logits * mask[:, :, None]


@contextmanager
def _padded(model: Any, ids: torch.Tensor, mask: torch.Tensor) -> Iterator[torch.Tensor]:
    """Pad with the id by which decoders find the end of a text; where there is none, with one that no text has."""
    config = model.config.get_text_config()
    known = config.pad_token_id
    if known is None:
        words = model.get_input_embeddings().weight.shape[0]
        unused = torch.bincount(ids.flatten(), minlength=words) == 0
        config.pad_token_id = int(unused.nonzero()[0]) if bool(unused.any()) else 0
    try:
        yield ids.masked_fill(mask == 0, config.pad_token_id)
    finally:
        config.pad_token_id = known


def answer_of(model: Any) -> Answer:
    """Return what the logits of a model's answers say, by its class and configuration."""
    if type(model).__name__.endswith("ForSequenceClassification"):
        if model.config.num_labels == 1 or model.config.problem_type == "regression":
            return "number"
        if model.config.problem_type == "multi_label_classification":
            return "each or none"
    return "one of many"


def divergence(before: torch.Tensor, after: torch.Tensor, kind: Answer) -> torch.Tensor:
    """Return how far answers are from those before, one by one: in nats (Kullback-Leibler), of numbers squared."""
    if kind == "number":
        return (before - after).square().sum(dim=-1)
    if kind == "each or none":
        before, after = (torch.stack((logits, torch.zeros_like(logits)), dim=-1) for logits in (before, after))
    log_before, log_after = before.log_softmax(dim=-1), after.log_softmax(dim=-1)
    found = (log_before.exp() * (log_before - log_after)).sum(dim=-1)
    return found.sum(dim=-1) if kind == "each or none" else found


def curvature(logits: torch.Tensor, noise: torch.Tensor, kind: Answer) -> torch.Tensor:
    """Return directions v, of standard Gaussian noise: ``E (v' d)**2`` is the divergence of a small change d.

    Of ``diag(p) - p p'``, the curvature of the loss of one class of many, a root is ``diag(sqrt(p)) - p sqrt(p)'``.
    """
    if kind == "number":
        return noise
    if kind == "each or none":
        p = logits.sigmoid()
        return noise * (p * (1.0 - p) / 2.0).sqrt()
    p = logits.softmax(dim=-1)
    scaled = noise * (p / 2.0).sqrt()
    return scaled - p * scaled.sum(dim=-1, keepdim=True)
