"""What was solved under one BLAS kernel and number of threads is verified under every other: none is refused."""

from __future__ import annotations

import itertools
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from infimum.problems import PROBLEMS
from tests.kernels.cases import GENERATORS, cases

KERNELS = ("Haswell", "SkylakeX", "Sandybridge")
ROOT = Path(__file__).parents[2]


class Child:
    """A process with a BLAS kernel and a number of threads of its own."""

    def __init__(self, kernel: str, threads: int, folder: Path) -> None:
        self.kernel, self.results = kernel, folder / f"{kernel}-{threads}.json"
        chosen = {"OPENBLAS_CORETYPE": kernel, "OPENBLAS_NUM_THREADS": str(threads)}
        command = [sys.executable, "-m", "tests.kernels.child", str(folder / "cases"), str(self.results)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **chosen}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.runs = self.answer() == [kernel]  # OpenBLAS takes the nearest kernel that the processor can run

    def send(self, command: str) -> None:
        assert self.process.stdin is not None
        print(command, file=self.process.stdin, flush=True)

    def answer(self):
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def close(self) -> None:
        self.process.communicate()


def refused(count: int, seed: int, threads: tuple[int, ...], folder: Path, room: str = "") -> tuple[int, list]:
    """Solve under every setting that this machine can run, verify under every one; return the number and failures."""
    (folder / "cases").write_bytes(pickle.dumps(list(cases(count, seed, room))))
    children = [Child(kernel, number, folder) for kernel, number in itertools.product(KERNELS, threads)]
    able = [child for child in children if child.runs]
    try:
        for child in able:
            child.send("solve")
        solved = sum(child.answer() for child in able)
        failures = []
        for source, judge in itertools.product(able, able):
            judge.send(f"verify {source.results}")
            failures += [(source.results.stem, judge.results.stem, *item) for item in judge.answer()]
        return solved, failures
    finally:
        for child in children:
            child.close()


def test_every_problem_has_hostile_cases():
    assert set(GENERATORS) == {problem.name for problem in PROBLEMS}


@pytest.mark.parametrize(
    ("count", "threads"),
    [pytest.param(92, (1,), id="fast"), pytest.param(1800, (1, 2), id="all", marks=pytest.mark.slow)],
)
def test_no_result_is_refused_under_another_kernel(count, threads, tmp_path):
    solved, failures = refused(count, 7, threads, tmp_path)
    if not solved:
        pytest.skip("BLAS is not an OpenBLAS that takes OPENBLAS_CORETYPE")
    assert not failures, failures[:10]
