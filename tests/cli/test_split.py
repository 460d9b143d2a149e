"""``infimum split``: whole numbers of any size, lists of costs, all optima, files of numbers."""

import json

import numpy as np
import pytest


def test_split(run):
    outcome = run("split", 1000000007)
    assert outcome.status == 0, outcome.err
    assert "a 31,250; b 32,000; c 7" in outcome.out
    assert "it is an optimum" in outcome.out
    assert "None" not in outcome.out


@pytest.mark.parametrize("cost", [["--cost", "1,1,2"], ["--cost=1,1,2"], ["--cost", 1, 1, 2]])
def test_costs(run, cost):
    outcome = run("split", 1000000007, *cost, "--json")
    assert outcome.status == 0, outcome.err
    assert json.loads(outcome.out)["answer"]["cost"] == [1, 1, 2]
    assert json.loads(outcome.out)["certificate"]["value"] == 63264


@pytest.mark.parametrize("n", ["1e6", "1_000_000", "1.0e6", "1000000.0", "+1e+6", "0xF4240"])
def test_whole_numbers_in_every_spelling(run, n):
    assert (
        json.loads(run("split", n, "--json").out)["answer"] == json.loads(run("split", 10**6, "--json").out)["answer"]
    )


def test_whole_numbers_keep_every_digit(run):
    outcome = run("split", "12345678901234567890e3", "--max-steps", 1, "--json")
    answer = json.loads(outcome.out)["answer"]
    assert answer["a"] * answer["b"] + answer["c"] == 12345678901234567890 * 1000


def test_all_optima_are_shown(run):
    assert "optima (4, 13, 0), (5, 10, 2), (7, 7, 3)" in run("split", 52, "--all").out


def test_a_large_number_with_a_limit(run, tmp_path):
    outcome = run("split", 7**401, "--max-steps", 100, "--json", tmp_path / "r.json", "--plot", tmp_path / "r.png")
    assert outcome.status == 0, outcome.err
    assert "could still be gained" in outcome.out
    assert "rounding" not in outcome.out
    assert run("verify", tmp_path / "r.json", 7**401).status == 0
    assert run("verify", tmp_path / "r.json", 7**401 + 1).status == 1


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["x"], 2, "n takes a whole number, got 'x'"),
        (["10.6"], 2, "n takes a whole number, got '10.6'"),
        (["1e99999"], 2, "n takes a whole number"),
        (["--", "-5"], 2, "n must be at least 0, got -5"),
        (["5", "--cost", "1,1"], 2, "--cost takes 3 values, got 2"),
        (["5", "--cost", "1,0,1"], 2, "cost[1] must be at least 1, got 0"),
        (["5", "--max-steps", "-1"], 2, "--max-steps must be at least 0"),
        ([], 2, "n is missing"),
    ],
)
def test_wrong_arguments(run, arguments, status, message):
    outcome = run("split", *arguments)
    assert outcome.status == status
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_many(run, tmp_path):
    np.save(tmp_path / "n.npy", np.array([130, 30522]))
    outcome = run("split-many", tmp_path / "n.npy", "--save", tmp_path / "r.npz")
    assert outcome.status == 0, outcome.err
    with np.load(tmp_path / "r.npz") as arrays:
        assert arrays["a"].tolist() == [10, 140]
    np.save(tmp_path / "f.npy", np.array([130.0]))
    assert "array of integers" in run("split-many", tmp_path / "f.npy").err
