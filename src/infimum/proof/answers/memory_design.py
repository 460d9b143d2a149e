"""A designed schedule: learning rate and weight decay, how far their memory is from the target, and the proof."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import axes
from infimum._arrays import Array, to_numpy
from infimum.errors import VerificationError
from infimum.proof import wording
from infimum.proof.certificate import Certificate
from infimum.proof.profiles import as_target
from infimum.proof.result import Result
from infimum.proof.schedule_limits import Limits, caps_of, host, limits_of, positive
from infimum.proof.theorems import capped_filling, profile_dual, unrolling
from infimum.proof.theorems.capped_filling import FixedDecay


@dataclass(frozen=True)
class Schedule(Result):
    """Learning rate and weight decay for every step, the answer of `design`.

    Attributes
    ----------
    lr, weight_decay : array (steps,)
        What the optimizer uses at each step; it must decay by ``lr * weight_decay`` (AdamW, Muon, decoupled SGD).
    initial_share : float
        Share of the initialisation in the final weights; that of all updates together is the rest.
    max_lr, warmup, objective : float or array, int, str
        As given.
    decay_law, decay_rate : str, float
        Which schedules the bound ranges over: "fixed" (the very `weight_decay` returned, rate 0), "proportional"
        (weight decay = rate * lr) or "match_rms" (decay that keeps the RMS `rate` under unit updates).
    certificate : Certificate
        About the memory profile, not about the training loss. `value` is the total variation distance between the
        weights and the target (or max/min of their quotient), `lower_bound` holds for every schedule within the
        caps, with that decay, whose initial share is no larger.
    """

    problem: ClassVar[str] = "memory.design"
    inputs: ClassVar[tuple[str, ...]] = ("target",)
    lr: Array
    weight_decay: Array
    initial_share: float
    max_lr: Any
    warmup: int
    objective: str
    decay_law: str
    decay_rate: float

    @property
    def binding(self) -> tuple[str, ...]:
        """The constraints that the schedule meets with equality."""
        caps = to_numpy(caps_of(self.max_lr, self.warmup, self.lr))
        at_cap = to_numpy(self.lr) >= caps
        warm, rest = int(np.sum(at_cap[: self.warmup])), int(np.sum(at_cap[self.warmup :]))
        named = ((warm, f"warm-up at {warm} of {self.warmup} steps"), (rest, f"max_lr at {rest} steps after it"))
        return (*(text for count, text in named if count), f"initial share {self.initial_share:.4g}")

    def recheck(self, target: Any) -> Certificate:
        """Derive the certificate of a schedule from the target, the answer and the witness alone."""
        profile = as_target(target, self.lr.shape[0])
        rates = self.weight_decay if self.decay_law == "fixed" else None
        caps = caps_of(self.max_lr, self.warmup, profile)
        limits = limits_of(profile, caps, rates, self.decay_law, self.decay_rate)
        certificate, share = certify_schedule(
            limits, self.lr, self.weight_decay, self.objective, self.certificate.witness
        )
        if abs(share - self.initial_share) > 1e-9 * share:
            raise VerificationError(f"initial_share: claimed {self.initial_share!r}, derived {share!r}")
        return certificate

    def plot(self, ax: Any = None) -> Any:
        """Draw the memory of every batch beside the learning rate, each relative to its largest value."""
        ax = axes(ax)
        memory = unrolling.unroll(host(self.lr), host(self.lr) * host(self.weight_decay))
        steps = np.arange(1, memory.weights.size + 1)
        ax.plot(steps, (memory.weights / memory.weights.max()).astype(float), label="memory of the batch")
        lr = to_numpy(self.lr)
        ax.plot(steps, lr / lr.max(), ls="--", label=f"learning rate / {lr.max():.3g}")
        kind = "total variation" if self.objective == "tv" else "max/min"
        title = f"{wording.error_label(self.certificate, kind)}, initialisation keeps {self.initial_share:.1%}"
        ax.set(xlabel="step", ylabel="relative to the largest", title=title, ylim=(0.0, 1.05))
        ax.legend()
        return ax


def certify_schedule(
    limits: Limits, lr: Array, weight_decay: Array, objective: str, witness: Mapping[str, Any]
) -> tuple[Certificate, float]:
    """Measure the profile of a schedule as returned; bound what any schedule with no larger initial share can do."""
    rate, decay = host(lr), host(lr) * host(weight_decay)
    _check_within(limits, rate, decay)
    memory = unrolling.unroll(rate, decay)
    share = unrolling.initial_share(memory)
    theorem, trivial = "unrolling", 1.0 if objective == "ratio" else 0.0
    bound = trivial
    if "initial" in witness and objective == "ratio":
        theorem, start = "capped_filling", positive(witness["initial"], "the witness")
        args = (limits.target, limits.caps, limits.law, share)
        bound = capped_filling.ratio_bound(*args, initial=start, slack=limits.slack)
    elif "multipliers" in witness and objective == "tv" and isinstance(limits.law, FixedDecay):
        theorem = "profile_dual"
        u = np.asarray(witness["multipliers"], dtype=np.float64)
        bound = profile_dual.lower_bound(limits.target, limits.caps, limits.law.rates, share, u)
    measure = unrolling.ratio if objective == "ratio" else unrolling.variation
    certificate = Certificate(measure(memory, limits.target), bound, theorem, "rounded", witness=witness)
    return certificate, share


def _check_within(limits: Limits, rate: np.ndarray, decay: np.ndarray) -> None:
    if rate.shape != limits.caps.shape or not np.all((rate >= 0.0) & (rate <= limits.caps)):
        raise VerificationError("lr must have one entry a step, from 0 to its cap")
    law = limits.law.decay(rate)
    if decay.shape != law.shape or not np.all(np.abs(decay - law) <= limits.slack * law):
        raise VerificationError("weight_decay does not follow the law that the schedule names")
