"""``infimum minimax``: options, outputs, refusals."""

import json

import pytest

from infimum.cli.app import run


def test_a_polynomial_and_its_check(tmp_path, capsys):
    file = tmp_path / "exp.json"
    assert run(["minimax", "exp(x)", "--degree", "5", "--on", "-1", "1", "--json", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "4.52055e-05" in shown
    assert "enclosed" in shown
    assert run(["verify", str(file), "exp(x)"]) == 0
    assert run(["verify", str(file), "sin(x)"]) == 1


def test_spaces_and_errors(capsys):
    for options in (
        ["--degree", "5", "--odd"],
        ["--degree", "4", "--even", "--weight", "1+x"],
        ["--powers", "1,3,7", "--relative"],
        ["--degree", "3", "--breakpoints", "0.5", "--precision", "double"],
    ):
        assert run(["minimax", "2 + x", "--on", "0.1", "1", *options, "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)["answer"]
        assert answer["f"] == "(2 + x)"
    assert answer["breakpoints"] == [0.5]


def test_two_intervals(capsys):
    assert run(["minimax", "sign(x)", "--degree", "5", "--on", "-1", "-0.1", "0.1", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["answer"]["domain"] == [[-1.0, -0.1], [0.1, 1.0]]


def test_rounded_and_as_code(capsys):
    assert run(["minimax", "exp2", "--degree", "3", "--on", "0", "1", "--round", "bfloat16", "--emit", "c"]) == 0
    code = capsys.readouterr().out
    assert "float p(float x)" in code
    assert "proven" in code


def test_report_and_plot(tmp_path):
    report, plot = tmp_path / "report.html", tmp_path / "error.svg"
    arguments = ["minimax", "tanh", "--degree", "7", "--on", "-2", "2", "--report", str(report), "--plot", str(plot)]
    assert run([*arguments, "--quiet"]) == 0
    assert "alternation on" in report.read_text()
    assert plot.stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["exp(x"], "expression"),
        (["exp", "--degree", "-1"], "degree"),
        (["exp", "--degree", "3", "--on", "1"], "two numbers"),
        (["exp", "--degree", "3", "--odd", "--even"], "exclude each other"),
        (["exp", "--powers", "1,2", "--odd"], "exclude each other"),
        (["1/x", "--degree", "3"], "pole"),
        (["exp"], "give degree"),
        (["exp", "--degree", "3", "--emit", "c", "--json"], "stdout"),
    ],
)
def test_refusals_are_one_line(arguments, message, capsys):
    assert run(["minimax", *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1


def test_a_quotient(capsys):
    assert run(["rational", "exp", "--type", "2", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["certificate"]["theorem"] == "vallee_poussin"
