"""The report of one solved problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infimum.errors import OptionError
from infimum.problems import problem_of
from infimum.proof import wording
from infimum.proof.certificate import Certificate
from infimum.proof.result import Result
from infimum.report import plain_text


def content(
    result: Result,
    source: str = "",
    answer: str = "",
    seconds: float | None = None,
    file: str = "",
    data: Sequence[str] = (),
    comparison: Mapping[str, Any] | None = None,
    names: plain_text.Names | None = None,
) -> dict[str, Any]:
    """Gather what the report says, as plain data.

    `source` says where the input came from, `answer` what the answer is in one line, `seconds` how long the solver
    took, `file` where the result is written, `data` the input as the command line takes it; `comparison` is a table as
    the register's entry describes it, and `names` what the fields of indices point to, by field.
    """
    problem = problem_of(result)
    certificate = result.certificate
    unbounded = certificate.ratio == float("inf")
    return {
        "problem": problem.name,
        "summary": _summary(problem.solve),
        "minimises": problem.minimises,
        "source": source,
        "answer": answer or plain_text.answer(result),
        "certificate": {
            "value": certificate.value,
            "lower_bound": certificate.lower_bound,
            "gap": certificate.gap,
            "ratio": None if unbounded else certificate.ratio,
            "value_text": wording.value_text(certificate),
            "gap_text": wording.gap_text(certificate),
            "ratio_text": wording.ratio(certificate),
            "theorem": certificate.theorem,
            "theorem_page": plain_text.theorem_page(certificate.theorem),
            "rigour": certificate.rigour,
            "confidence": certificate.confidence,
        },
        "claim": wording.sentence(certificate),
        "rigour_text": wording.RIGOUR[certificate.rigour],
        "ruler": _ruler(certificate),
        "seconds": seconds,
        "file": file,
        "verify": plain_text.command("infimum", "verify", file, *data) if file and data else "",
        "comparison": comparison,
        "names": dict(names or {}),
        "inputs": list(problem.inputs),
        "versions": plain_text.versions("numpy", "scipy"),
    }


def saved(result: Result, names: plain_text.Names | None = None) -> str | None:
    """Return the JSON of a result, with its names; None where it holds a Python function, which has none."""
    try:
        return plain_text.to_json(result, names)
    except OptionError:
        return None


def _summary(solve: Any) -> str:
    """First line of the docstring, without its markup."""
    return str(solve.__doc__).strip().splitlines()[0].replace("``", "").rstrip(".")


def _ruler(certificate: Certificate) -> float | None:
    """Share of the value that is proved to be out of reach; None where a ruler from 0 to the value says nothing."""
    value, bound = certificate.value, certificate.lower_bound
    return bound / value if value > 0 and bound >= 0 and certificate.rigour != "sampled" else None
