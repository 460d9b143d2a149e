"""The report of one solved problem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infimum.problems import problem_of
from infimum.proof.result import Result
from infimum.report import words


def content(
    result: Result,
    source: str = "",
    answer: str = "",
    seconds: float | None = None,
    verify: str = "",
    comparison: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Gather what the report says, as plain data.

    `source` says where the input came from, `answer` what the answer is in one line, `seconds` how long the solver
    took, `verify` which command checks the answer; `comparison` is a table as the register's entry describes it.
    """
    problem = problem_of(result)
    certificate = result.certificate
    unbounded = certificate.ratio == float("inf")
    return {
        "problem": problem.name,
        "summary": _summary(problem.solve),
        "minimises": problem.minimises,
        "source": source,
        "answer": answer or words.answer(result),
        "certificate": {
            "value": certificate.value,
            "lower_bound": certificate.lower_bound,
            "gap": certificate.gap,
            "ratio": None if unbounded else certificate.ratio,
            "ratio_text": words.ratio(certificate),
            "theorem": certificate.theorem,
            "rigour": certificate.rigour,
            "confidence": certificate.confidence,
        },
        "claim": words.claim(certificate),
        "rigour_text": words.RIGOUR[certificate.rigour],
        "ruler": _ruler(certificate.value, certificate.lower_bound),
        "seconds": seconds,
        "verify": verify,
        "comparison": comparison,
        "inputs": list(problem.inputs),
        "versions": words.versions("numpy", "scipy"),
    }


def _summary(solve: Any) -> str:
    """First line of the docstring, without its markup."""
    return str(solve.__doc__).strip().splitlines()[0].replace("``", "").rstrip(".")


def _ruler(value: float, bound: float) -> float | None:
    """Share of the value that is proved to be out of reach; None where a ruler from 0 to the value says nothing."""
    return bound / value if value > 0 and bound >= 0 else None
