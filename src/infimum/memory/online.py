"""The exact rule step by step, for runs whose length is not known and whose data are judged as they come."""

from __future__ import annotations

import numbers
from typing import NamedTuple

import numpy as np

from infimum.errors import OptionError
from infimum.memory.decay import MatchRMS, Proportional, law_of
from infimum.proof.schedule_limits import limits_of, positive
from infimum.proof.theorems.capped_filling import DecayLaw
from infimum.proof.theorems.unrolling import WIDE


class Taken(NamedTuple):
    """One step: its learning rate and weight decay, and the memory filled after it."""

    lr: float
    weight_decay: float
    filled: float


class Stream:
    """The rule ``lr = p / D`` with D grown step by step, under a cap and a linear warm-up.

    Parameters
    ----------
    max_lr, weight_decay, warmup
        As for `design`; the weight decay is a number or a law.
    """

    def __init__(self, max_lr: float, weight_decay: float | Proportional | MatchRMS, warmup: int = 0) -> None:
        if isinstance(warmup, bool) or not isinstance(warmup, numbers.Integral) or warmup < 0:
            raise OptionError(f"warmup must be a whole number of at least 0, got {warmup!r}")
        self.max_lr: float = positive(max_lr, "max_lr")
        self.warmup: int = int(warmup)
        one, cap = np.ones(1), np.array([self.max_lr])
        name, rate, rates = law_of(weight_decay, cap, one)
        self._law: DecayLaw = limits_of(one, cap, rates, name, rate).law

    @property
    def start(self) -> float:
        """Memory filled before the first step: then a weight of 1 takes `max_lr` at the end of the warm-up."""
        filled = 1.0 / self.max_lr
        for step in range(max(self.warmup, 1) - 1, -1, -1):
            filled *= 1.0 - self._decay(self._cap(step))
        return filled

    def take(self, filled: float, step: int, wanted: float = 1.0) -> Taken:
        """Remember `wanted` of the batch of this step (counted from 0), or as much as the cap allows."""
        weight = np.array([positive(wanted, "wanted")], dtype=WIDE)
        after = float(self._law.free(WIDE(filled), weight, 0)[0])
        lr = float(weight[0]) / after
        if lr > self._cap(step):
            lr = self._cap(step)
            after = filled / (1.0 - self._decay(lr))
        return Taken(lr, self._decay(lr) / lr, after)

    def _cap(self, step: int) -> float:
        return self.max_lr * min(1.0, (step + 1) / max(self.warmup, 1))

    def _decay(self, lr: float) -> float:
        return float(self._law.decay(np.array([lr], dtype=WIDE))[0])
