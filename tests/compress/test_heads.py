"""What a model is for: the class that holds it, what counts of its output, and how near its answers stay."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from infimum import compress  # noqa: E402
from infimum.compress.measure import outputs  # noqa: E402
from infimum.errors import CheckpointError  # noqa: E402
from tests.compress.conftest import saved_again_is_the_same, sentences, tiny_bert, tiny_llama, write  # noqa: E402
from tests.compress.tiny_configs import tiny_config  # noqa: E402


def classifier(kind: str, **options: Any) -> Any:
    torch.manual_seed(1)
    base = (tiny_llama() if kind.startswith("Llama") else tiny_bert()).config
    for name, value in {"num_labels": 5, **options}.items():
        setattr(base, name, value)
    return getattr(transformers, kind)(base)


CLASSES: dict[str, Callable[[], Any]] = {
    "classifier": lambda: classifier("BertForSequenceClassification"),
    "decoder": lambda: classifier("LlamaForSequenceClassification"),
    "tagger": lambda: classifier("BertForTokenClassification"),
    "reranker": lambda: classifier("BertForSequenceClassification", num_labels=1),
    "labels": lambda: classifier("BertForSequenceClassification", problem_type="multi_label_classification"),
    "answers": lambda: classifier("BertForQuestionAnswering", num_labels=2),
    "masked": lambda: classifier("BertForMaskedLM"),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("heads")
    return {name: write(make(), root / name) for name, make in CLASSES.items()}


FAST = ("classifier", "decoder", "masked")


@pytest.mark.parametrize("name", [*FAST, *(pytest.param(n, marks=pytest.mark.slow) for n in CLASSES if n not in FAST)])
def test_the_class_and_its_head_survive(
    name: str, folders: dict[str, Path], text: list[str], tmp_path: Path, code_cache: None
) -> None:
    plan = compress.plan(folders[name], remove=0.3, menu=("ranks",), calib=text)
    assert plan.moments.goal == "logits"
    out = plan.save(tmp_path / "out")
    model = compress.load(out)
    assert type(model) is type(plan.checkpoint.load())
    saved_again_is_the_same(out, tmp_path / "again")
    compress.verify(out)
    stock = getattr(transformers, plan.checkpoint.head.loader).from_pretrained(out, trust_remote_code=True).eval()
    found = compress.agreement(model, stock, plan.moments.tokens)
    assert found.divergence < 1e-9
    assert found.same > 1.0 - 1e-9
    head = {name: p for name, p in plan.checkpoint.load().named_parameters() if "classifier" in name or "score" in name}
    kept = dict(compress.load(tmp_path / "again").named_parameters())
    replaced = {f"{row.name}.weight" for row in plan.table if row.form != "dense"}
    assert all(torch.equal(kept[name], head[name]) for name in head.keys() - replaced)


@pytest.mark.parametrize("kind", ["one of many", "each or none", "number"])
def test_the_curvature_of_the_divergence(kind: outputs.Answer) -> None:
    """Over all directions of an orthonormal noise, the mean square is the divergence of a small change."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((7, 4), generator=generator, dtype=torch.float64)
    change = 1e-4 * torch.randn((7, 4), generator=generator, dtype=torch.float64)
    total = torch.zeros(7, dtype=torch.float64)
    for axis in torch.eye(4, dtype=torch.float64):
        v = outputs.curvature(logits, axis.expand(7, 4), kind)
        total += (v * change).sum(dim=1) ** 2
    torch.testing.assert_close(total, outputs.divergence(logits, logits + change, kind), rtol=1e-3, atol=0.0)


@pytest.mark.parametrize("pad", [None, 0, 3])
def test_a_decoder_finds_the_end_of_each_text(pad: int | None, text: list[str], folders: dict[str, Path]) -> None:
    tokens = compress.tokens_for(folders["decoder"], text)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folders["decoder"]).eval()
    model.config.pad_token_id = pad
    with torch.no_grad():
        for ids, mask in tokens.batches(8)[:2]:
            together = outputs.answers(model, ids, mask)
            alone = [outputs.answers(model, row[None, :size], torch.ones((1, size), dtype=torch.int64))
                     for row, size in zip(ids, mask.sum(dim=1).tolist(), strict=True)]  # fmt: skip
            torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)
    assert model.config.pad_token_id == pad


