"""``infimum minimax``: options, outputs, refusals."""

import json

import pytest


def test_a_polynomial_and_its_check(run, tmp_path):
    file = tmp_path / "exp.json"
    outcome = run("minimax", "exp(x)", "--degree", 5, "--on", -1, 1, "--json", file)
    assert outcome.status == 0, outcome.err
    assert "4.52055e-05" in outcome.out
    assert "enclosed" in outcome.out
    assert run("verify", file, "exp(x)").status == 0
    assert run("verify", file, "sin(x)").status == 1


@pytest.mark.parametrize(
    ("options", "powers"),
    [
        (["--degree", 5, "--odd"], [1, 3, 5]),
        (["--degree", 4, "--even", "--weight", "1+x"], [0, 2, 4]),
        (["--powers", "1,3,7", "--relative"], [1, 3, 7]),
        (["--degree", 2, "--breakpoints", 0.5, "--precision", "double"], [0, 1, 2]),
    ],
)
def test_spaces_and_errors(run, options, powers):
    outcome = run("minimax", "2 + x", "--on", 0.1, 1, *options, "--json")
    assert outcome.status == 0, outcome.err
    answer = json.loads(outcome.out)["answer"]
    assert answer["f"] == "(2 + x)"
    assert answer["powers"] == powers


def test_two_intervals(run):
    outcome = run("minimax", "sign(x)", "--degree", 5, "--on", -1, -0.1, 0.1, 1, "--json")
    assert json.loads(outcome.out)["answer"]["domain"] == [[-1.0, -0.1], [0.1, 1.0]]


def test_rounded_and_as_code(run):
    outcome = run("minimax", "exp2", "--degree", 3, "--on", 0, 1, "--round", "bfloat16", "--emit", "c")
    assert outcome.status == 0, outcome.err
    assert "float p(float x)" in outcome.out
    assert "proven" in outcome.out


def test_report_and_plot(run, tmp_path):
    report, plot = tmp_path / "report.html", tmp_path / "error.svg"
    outcome = run("minimax", "tanh", "--degree", 7, "--on", -2, 2, "--report", report, "--plot", plot, "--quiet")
    assert outcome.status == 0, outcome.err
    assert "alternation on" in report.read_text()
    assert plot.stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["exp(x", "--degree", 3], 2, "expression"),
        (["exp", "--degree", -1], 2, "degree"),
        (["exp", "--degree", 3, "--on", 1], 2, "two numbers"),
        (["exp", "--degree", 3, "--odd", "--even"], 2, "exclude each other"),
        (["exp", "--powers", "1,2", "--odd"], 2, "exclude each other"),
        (["1/x", "--degree", 3], 1, "it is inf at x = 0"),
        (["exp", "--degree", 3, "--fixed", "0:1"], 2, "--fixed takes power=number"),
        (["exp"], 2, "--degree is missing"),
        (["exp", "--odd", "--on", 0, 1], 2, "--degree is missing"),
        (["exp", "--degree", 3, "--emit", "c", "--json"], 2, "stdout"),
    ],
)
def test_refusals_are_one_line(run, arguments, status, message):
    outcome = run("minimax", *arguments)
    assert outcome.status == status
    assert outcome.err.startswith("error: ")
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_quotient(run):
    outcome = run("rational", "exp", "--type", 2, 2, "--json")
    assert outcome.status == 0, outcome.err
    assert json.loads(outcome.out)["certificate"]["theorem"] == "vallee_poussin"
