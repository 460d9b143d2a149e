"""The benchmark harness: ratios, failures, tables."""

import datetime
import json
import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks import compare, harness, machine, records, tables
from benchmarks.harness import Comparison
from infimum import lowrank

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def broken(seed):
    raise MemoryError("too large\nfor this machine")


@pytest.fixture(scope="module")
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


@pytest.mark.parametrize("path", sorted(records.RESULTS.rglob("*.json")), ids=lambda path: path.stem)
def test_every_record_says_when_and_of_which_commit_it_is(path):
    machine = json.loads(path.read_text(encoding="utf-8"))["machine"]
    assert datetime.date.fromisoformat(machine["date"]) > datetime.date(2020, 1, 1)
    assert re.fullmatch(r"[0-9a-f]{7,40}(-dirty)?", machine["commit"])
    if path.parent == records.RESULTS:
        assert machine["commit"] in tables.markdown(path.parent)


def spread(median):
    return {"min": 0.9 * median, "q1": 0.95 * median, "median": median, "q3": 1.05 * median, "max": 1.1 * median}


def record(seconds, quality, **changes):
    row = {"problem": "svd", "input": "M", "task": "rank 5", "contender": "infimum"}
    measured = {"seconds": spread(seconds), "quality_ratio": quality and spread(quality)}
    machine = {"date": "2026-01-02", "commit": "abc1234", "processor": "P", "cores": 2, "threads": 1, **changes}
    return {"name": "toy", "machine": machine, "rows": [{**row, **measured}]}


@pytest.mark.parametrize(
    ("seconds", "quality", "said", "unsaid"),
    [
        (1.02, 1.5, ["1 s -> 1.02 s (1.02)"], ["slower", "error / floor"]),
        (1.3, 1.5, ["(1.30)", "slower"], ["error / floor"]),
        (0.5, 1.5, ["(0.50)", "faster"], ["error / floor"]),
        (1.0, 1.6, ["error / floor 1.5 -> 1.6 (worse)"], ["slower", "faster"]),
        (1.0, 1.4, ["error / floor 1.5 -> 1.4 (better)"], ["slower", "faster"]),
        (1.0, None, [], ["error / floor"]),
    ],
)
def test_two_runs_are_compared(tmp_path, capsys, seconds, quality, said, unsaid):
    for name, document in (("a", record(1.0, 1.5)), ("b", record(seconds, quality))):
        records.write(tmp_path / f"{name}.json", document)
    assert compare.main([str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 0
    printed = capsys.readouterr().out
    assert "commit abc1234" in printed
    assert all(text in printed for text in said)
    assert not any(text in printed for text in [*unsaid, "Not the same machine"])


def test_other_machines_and_rows_that_only_one_run_has_are_named():
    before, after = record(1.0, 1.5), record(1.0, 1.5, processor="Q")
    after["rows"][0]["contender"] = "peer"
    printed = compare.compared(before, after)
    assert "Not the same machine" in printed
    assert "only in A: svd; M; rank 5; infimum" in printed
    assert "only in B: svd; M; rank 5; peer" in printed


def test_what_cannot_be_compared_is_said(tmp_path):
    records.write(tmp_path / "other.json", {"rows": [{"method": "x"}]})
    for source, message in (
        (str(tmp_path / "other.json"), "no record of a benchmark module"),
        ("nowhere.json", "NAME@REVISION"),
        ("lowrank@no-such-revision", "there is no record"),
    ):
        with pytest.raises(SystemExit, match=message):
            compare.read(source)


@pytest.mark.parametrize("method", ["gram", "exact", "krylov", "randomized"])
def test_the_share_of_the_proof_is_found(method):
    timed = pytest.importorskip("benchmarks.lowrank").timed
    M = np.random.default_rng(0).standard_normal((60, 40))
    answer = timed(lambda: lowrank.svd(M, 3, method=method, rng=0))
    assert answer.proof > 0.0
    assert answer.result.rank == 3
