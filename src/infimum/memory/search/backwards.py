"""The growth of the filled memory D, followed backwards under each law of the decay."""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from infimum.proof.theorems.capped_filling import DecayLaw, FixedDecay, NormKeepingDecay, ProportionalDecay
from infimum.proof.theorems.unrolling import WIDE


@singledispatch
def before(law: DecayLaw, filled: np.longdouble, weight: np.longdouble, step: int) -> np.longdouble:
    """D before a step that received this weight, from D after it (not positive: there is none)."""
    raise NotImplementedError(type(law))


@singledispatch
def enough(law: DecayLaw, needed: np.ndarray, weights: np.ndarray, start: int) -> np.longdouble:
    """Smallest D before `start` that reaches `needed` D before each step, when the steps receive these weights."""
    raise NotImplementedError(type(law))


@before.register
def _(law: FixedDecay, filled: np.longdouble, weight: np.longdouble, step: int) -> np.longdouble:
    return WIDE(filled - law.rates[step] * weight)


@before.register
def _(law: ProportionalDecay, filled: np.longdouble, weight: np.longdouble, step: int) -> np.longdouble:
    return WIDE(filled - law.rate * weight * (weight / filled)) if filled > 0.0 else filled


@before.register
def _(law: NormKeepingDecay, filled: np.longdouble, weight: np.longdouble, step: int) -> np.longdouble:
    square = filled * filled - (weight / law.radius) ** 2
    return WIDE(np.sqrt(square)) if square > 0.0 else WIDE(square)


@enough.register
def _(law: FixedDecay, needed: np.ndarray, weights: np.ndarray, start: int) -> np.longdouble:
    gains = law.rates[start : start + weights.size] * weights
    return WIDE((needed - np.cumsum(gains) + gains).max())


@enough.register
def _(law: ProportionalDecay, needed: np.ndarray, weights: np.ndarray, start: int) -> np.longdouble:
    gains = (np.sqrt(WIDE(law.rate)) * weights).astype(float)
    filled = float(needed[-1])
    for need, gain in zip(needed[-2::-1].astype(float).tolist(), gains[-2::-1].tolist(), strict=True):
        filled -= gain * (gain / filled)
        if filled < need:
            filled = need
    return WIDE(filled)


@enough.register
def _(law: NormKeepingDecay, needed: np.ndarray, weights: np.ndarray, start: int) -> np.longdouble:
    gains = (weights / law.radius) ** 2
    return WIDE(np.sqrt((needed**2 - np.cumsum(gains) + gains).max()))
