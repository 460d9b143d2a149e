"""Embeddings and output heads of few bits: their moments, what is offered, what is stored, and what is refused."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file  # noqa: E402

from infimum import compress  # noqa: E402
from infimum.compress.file_size import files_bytes  # noqa: E402
from infimum.compress.measure.outputs import embedding  # noqa: E402
from infimum.compress.menu.grid_loops import Shape  # noqa: E402
from infimum.compress.menu.rounding import factors, round_matrix  # noqa: E402
from infimum.errors import BudgetError, OptionError  # noqa: E402
from infimum.nn import QuantizedEmbedding, QuantizedLinear  # noqa: E402
from infimum.nn.packed import TiedLinear  # noqa: E402
from tests.compress.conftest import sentences, tiny_bert, tiny_llama, write  # noqa: E402
from tests.compress.test_forgeries import change as forge  # noqa: E402
from tests.compress.test_forgeries import refused, seal  # noqa: E402

MODELS: dict[str, tuple[Callable[[], Any], str, float]] = {
    "bert": (tiny_bert, "embeddings.word_embeddings", 0.6),
    "tied": (tiny_llama, "model.embed_tokens", 0.78),
    "untied": (partial(tiny_llama, False), "model.embed_tokens", 0.78),
}


@pytest.fixture(scope="module")
def calibration() -> list[str]:
    return sentences(60, seed=1)


@pytest.fixture(scope="module", params=list(MODELS))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    return request.param, write(MODELS[request.param][0](), tmp_path_factory.mktemp("vocabulary") / request.param)


@pytest.fixture(scope="module")
def planned(folder: tuple[str, Path], calibration: list[str]) -> compress.Plan:
    return compress.plan(folder[1], of="bytes", remove=MODELS[folder[0]][2], calib=calibration, menu=("bits",))


@pytest.fixture(scope="module")
def out(planned: compress.Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planned.save(tmp_path_factory.mktemp("written") / "out")


def answers(model: Any) -> torch.Tensor:
    ids = torch.arange(60).view(3, 20) + 2
    with torch.no_grad():
        found = model(input_ids=ids)
    return found.logits if hasattr(found, "logits") else found.last_hidden_state


def measured(model: Any, goal: str, tokens: compress.Tokens, weight: torch.Tensor, change: torch.Tensor) -> float:
    """What a small change does, per its square: to embeddings, or to the predictions (Kullback-Leibler, per token)."""
    ids, mask = torch.from_numpy(tokens.ids), torch.from_numpy(tokens.mask)

    def outcome() -> torch.Tensor:
        if goal == "embedding":
            return embedding(model, ids, mask)
        return model(input_ids=ids, attention_mask=mask).logits.double().log_softmax(-1)[:, :-1]

    step = 1e-3
    with torch.no_grad():
        before = outcome()
        weight += step * change
        after = outcome()
        weight -= step * change
    if goal == "embedding":
        return float(((after - before) ** 2).sum(dim=1).mean()) / step**2
    return float(((before.exp() * (before - after)).sum(-1) * mask[:, 1:]).sum()) / tokens.count / step**2


def test_moments_model_what_a_small_change_does(folder: tuple[str, Path], calibration: list[str]) -> None:
    checkpoint = compress.open_checkpoint(folder[1])
    moments, model = compress.calibrate(checkpoint, calibration, projections=4), checkpoint.load()
    generator = torch.Generator().manual_seed(0)
    assert [layer.name for layer in checkpoint.vocabulary] == (
        [MODELS[folder[0]][1]] if folder[0] != "untied" else [MODELS[folder[0]][1], "lm_head"]
    )
    for layer in checkpoint.vocabulary:
        names = [layer.name, *(head for head, shared in checkpoint.tied.items() if shared == layer.name)]
        found = [moments.layers[name] for name in names]
        weight: Any = model.get_submodule(layer.name).weight
        ratios = []
        for _ in range(4):
            change = torch.randn(layer.shape, generator=generator) * weight.detach().std()
            D = change.double().numpy()
            modelled = sum(float(np.sum(each.left[:, None] * (D @ each.right) * D)) for each in found)
            ratios.append(modelled / measured(model, checkpoint.head.goal, moments.tokens, weight, change))
        assert np.mean(ratios) == pytest.approx(1.0, abs=0.25)  # for linear layers: between 0.6 and 1.4


def test_frequencies_are_those_of_the_text(folder: tuple[str, Path], calibration: list[str]) -> None:
    moments = compress.calibrate(folder[1], calibration)
    left = moments.layers[MODELS[folder[0]][1]].left
    ids, mask = moments.tokens.ids, moments.tokens.mask.astype(bool)
    counts = np.bincount(ids[mask], minlength=len(left))
    assert np.array_equal(left > 0.0, counts > 0)
    if folder[0] != "bert":
        assert left == pytest.approx(counts / moments.tokens.count, rel=1e-12)


def test_what_is_stored_is_what_every_loader_builds(
    folder: tuple[str, Path], planned: compress.Plan, out: Path, tmp_path: Path, code_cache: None
) -> None:
    rows = {row.name: row for row in planned.table}
    assert rows[MODELS[folder[0]][1]].form == "bits"
    model = compress.load(out)
    assert isinstance(model.get_input_embeddings(), QuantizedEmbedding)
    heads = {"bert": type(None), "tied": TiedLinear, "untied": QuantizedLinear}
    assert isinstance(model.get_output_embeddings(), heads[folder[0]])
    expected = answers(model)
    kind = transformers.AutoModel if folder[0] == "bert" else transformers.AutoModelForCausalLM
    remote = kind.from_pretrained(out, trust_remote_code=True).eval()
    assert torch.equal(answers(remote), expected)
    assert torch.equal(answers(planned.apply(planned.checkpoint.load())), expected)
    assert not torch.equal(answers(planned.checkpoint.load()), expected)
    for index, saved in enumerate((model, remote)):
        saved.save_pretrained(tmp_path / str(index))
        assert torch.equal(answers(compress.load(tmp_path / str(index))), expected)
    before = sum(tensor.bytes for tensor in planned.checkpoint.stored())
    after = sum(tensor.nbytes for tensor in load_file(out / "model.safetensors").values())
    assert after <= (1.0 - planned.settings.remove) * before


def test_verify_derives_what_was_claimed(planned: compress.Plan, out: Path) -> None:
    certificate = compress.verify(out)
    assert certificate.value <= planned.certificate.value
    assert certificate.lower_bound >= planned.certificate.lower_bound
    assert planned.certificate.value == pytest.approx(certificate.value, rel=1e-3)
    assert planned.certificate.gap <= 0.2 * planned.certificate.value


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("integers", lambda t: t ^ 4),
        ("zeros", lambda t: t ^ 1),
        ("scales", lambda t: t + 1),
        ("scales", lambda t: t.to(torch.int32)),
        ("integers", lambda t: t[:-1]),
    ],
)
def test_a_changed_embedding_is_refused(
    folder: tuple[str, Path], out: Path, tmp_path: Path, part: str, change: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    if part == "zeros" and folder[0] == "bert":
        pytest.skip("the normalisation behind them takes off whatever is the same in all of a vector")
    name = f"{MODELS[folder[0]][1]}.{part}"
    copy = Path(shutil.copytree(out, tmp_path / "forged"))
    refused(seal(forge(copy, lambda tensors: tensors.update({name: change(tensors[name])}))))


def test_embeddings_stay_where_they_do_not_count(bert: Path, calibration: list[str]) -> None:
    checkpoint = compress.open_checkpoint(bert)
    moments = compress.calibrate(checkpoint, calibration, split=True)
    name = MODELS["bert"][1]
    plan = partial(compress.plan, checkpoint, menu=("bits",), remove=0.2, moments=moments)
    for options in ({"of": "linear"}, {"of": "bytes", "objective": "activation"}):
        assert name not in {row.name for row in plan(**options).table}
    assert name in {row.name for row in plan(of="all").table}
    kept = plan(of="bytes", keep=["*word_embeddings"])
    assert {row.name: row.form for row in kept.table}[name] == "dense"
    with pytest.raises(OptionError, match="no linear layer is called"):
        plan(of="linear", keep=[name])


def test_rows_are_rounded_by_themselves() -> None:
    rng = np.random.default_rng(0)
    W, x = rng.standard_normal((70, 32)), rng.standard_normal((90, 32))
    right, shape = factors(x.T @ x, 0.03), Shape(3, 16)
    alone, never = round_matrix(W, right, None, shape), round_matrix(W, right, factors(np.eye(70), np.inf), shape)
    assert np.array_equal(alone.integers, never.integers)
    rows = rng.permutation(70)[:20]
    assert np.mean(round_matrix(W[rows], right, None, shape).integers == alone.integers[rows]) > 0.99


@pytest.mark.parametrize("share", [0.97, 1.03, 30.0])
def test_files_have_the_size_that_is_asked(planned: compress.Plan, tmp_path: Path, share: float) -> None:
    size = share * files_bytes(planned)
    plan = planned.with_size(size)
    written = (plan.save(tmp_path / "out") / "model.safetensors").stat().st_size
    assert written == files_bytes(plan) <= size
    if share < 2.0:
        assert written >= 0.99 * size
    else:
        assert all(row.form == "dense" for row in plan.table)
    assert compress.verify(tmp_path / "out").value <= plan.certificate.value


def test_sizes_that_are_none(planned: compress.Plan) -> None:
    with pytest.raises(BudgetError):
        planned.with_size(1000.0)
    linear = dataclasses.replace(planned, settings=dataclasses.replace(planned.settings, of="linear"))
    with pytest.raises(OptionError, match="needs a plan with of='bytes', got of='linear'"):
        linear.with_size(1e5)
