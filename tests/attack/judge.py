"""What becomes of a forged result: refused in the proper way and in time, or believed and then true."""

from __future__ import annotations

import contextlib
import signal
import warnings
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import mpmath

import infimum
from infimum.errors import FileFormatError, VerificationError
from infimum.proof.certificate import Certificate
from infimum.proof.result import Result
from tests.attack.exact import real
from tests.attack.losses import LOSSES
from tests.attack.optima import OPTIMA

LIMIT = 20.0  # seconds
DIGITS = mpmath.mpf(10) ** -40  # of the size of a loss: what 60 digits leave open
SAMPLING = mpmath.mpf(10) ** -6  # by which a loss may exceed the largest of the samples that `uniform` takes


class OutOfTime(BaseException):  # not an Exception: `verify` must not take it for bad evidence
    """Raised when a check runs longer than the limit."""


@contextlib.contextmanager
def limited(seconds: float = LIMIT) -> Iterator[None]:
    """Stop what runs longer; warnings are nobody's error here, as in a user's session."""

    def stop(_number: int, _frame: Any) -> None:
        raise OutOfTime(f"still running after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def accepted(text: str, inputs: tuple[Any, ...]) -> tuple[Result, Certificate] | None:
    """Read and verify a result; None where it is refused. Any other error, or no end, is a failure."""
    with limited():
        try:
            result = infimum.from_json(text)
            return result, infimum.verify(result, *inputs)
        except (FileFormatError, VerificationError):
            return None


def judge(result: Result, certificate: Certificate, inputs: tuple[Any, ...]) -> None:
    """Assert that a certificate is true of a result: bound <= optimum, loss of the answer <= value."""
    loss, optimum = (table[result.problem](result, *inputs) for table in (LOSSES, OPTIMA))
    loss = _number(loss)
    reached = loss * (1 + SAMPLING) if result.problem.startswith("minimax.") else loss
    best = reached if optimum is None else min(reached, _number(optimum))
    for claim in (certificate, result.certificate):
        value, bound = real(claim.value), real(claim.lower_bound)
        assert value >= loss - abs(loss) * DIGITS, f"false value: {claim}, the loss is {mpmath.nstr(loss, 20)}"
        assert bound <= best + abs(best) * DIGITS, f"false bound: {claim}, the optimum is {mpmath.nstr(best, 20)}"


def _number(item: Any) -> Any:
    return real(item) if isinstance(item, int | float | Fraction) else mpmath.mpf(item)
