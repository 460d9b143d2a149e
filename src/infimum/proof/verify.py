"""The independent check: derive a certificate again and compare it with what the result claims."""

from __future__ import annotations

from typing import Any

from infimum.errors import VerificationError
from infimum.problems import problem_of
from infimum.proof.certificate import Certificate, is_finite
from infimum.proof.result import Result

RELATIVE = 1e-9  # recomputing on another machine or device changes rounding, not more than this
ABSOLUTE = 1e-12  # times the natural size of the loss: losses below that are rounding themselves


def verify(result: Result, *inputs: Any) -> Certificate:
    """Derive value and lower bound again from the input, the answer and the witness, and compare with the claim.

    No solver takes part, and nothing that the result says about its own quality is believed. A claimed lower bound
    below the derived one is accepted: it is proved, too.

    Parameters
    ----------
    result : Result
        What a public solver returned, or what was read back from JSON.
    *inputs : array or other data
        The data that the solver was given, in the same order, without options.

    Returns
    -------
    Certificate
        The certificate as derived here.

    Raises
    ------
    VerificationError
        The result does not prove what it claims: the message names the claim, what was derived, and the difference.

    Examples
    --------
    >>> import numpy as np, infimum
    >>> M = np.arange(12.0).reshape(3, 4)
    >>> result = infimum.lowrank.svd(M, rank=1)
    >>> infimum.verify(result, M).theorem
    'eckart_young'
    """
    problem = problem_of(result)
    if len(inputs) != len(problem.inputs):
        expected = ", ".join(problem.inputs)
        raise VerificationError(f"{problem.name} needs the inputs ({expected}), got {len(inputs)} of them")
    try:
        derived = result.recheck(*inputs)
    except VerificationError:
        raise
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise VerificationError(f"the answer or the witness is malformed: {error}") from error
    _compare(result.certificate, derived, ABSOLUTE * problem.scale(*inputs))
    return derived


def _compare(claimed: Certificate, derived: Certificate, slack: float) -> None:
    for name in ("theorem", "rigour", "confidence"):
        if getattr(claimed, name) != getattr(derived, name):
            raise VerificationError(f"{name}: claimed {getattr(claimed, name)!r}, derived {getattr(derived, name)!r}")
    for name in ("value", "lower_bound"):
        claim, fresh = getattr(claimed, name), getattr(derived, name)
        tolerance = 0.0 if derived.rigour == "exact" else max(slack, RELATIVE * abs(fresh))
        modest = (
            name == "lower_bound" and claim < fresh and derived.rigour != "exact"
        )  # what is proved covers the claim
        if not is_finite(claim) or (abs(claim - fresh) > tolerance and not modest):
            raise VerificationError(
                f"{name}: claimed {claim!r}, derived {fresh!r}; they differ by {abs(claim - fresh):.3g}, "
                f"{tolerance:.3g} is allowed for rounding"
            )
