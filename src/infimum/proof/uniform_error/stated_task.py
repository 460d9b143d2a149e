"""The approximation problem that an answer says it solves: every field is asked for its kind and range before use."""

from __future__ import annotations

from typing import Any

import numpy as np

from infimum.errors import VerificationError
from infimum.proof import evidence
from infimum.proof.certificate import Certificate
from infimum.proof.enclosure.domain import MOST_INTERVALS
from infimum.proof.enclosure.functions import Function, as_function
from infimum.proof.enclosure.parsing import LONGEST
from infimum.proof.enclosure.spaces import LARGEST_DEGREE
from infimum.proof.enclosure.task import MOST_BREAKPOINTS, Task, as_task
from infimum.proof.uniform_error.error_bounds import is_enclosable
from infimum.proof.uniform_error.error_certificate import Path

TOLERANCES = 1e-12, 0.1


def same_function(f: Any, stated: Any) -> Function:
    """Return the function that a check was given; refuse an answer about another one."""
    function = as_function(f)
    if not isinstance(stated, str) or str(function) != stated:
        raise VerificationError(f"f: the result is about {evidence.shown(stated)}, not about {function}")
    return function


def stated_task(answer: Any, f: Any) -> Task:
    """Return the task that an answer states, about the function that a check was given."""
    function = same_function(f, answer.f)
    degree = answer.degree
    if degree is not None:
        evidence.whole("degree", degree, least=0, most=LARGEST_DEGREE)
    if not isinstance(answer.system, str):
        _length("system", answer.system, LARGEST_DEGREE + 1)
    relative, domain = evidence.flag("relative", answer.relative), numbers_of_pairs(answer.domain)
    stated_tolerance(answer.tol)
    weight, breakpoints = stated_weight(answer.weight), stated_breakpoints(answer.breakpoints)
    fixed = stated_fixed(answer.fixed)
    return as_task(function, degree, domain, answer.system, weight, relative, breakpoints, fixed)


def numbers_of_pairs(domain: Any) -> list[tuple[float, float]]:
    """Return the intervals of a domain."""
    _length("domain", domain, MOST_INTERVALS)
    for pair in domain:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise VerificationError(f"domain must be pairs of numbers, got {evidence.shown(pair)}")
    return [(evidence.number("domain", low), evidence.number("domain", high)) for low, high in domain]


def stated_weight(weight: Any) -> Any:
    """Return a weight; text of limited length, as that of every function in a file."""
    if isinstance(weight, str) and len(weight) > LONGEST:
        raise VerificationError(f"weight has {len(weight)} characters, at most {LONGEST} are read")
    return weight


def stated_breakpoints(breakpoints: Any) -> list[float]:
    """Return breakpoints, a limited number: every one costs samples and cells."""
    _length("breakpoints", breakpoints, MOST_BREAKPOINTS, least=0)
    return [evidence.number("breakpoints", point) for point in breakpoints]


def stated_fixed(fixed: Any) -> Any:
    """Return fixed coefficients, a limited number."""
    _length("fixed", fixed, LARGEST_DEGREE + 1, least=0)
    return fixed


def stated_tolerance(tol: Any) -> float:
    """Return the tolerance of a result."""
    return evidence.number("tol", tol, least=TOLERANCES[0], most=TOLERANCES[1])


def stated_points(certificate: Certificate, count: int | None) -> np.ndarray:
    """Return the points of the witness: so many doubles."""
    points = certificate.witness.get("points")
    return evidence.doubles("points", points, (count,))


def stated_path(certificate: Certificate, task: Task) -> Path:
    """Return how a value claims to be known, if it can be."""
    if certificate.rigour == "sampled":
        return "sampled"
    if not is_enclosable(task):
        raise VerificationError("rigour: only functions that are known as formulas or tables can be enclosed")
    return "enclosed"


def refuse_other_signs(stated: Any, derived: tuple[int, ...], certificate: Certificate) -> None:
    """Refuse signs of the error that do not follow; where the claimed bound is 0, all of them may be the others."""
    _length("signs", stated, len(derived), least=len(derived))
    signs = tuple(evidence.whole("signs", sign, least=-1, most=1) for sign in stated)
    opposite = tuple(-sign for sign in derived)
    if signs != derived and not (certificate.lower_bound == 0 and signs == opposite):
        raise VerificationError(f"signs: claimed {evidence.shown(signs)}, derived {evidence.shown(derived)}")


def _length(name: str, item: Any, most: int, least: int = 1) -> None:
    if not isinstance(item, tuple | list) or not least <= len(item) <= most:
        got = f"{len(item)} of them" if isinstance(item, tuple | list) else evidence.shown(item)
        raise VerificationError(f"{name} must be from {least} to {most} entries, got {got}")
