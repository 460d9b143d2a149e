"""Texts and moments."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from infimum import compress  # noqa: E402
from infimum.compress.measure.outputs import embedding  # noqa: E402
from infimum.compress.measure.text import paragraphs, python_documentation  # noqa: E402
from infimum.errors import CalibrationError, OptionError  # noqa: E402
from tests.compress.conftest import WORDS, sentences  # noqa: E402


@pytest.fixture(scope="module")
def tokenizer(bert: Path) -> transformers.PreTrainedTokenizerBase:
    return transformers.AutoTokenizer.from_pretrained(bert)


def test_paragraphs_are_split_at_blank_lines() -> None:
    text = "Title\n=====\r\n\r\none two three four\nfive six seven eight\n\n\nand one two three four five six seven\n"
    assert paragraphs(text) == ["one two three four five six seven eight", "and one two three four five six seven"]


def test_held_out_topics_are_other_topics() -> None:
    used, unused = (python_documentation(held_out) for held_out in (False, True))
    assert len(used) > 800
    assert len(unused) > 500
    assert not set(used) & set(unused)  # topics repeat each other


def test_files_and_strings_agree(tmp_path: Path, tokenizer: transformers.PreTrainedTokenizerBase) -> None:
    text = sentences(30, seed=4)
    (tmp_path / "a.txt").write_text("\n\n".join(text))
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"text": line}) for line in text) + "\n\n")
    expected = compress.tokenize(text, tokenizer)
    for source in (tmp_path / "a.txt", str(tmp_path / "a.jsonl")):
        assert compress.tokenize(source, tokenizer).sha256 == expected.sha256
    assert expected.count == sum(len(line.split()) for line in text)
    assert int(compress.tokenize(text, tokenizer, max_tokens=10).mask.sum(axis=1).max()) == 10


def test_batches_hold_every_token_once(tokenizer: transformers.PreTrainedTokenizerBase) -> None:
    tokens = compress.tokenize(sentences(37, seed=5), tokenizer)
    batches = tokens.batches(8)
    assert sum(int(mask.sum()) for _, mask in batches) == tokens.count
    assert all(int(mask.sum(dim=1).max()) == mask.shape[1] for _, mask in batches)
    widths = [mask.shape[1] for _, mask in batches]
    assert widths == sorted(widths)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "no such file": (lambda folder: folder / "none.txt", "must be 'pydoc'"),
    "empty list": (lambda _: [], "at least 256 tokens"),
    "too short": (lambda _: sentences(5, seed=0), "give a longer text"),
    "not strings": (lambda _: [1, 2, 3], "list of strings"),
    "latin-1": (lambda folder: _written(folder / "a.txt", "é".encode("latin-1")), "not UTF-8"),
    "broken lines": (lambda folder: _written(folder / "a.jsonl", b'{"text": "a"}\n{'), "JSON object"),
    "other field": (lambda folder: _written(folder / "a.jsonl", b'{"content": "a"}'), '"text" field'),
    "number": (lambda folder: _written(folder / "a.jsonl", b'{"text": 3}'), '"text" field'),
}


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", BAD)
def test_unusable_text(tmp_path: Path, bert: Path, name: str) -> None:
    make, message = BAD[name]
    with pytest.raises(CalibrationError, match=message):
        compress.plan(bert, calib=make(tmp_path), menu=("ranks",))


def test_moments_are_those_of_the_weight_gradient(bert: Path, text: list[str]) -> None:
    """Against autograd's own weight gradients, paragraph by paragraph."""
    moments = compress.calibrate(bert, text, seed=3)
    model = compress.open_checkpoint(bert).load()
    name = "encoder.layer.1.intermediate.dense"
    weight = model.get_submodule(name).weight
    generator = torch.Generator().manual_seed(3)
    right, left, inputs, rows = np.zeros((24, 24)), np.zeros((40, 40)), np.zeros((24, 24)), 0
    seen: list[torch.Tensor] = []
    model.get_submodule(name).register_forward_hook(lambda _m, args, _o: seen.append(args[0].detach()))
    for ids, mask in moments.tokens.batches(16):
        direction = torch.randn(len(ids), 24, generator=generator)
        for row in range(len(ids)):
            length = int(mask[row].sum())
            output = embedding(model, ids[row : row + 1, :length], mask[row : row + 1, :length])
            (gradient,) = torch.autograd.grad(output, weight, direction[row : row + 1])
            D = gradient.double().numpy()
            right, left = right + D.T @ D, left + D @ D.T
            x = seen.pop()[0].double().numpy()
            inputs, rows = inputs + x.T @ x, rows + length
    found = moments.layers[name]
    np.testing.assert_allclose(found.right, right / len(moments.tokens.ids), rtol=1e-3, atol=1e-5 * right.max())
    np.testing.assert_allclose(found.left, left / np.trace(left), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found.inputs, inputs / rows, rtol=1e-4, atol=1e-5 * inputs.max() / rows)


