"""Time and quality, ours and the peers', interleaved in one process.

A benchmark module defines ``comparisons()``, which yields `Comparison` objects one after another (inputs are made when
their turn comes). Every round runs each contender once, in a new random order, so that a disturbance of the machine
hits all of them; ratios are taken within a round and summarised by their median and quartiles. The loss of every answer
is measured by the same function, in float64, outside the timing.
"""

from __future__ import annotations

import contextlib
import gc
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import threadpoolctl

Contender = Callable[[int], Any]  # called with the number of the round, which serves as the seed


@dataclass(frozen=True)
class Comparison:
    """One input, one task, several contenders.

    Attributes
    ----------
    problem, input, task : str
        What is solved, on what data (with its shape), and the options that all contenders share.
    contenders : mapping of str to callable
        ``contenders[name](round)`` solves the task and returns an answer. The first one is ours and the reference of
        all ratios. A contender that raises is reported as failed, and stays in the table.
    loss : callable
        ``loss(answer)``: what the problem minimises, the same for every contender.
    floor : float
        A certified lower bound on the loss of any answer.
    certify : callable, optional
        ``certify(answer)`` derives the certificate of one of our answers again: timed apart, to show what share of our
        time the proof takes. Contenders whose name starts with "infimum" are ours.
    proof_seconds : callable, optional
        ``proof_seconds(answer)``: instead of `certify`, what the proof took of the time of the answer itself.
    rounds : int
        Timed rounds after one warm-up; fewer are run when `seconds` have passed, but at least three.
    seconds : float
        Time for all rounds together.
    """

    problem: str
    input: str
    task: str
    contenders: Mapping[str, Contender]
    loss: Callable[[Any], float]
    floor: float
    certify: Callable[[Any], Any] | None = None
    proof_seconds: Callable[[Any], float] | None = None
    rounds: int = 7
    seconds: float = 20.0

    @property
    def reference(self) -> str:
        """Name of the first contender, which is ours."""
        return next(iter(self.contenders))


@dataclass
class _Record:
    seconds: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    certificate_seconds: list[float] = field(default_factory=list)
    failure: str = ""


def run(comparison: Comparison, threads: int = 1) -> list[dict[str, Any]]:
    """Run one comparison and return one JSON-ready row per contender."""
    records = {name: _Record() for name in comparison.contenders}
    order = np.random.default_rng(0)
    with _fixed_threads(threads), _young_garbage():
        for name in records:
            _attempt(comparison, name, records[name], round_number=0, keep=False)
        deadline = time.perf_counter() + comparison.seconds
        for number in range(1, comparison.rounds + 1):
            for name in order.permutation(list(records)):
                _attempt(comparison, name, records[name], number, keep=True)
            if number >= 3 and time.perf_counter() > deadline:
                break
    return [_row(comparison, name, records) for name in records]


@contextlib.contextmanager
def _young_garbage() -> Iterator[None]:
    """Let collections inside look only at what was made inside: all that was loaded before would take them seconds."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _attempt(comparison: Comparison, name: str, record: _Record, round_number: int, keep: bool) -> None:
    if record.failure:
        return
    gc.collect()
    start = time.perf_counter()
    try:
        answer = comparison.contenders[name](round_number)
    except Exception as error:  # a peer may fail in any way; the table says so
        record.failure = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        return
    elapsed = time.perf_counter() - start
    proof = _proof(comparison, answer) if name.startswith("infimum") else None
    if keep:
        record.seconds.append(elapsed)
        record.losses.append(float(comparison.loss(answer)))
        if proof is not None:
            record.certificate_seconds.append(proof)


def _proof(comparison: Comparison, answer: Any) -> float | None:
    if comparison.proof_seconds is not None:
        return comparison.proof_seconds(answer)
    return _seconds(comparison.certify, answer) if comparison.certify else None


def _seconds(function: Callable[[Any], Any], argument: Any) -> float:
    start = time.perf_counter()
    function(argument)
    return time.perf_counter() - start


def _row(comparison: Comparison, name: str, records: Mapping[str, _Record]) -> dict[str, Any]:
    record, reference = records[name], records[comparison.reference]
    row: dict[str, Any] = {
        "problem": comparison.problem,
        "input": comparison.input,
        "task": comparison.task,
        "contender": name,
        "ours": name.startswith("infimum"),
        "floor": comparison.floor,
    }
    if record.failure:
        return {**row, "failure": record.failure}
    # every contender takes part in every round, so the lists pair up
    pairs = zip(record.seconds, reference.seconds, strict=False)
    return {
        **row,
        "rounds": len(record.seconds),
        "seconds": spread(record.seconds),
        "time_ratio": spread([theirs / ours for theirs, ours in pairs]),
        "quality_ratio": spread([_ratio(loss, comparison.floor) for loss in record.losses]),
        "certificate_seconds": spread(record.certificate_seconds),
    }


def _ratio(loss: float, floor: float) -> float | None:
    return loss / floor if floor > 0.0 else (1.0 if loss == 0.0 else None)


def spread(values: list[Any]) -> dict[str, float] | None:
    """Return minimum, quartiles and maximum; None where nothing was measured or the floor is 0."""
    if not values or None in values:
        return None
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return {"min": min(values), "q1": low, "median": middle, "q3": high, "max": max(values)}


@contextlib.contextmanager
def _fixed_threads(threads: int) -> Iterator[None]:
    """Fix the threads of BLAS, OpenMP and, where it is loaded, PyTorch."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else None
    with threadpoolctl.threadpool_limits(threads):
        if torch:
            torch.set_num_threads(threads)
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(before)
