"""Rivals in few bits do what their papers say, rotation changes nothing, and every budget is kept by every method."""

import functools
import itertools
import json
import math
import re
import sys

import numpy as np
import pytest
import scipy.stats

torch = pytest.importorskip("torch")
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

from benchmarks import budgets, calibrations, few_bits, judged_errors, model_tables, rotation  # noqa: E402
from benchmarks.rivals import sensitivity  # noqa: E402
from benchmarks.rivals.rounding import Width, gguf, gptq, round_to_nearest, widths  # noqa: E402
from infimum import compress  # noqa: E402
from infimum.nn import QuantizedLinear  # noqa: E402
from tests.compress.conftest import WORDS, tiny_bert, write  # noqa: E402

TEXT = [" ".join(WORDS)] * 12


def matrix(m=24, n=64, seed=0):
    return np.random.default_rng(seed).standard_normal((m, n))


def moment(n=64, seed=1):
    x = np.random.default_rng(seed).standard_normal((200, n)) @ np.random.default_rng(2).standard_normal((n, n))
    return x.T @ x / len(x)


def loss(W, Q, C):
    return float(np.sum(((W - Q) @ C) * (W - Q)))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    shape = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
    }
    model = LlamaForCausalLM(LlamaConfig(vocab_size=64, num_hidden_layers=2, tie_word_embeddings=True, **shape))
    with torch.no_grad():
        for block in model.model.layers:
            block.input_layernorm.weight.uniform_(0.5, 2.0)
            block.post_attention_layernorm.weight.uniform_(0.5, 2.0)
        model.model.norm.weight.uniform_(0.5, 2.0)
    return compress.open_checkpoint(write(model, tmp_path_factory.mktemp("few") / "model"))


@pytest.fixture(scope="module")
def setting(checkpoint, tmp_path_factory):
    halves = compress.calibrate(checkpoint, TEXT, split=True)
    return budgets.Setting(checkpoint, halves, tmp_path_factory.mktemp("cache"), None, 0)


def test_rotation_changes_the_weights_and_not_the_function(checkpoint):
    original, rotated = checkpoint.load(), checkpoint.load()
    rotation.rotate(rotated, seed=0)
    ids = torch.arange(2, 62)[None]
    with torch.no_grad():
        before, after = original(ids).logits, rotated(ids).logits
    assert float((before - after).abs().max()) < 1e-4 * float(before.abs().max())
    for name, old in original.state_dict().items():
        assert float((old - rotated.state_dict()[name]).norm()) > 0.1 * float(old.norm()), name
    assert rotated.lm_head.weight is not rotated.model.embed_tokens.weight


def test_the_rotated_folder_is_a_checkpoint_of_16_bits(checkpoint):
    out = rotation.rotated_folder(checkpoint.path, seed=3)
    assert out == rotation.rotated_folder(checkpoint.path, seed=3)
    stored = compress.open_checkpoint(out)
    assert stored.read("lm_head.weight").dtype == torch.float16
    ids = torch.arange(2, 62)[None]
    with torch.no_grad():
        before, after = checkpoint.load()(ids).logits, stored.load()(ids).logits
    assert float((before - after).abs().max()) < 0.05 * float(before.abs().max())


@pytest.mark.parametrize("width", [Width(4, 32), Width(3, 64), Width(8, 32)])
def test_nearest_is_within_half_a_step(width):
    W = matrix()
    Q = round_to_nearest(W, width)
    parts, rounded = (M.reshape(24, -1, width.group) for M in (W, Q))
    step = (parts.max(axis=-1) - parts.min(axis=-1)) / (2**width.bits - 1)
    # a whole number stands for zero: at the ends of the range as much again may be lost
    assert np.all(np.abs(parts - rounded) <= 1.01 * step[..., None])
    assert all(len(np.unique(group)) <= 2**width.bits for group in rounded.reshape(-1, width.group))


def test_zeros_stay_zeros():
    assert not round_to_nearest(np.zeros((3, 64)), Width(4, 32)).any()
    assert not gptq(np.zeros((3, 64)), np.zeros((64, 64)), Width(4, 32)).any()


def test_gptq_of_unrelated_inputs_rounds_to_nearest_and_of_others_does_better():
    W, C, width = matrix(), moment(), Width(3, 32)
    np.testing.assert_allclose(gptq(W, np.eye(64), width), round_to_nearest(W, width), atol=1e-12)
    assert loss(W, gptq(W, C, width), C) < 0.6 * loss(W, round_to_nearest(W, width), C)


