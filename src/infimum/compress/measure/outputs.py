"""What a model returns on a batch of text: what calibration differentiates, and what evaluations compare."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, Literal, TypeAlias, get_args

import torch

from infimum._arguments import one_of
from infimum.compress.measure.samples import IGNORED
from infimum.compress.model.heads import Head, Pooling
from infimum.errors import CalibrationError, InfimumError

Answer: TypeAlias = Literal["one of many", "each or none", "number"]  # what the logits of one answer say

Given: TypeAlias = torch.Tensor | dict[str, torch.Tensor]  # token ids, or all that a model takes, by name

LEAST = -1e4  # logit of what is no answer
EMBEDS = ("image_embeds", "text_embeds", "audio_embeds")  # of models that compare kinds of inputs


def output_of(head: Head) -> Callable[[Any, Given, torch.Tensor], torch.Tensor]:
    """Return the function of model, ids and mask whose value counts for a head."""
    if head.goal == "embedding":
        return partial(embedding, pooling=head.pooling)
    return token_losses if head.goal == "loss" else answers


def run(model: Any, given: Given, mask: torch.Tensor, **options: Any) -> Any:
    """Run a model on a batch."""
    try:
        if isinstance(given, torch.Tensor):
            return model(input_ids=given, attention_mask=mask, **options)
        return model(**given, **options)
    except InfimumError:  # of a block that is read while the model runs
        raise
    except (TypeError, ValueError, AttributeError, AssertionError, RuntimeError) as error:
        names = "tokens alone" if isinstance(given, torch.Tensor) else ", ".join(sorted(given))
        raise CalibrationError(
            f"{type(model).__name__} cannot be run on {names} ({error}); give all that it takes, as dicts of arrays"
        ) from error


def embedding(model: Any, ids: Given, mask: torch.Tensor, pooling: Pooling = "mean") -> torch.Tensor:
    """Return what applications compare: one vector of unit length per row, made of the last hidden states.

    Of a model that embeds images and text it is both embeddings, of inputs that are no tokens all hidden states.
    """
    one_of("pooling", pooling, get_args(Pooling))
    output = run(model, ids, mask)
    if own := [value for name in EMBEDS if (value := getattr(output, name, None)) is not None]:
        return torch.nn.functional.normalize(torch.cat([torch.nn.functional.normalize(e) for e in own], dim=-1))
    hidden: torch.Tensor = output.last_hidden_state
    if hidden.shape[:2] != mask.shape:
        return torch.nn.functional.normalize(hidden.flatten(1))
    if pooling == "cls":
        one = hidden[:, 0]
    elif pooling == "lasttoken":
        one = hidden[torch.arange(len(mask)), mask.sum(dim=1) - 1]
    else:
        weights = mask.to(hidden.dtype)[:, :, None]
        one = (hidden * weights).sum(dim=1) / weights.sum(dim=1)
    return torch.nn.functional.normalize(one, dim=-1)


def token_losses(model: Any, ids: Given, mask: torch.Tensor) -> torch.Tensor:
    """Return the loss of each token given those before it in its row, in nats: (rows, length - 1), 0 at padding.

    A model of encoder and decoder reads the first half of a row and predicts the second: (rows, length of that). With
    labels it is the loss of each label, (rows, labels).
    """
    if not isinstance(ids, torch.Tensor) and "labels" in ids:
        return _of_labels(model, ids, mask)
    if model.config.is_encoder_decoder:
        return _second_half(model, ids, mask)
    logits: torch.Tensor = run(model, ids, mask, use_cache=False).logits
    if not isinstance(ids, torch.Tensor):
        ids, mask = _tokens(ids)
    if logits.shape[:2] != ids.shape:
        raise CalibrationError(
            f"{type(model).__name__} returns logits at {logits.shape[1]} places for {ids.shape[1]} tokens: it adds "
            "some of its own, and what they predict is not known here"
        )
    # the last position has nothing to predict; its loss is cut off, not its logits, which are large to copy
    following = torch.nn.functional.pad(ids[:, 1:], (0, 1))
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), following.flatten(), reduction="none")
    return losses.view(ids.shape)[:, :-1] * mask[:, 1:]


def _tokens(given: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids and mask of the text among a model's inputs."""
    if "input_ids" not in given:
        raise CalibrationError(
            f"a language model predicts tokens: input_ids are needed, got {', '.join(sorted(given))}"
        )
    ids = given["input_ids"]
    return ids, given.get("attention_mask", torch.ones_like(ids))


def _of_labels(model: Any, given: dict[str, torch.Tensor], mask: torch.Tensor) -> torch.Tensor:
    logits, labels = run(model, given, mask, use_cache=False).logits, given["labels"]
    if not model.config.is_encoder_decoder:
        labels = torch.nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORED)
    losses = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1).float(), labels.flatten(), reduction="none", ignore_index=IGNORED
    )
    return losses.view(labels.shape)


def _second_half(model: Any, ids: Given, mask: torch.Tensor) -> torch.Tensor:
    if not isinstance(ids, torch.Tensor):
        ids, mask = _tokens(ids)
    half, config = ids.shape[1] // 2, model.config
    starts = (getattr(config, name, None) for name in ("decoder_start_token_id", "pad_token_id"))
    start = next((token for token in starts if token is not None), 0)
    wanted = ids[:, half:]
    before = torch.cat((torch.full_like(ids[:, :1], start), wanted[:, :-1]), dim=1)
    read = {"input_ids": ids[:, :half].contiguous(), "attention_mask": mask[:, :half].contiguous()}
    logits: torch.Tensor = model(**read, decoder_input_ids=before, use_cache=False).logits
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), wanted.flatten(), reduction="none")
    return losses.view(wanted.shape) * mask[:, half:]


def predicted(model: Any, ids: Given, mask: torch.Tensor) -> torch.Tensor:
    """Return how many tokens of each row of a batch `token_losses` predicts."""
    if not isinstance(ids, torch.Tensor):
        if "labels" in ids:
            first = 0 if model.config.is_encoder_decoder else 1
            return (ids["labels"][:, first:] != IGNORED).sum(dim=1)
        _, mask = _tokens(ids)
    return mask[:, mask.shape[1] // 2 if model.config.is_encoder_decoder else 1 :].sum(dim=1)


def answers(model: Any, ids: Given, mask: torch.Tensor) -> torch.Tensor:
    """Return the logits of a model's answers, (rows, answers, classes): one for a text, one for each token, or ends.

    At padding they are 0; where the classes are places of the text they are far below all others.
    """
    with _padded(model, ids, mask) if isinstance(ids, torch.Tensor) else nullcontext(ids) as padded:
        output = run(model, padded, mask)
    if "start_logits" in output:
        ends = torch.stack((output.start_logits, output.end_logits), dim=1)
        return ends.masked_fill(mask[:, None] == 0, LEAST)
    logits: torch.Tensor = output.logits
    if logits.dim() == 2:
        return logits[:, None]
    return logits * mask[:, :, None] if logits.shape[:2] == mask.shape else logits.flatten(1, -2)


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
    if type(model).__name__.endswith(("ForSequenceClassification", "ForImageClassification")):
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
