"""The independent check: derive a certificate again and see whether what the result claims follows from it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from infimum._arguments import RNGLike
from infimum._arrays import as_array
from infimum.errors import MissingExtraError, VerificationError
from infimum.proof.batch import Batch, CertificateArray
from infimum.proof.certificate import Certificate
from infimum.proof.evidence import one_line, shown
from infimum.proof.result import Result

DRAWN = ("probable", "sampled")  # rigours in which a random draw takes part


def verify(result: Result | Batch, *inputs: Any, rng: RNGLike = None) -> Certificate:
    """Derive value and lower bound again from the input, the answer and the witness, and compare with the claim.

    No solver takes part, and nothing that the result says about its own quality is believed. What is claimed must
    follow from what is derived here, without any slack: a claimed value may lie above the derived one and a claimed
    bound below it (solvers leave that room for rounding, which differs from machine to machine), never the other way
    round. Exact claims must be equal.

    Parameters
    ----------
    result : Result or Batch
        What a public solver returned, or what was read back from JSON.
    *inputs : array or other data
        The data that the solver was given, in the same order, without options.
    rng : int or numpy.random.Generator, optional
        Draw anew what random draws take part in a "probable" bound or a "sampled" value. By default they follow from a
        hash of the witness, so that whoever chose it did not choose them.

    Returns
    -------
    Certificate or CertificateArray
        The certificate as derived here; of a batch those of all its answers.

    Raises
    ------
    VerificationError
        The result does not prove what it claims: the message names the claim, what was derived, and the difference.
    MissingExtraError
        A package that the check needs is not installed.

    Examples
    --------
    >>> import numpy as np, infimum
    >>> M = np.arange(12.0).reshape(3, 4)
    >>> result = infimum.lowrank.svd(M, rank=1)
    >>> infimum.verify(result, M).theorem
    'eckart_young'
    """
    if isinstance(result, Batch):
        return _verified_batch(result, *inputs, rng=rng)  # type: ignore[return-value]  # the same, as arrays
    if not isinstance(result, Result):
        raise VerificationError(f"a result of infimum was expected, got {type(result).__name__}")
    claimed = result.certificate
    if not isinstance(claimed, Certificate):
        raise VerificationError(f"the result must bring a Certificate, got {type(claimed).__name__}")
    if len(inputs) != len(result.inputs):
        expected = ", ".join(result.inputs)
        raise VerificationError(f"{result.problem} needs the inputs ({expected}), got {len(inputs)} of them")
    drawn = {"rng": np.random.default_rng(rng)} if rng is not None and claimed.rigour in DRAWN else {}
    try:
        derived = result.brought_to(inputs).recheck(*inputs, **drawn)
    except MissingExtraError:
        raise
    except VerificationError as error:
        error.args = (one_line(str(error)),)
        raise
    except Exception as error:  # whatever a stranger's evidence breaks is the evidence's fault
        raise VerificationError(f"the check of {result.problem} failed: {shown(str(error))}") from error
    _compare(claimed, derived)
    return derived


def _verified_batch(batch: Batch, *inputs: Any, rng: RNGLike = None) -> CertificateArray:
    """Verify every answer of a batch."""
    stacks = [as_array(item, "a stack of matrices") for item in inputs]
    if any(tuple(stack.shape[:-2]) != tuple(batch.stack) for stack in stacks):
        raise VerificationError(f"stacks of the shape {batch.stack} were expected, got {[s.shape for s in stacks]}")
    if len(batch.results) != math.prod(batch.stack):
        raise VerificationError(f"a batch of {math.prod(batch.stack)} answers was expected, got {len(batch.results)}")
    places = np.ndindex(*batch.stack)
    derived = [
        verify(result, *(stack[(*place, ...)] for stack in stacks), rng=rng)
        for place, result in zip(places, batch.results, strict=True)
    ]
    return CertificateArray.of(derived, batch.stack)


def _compare(claimed: Certificate, derived: Certificate) -> None:
    for name in ("theorem", "rigour", "confidence"):
        if getattr(claimed, name) != getattr(derived, name):
            raise VerificationError(
                f"{name}: claimed {shown(getattr(claimed, name))}, derived {getattr(derived, name)!r}"
            )
    for name in ("value", "lower_bound"):
        claim, fresh = getattr(claimed, name), getattr(derived, name)
        weaker = claim >= fresh if name == "value" else claim <= fresh
        if not (claim == fresh if derived.rigour == "exact" else weaker):
            raise VerificationError(
                f"{name}: claimed {shown(claim)}, derived {shown(fresh)}; the claim does not follow: it is "
                f"{_distance(claim, fresh)} off"
            )


def _distance(claim: float, fresh: float) -> str:
    try:
        return shown(abs(claim - fresh))
    except OverflowError:  # a whole number that no float can hold
        return "infinitely far"