def test_gptq_makes_good_what_each_column_loses_in_the_best_way():
    W, C, width = matrix(4, 8), moment(8), Width(4, 8)
    Q = gptq(W, C, width, damping=1e-9)
    kept = W.copy()  # column by column from the definition: the others are the least squares answer to what was lost
    low, high = np.minimum(W.min(axis=1), 0.0), np.maximum(W.max(axis=1), 0.0)
    scale = ((high - low) / 15).astype(np.float16).astype(np.float64)
    zero = np.rint(-low / scale)
    for j in range(8):
        q = scale * (np.clip(np.rint(kept[:, j] / scale) + zero, 0, 15) - zero)
        lost, kept[:, j] = kept[:, j] - q, q
        if j < 7:
            kept[:, j + 1 :] += np.outer(lost, np.linalg.solve(C[j + 1 :, j + 1 :], C[j + 1 :, j]))
    np.testing.assert_allclose(Q, kept, atol=1e-5)


def test_bytes_are_those_of_ours():
    assert widths(64) == [Width(bits, group) for bits in (2, 3, 4, 5, 6, 8) for group in (32, 64)]
    assert widths(24) == [Width(bits, 24) for bits in (2, 3, 4, 5, 6, 8)]
    for width in widths(64):
        layer = QuantizedLinear(64, 24, width.bits, width.group, bias=False)
        assert width.bytes((24, 64)) == sum(part.nbytes for part in layer.buffers())


def test_blocks_of_gguf():
    pytest.importorskip("gguf")
    W = matrix()
    errors = [float(np.abs(W - gguf(W, kind)).max()) for kind in ("Q4_0", "Q5_0", "Q8_0")]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.02


def test_the_knapsack_is_that_of_brute_force():
    rng = np.random.default_rng(0)
    errors, costs = ([rng.uniform(1, 9, 3) for _ in range(4)] for _ in range(2))
    budget = 0.6 * sum(cost.max() for cost in costs)
    best = min(
        sum(error[k] for error, k in zip(errors, ks, strict=True))
        for ks in itertools.product(range(3), repeat=4)
        if sum(cost[k] for cost, k in zip(costs, ks, strict=True)) <= budget
    )
    found = sensitivity.share(errors, costs, budget)
    assert sum(cost[k] for cost, k in zip(costs, found, strict=True)) <= budget * (1 + 1e-9)
    assert sum(error[k] for error, k in zip(errors, found, strict=True)) == pytest.approx(best, rel=1e-4)
    assert sensitivity.share(errors, costs, 0.9 * sum(cost.min() for cost in costs)) is None


def test_noise_costs_where_it_is_heard_and_the_model_comes_back(checkpoint):
    model, name = checkpoint.load(), "model.layers.0.mlp.up_proj"
    before = {key: value.clone() for key, value in model.state_dict().items()}

    def distance(disturbed):
        return float((disturbed.get_submodule(name).weight - before[f"{name}.weight"]).norm() ** 2)

    silent = "model.layers.1.mlp.up_proj"
    found = sensitivity.by_noise(model, [name, silent], distance, seed=0)
    assert found[name] == pytest.approx(float(before[f"{name}.weight"].norm() ** 2), rel=1e-4)
    assert found[silent] == 0.0
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_gradients_of_one_output_count_for_that_output():
    W, Q, left = matrix(), matrix() + 0.1, np.diag(np.r_[1.0, np.zeros(23)])
    assert sensitivity.by_gradients(W, Q, np.eye(64), left) == pytest.approx(0.64)
    assert sensitivity.relative_error(W, np.zeros_like(W)) == 1.0


def test_a_calibration_is_kept(setting, tmp_path):
    path = tmp_path / "kept.pkl"
    first = calibrations.kept(path, lambda: setting.halves)
    again = calibrations.kept(path, lambda: pytest.fail("was kept"))
    for shelf, read in ((first.layers, again.layers), (first.judge, again.judge)):
        assert list(shelf) == list(read)
        assert all(np.array_equal(shelf[name].left, read[name].left) for name in shelf)


@pytest.mark.parametrize("method", [name for name in budgets.METHODS if "llm-compressor" not in name])
def test_every_method_keeps_its_budget(setting, method):
    if method == "GGUF blocks":
        pytest.importorskip("gguf")
    wanted = (6.0, 4.9)
    for bits, answer in zip(wanted, budgets.METHODS[method](setting, wanted), strict=True):
        assert 0.6 * bits <= answer.bits <= bits
        changed = [
            not np.array_equal(
                setting.weight(layer), answer.model.get_submodule(layer.name).weight.detach().double().numpy()
            )
            for layer in setting.layers
            if hasattr(answer.model.get_submodule(layer.name), "weight")
        ]
        assert all(changed) or method.startswith("infimum")


def test_below_every_width_there_is_no_answer(setting):
    for method in ("round to nearest", "GPTQ, bits by gradients (AutoQuantize)"):
        assert list(budgets.METHODS[method](setting, [1.0])) == [None]


