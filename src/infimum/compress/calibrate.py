"""From a model folder and a text to the moments of its layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from infimum._arguments import whole_number
from infimum.compress.measure.moments import Moments, Progress
from infimum.compress.measure.passes import collect
from infimum.compress.measure.text import MINIMUM_TOKENS, Text, Tokens, tokenize
from infimum.compress.model.checkpoint import Checkpoint, open_checkpoint
from infimum.compress.model.configuration import read_config
from infimum.compress.model.heads import Goal, Head
from infimum.errors import CheckpointError, OptionError

LENGTH: dict[Goal, int] = {"embedding": 64, "logits": 64, "loss": 512}  # tokens of a row of calibration text
LANGUAGE_MODEL_TOKENS = 32_768


def calibrate(
    model: str | Path | Checkpoint,
    calib: Text = "pydoc",
    *,
    tokens: int | None = None,
    max_tokens: int | None = None,
    projections: int = 1,
    seed: int = 0,
    split: bool = False,
    on_progress: Progress | None = None,
) -> Moments:
    """Measure input and gradient moments of every linear layer of a checkpoint on a text.

    The gradients are those of a language model's loss, of random projections of an encoder's embedding, or of random
    directions of a classifier's logits, in which the mean square is the divergence of its answers.

    Parameters
    ----------
    model : path or Checkpoint
        Folder of a transformers checkpoint in safetensors format.
    calib : "pydoc", path, list of str or array of int
        The Python documentation; a .txt file (paragraphs between blank lines), a .jsonl file (field "text"), a .npy
        file of token ids; strings; token ids.
    tokens : int, optional
        Size of the calibration: rows are drawn from the text until they hold so many tokens. By default 32,768 for a
        language model, the whole text for an encoder. More text gives a better model and takes longer in proportion.
    max_tokens : int, optional
        Longest row, in tokens: by default passages of 512 for a language model, paragraphs of 64 for an encoder.
    projections : int
        Of all but language models: random projections of the output per paragraph; more give better moments, and cost
        a backward pass each.
    seed : int
        Seed of the draw of rows and of the projections.
    split : bool
        Measure two halves of the text apart: what the one makes is judged by the other. `plan` asks for it with
        "bits" in its menu.
    on_progress : callable, optional
        Called with (what, done, of).

    Raises
    ------
    CheckpointError, CalibrationError, OptionError
        Each says what was expected, what came, and what to do.
    """
    projections = whole_number("projections", projections, 1)
    if tokens is not None:
        tokens = whole_number("tokens", tokens, MINIMUM_TOKENS)
    checkpoint = model if isinstance(model, Checkpoint) else open_checkpoint(model)
    text = tokens_for(checkpoint, calib, max_tokens=max_tokens)
    if tokens is None and checkpoint.is_language_model:
        tokens = LANGUAGE_MODEL_TOKENS
    if tokens is not None:
        text = text.sample(tokens, seed)
    return collect(checkpoint, text, seed=seed, projections=projections, split=split, on_progress=on_progress)


def tokens_for(
    model: str | Path | Checkpoint, text: Text, *, max_tokens: int | None = None, held_out: bool = False
) -> Tokens:
    """Tokenise a text as a model wants it: in full passages for a language model, else in paragraphs.

    A model that predicts masked tokens has some of them masked, drawn with a fixed seed. `model` is a checkpoint or a
    folder, compressed or not; see `tokenize` for the others.
    """
    folder = model.path if isinstance(model, Checkpoint) else Path(model)
    config = read_config(folder)
    head = Head.of(folder, config)
    longest = getattr(config, "max_position_embeddings", None) or LENGTH[head.goal]
    if max_tokens is not None and max_tokens > longest:
        raise OptionError(f"max_tokens must be at most {longest} for {folder.name}, got {max_tokens}")
    tokenizer = _tokenizer(folder)
    tokens = tokenize(
        text,
        tokenizer,
        max_tokens=min(LENGTH[head.goal], longest) if max_tokens is None else max_tokens,
        packed=head.goal == "loss",
        held_out=held_out,
    )
    return tokens.masked(tokenizer.mask_token_id) if head.loader == "AutoModelForMaskedLM" else tokens


def _tokenizer(folder: Path) -> Any:
    try:
        return AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise CheckpointError(f"{folder.name} has no tokenizer that transformers can read: {error}") from error
