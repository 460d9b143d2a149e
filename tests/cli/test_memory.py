"""``infimum memory``: measuring named schedules and logs, designing tables, and what is refused."""

import csv
import gzip
import io
import json
import sys
from typing import Any

import numpy as np
import pytest

import infimum
from infimum import memory
from infimum.cli.app import build_app

COSINE = ["memory", "--lr", "cosine", "--peak", "3e-4", "--weight-decay", "0.1", "--steps", "5000", "--warmup", "100"]
DESIGN = ["memory", "design", "--steps", "200", "--max-lr", "1e-2", "--warmup", "10"]


def test_a_named_shape(run):
    outcome = run(*COSINE)
    assert outcome.status == 0, outcome.err
    lr = memory.lr_table("cosine", 5000, peak=3e-4, warmup=100)
    share = memory.report(lr, 0.1).initial_share
    for words in (f"{share:.6g}", "5,000 steps, 100 of them warm-up", "bfloat16", "not about its training loss"):
        assert words in outcome.out


def test_outputs(run, tmp_path):
    paths = {"--json": "r.json", "--report": "page.html", "--plot": "r.png", "--save": "r.csv"}
    options = [str(item) for name, file in paths.items() for item in (name, tmp_path / file)]
    outcome = run(*COSINE, *options, "--beta1", "0.9", "--quiet")
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "")
    figures = json.loads((tmp_path / "r.json").read_text())["figures"]
    page, data = (tmp_path / "page.html").read_text(), json.loads((tmp_path / "page.json").read_text())
    assert data["figures"] == figures
    assert page.count("<svg") == 4
    assert "It does not speak of the training loss" in page
    assert len(page) < 200_000
    with (tmp_path / "r.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5000
    measured = memory.from_csv(tmp_path / "r.csv")
    assert measured.initial_share == figures["initial share"]
    assert float(rows[7]["weights"]) == measured.weights[7]


@pytest.mark.parametrize(
    "decay", [["--weight-decay", "2"], ["--weight-decay", "2", "--proportional"], ["--match-rms", "0.1"]]
)
def test_design_writes_a_table_that_can_be_measured(run, tmp_path, decay):
    table, result = tmp_path / "s.csv", tmp_path / "s.json"
    outcome = run(*DESIGN, *decay, "--save", table, "--json", result)
    assert outcome.status == 0, outcome.err
    schedule: Any = infimum.from_json(result.read_text())
    measured: Any = memory.from_csv(table)
    np.testing.assert_array_equal(measured.lr, schedule.lr)
    np.testing.assert_array_equal(measured.weight_decay, schedule.weight_decay)
    assert run("memory", "--csv", table).status == 0
    verified = run("verify", result, "uniform")
    assert verified.status == 0, verified.err
    assert "proves what it claims" in verified.out


def test_target_from_a_file(run, tmp_path):
    np.save(tmp_path / "quality.npy", np.linspace(1.0, 4.0, 50))
    options = ["--target", tmp_path / "quality.npy", "--max-lr", "0.1", "--weight-decay", "0.2"]
    outcome = run("memory", "design", *options, "--json", tmp_path / "s.json")
    assert outcome.status == 0, outcome.err
    assert run("verify", tmp_path / "s.json", tmp_path / "quality.npy").status == 0
    assert run("verify", tmp_path / "s.json", "uniform").status == 1


def test_the_word_uniform_stands_for_a_file(run):
    assert run("design", "uniform", "--steps", "20", "--max-lr", "0.1", "--weight-decay", "0.2").status == 0
    assert "uniform, or a file" in run("design", "--help").out


def test_design_options():
    found = {
        label
        for argument in build_app()["memory"]["design"].assemble_argument_collection(parse_docstring=True)
        if argument.show and argument.parse
        for label in argument.names
    }
    wanted = {"--target", "--steps", "--max-lr", "--weight-decay", "--proportional", "--match-rms", "--warmup"}
    outputs = {"--json", "--report", "--plot", "--save", "--force", "--quiet", "--verbose"}
    assert found == wanted | {"--max-initial-share", "--objective", "--beta1"} | outputs


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["memory", "--lr=cosine", "--peak=1", "--weight-decay=0"], 2, "missing: --steps; give"),
        (["memory"], 2, "give --lr, --peak, --weight-decay and --steps, or a log with --csv"),
        (["memory", "--lr", "square"], 2, "'constant', 'cosine', 'linear', 'wsd'"),
        ([*COSINE[:-2], "--warmup", "6000"], 2, "warmup must be from 0 to the 5000 steps"),
        (["memory", "--csv", "missing.csv"], 1, "missing.csv: No such file"),
        (["memory", "--csv", "log.csv", "--peak", "0.1"], 2, "--peak describes a schedule"),
        (["memory", "design"], 2, "--max-lr is missing"),
        ([*DESIGN], 2, "either --weight-decay or --match-rms"),
        ([*DESIGN, "--match-rms", "1", "--weight-decay", "1"], 2, "either --weight-decay or --match-rms"),
        ([*DESIGN, "--match-rms", "1", "--proportional"], 2, "--proportional needs --weight-decay"),
        ([*DESIGN, "--weight-decay", "1", "--max-initial-share", "0.01"], 1, "nearest feasible one"),
        ([*DESIGN, "--weight-decay", "1", "--target", "unifrom"], 1, "unifrom: No such file"),
    ],
)
def test_wrong_use(run, arguments, status, message):
    outcome = run(*arguments)
    assert outcome.status == status
    assert outcome.err.startswith("error: ")
    assert message in outcome.err
    assert outcome.out == ""


ROWS = [["step", "lr", "loss", "weight_decay"], ["1", "0.1", "", "0.2"], ["2", "0.05", "nan", "0.2"]]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("way", ["plain", "gzip", "standard input"])
def test_logs_are_opened_as_every_file_is(run, tmp_path, monkeypatch, separator, way):
    text = "\n".join(separator.join(row) for row in ROWS)
    if separator == ";":
        text = text.replace(".", ",")
    path = tmp_path / ("log.csv.gz" if way == "gzip" else "log.csv")
    path.write_bytes(gzip.compress(text.encode()) if way == "gzip" else text.encode())

    def measured(content):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        return run("memory", "--csv", "-" if way == "standard input" else path, "--json")

    outcome = measured(text.encode())
    assert outcome.status == 0, outcome.err
    assert json.loads(outcome.out)["figures"] == memory.report([0.1, 0.05], [0.2, 0.2]).summary()
    broken = text.replace("step", "stop").replace("lr", "rate")
    path.write_bytes(gzip.compress(broken.encode()) if way == "gzip" else broken.encode())
    name = "standard input" if way == "standard input" else str(path)
    assert measured(broken.encode()).err.startswith(f"error: {name} has no column 'lr', only stop, rate, loss")
