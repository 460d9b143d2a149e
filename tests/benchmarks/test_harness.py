"""The benchmark harness: ratios, failures, tables."""

import json
from pathlib import Path

import pytest

from benchmarks import harness, machine, records, tables
from benchmarks.harness import Comparison

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def broken(seed):
    raise MemoryError("too large\nfor this machine")


@pytest.fixture
def rows():
    comparison = Comparison(
        problem="square",
        input="two | three",
        task="any",
        contenders={"infimum": lambda seed: 2.0, "peer": lambda seed: 3.0 + seed, "broken peer": broken},
        loss=lambda answer: answer**2,
        floor=4.0,
        certify=lambda answer: None,
        rounds=3,
    )
    return harness.run(comparison)


def test_quality_is_loss_over_floor(rows):
    ours, peer, _ = rows
    assert ours["quality_ratio"] == {"min": 1.0, "q1": 1.0, "median": 1.0, "q3": 1.0, "max": 1.0}
    assert (peer["quality_ratio"]["min"], peer["quality_ratio"]["median"]) == (4.0, 6.25)


def test_times_are_paired_with_the_first_contender(rows):
    ours, peer, _ = rows
    assert ours["time_ratio"]["min"] == ours["time_ratio"]["max"] == 1.0
    assert ours["rounds"] == peer["rounds"] == 3
    assert ours["certificate_seconds"]
    assert peer["certificate_seconds"] is None


def test_a_contender_that_fails_stays_in_the_table(rows):
    assert rows[2]["failure"] == "MemoryError: too large"
    assert "failed: MemoryError" in tables.plain(rows)


def test_a_floor_of_zero_gives_no_ratio():
    comparison = Comparison("p", "i", "t", {"infimum": lambda seed: 1.0}, lambda answer: answer, floor=0.0, rounds=3)
    (row,) = harness.run(comparison)
    assert row["quality_ratio"] is None
    assert "floor is 0" in tables.plain([row])


def test_results_are_written_and_shown(rows, tmp_path):
    document = {"name": "toy", "machine": machine.describe(threads=1), "rows": rows}
    records.write(tmp_path / "results" / "toy.json", document)
    page = tables.markdown(tmp_path / "results")
    assert "## toy" in page
    assert "**square: two | three, any**" in page
    assert "| peer | 6.25 (worst 9) |" in page


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in sorted(RESULTS.glob("*.json"))])
def test_nobody_is_below_the_floor(path):
    for row in json.loads(path.read_text(encoding="utf-8"))["rows"]:
        if row.get("quality_ratio"):
            assert row["quality_ratio"]["min"] >= 1.0 - 1e-12, row
