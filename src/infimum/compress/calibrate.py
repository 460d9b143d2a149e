"""From a model folder and a text to the moments of its layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
from transformers import AutoTokenizer

from infimum._arguments import whole_number
from infimum.compress.measure.collect import collect
from infimum.compress.measure.media import heard, pairs_of, read_pairs, samples_of
from infimum.compress.measure.moments import Moments
from infimum.compress.measure.progress import Progress
from infimum.compress.measure.samples import Inputs, Samples
from infimum.compress.measure.text import MINIMUM_TOKENS, Text, tokenize
from infimum.compress.model.checkpoint import Checkpoint, open_checkpoint
from infimum.compress.model.configuration import read_config
from infimum.compress.model.heads import SPEECH, Goal, Head
from infimum.errors import CalibrationError, CheckpointError, OptionError

Batches: TypeAlias = Iterable[Mapping[str, Any]]  # what a model takes, by name: arrays whose first axis are rows

LENGTH: dict[Goal, int] = {"embedding": 64, "logits": 64, "loss": 512}  # tokens of a row of calibration text
LANGUAGE_MODEL_TOKENS = 32_768


def calibrate(
    model: str | Path | Checkpoint,
    calib: Text | Batches = "pydoc",
    *,
    tokens: int | None = None,
    max_tokens: int | None = None,
    projections: int = 1,
    seed: int = 0,
    split: bool = False,
    inputs: bool = True,
    on_progress: Progress | None = None,
) -> Moments:
    """Measure input and gradient moments of every linear layer of a checkpoint on a text.

    The gradients are those of a language model's loss, of random projections of an encoder's embedding, or of random
    directions of a classifier's logits, in which the mean square is the divergence of its answers.

    Parameters
    ----------
    model : path or Checkpoint
        Folder of a transformers checkpoint in safetensors format.
    calib : "pydoc", path, list of str, array of int or iterable of dicts
        The Python documentation; a .txt file (paragraphs between blank lines), a .jsonl file (field "text", or pairs
        of "text" and "text_pair"), a .npy file of token ids, a folder of images or .wav files; strings; token ids;
        batches of whatever the model takes, arrays or tensors by name, whose first axis are rows.
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
    inputs : bool
        Measure moments of inputs also where gradients alone tell how much a change costs: objective "activation" needs
        them, the others do not, and a sixth of the time is theirs.
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
    checkpoint = checkpoint_of(model)
    text = tokens_for(checkpoint, calib, max_tokens=max_tokens)
    if tokens is None and checkpoint.is_language_model:
        tokens = LANGUAGE_MODEL_TOKENS
    if tokens is not None:
        text = text.sample(tokens, seed)
    return collect(
        checkpoint, text, seed=seed, projections=projections, split=split, inputs=inputs, on_progress=on_progress
    )


def tokens_for(
    model: str | Path | Checkpoint, text: Text | Batches, *, max_tokens: int | None = None, held_out: bool = False
) -> Inputs:
    """Tokenise a text as a model wants it: in full passages for a language model, else in paragraphs.

    A model that predicts masked tokens has some of them masked, drawn with a fixed seed. `model` is a checkpoint or a
    folder, compressed or not; see `calibrate` for inputs of other kinds, and `tokenize` for the other arguments.
    """
    if (given := _batches(text)) is not None:
        return Samples.of(given)
    folder = model.path if isinstance(model, Checkpoint) else Path(model)
    config = read_config(folder)
    head = Head.of(folder, config)
    main_input = head.main_input(config)
    if main_input != "input_ids" or (isinstance(text, str | Path) and Path(text).is_dir()):
        if not isinstance(text, str | Path) or text == "pydoc":
            raise CalibrationError(
                f"{folder.name} is a model of {main_input}, not of text: give a folder of images or .wav files, or "
                "dicts of arrays"
            )
        samples = samples_of(
            folder, Path(text), main_input, getattr(config.get_text_config(), "max_position_embeddings", 64)
        )
        return heard(checkpoint_of(model).load(), samples) if head.loader == SPEECH else samples
    longest = getattr(config, "max_position_embeddings", None) or 0
    longest = longest if longest > 0 else LENGTH[head.goal]  # XLNet's -1: as many as there are
    if max_tokens is not None and max_tokens > longest:
        raise OptionError(f"max_tokens must be at most {longest} for {folder.name}, got {max_tokens}")
    tokenizer, length = tokenizer_of(folder), min(LENGTH[head.goal], longest) if max_tokens is None else max_tokens
    if isinstance(text, str | Path) and Path(text).suffix == ".jsonl" and (pairs := read_pairs(Path(text))):
        return pairs_of(tokenizer, pairs, length, Path(text).name)
    tokens = tokenize(
        cast(Text, text),
        tokenizer,
        max_tokens=length,
        packed=head.goal == "loss",
        held_out=held_out,
    )
    return tokens.masked(tokenizer.mask_token_id) if head.loader == "AutoModelForMaskedLM" else tokens


def checkpoint_of(model: str | Path | Checkpoint) -> Checkpoint:
    """Open a model folder, if that is what was given."""
    return model if isinstance(model, Checkpoint) else open_checkpoint(model)


def _batches(text: Any) -> Batches | None:
    """Return dicts of inputs, if that is what was given."""
    if isinstance(text, Mapping):
        return [text]
    if isinstance(text, str | Path | np.ndarray) or not isinstance(text, Iterable):
        return None
    if not isinstance(text, Sequence):
        text = list(text)
    return text if text and isinstance(text[0], Mapping) else None


def tokenizer_of(folder: Path) -> Any:
    """Read the tokenizer of a model folder."""
    try:
        return AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise CheckpointError(f"{folder.name} has no tokenizer that transformers can read: {error}") from error
