"""GGUF outputs in the engine that runs them: llama.cpp.

It multiplies blocks of weights by activations of eight bits, so that its numbers are near ours and not the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("gguf")
xllamacpp = pytest.importorskip("xllamacpp")

from infimum import compress  # noqa: E402
from infimum.cli.language_model import MODEL_PACKAGE, model_folder  # noqa: E402
from infimum.compress.menu.gguf_model import FILE  # noqa: E402
from tests.compress.gguf_models import KINDS, tiny_model  # noqa: E402
from tests.compress.llama_engine import Engine  # noqa: E402

(LIBRARY,) = Path(xllamacpp.__file__).parent.glob("xllamacpp.*")


@contextmanager
def engine_of(out: Path, longest: int) -> Iterator[Engine]:
    engine = Engine(LIBRARY, out / FILE, longest)
    yield engine
    engine.close()


def scores(out: Path, rows: list[list[int]]) -> torch.Tensor:
    """Return the engine's log probabilities of each next token of some rows."""
    with engine_of(out, max(map(len, rows))) as engine:
        return torch.cat([log_probabilities(torch.from_numpy(engine.logits(row)), row) for row in rows])


def log_probabilities(logits: torch.Tensor, row: list[int]) -> torch.Tensor:
    return torch.log_softmax(logits.double(), -1)[torch.arange(len(row) - 1), torch.tensor(row[1:])]


def own_scores(out: Path, rows: list[list[int]]) -> torch.Tensor:
    model = compress.load(out)
    with torch.no_grad():
        return torch.cat([log_probabilities(model(torch.tensor([row])).logits[0], row) for row in rows])


def rows_of(tokens: compress.Tokens, longest: int) -> list[list[int]]:
    kept = zip(tokens.ids, tokens.mask, strict=True)
    return [ids[mask == 1][:longest].tolist() for ids, mask in kept if int(mask.sum()) > 8]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("remove", [0.0, 0.8])
def test_the_engine_computes_what_we_do(kind: str, remove: float, text: list[str], tmp_path: Path) -> None:
    plan = compress.plan(tiny_model(kind, tmp_path / "model"), remove=remove, format="gguf", calib=text)
    out = plan.save(tmp_path / "out")
    rows = rows_of(compress.tokens_for(plan.checkpoint, text), 100)[:6]
    ours, theirs = own_scores(out, rows), scores(out, rows)
    if remove == 0.0:
        assert float((ours - theirs).abs().max()) < 1e-2
    assert abs(float(ours.mean() - theirs.mean())) < 0.01  # of the perplexities one per cent
    said = "word1 word2: été\n"
    with engine_of(out, 8) as engine:
        assert engine.tokenize(said) == transformers.AutoTokenizer.from_pretrained(out)(said)["input_ids"]


@pytest.mark.slow
@pytest.mark.skipif(find_spec(MODEL_PACKAGE) is None, reason="needs a real language model: make .venv/.demo-lm")
def test_a_real_model_has_our_perplexity(tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    some = [f"model.layers.{index}.*" for index in (3, 14, 25)]
    options = {"only": some, "tokens": 2048, "calib": "pydoc", "format": "gguf"}
    plan = compress.plan(model_folder(tmp_path), remove=0.085, **options)
    out = plan.save(tmp_path / "out")
    assert len({row.form for row in plan.table}) > 3
    held_out = compress.tokens_for(plan.checkpoint, "pydoc", held_out=True).sample(2048, seed=0)
    rows = rows_of(held_out, 512)
    ours, theirs = (np.exp(-float(each.mean())) for each in (own_scores(out, rows), scores(out, rows)))
    assert theirs == pytest.approx(ours, rel=0.01)