def test_moments_are_semidefinite_and_scaled(bert: Path, text: list[str]) -> None:
    moments = compress.calibrate(bert, text, projections=3)
    assert moments.projections == 3
    with pytest.raises(OptionError, match="projections must be at least 1, got 0"):
        compress.calibrate(bert, text, projections=0)
    assert "pooler.dense" not in moments.layers
    for name, found in moments.layers.items():
        embeds = name == "embeddings.word_embeddings"
        for moment in (found.inputs, found.right, *(() if embeds else (found.left,))):
            assert np.linalg.eigvalsh(moment)[0] > 0.0
            assert np.array_equal(moment, moment.T)
        assert np.trace(found.right if embeds else found.left) == pytest.approx(1.0)


def test_more_projections_agree_on_the_whole(bert: Path, text: list[str]) -> None:
    one, many = (compress.calibrate(bert, text, projections=count).layers for count in (1, 8))
    for name in one:
        assert np.trace(one[name].right) == pytest.approx(np.trace(many[name].right), rel=0.6)


@pytest.mark.parametrize("shape", ["(1000000000000,)", "(10, 10)", "(1000000000000, 1000000000000)"])
def test_token_ids_that_declare_more_than_there_is(shape: str, bert: Path, tmp_path: Path) -> None:
    header = f"{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()
    for name, written in (("many.npy", content), ("none.npy", b"")):
        (tmp_path / name).write_bytes(written)
        with pytest.raises(CalibrationError, match="not an array of token ids") as caught:
            compress.tokens_for(bert, tmp_path / name)
        assert "\n" not in str(caught.value)


def test_the_half_that_judges_draws_directions_of_its_own(bert: Path) -> None:
    """With the same directions in both halves, what gives up all others would look harmless to the judge."""
    halves = compress.calibrate(bert, [" ".join(WORDS)] * 16, split=True)  # two halves of the same text
    assert halves.judge is not None
    for name in (f"encoder.layer.{block}.{part}.dense" for block in range(2) for part in ("intermediate", "output")):
        made, judge = halves.layers[name], halves.judge[name]
        np.testing.assert_allclose(judge.inputs, made.inputs, atol=1e-6)
        assert np.abs(judge.left - made.left).max() > 0.1 * np.abs(made.left).max()


@pytest.mark.parametrize("model", ["bert", "llama"])
def test_halves_joined_are_the_whole(model: str, text: list[str], request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(model)
    halves, whole = (compress.calibrate(folder, text, split=split) for split in (True, False))
    joined = halves.joined()
    assert joined.judge is None
    assert joined.tokens is halves.tokens
    assert list(joined.layers) == list(halves.layers)
    # the halves of an encoder's text have gradients along directions of their own, and embeddings have gradients alone
    compared = ("inputs",) if model == "bert" else ("inputs", "right", "left")
    for name, moments in joined.layers.items():
        for part in () if "embed" in name and model == "bert" else compared:
            wanted = getattr(whole.layers[name], part)
            assert getattr(moments, part) == pytest.approx(wanted, rel=1e-5, abs=1e-5 * float(np.max(wanted))), name
    compress.plan(folder, moments=joined, menu=("ranks",), remove=0.2)