def test_the_tool_is_run_once_and_its_weights_are_those_of_the_model(setting, monkeypatch, tmp_path):
    tool = tmp_path / "tool"  # stands for the interpreter of the environment: it writes the weights as they are
    weights = {layer.name: torch.full(layer.shape, 0.5) for layer in setting.layers}
    calls = []

    def run(command, **options):
        from safetensors.torch import save_file

        calls.append([str(part) for part in command])
        assert "PYTHONPATH" not in options["env"]
        assert np.load(command[3])["ids"].shape == setting.halves.tokens.ids.shape
        save_file(weights, command[4])

    monkeypatch.setattr("subprocess.run", run)
    used = budgets.Setting(setting.checkpoint, setting.halves, tmp_path, tool, 0)
    for _ in range(2):
        (answer,) = budgets.METHODS["GPTQ, llm-compressor"](used, [6.0])
        assert float(answer.model.model.layers[0].mlp.up_proj.weight[0, 0].detach()) == 0.5
    assert len(calls) == 1
    assert calls[0][-4:] == ["--bits", "5", "--group", "32"]


def test_a_run_stores_rows_and_prints_the_table(tmp_path, monkeypatch, capsys):
    folder = write(tiny_bert(), tmp_path / "model")
    checkpoint = compress.open_checkpoint(folder)

    def subject(arguments):
        texts = {"A": compress.tokens_for(checkpoint, TEXT)}
        calibrate = functools.partial(compress.calibrate, checkpoint, TEXT, split=True)
        return few_bits.Subject(
            "few_bits_minilm", "m", checkpoint, lambda seed: calibrate(seed=seed), texts, (6.0, 4.0)
        )

    monkeypatch.setitem(few_bits.SUBJECTS, "minilm", subject)
    out = tmp_path / "out.json"
    methods = ["GPTQ, bits by noise (HIGGS)", "infimum: bits"]
    command = ["x", "minilm", "--cache", tmp_path, "--out", out, "--methods", *methods]
    monkeypatch.setattr(sys, "argv", [str(word) for word in command])
    few_bits.main()
    first = json.loads(out.read_text())["rows"]
    assert [row["method"] for row in first] == ["dense", *np.repeat(methods, 2)]
    assert first[-1]["lower_bound"] <= first[-1]["error"]
    few_bits.main()
    assert json.loads(out.read_text())["rows"] == first
    page = capsys.readouterr().out
    assert all(re.search(rf"\| {re.escape(method)} \| [01]\.\d{{4}}", page) for method in methods)


def test_the_table_of_a_language_model_shows_what_is_lost():
    def row(method, bits, seed, perplexity):
        return {"method": method, "bits": bits, "used": 0.9 * bits, "seed": seed, "perplexity": {"A": perplexity}}

    document = {
        "model": "m",
        "held_out": {"A": {}},
        "machine": {"date": "today", "commit": "abc1234", "processor": "p", "threads": 1, "versions": {}},
        "rows": [row("dense", 0.0, 0, 20.0), row("GPTQ", 4.0, 0, 20.0 * math.e), row("GPTQ", 4.0, 1, 20.0 * math.e**2)],
    }
    page = model_tables.few_bits(document)
    assert "| GPTQ | 1.000 to 2.000 (3.60) |" in page
    assert "Dense: perplexity 20.00." in page


def test_judged_errors_of_unlike_forms(tmp_path, monkeypatch, capsys):
    checkpoint = compress.open_checkpoint(write(tiny_bert(), tmp_path / "model"))
    text = [" ".join(WORDS[k:] + WORDS[:k]) for k in range(16)]

    def subject(_arguments):
        texts = {"A": compress.tokens_for(checkpoint, text)}
        calibrate = functools.partial(compress.calibrate, checkpoint, text, split=True)
        return few_bits.Subject("few_bits_minilm", "m", checkpoint, lambda seed: calibrate(seed=seed), texts, ())

    monkeypatch.setattr(few_bits, "minilm", subject)
    monkeypatch.setattr(judged_errors, "REMOVED", (0.1, 0.4))
    out = tmp_path / "out.json"
    monkeypatch.setattr(sys, "argv", ["x", "--cache", str(tmp_path), "--out", str(out)])
    judged_errors.main()
    rows = {row["way"]: row for row in json.loads(out.read_text())["rows"]}
    assert len(rows) == 2 * 6 + 3 * 2
    assert rows["3 bits, one-sided, damping 0.1"]["judged"] > rows["4 bits, one-sided, damping 0.1"]["judged"]
    assert rows["40% by ranks, damping 0.1"]["judged"] > rows["10% by ranks, damping 0.1"]["judged"]
    assert rows["3 bits, two-sided, damping 0.01"]["made"] < rows["3 bits, two-sided, damping 0.01"]["judged"]
    page = capsys.readouterr().out
    assert "| rank correlation over 18 |" in page


def test_rank_correlation_is_that_of_scipy():
    values, others = np.random.default_rng(0).standard_normal((2, 20))
    expected = scipy.stats.spearmanr(values, others).statistic
    assert model_tables._rank_correlation(list(values), list(others)) == pytest.approx(expected, abs=1e-12)
