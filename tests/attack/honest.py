"""Honest results to start from: every problem on tiny inputs, and with options that other theorems prove."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from infimum import memory, problems
from infimum.errors import InfimumError
from infimum.problems import Case
from tests.contract.arrays import hostile_versions
from tests.contract.cases import solve

SEEDS = range(4)


class Honest(NamedTuple):
    """An input, and the JSON document of the result that solves it."""

    problem: str
    inputs: tuple[Any, ...]
    document: dict[str, Any]


def _decaying(rng: np.random.Generator, rows: int, columns: int, ratio: float = 0.5) -> np.ndarray:
    size = min(rows, columns)
    left, right = (np.linalg.qr(rng.standard_normal((n, size)))[0] for n in (rows, columns))
    return (left * ratio ** np.arange(size)) @ right.T


def _complex(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def _matrices(rng: np.random.Generator) -> Iterator[tuple[str, Case]]:
    larger, small, mixed = _decaying(rng, 24, 16, 0.9), rng.standard_normal((6, 5)), _complex(rng, 5, 4)
    yield "svd", Case((larger,), {"rank": 3, "method": "krylov"})
    yield "svd", Case((larger.T.copy(),), {"rank": 4, "method": "randomized"})
    yield "svd", Case((small.astype(np.float32),), {"rank": 2, "method": "exact"})
    yield "svd", Case((mixed,), {"rank": 1})
    yield "pinv", Case((rng.standard_normal((8, 5)),))
    yield "pinv", Case((small.T.copy(),), {"rtol": 0.5})
    yield "pinv", Case((mixed,))
    yield "pinv", Case((np.outer(small[0], small[:, 0]),))
    yield "interpolative", Case((small,), {"rank": 2, "axis": 0})
    yield "interpolative", Case((larger,), {"rank": 3})
    yield "cur", Case((small,), {"rank": 2, "core": "intersection"})
    yield "cur", Case((larger,), {"rank": 3})
    factor = rng.standard_normal((6, 6)) * 0.6 ** np.arange(6)
    yield "nystrom", Case((factor @ factor.T,), {"rank": 3, "method": "greedy"})
    yield "nystrom", Case((larger @ larger.T,), {"rank": 3})
    yield "solve", Case((small, rng.standard_normal((6, 2))), {"ridge": 0.3})
    yield "solve", Case((small, rng.standard_normal((6, 9))), {"ridge": 1e-3})
    yield "solve", Case((small, rng.standard_normal(6)))
    yield "solve", Case((small.T.copy(), rng.standard_normal((5, 3))), {"rtol": 0.6})
    X, Y = rng.standard_normal((4, 7)), rng.standard_normal((7, 5))
    for options in ({"weights": "diagonal"}, {"weights": "full"}, {"method": "exact"}, {"method": "sampling"}):
        yield "cr", Case((X, Y), {"rank": 3, **options})
    for weights in ("diagonal", "full"):
        yield "cr", Case((X, Y), {"rank": 2, "weights": weights, "method": "exact"})


def _others(rng: np.random.Generator) -> Iterator[tuple[str, Case]]:
    scores = rng.standard_normal((5, 4))
    yield "balance", Case((scores,), {"k": 1, "load": (0, 2)})
    yield "balance", Case((scores,), {"k": 2, "groups": np.array([0, 0, 1, 1]), "group_load": (4, 6), "load": (0, 5)})
    yield "balance", Case((np.round(scores),), {"k": 2, "method": "sign"})
    masked = np.where(np.eye(5, 4, dtype=bool), -np.inf, scores)
    yield "balance", Case((masked,), {"k": 2})
    yield "balance", Case((np.where(scores < -0.5, -1e30, scores),), {"k": 1})
    yield "assign", Case((rng.standard_normal((5, 5)),), {"maximize": True})
    yield "assign", Case((-masked,), {})
    yield "assign", Case((masked.T.copy(),), {"maximize": True})
    yield "threshold", Case((scores[:4],), {"k": 1.0, "load": (0, 4)})
    yield "codebook", Case((rng.standard_normal((6, 2)),), {"n_codes": 3, "load": (1, 4)})
    target = rng.uniform(0.5, 2.0, 4)
    for objective in ("tv", "ratio"):
        for decay in (0.8, memory.Proportional(1.0), memory.MatchRMS(1.0)):
            options = {"max_lr": 0.6, "weight_decay": decay, "max_initial_share": 0.6, "objective": objective}
            yield "design", Case((target,), options)
            yield "design", Case((np.array([1.0, 1.2, 0.9, 1.0]),), {**options, "beta1": 0.6})
    yield "split", Case((331,), {"cost": (3, 1, 2)})
    yield "split", Case((977,))


def _functions(rng: np.random.Generator) -> Iterator[tuple[str, Case]]:
    yield "minimax", Case(("sin(x)",), {"degree": 3, "domain": (-1.0, 1.0), "system": "odd", "relative": True})
    yield "minimax", Case(("exp(x)",), {"domain": (0.0, 1.0), "system": [0, 1, 3], "weight": "1/(1+x)"})
    yield "minimax", Case(("abs(x - 0.25)",), {"degree": 2, "domain": [(-1.0, 0.0), (0.125, 1.0)]})
    yield "rational", Case(("exp(x)",), {"type": (0, 1), "domain": (-1.0, 1.0)})
    yield "rounded", Case(("cos(x)",), {"degree": 2, "domain": (-1.0, 1.0), "system": "even", "dtype": "float16"})
    yield "msign-schedule", Case((0.2,), {"steps": 2, "degree": 5, "cushion": 0.1})


@functools.cache
def pool(name: str) -> tuple[Honest, ...]:
    """Solve the cases of a problem, once."""
    problem = problems.get(name)
    rng = np.random.default_rng(7)
    cases = [problem.tiny(np.random.default_rng(seed)) for seed in SEEDS]
    more: tuple[Callable[[np.random.Generator], Iterator[tuple[str, Case]]], ...] = (_matrices, _others, _functions)
    cases += [case for part in more for command, case in part(rng) if command == problem.command]
    cases += [case for _, case in hostile_versions(cases[0])] if problem.arrays else []
    return tuple(Honest(name, case.inputs, document) for case in cases if (document := _solved(problem, case)))


def _solved(problem: problems.Problem, case: Case) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = json.loads(solve(problem, case).to_json())
    except InfimumError:  # an input that a solver refuses
        return None
    return document
