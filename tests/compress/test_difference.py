"""Two models on one text, compared row by row."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from infimum import compress  # noqa: E402
from infimum.errors import OptionError  # noqa: E402
from tests.compress.conftest import sentences, tiny_llama, write  # noqa: E402


def score(losses: np.ndarray, counts: np.ndarray) -> compress.Perplexity:
    loss, total = losses.sum() / counts.sum(), int(counts.sum())
    rows = tuple(zip(losses.tolist(), counts.tolist(), strict=True))
    return compress.Perplexity(math.exp(loss), float(loss), total, total, rows)


def test_means_and_standard_errors_are_those_of_other_texts() -> None:
    """Over many texts the differences scatter as the standard error of each says."""
    rng, means, said = np.random.default_rng(0), [], []
    for _ in range(400):
        counts = rng.integers(20, 60, 50)
        hard = rng.gamma(3.0, 1.0, 50)
        before = counts * hard + rng.standard_normal(50)
        after = before + counts * (0.02 + 0.05 * rng.standard_normal(50))
        found = compress.difference(score(before, counts), score(after, counts))
        means.append(found.mean)
        said.append(found.standard_error)
    assert np.mean(means) == pytest.approx(0.02, abs=0.002)
    assert np.std(means) == pytest.approx(np.mean(said), rel=0.1)


def test_a_difference_is_that_of_the_losses(tmp_path: Path) -> None:
    folder = write(tiny_llama(), tmp_path / "model")
    tokens = compress.tokenize(sentences(40, seed=2), transformers.AutoTokenizer.from_pretrained(folder))
    out = compress.plan(folder, remove=0.7, calib=sentences(40, seed=1), menu=("bits",)).save(tmp_path / "out")
    first, second = (compress.perplexity(compress.load_any(each), tokens) for each in (folder, out))
    found = compress.difference(first, second)
    assert found.mean == pytest.approx(second.loss - first.loss, rel=1e-9, abs=1e-12)
    assert found.rows == len(tokens.ids)
    same = compress.difference(first, first)
    assert (same.mean, same.standard_error, same.is_told_apart) == (0.0, 0.0, False)
    assert compress.difference(second, first).mean == -found.mean


def test_what_cannot_be_compared_is_refused() -> None:
    one = score(np.ones(3), np.full(3, 2))
    for other in (
        score(np.ones(3), np.full(3, 3)),
        score(np.ones(2), np.full(2, 2)),
        compress.Similarity(1.0, 1.0, 3, 6, ((1.0, 2),) * 3),
        dataclasses.replace(one, rows=()),
    ):
        with pytest.raises(OptionError, match="the same text of several rows"):
            compress.difference(one, other)
    single = score(np.ones(1), np.ones(1, dtype=int))
    with pytest.raises(OptionError, match="several rows"):
        compress.difference(single, single)
