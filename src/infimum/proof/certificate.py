"""The certificate: a loss that was reached, and a lower bound on what could have been reached."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from infimum.errors import FalseCertificateError, OptionError

Rigour = Literal["exact", "enclosed", "rounded", "probable", "sampled"]
RIGOURS = get_args(Rigour)


@dataclass(frozen=True, slots=True)
class Certificate:
    """How good an answer is: ``lower_bound <= true optimum <= value``, unless the value is the largest of samples.

    Attributes
    ----------
    value : float or int
        Loss of the answer *as returned* (after rounding to the caller's dtype), in the norm that the problem states,
        rounded upwards; with rigour "sampled" the largest of samples, which the loss may exceed. An int where it is
        exact.
    lower_bound : float or int
        No admissible answer has a smaller loss on this input. 0 when nothing could be proved.
    theorem : str
        Why the bound holds: the page ``docs/theorems/<theorem>``.
    rigour : {"exact", "enclosed", "rounded", "probable", "sampled"}
        *exact*: integers, rationals or an identity. *enclosed*: outward-rounded ball arithmetic. *rounded*: a
        deterministic theorem evaluated in floating point, less a stated allowance for rounding. *probable*: true with
        probability `confidence` over random draws that the prover could not choose. *sampled*: the bound is proved, the
        value is the largest of samples of a function that is known by its values only.
    confidence : float
        1.0, unless `rigour` is "probable".
    witness : mapping
        What a checker needs besides the input and the answer to derive the bound again: names to arrays and numbers.
    """

    value: float
    lower_bound: float
    theorem: str
    rigour: Rigour
    confidence: float = 1.0
    witness: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.rigour not in RIGOURS:
            raise OptionError(f"rigour must be one of {RIGOURS}, got {self.rigour!r}")
        for name in ("value", "lower_bound", "confidence"):
            item = getattr(self, name)
            if isinstance(item, bool) or not isinstance(item, int | float):
                raise OptionError(f"{name} must be a Python number, got {item!r} of type {type(item).__name__}")
        if (self.rigour == "probable") != (self.confidence < 1.0) or not 0.0 < self.confidence <= 1.0:
            raise OptionError(
                "confidence must be 1.0, or below 1.0 with rigour 'probable', "
                f"got {self.confidence} with {self.rigour!r}"
            )
        if not (is_finite(self.value) and is_finite(self.lower_bound)) or self.lower_bound > self.value:
            raise FalseCertificateError(
                f"lower bound {self.lower_bound!r} and value {self.value!r} ({self.theorem}) must be finite and "
                "ordered; this is a bug in infimum: please report it with the input "
                "and the result as JSON, by the form 'False certificate' of the issues"
            )

    @property
    def gap(self) -> float:
        """``value - lower_bound``: at most this much could still be gained; with "sampled" an estimate."""
        return self.value - self.lower_bound

    @property
    def ratio(self) -> float:
        """``value / lower_bound``; 1.0 when both are 0, infinity when only the bound is 0."""
        if self.value == self.lower_bound:
            return 1.0
        return self.value / self.lower_bound if self.lower_bound else math.inf

    def __str__(self) -> str:
        certainty = "" if self.confidence == 1.0 else f", confidence 1 - {1.0 - self.confidence:.0e}"
        bound, value = _digits(self.lower_bound), _digits(self.value)
        reached = f"; largest of samples {value}" if self.rigour == "sampled" else f" <= {value}"
        return f"{bound} <= optimum{reached} ({self.theorem}, {self.rigour}{certainty})"


def is_finite(number: float) -> bool:
    """Tell whether a number is finite; an integer always is, even where no float can hold it."""
    return isinstance(number, int) or math.isfinite(number)


def _digits(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:.6g}"