@pytest.mark.parametrize(
    "name", ["decoder", "tagger", *(pytest.param(name, marks=pytest.mark.slow) for name in ("classifier", "reranker"))]
)
def test_answers_stay_nearer_than_by_embeddings(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    """The same removal, once for what the class returns and once for the embedding of the model under the head."""
    checkpoint, text = compress.open_checkpoint(folders[name]), sentences(160, seed=1)
    held_out = compress.tokens_for(checkpoint, sentences(100, seed=7))
    own = compress.plan(checkpoint, remove=0.3, menu=("ranks",), calib=text)
    original = checkpoint.load()
    write_base = tmp_path / "base"
    base: Any = original.base_model
    base.save_pretrained(write_base)
    for file in checkpoint.path.glob("tokenizer*"):
        (write_base / file.name).write_bytes(file.read_bytes())
    embedded = compress.plan(write_base, remove=0.3, menu=("ranks",), calib=text)
    rival = checkpoint.load()
    embedded.apply(rival.base_model)
    ours = own.apply(checkpoint.load())
    far, near = (compress.agreement(original, model, held_out).divergence for model in (rival, ours))
    assert near < far


def test_a_model_compared_with_itself(folders: dict[str, Path], text: list[str]) -> None:
    for name, folder in folders.items():
        model, tokens = compress.open_checkpoint(folder).load(), compress.tokens_for(folder, text)
        score = compress.scorer(model, tokens)(model)
        assert isinstance(score, compress.Agreement)
        assert (score.divergence, score.same) == (0.0, pytest.approx(1.0))
        wanted = {"tagger": tokens.count, "masked": tokens.count, "answers": 2 * len(tokens.ids)}
        assert score.answers == wanted.get(name, len(tokens.ids))


def pooled(folder: Path, settings: dict[str, Any]) -> Path:
    (folder / "modules.json").write_text(
        json.dumps(
            [
                {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
                {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            ]
        )
    )
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(settings))
    return folder


def test_how_sentence_encoders_pool(tmp_path: Path, text: list[str]) -> None:
    folder = write(tiny_llama(), tmp_path / "encoder")
    chosen = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": False, "pooling_mode_lasttoken": True}
    plan = compress.plan(pooled(folder, chosen), remove=0.2, menu=("ranks",), calib=text)
    assert (plan.checkpoint.head.loader, plan.moments.goal) == ("AutoModel", "embedding")
    out = plan.save(tmp_path / "out")
    compress.verify(out)
    model, tokens = compress.load(out), plan.moments.tokens
    found = compress.embeddings(model, tokens, pooling=plan.checkpoint.head.pooling)
    sizes = [int(mask.sum()) for mask in tokens.mask]
    ids = torch.from_numpy(tokens.ids)
    with torch.no_grad():
        last = [
            model(input_ids=row[None, :size]).last_hidden_state[0, -1] for row, size in zip(ids, sizes, strict=True)
        ]
    wanted = torch.nn.functional.normalize(torch.stack(last), dim=-1)
    order = sorted(range(len(sizes)), key=lambda row: sizes[row])  # batches are of similar length
    torch.testing.assert_close(found, wanted[order], rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("code_cache")
@pytest.mark.parametrize("is_pooled", [True, False])
def test_half_of_t5(is_pooled: bool, text: list[str], tmp_path: Path) -> None:
    torch.manual_seed(0)
    folder = write(transformers.T5EncoderModel(tiny_config("t5")), tmp_path / "model")
    if is_pooled:
        pooled(folder, {"pooling_mode": "mean"})
    plan = compress.plan(folder, remove=0.3, menu=("ranks",), calib=text)
    assert (plan.checkpoint.head.loader, plan.moments.goal) == ("AutoModelForTextEncoding", "embedding")
    assert not [row.name for row in plan.table if row.note]
    out, tokens = plan.save(tmp_path / "out"), plan.moments.tokens
    compress.verify(out)
    wanted = compress.embeddings(plan.apply(plan.checkpoint.load()), tokens)
    stock = transformers.AutoModelForTextEncoding.from_pretrained(out, trust_remote_code=True).eval()
    for model in (compress.load(out), stock):
        torch.testing.assert_close(compress.embeddings(model, tokens), wanted)


@pytest.mark.parametrize("settings", [{"pooling_mode": "cls"}, {"pooling_mode_cls_token": True}])
def test_both_spellings_of_the_pooling(settings: dict[str, Any], tmp_path: Path) -> None:
    folder = pooled(write(tiny_bert(), tmp_path / "bert"), settings)
    assert compress.open_checkpoint(folder).head.pooling == "cls"


def test_a_pooling_that_is_not_supported(tmp_path: Path) -> None:
    folder = pooled(write(tiny_bert(), tmp_path / "bert"), {"pooling_mode_max_tokens": True})
    with pytest.raises(CheckpointError, match=r"pools the vectors of its tokens by .*max_tokens"):
        _ = compress.open_checkpoint(folder).head


@pytest.mark.parametrize("path", ["../elsewhere", "2_Nowhere", 7])
def test_a_pooling_that_cannot_be_read(path: object, tmp_path: Path) -> None:
    folder = pooled(write(tiny_bert(), tmp_path / "bert"), {"pooling_mode": "cls"})
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "config.json").write_text('{"pooling_mode": "cls"}')
    (folder / "modules.json").write_text(json.dumps([{"path": path, "type": "sentence_transformers.models.Pooling"}]))
    with pytest.raises(CheckpointError, match=r"leads out of the folder|is no file|names no pooling"):
        compress.open_checkpoint(folder)


def test_masked_tokens_are_what_is_predicted(folders: dict[str, Path], text: list[str]) -> None:
    tokens = compress.tokens_for(folders["classifier"], text)
    masked = tokens.masked(63)
    changed = (masked.ids != tokens.ids).sum() / tokens.count
    assert 0.1 < changed < 0.2
    assert (masked.ids[masked.ids != tokens.ids] == 63).all()
    assert masked.masked(63) is masked
    assert tokens.masked(None) is tokens


def test_an_encoder_and_decoder(text: list[str], tmp_path: Path) -> None:
    torch.manual_seed(0)
    sizes = {"vocab_size": 64, "d_model": 24, "d_kv": 12, "d_ff": 40, "num_layers": 2, "num_heads": 2}
    starts = {"decoder_start_token_id": 0, "pad_token_id": 0}
    folder = write(transformers.T5ForConditionalGeneration(transformers.T5Config(**sizes, **starts)), tmp_path / "t5")
    moments = compress.calibrate(folder, text, max_tokens=64, split=True)
    plan = compress.plan(folder, remove=0.3, menu=("ranks",), moments=moments)
    assert set(plan.moments.layers) == {layer.name for layer in plan.checkpoint.layers}  # on both sides
    model, ((ids, mask), *_) = plan.checkpoint.load(), plan.moments.tokens.batches(2)
    half = ids.shape[1] // 2
    with torch.no_grad():
        losses = outputs.token_losses(model, ids, mask)
        read, asked = ids[:, :half].contiguous(), ids[:, half:].contiguous()
        stock = model(input_ids=read, attention_mask=mask[:, :half], labels=asked).loss
    assert float(losses.sum()) / int(outputs.predicted(model, ids, mask).sum()) == pytest.approx(float(stock), rel=1e-5)
    out = plan.save(tmp_path / "out")
    compress.verify(out)
    before, after = (compress.perplexity(m, plan.moments.tokens).loss for m in (plan.apply(model), compress.load(out)))
    assert after == pytest.approx(before, rel=1e-5)
