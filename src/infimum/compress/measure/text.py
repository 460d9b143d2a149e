"""Calibration and evaluation texts: where they come from, and how they become batches of tokens."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from infimum._arguments import whole_number
from infimum._display import Shown
from infimum.errors import CalibrationError

Text: TypeAlias = str | Path | Sequence[str] | np.ndarray

STRETCH = 8  # rows in a row that belong to one half: neighbours are alike, and both halves should know all topics
MASKED = 0.15  # the share with which such models are trained
MINIMUM_TOKENS = 256  # below this the moments say more about the text than about the model


@dataclass(frozen=True)
class Tokens(Shown):
    """Token ids of a text, one row per paragraph or passage, padded on the right.

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
    def rows(self) -> int:
        """Number of rows."""
        return len(self.ids)

    @property
    def length(self) -> int:
        """Places of a row."""
        return int(self.ids.shape[1])

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """What is stored of them."""
        return {"ids": self.ids, "mask": self.mask}

    @property
    def count(self) -> int:
        """Number of tokens, padding left out."""
        return int(self.mask.sum())

    @property
    def extent(self) -> str:
        """How much there is, in words."""
        return f"{self.count:,} tokens"

    @property
    def sha256(self) -> str:
        """Hash of ids and mask, to tell whether two runs saw the same text."""
        return hashlib.sha256(self.ids.tobytes() + self.mask.tobytes()).hexdigest()

    def sample(self, count: int, seed: int) -> Tokens:
        """Draw rows until they hold `count` tokens; all rows, when there are no more."""
        count = whole_number("tokens", count, 1)
        order = np.random.default_rng(seed).permutation(len(self.ids))
        needed = int(np.searchsorted(np.cumsum(self.mask[order].sum(axis=1)), count)) + 1
        rows = np.sort(order[:needed])
        return self if len(rows) == len(order) else Tokens(self.ids[rows], self.mask[rows], self.source)

    def masked(self, mark: int | None) -> Tokens:
        """Put the mark of a masked token in the place of some tokens; of none where it is already."""
        if mark is None or bool((self.ids == mark).any()):
            return self
        drawn = np.random.default_rng(0).random(self.ids.shape) < MASKED
        return Tokens(np.where(drawn & (self.mask == 1), mark, self.ids), self.mask, self.source)

    def halves(self) -> tuple[Tokens, Tokens]:
        """Return two halves, of alternate stretches of the text: neighbouring paragraphs are alike."""
        first, second = (Tokens(self.ids[half], self.mask[half], self.source) for half in in_halves(len(self.ids)))
        return first, second

    def batches(self, size: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Split into batches of paragraphs of similar length, each cut to its longest one."""
        order = np.argsort(self.mask.sum(axis=1), kind="stable")
        batches = []
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            longest = int(self.mask[rows].sum(axis=1).max())
            batches.append((torch.from_numpy(self.ids[rows, :longest]), torch.from_numpy(self.mask[rows, :longest])))
        return batches


def in_halves(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows are in one half and which in the other."""
    stretch = max(1, min(STRETCH, rows // 4))
    second = np.arange(rows) // stretch % 2 == 1
    if not second.any():
        raise CalibrationError(
            f"two rows of text at least are needed for two halves, got {rows}; give a longer text, or shorter rows "
            "(max_tokens)"
        )
    return np.flatnonzero(~second), np.flatnonzero(second)


def python_topics(held_out: bool) -> list[str]:
    """Return ``help()``'s topics (pydoc_data.topics); every second topic is held out of calibration.

    Topics repeat paragraphs of each other: what is held out leaves out those that calibration sees.
    """
    from pydoc_data.topics import topics

    texts = [topics[name] for name in sorted(topics)]
    if not held_out:
        return texts[::2]
    seen = {" ".join(piece.split()) for text in texts[::2] for piece in _pieces(text)}
    return ["\n\n".join(p for p in _pieces(text) if " ".join(p.split()) not in seen) for text in texts[1::2]]


def python_documentation(held_out: bool) -> list[str]:
    """Return the paragraphs of `python_topics`, each once."""
    return list(dict.fromkeys(piece for topic in python_topics(held_out) for piece in paragraphs(topic)))


def _pieces(text: str) -> list[str]:
    return re.split(r"\n(?:[ \t]*\n)+", text.replace("\r\n", "\n"))


def paragraphs(text: str) -> list[str]:
    """Split at blank lines; pieces of fewer than eight words (headings, rules) are dropped."""
    pieces = (" ".join(piece.split()) for piece in _pieces(text))
    return [piece for piece in pieces if len(piece.split()) >= 8]


def read_documents(text: Text, *, held_out: bool = False) -> tuple[list[str], str, bool]:
    """Return documents, their source, and whether paragraphs are to be found in them or they are given as wanted.

    `text` is "pydoc", a .txt file (one document), a .jsonl file (field "text"), or the strings given.
    """
    if isinstance(text, str) and text == "pydoc":
        return python_topics(held_out), f"pydoc_data.topics, {'odd' if held_out else 'even'} topics", True
    if not isinstance(text, str | Path):
        try:
            return [_string(item) for item in text], "strings given by the caller", False
        except TypeError as error:
            raise CalibrationError(f"a text must be a list of strings: {error}") from error
    path = Path(text)
    if not path.is_file():
        raise CalibrationError(
            f"a text must be 'pydoc', a .txt, .jsonl or .npy file that exists, or a list of strings, got {text}"
        )
    try:
        content = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CalibrationError(f"{path.name} is not UTF-8 text ({error}); convert it first") from error
    if path.suffix != ".jsonl":
        return [content], path.name, True
    try:
        lines = [_string(json.loads(line)["text"]) for line in content.splitlines() if line.strip()]
    except (json.JSONDecodeError, KeyError, TypeError, RecursionError) as error:
        raise CalibrationError(f'{path.name}: each line must be a JSON object with a "text" field ({error})') from error
    return lines, path.name, False


def _string(item: object) -> str:
    if not isinstance(item, str):
        raise TypeError(f"a string was expected, got {item!r}")
    return item


def tokenize(
    text: Text, tokenizer: Any, *, max_tokens: int = 64, packed: bool = False, held_out: bool = False
) -> Tokens:
    """Tokenise a text into rows of at most `max_tokens` tokens.

    Parameters
    ----------
    text : "pydoc", path, list of str or array of int
        The Python documentation; a .txt file (paragraphs between blank lines), a .jsonl file (field "text"), a .npy
        file of token ids; strings; token ids.
    tokenizer : transformers tokenizer
        Of the model.
    max_tokens : int
        Longest row.
    packed : bool
        False: a row is a paragraph, cut at `max_tokens`. True: the documents are joined, the tokenizer's end mark
        between them, and cut into full rows; what language models are trained and measured on.
    held_out : bool
        Of "pydoc": the topics that calibration does not see.

    Raises
    ------
    CalibrationError
        The text is missing, malformed, or has fewer than 256 tokens.
    OptionError
        `max_tokens` is below 2.
    """
    max_tokens = whole_number("max_tokens", max_tokens, 2)
    ids = _given_ids(text)
    if ids is not None:
        source = Path(text).name if isinstance(text, str | Path) else "token ids given by the caller"
        rows = [row.tolist() for row in ids] if ids.ndim == 2 else _cut(ids.tolist(), max_tokens)
        return _padded([row[:max_tokens] for row in rows], source)
    documents, source, split = read_documents(text, held_out=held_out)
    if packed:
        end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
        encoded = (tokenizer(document, verbose=False)["input_ids"] for document in documents)
        return _padded(_cut([token for row in encoded for token in (*row, *end)], max_tokens), source)
    pieces = list(dict.fromkeys(p for document in documents for p in paragraphs(document))) if split else documents
    return _padded([tokenizer(piece, truncation=True, max_length=max_tokens)["input_ids"] for piece in pieces], source)


def _given_ids(text: Text) -> np.ndarray | None:
    """Token ids, where `text` is an array or names a .npy file."""
    if isinstance(text, str | Path) and Path(text).suffix == ".npy" and Path(text).is_file():
        try:
            with np.errstate(over="raise"):  # a header may declare more than there is, or than can be counted
                text = np.load(text, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, ArithmeticError) as error:
            raise CalibrationError(f"{text} is not an array of token ids ({error}); save it with numpy.save") from error
    if not isinstance(text, np.ndarray):
        return None
    if text.dtype.kind not in "iu" or text.ndim not in (1, 2) or (text.size and int(text.min()) < 0):
        raise CalibrationError(
            f"token ids must be a 1-D or 2-D array of whole numbers from 0 on, got {text.dtype}, shape {text.shape}"
        )
    return text.astype(np.int64)


def _cut(ids: list[int], length: int) -> list[list[int]]:
    """Cut a sequence into full rows; one that does not fill a row is a row itself."""
    full = [ids[start : start + length] for start in range(0, len(ids) - length + 1, length)]
    return full or [ids]


def _padded(rows: list[list[int]], source: str) -> Tokens:
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
