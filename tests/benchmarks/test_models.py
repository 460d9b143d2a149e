"""The rivals do what their papers say, and the benchmark of language models stores every figure once."""

import json
import sys

import numpy as np
import pytest

from benchmarks import language_models, model_speed, model_tables, records
from benchmarks.rivals import low_rank
from infimum import compress
from infimum.cli import demo_lm, language_model
from tests.cli.test_demo_lm import dump
from tests.compress.conftest import WORDS, tiny_llama, write

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    model = tiny_llama()
    with torch.no_grad():  # the second half of the channels of every MLP is never active
        for block in model.model.layers:
            block.mlp.gate_proj.weight[20:] = 0.0
    return compress.open_checkpoint(write(model, tmp_path_factory.mktemp("rivals") / "model"))


def loss(model):
    ids = torch.arange(2, 62)[None]
    return float(compress.perplexity(model, compress.Tokens(ids.numpy(), np.ones_like(ids), "test")).loss)


def test_channels_that_are_never_active_are_removed_without_loss(checkpoint):
    moments = compress.calibrate(checkpoint, [" ".join(WORDS)] * 8)
    model = checkpoint.load()
    before, linear = loss(model), sum(layer.size for layer in checkpoint.layers)
    remove = 2 * 3 * 24 * 20 / linear
    assert low_rank.modegpt_mlp(model, moments, remove) == round(remove * linear)
    assert model.model.layers[1].mlp.down_proj.weight.shape == (24, 20)
    assert loss(model) == pytest.approx(before, abs=1e-4)


def test_the_repair_leaves_nothing_that_the_kept_channels_predict(checkpoint):
    moments = compress.calibrate(checkpoint, [" ".join(WORDS)] * 8)
    name = "model.layers.0.mlp.down_proj"
    C = moments.layers[name].inputs
    model = checkpoint.load()
    before = model.get_submodule(name).weight.detach().double().numpy()
    low_rank.modegpt_mlp(model, moments, remove=0.3)
    after = model.get_submodule(name).weight.detach().double().numpy()
    kept = low_rank._leading(C * moments.tokens.count, after.shape[1])
    left = before @ C[:, kept] - after @ C[np.ix_(kept, kept)]
    assert np.abs(left).max() < 1e-4 * np.abs(before @ C).max()
    assert low_rank._leading(np.diag([3.0, 0.1, 2.0]), 2).tolist() == [0, 2]


def test_asvd_of_equal_inputs_is_the_truncated_svd(checkpoint):
    model, name = checkpoint.load(), "model.layers.0.mlp.up_proj"
    before = model.get_submodule(name).weight.detach().double().numpy()
    removed = low_rank.asvd(model, {name: np.ones(24)}, remove=0.5)
    U, s, Vh = np.linalg.svd(before)
    rank = (40 * 24 - removed) // (40 + 24)
    after = model.get_submodule(name).weight.detach().double().numpy()
    assert rank == int(0.5 * 40 * 24 / (40 + 24))
    np.testing.assert_allclose(after, (U[:, :rank] * s[:rank]) @ Vh[:rank], atol=1e-5)


def test_asvd_spares_the_columns_of_large_inputs(checkpoint):
    name, errors = "model.layers.0.mlp.up_proj", []
    for sizes in (np.ones(24), np.r_[np.full(12, 100.0), np.ones(12)]):
        model = checkpoint.load()
        before = model.get_submodule(name).weight.detach().clone()
        low_rank.asvd(model, {name: sizes}, remove=0.5)
        errors.append(float((model.get_submodule(name).weight.detach() - before)[:, :12].norm()))
    assert errors[1] < errors[0]


def test_mean_sizes(checkpoint):
    tokens = compress.tokens_for(checkpoint, [" ".join(WORDS)] * 8)
    seen, model = [], checkpoint.load()
    name = "model.layers.1.self_attn.o_proj"
    model.get_submodule(name).register_forward_hook(lambda _m, args, _o: seen.append(args[0].abs().flatten(0, 1)))
    with torch.no_grad():
        model(input_ids=torch.from_numpy(tokens.ids))
    np.testing.assert_allclose(low_rank.mean_sizes(checkpoint, tokens)[name], torch.cat(seen).mean(dim=0), rtol=1e-4)


def test_a_run_is_taken_up_again(checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(language_model, "model_folder", lambda _: checkpoint.path)
    monkeypatch.setattr(demo_lm, "CALIBRATION_ARTICLES", 3)
    monkeypatch.setattr(demo_lm, "HELD_OUT", dict.fromkeys(demo_lm.HELD_OUT, 512))
    out = tmp_path / "out.json"
    command = ["x", "--wheel", dump(tmp_path, 6), "--cache", tmp_path, "--out", out, "--tokens", 512]

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", [str(word) for word in (*command, *arguments)])
        language_models.main()
        return json.loads(out.read_text())["rows"]

    first = run("--fractions", 0.2, "--seeds", 0, "--keep")
    assert [row["method"] for row in first] == ["dense", *language_models.METHODS]
    assert all(np.isfinite(list(row["perplexity"].values())).all() for row in first)
    assert first[-1]["lower_bound"] <= first[-1]["error"]
    assert compress.load(tmp_path / "infimum-20%-0")
    later = run("--fractions", 0.2, "--seeds", 0, 1)
    assert later[:-1] == first
    assert (later[-1]["method"], later[-1]["seed"]) == ("infimum", 1)
    page = capsys.readouterr().out
    assert "| dense |" in page
    assert "| ASVD |" in page
    with pytest.raises(SystemExit, match="another setting"):
        run("--tokens", 600)


def test_the_table_shows_the_spread_of_seeds():
    row = {"method": "infimum", "remove": 0.2, "removed": 20, "error": 0.2, "lower_bound": 0.19}
    document = {
        "model": "m",
        "held_out": {"A": {}},
        "linear_weights": 100,
        "machine": {"date": "today", "commit": "abc1234", "processor": "p", "threads": 1, "versions": {}},
        "rows": [
            {"method": "dense", "remove": 0.0, "perplexity": {"A": 20.0}},
            *({**row, "seed": seed, "perplexity": {"A": 24.0 + seed}} for seed in range(3)),
        ],
    }
    page = model_tables.perplexities(document)
    assert "| infimum | 24 to 26 |" in page
    assert "| 20.0% | 1 | 25 | 0.20000 | 0.19000 | 5.0e-02 |" in page


def test_stored_documents_have_tables():
    for name, page in model_tables.pages(records.MODELS).items():
        assert page.count("| ") > 8, name


def test_speed_of_random_forms(checkpoint, monkeypatch):
    monkeypatch.setattr(language_model, "model_folder", lambda _: checkpoint.path)
    monkeypatch.setattr(model_speed, "PASSAGE", 32)
    monkeypatch.setattr(model_speed, "PROMPT", 8)
    models = dict(model_speed.contenders(checkpoint.path, 0.5))
    linear = sum(layer.size for layer in checkpoint.layers)
    sizes = {name: sum(p.numel() for p in model.parameters()) for name, model in models.items()}
    for name, size in sizes.items():
        assert name == "dense" or 0.45 * linear <= sizes["dense"] - size <= 0.6 * linear, name
    seconds = model_speed.measure(models, rounds=1)
    assert all(len(times) == 1 and times[0] > 0.0 for tasks in seconds.values() for times in tasks.values())
