"""The register of problems: what the contract suite, the command line, the demo and the reports are built from.

A new problem is a file in a room, its answer in `proof.answers`, its theorem in `proof.theorems`, one entry in the
room's file here and one docs page (see CONTRIBUTING.md).
"""

from __future__ import annotations

from infimum.errors import OptionError
from infimum.problems import balance, integers, lowrank, memory, minimax
from infimum.problems.entry import Case, Problem
from infimum.proof.result import Result

__all__ = ["Case", "Problem", "get", "problem_of"]

PROBLEMS: tuple[Problem, ...] = (
    *lowrank.PROBLEMS,
    *integers.PROBLEMS,
    *memory.PROBLEMS,
    *balance.PROBLEMS,
    *minimax.PROBLEMS,
)


def get(name: str) -> Problem:
    """Return the problem of that name (``"lowrank.svd"``) or command (``"svd"``)."""
    for problem in PROBLEMS:
        if name in (problem.name, problem.command):
            return problem
    raise OptionError(f"problem must be one of {', '.join(p.name for p in PROBLEMS)}, got {name!r}")


def problem_of(result: Result) -> Problem:
    """Return the problem that a result answers."""
    return get(result.problem)


def __dir__() -> list[str]:
    return __all__
