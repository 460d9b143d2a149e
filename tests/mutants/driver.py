"""Run the tests of a theorem against each of its mutants, in forked processes: tests are collected once."""

from __future__ import annotations

import ast
import contextlib
import importlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.mutants.changes import Mutant, changed, mutants
from tests.mutants.swap import install

KILLED, SURVIVED, ENDLESS = "killed", "survived", "endless"


@dataclass
class Outcome:
    """What became of the mutants of one theorem."""

    theorem: str
    tests: int = 0
    seconds: float = 0.0
    killed: list[Mutant] = field(default_factory=list)
    endless: list[Mutant] = field(default_factory=list)
    equivalent: list[Mutant] = field(default_factory=list)
    survived: list[Mutant] = field(default_factory=list)


@dataclass
class Driver:
    """A pytest plugin that runs the collected tests once for each mutant."""

    theorem: str
    skipped: set[tuple[str, str]]
    jobs: int
    outcome: Outcome = field(init=False)
    failed: bool = False

    def __post_init__(self) -> None:
        self.outcome = Outcome(self.theorem)

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.failed = self.failed or report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run all tests unchanged, then against every mutant."""
        if session.testsfailed or not session.items:
            raise pytest.UsageError(f"no tests of {self.theorem} were collected")
        module = importlib.import_module(f"infimum.proof.theorems.{self.theorem}")
        order = self._unchanged(session.items)
        limit = 5.0 * sum(seconds for seconds, _ in order) + 10.0
        items = [item for _, item in order]
        start = time.monotonic()
        source = Path(str(module.__file__)).read_text()
        waiting = self._remaining(source)
        running: dict[int, tuple[Mutant, float]] = {}
        exhausted = False
        while running or not exhausted:
            while not exhausted and len(running) < self.jobs:
                mutant = next(waiting, None)
                exhausted = mutant is None
                if mutant is not None:
                    running[self._start(module, changed(source, mutant), items)] = (mutant, time.monotonic() + limit)
            self._collect(running)
        self.outcome.tests, self.outcome.seconds = len(items), time.monotonic() - start
        return True

    def _unchanged(self, items: list[pytest.Item]) -> list[tuple[float, pytest.Item]]:
        """Run every test without any change: all must pass; the quick ones come first afterwards."""
        timed = []
        for item in items:
            start = time.monotonic()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            timed.append((time.monotonic() - start, item))
            if self.failed:
                raise pytest.UsageError(f"{item.nodeid} fails without any mutant")
        return sorted(timed, key=lambda pair: pair[0])

    def _remaining(self, source: str) -> Iterator[Mutant]:
        for mutant in mutants(source):
            if (mutant.before, mutant.after) in self.skipped:
                self.outcome.equivalent.append(mutant)
            else:
                yield mutant

    def _start(self, module: Any, tree: ast.Module, items: list[pytest.Item]) -> int:
        child = os.fork()
        if child:
            return child
        with contextlib.suppress(BaseException):
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            install(module, tree)
            for item in items:
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
                if self.failed:
                    break
            else:
                os._exit(0)
        os._exit(1)

    def _collect(self, running: dict[int, tuple[Mutant, float]]) -> None:
        """Wait for a child to end, or end one that takes too long."""
        for child, (mutant, limit) in list(running.items()):
            ended, status = os.waitpid(child, os.WNOHANG)
            late = time.monotonic() > limit
            if not ended and late:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
            if ended or late:
                del running[child]
                found = self.outcome
                fate = found.endless if not ended else found.killed if status else found.survived
                fate.append(mutant)
        time.sleep(0.002)


def run(theorem: str, paths: list[str], skipped: set[tuple[str, str]], jobs: int) -> Outcome:
    """Run the mutants of one theorem against the tests at some paths."""
    driver = Driver(theorem, skipped, jobs)
    options = ["-o", "addopts=--import-mode=importlib", "-p", "no:cacheprovider", "-p", "no:terminal", "-m", "not slow"]
    pytest.main([*options, *paths], plugins=[driver])
    return driver.outcome
