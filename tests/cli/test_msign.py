"""``infimum msign``: designs, checks of tables, and what is refused."""

import json
from typing import Any

import pytest

import infimum
from infimum import minimax
from infimum.cli import main

JORDAN = [[3.4445, -4.775, 2.0315]] * 5


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.json"
    path.write_text(json.dumps(JORDAN))
    return path


def test_design(capsys, tmp_path):
    path = tmp_path / "result.json"
    assert main(["msign", "--lower", "1e-3", "--steps", "5", "--json", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "8.47033" in printed
    assert "0.113448" in printed
    result: Any = infimum.from_json(path.read_text())
    assert result.coefficients == minimax.msign_schedule(1e-3, 5).coefficients
    assert main(["verify", str(path), "1e-3"]) == 0
    assert main(["msign", "--verify", str(path)]) == 0


def test_mixed_degrees(capsys):
    assert main(["msign", "--degree", "3,5", "--lower", "0.1", "--cushion", "0.02", "--safety", "1.01", "--json"]) == 0
    result: Any = infimum.from_json(capsys.readouterr().out)
    assert result.terms.tolist() == [2, 3]


def test_check_of_a_table(capsys, table, tmp_path):
    assert main(["msign", "--verify", str(table), "--noise", "0.001", "--plot", str(tmp_path / "error.png")]) == 0
    printed = capsys.readouterr().out
    assert "0.113448" in printed
    assert (tmp_path / "error.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--lower", "2"], "lower must be"),
        (["--degree", "4"], "degree must be odd"),
        (["--steps", "0"], "steps must be"),
        (["--noise", "0.1"], "--verify"),
        (["--verify", "missing.json"], "missing.json"),
        (["--unknown"], "--unknown"),
    ],
)
def test_wrong_arguments(capsys, arguments, told):
    assert main(["msign", *arguments]) != 0
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "{}", "[]", "[1, 2]", '[["a"]]', "[[true]]", '{"infimum": 1, "problem": "x"}'])
def test_wrong_tables(capsys, table, text):
    table.write_text(text)
    assert main(["msign", "--verify", str(table)]) == 1
    assert "table.json" in capsys.readouterr().err
    table.write_text(json.dumps(JORDAN))
    assert main(["msign", "--verify", str(table), "--steps", "3"]) == 2
    assert "--steps" in capsys.readouterr().err
