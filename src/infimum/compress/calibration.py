"""Calibration and evaluation texts: where they come from, and how they become batches of tokens."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from infimum.errors import CalibrationError

Text: TypeAlias = str | Path | Sequence[str]

MINIMUM_TOKENS = 256  # below this the moments say more about the text than about the model


@dataclass(frozen=True)
class Tokens:
    """Token ids of a text, one row per paragraph, padded on the right.

    Attributes
    ----------
    ids, mask : array (paragraphs, length)
        Token ids, and 1 where a token is text rather than padding.
    source : str
        Where the text came from.
    """

    ids: np.ndarray
    mask: np.ndarray
    source: str

    @property
    def count(self) -> int:
        """Number of tokens, padding left out."""
        return int(self.mask.sum())

    @property
    def sha256(self) -> str:
        """Hash of ids and mask, to tell whether two runs saw the same text."""
        return hashlib.sha256(self.ids.tobytes() + self.mask.tobytes()).hexdigest()

    def batches(self, size: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Split into batches of paragraphs of similar length, each cut to its longest one."""
        order = np.argsort(self.mask.sum(axis=1), kind="stable")
        batches = []
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            longest = int(self.mask[rows].sum(axis=1).max())
            batches.append((torch.from_numpy(self.ids[rows, :longest]), torch.from_numpy(self.mask[rows, :longest])))
        return batches


def python_documentation(held_out: bool) -> list[str]:
    """Paragraphs of ``help()``'s topics (pydoc_data.topics); every second topic is held out of calibration.

    Topics repeat paragraphs of each other: what is held out leaves out those that calibration sees.
    """
    from pydoc_data.topics import topics

    names = sorted(topics)
    used, others = (dict.fromkeys(p for name in names[k::2] for p in paragraphs(topics[name])) for k in (0, 1))
    return [text for text in others if text not in used] if held_out else list(used)


def paragraphs(text: str) -> list[str]:
    """Split at blank lines; pieces of fewer than eight words (headings, rules) are dropped."""
    pieces = (" ".join(piece.split()) for piece in text.replace("\r\n", "\n").split("\n\n"))
    return [piece for piece in pieces if len(piece.split()) >= 8]


def read_text(text: Text, *, held_out: bool = False) -> tuple[list[str], str]:
    """Return paragraphs and their source: "pydoc", a .txt or .jsonl file (field "text"), or the strings given."""
    if isinstance(text, str) and text == "pydoc":
        return python_documentation(held_out), f"pydoc_data.topics, {'odd' if held_out else 'even'} topics"
    if not isinstance(text, str | Path):
        try:
            return [_string(item) for item in text], "strings given by the caller"
        except TypeError as error:
            raise CalibrationError(f"calibration text must be a list of strings: {error}") from error
    path = Path(text)
    if not path.is_file():
        raise CalibrationError(
            f"calibration text must be 'pydoc', a .txt or .jsonl file or a list of strings, got {text}"
        )
    try:
        content = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CalibrationError(f"{path.name} is not UTF-8 text ({error}); convert it first") from error
    if path.suffix != ".jsonl":
        return paragraphs(content), path.name
    try:
        return [_string(json.loads(line)["text"]) for line in content.splitlines() if line.strip()], path.name
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise CalibrationError(f'{path.name}: each line must be a JSON object with a "text" field ({error})') from error


def _string(item: object) -> str:
    if not isinstance(item, str):
        raise TypeError(f"a string was expected, got {item!r}")
    return item


def tokenize(text: Text, tokenizer: Any, *, max_tokens: int = 64, held_out: bool = False) -> Tokens:
    """Tokenise a text, at most `max_tokens` tokens per paragraph.

    Raises
    ------
    CalibrationError
        The text is missing, malformed, or has fewer than 256 tokens.
    """
    pieces, source = read_text(text, held_out=held_out)
    rows = [tokenizer(piece, truncation=True, max_length=max_tokens)["input_ids"] for piece in pieces]
    rows = [row for row in rows if row]
    total = sum(map(len, rows))
    if total < MINIMUM_TOKENS:
        raise CalibrationError(
            f"at least {MINIMUM_TOKENS} tokens of text are needed, got {total} from {source}; give a longer text "
            "(paragraphs are separated by blank lines, and those of fewer than eight words are dropped)"
        )
    ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    mask = np.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
        mask[index, : len(row)] = 1
    return Tokens(ids, mask, source)
