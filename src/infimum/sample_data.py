"""Real inputs, carried by every Python installation or by this package, so that examples need no download."""

from __future__ import annotations

import importlib.resources
import re
from collections import Counter
from functools import cache
from typing import NamedTuple

import numpy as np

__all__ = ["TermDocument", "python_documentation", "router_scores"]


class TermDocument(NamedTuple):
    """A term-document matrix: tf-idf weights (terms x topics), with the names of both axes."""

    weights: np.ndarray
    terms: tuple[str, ...]
    topics: tuple[str, ...]


@cache
def python_documentation() -> TermDocument:
    """Tf-idf weights of the words in the topics of ``help()`` (pydoc_data.topics), terms in at least three topics.

    Each topic is a column of unit length; ``weights[i, j]`` is ``tf * log(topics / document frequency)`` before that.
    """
    from pydoc_data.topics import topics  # a large module: only when asked for

    names = tuple(sorted(topics))
    counts = [Counter(re.findall(r"[a-z]{3,}", topics[name].lower())) for name in names]
    frequency = Counter(word for count in counts for word in count)
    terms = tuple(sorted(word for word, topics_with_it in frequency.items() if topics_with_it >= 3))
    tf = np.array([[count[word] for count in counts] for word in terms], dtype=np.float64)
    idf = np.log(len(names) / np.array([frequency[word] for word in terms]))
    weights = tf * idf[:, None]
    weights /= np.linalg.norm(weights, axis=0)
    weights.setflags(write=False)  # shared by every caller
    return TermDocument(weights, terms, names)


@cache
def router_scores() -> np.ndarray:
    """Scores of a trained router for 1024 tokens of text and 32 experts, float32; the model uses k = 4 of them.

    They are the sigmoid scores, before the bias, of the held-out documentation of Python in the language model of
    ``examples/moe_language_model.py`` (rule "sign", rate 0.001, seed 0), which writes them.
    """
    with (importlib.resources.files("infimum") / "data" / "router_scores.npy").open("rb") as file:
        scores: np.ndarray = np.load(file, allow_pickle=False)
    scores.setflags(write=False)  # shared by every caller
    return scores


def __dir__() -> list[str]:
    return __all__
