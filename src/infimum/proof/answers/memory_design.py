"""A designed schedule: learning rate and weight decay, how far their memory is from the target, and the proof."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias, get_args

import numpy as np

from infimum._arguments import axes
from infimum._arrays import Array, is_array, to_numpy
from infimum.errors import VerificationError
from infimum.proof import wording
from infimum.proof.certificate import Certificate
from infimum.proof.evidence import array, number, shown, whole
from infimum.proof.profiles import as_target
from infimum.proof.result import Result
from infimum.proof.schedule_limits import LAWS, Limits, caps_of, host, limits_of
from infimum.proof.theorems import capped_filling, profile_dual, unrolling
from infimum.proof.theorems.capped_filling import FixedDecay
from infimum.proof.theorems.unrolling import Unrolled

Objective: TypeAlias = Literal["tv", "ratio"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)


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
    beta1 : float
        Momentum; where it is not 0, the memory that counts is that of the gradients.
    certificate : Certificate
        About the memory profile, not about the training loss. `value` is the total variation distance between the
        weights (of the updates, or with momentum of the gradients) and the target (or max/min of their quotient),
        `lower_bound` holds for every schedule within the caps, with that decay, whose initial share is no larger.
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
    beta1: float = 0.0

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
        steps = array("lr", self.lr, (None,)).shape[0]
        profile = as_target(target, steps)
        if self.objective not in OBJECTIVES or self.decay_law not in LAWS:
            raise VerificationError(
                f"objective and decay_law must be of {OBJECTIVES} and {LAWS}, got {shown(self.objective)} and "
                f"{shown(self.decay_law)}"
            )
        rates = array("weight_decay", self.weight_decay, (steps,))
        caps = caps_of(self._highest(steps), whole("warmup", self.warmup, least=0, most=steps), profile)
        rate = number("decay_rate", self.decay_rate, least=0.0)
        limits = limits_of(profile, caps, rates if self.decay_law == "fixed" else None, self.decay_law, rate)
        memory = memory_of(limits, self.lr, rates)
        unrolling.require_share(memory, number("initial_share", self.initial_share, above=0.0, most=1.0))
        beta1 = number("beta1", self.beta1, least=0.0, below=1.0)
        return certify_schedule(
            limits, memory, self.objective, self.certificate.witness, self.initial_share, beta1=beta1
        )

    def _highest(self, steps: int) -> Any:
        """Return the largest learning rate, a number or one of every step, after asking for it."""
        if not is_array(self.max_lr):
            return number("max_lr", self.max_lr, above=0.0)
        return array("max_lr", self.max_lr, (steps,))

    def plot(self, ax: Any = None) -> Any:
        """Draw the memory of every batch beside the learning rate, each relative to its largest value."""
        ax = axes(ax)
        memory = unrolling.unroll(host(self.lr), host(self.lr) * host(self.weight_decay))
        if self.beta1:
            memory = unrolling.of_gradients(memory, self.beta1)
        steps = np.arange(1, memory.weights.size + 1)
        ax.plot(
            steps,
            (memory.weights / memory.weights.max()).astype(float),
            label="memory of the batch" if not self.beta1 else "memory of the gradient",
        )
        lr = to_numpy(self.lr)
        ax.plot(steps, lr / lr.max(), ls="--", label=f"learning rate / {lr.max():.3g}")
        kind = "total variation" if self.objective == "tv" else "max/min"
        title = f"{wording.error_label(self.certificate, kind)}, initialisation keeps {self.initial_share:.1%}"
        ax.set(xlabel="step", ylabel="relative to the largest", title=title, ylim=(0.0, 1.05))
        ax.legend()
        return ax


def memory_of(limits: Limits, lr: Array, weight_decay: Array) -> Unrolled:
    """Measure the memory of a schedule that stays within its limits."""
    rate = host(lr)
    decay = rate * host(weight_decay)
    if rate.shape != limits.caps.shape or not np.all((rate >= 0.0) & (rate <= limits.caps)):
        raise VerificationError("lr must have one entry a step, from 0 to its cap")
    law = limits.law.decay(rate)
    if decay.shape != law.shape or not np.all(np.abs(decay - law) <= limits.slack * law):
        raise VerificationError("weight_decay does not follow the law that the schedule names")
    return unrolling.unroll(rate, decay)


def certify_schedule(
    limits: Limits,
    memory: Unrolled,
    objective: str,
    witness: Mapping[str, Any],
    share: float,
    *,
    beta1: float = 0.0,
    room: float = 1.0,
) -> Certificate:
    """Measure the profile of a schedule as returned; bound what any schedule with no larger initial share can do.

    The profile is that of the updates, or with momentum that of the gradients. With `room` allowances for
    rounding.
    """
    theorem, bound = unrolling.THEOREM, 1.0 if objective == "ratio" else 0.0
    target, caps, law = limits.target, limits.caps, limits.law
    if beta1:
        memory = unrolling.of_gradients(memory, beta1)
    if "initial" in witness and objective == "ratio" and not beta1:
        theorem, start = capped_filling.THEOREM, number("initial", witness["initial"], above=0.0)
        bound = capped_filling.ratio_bound(target, caps, law, share, initial=start, slack=limits.slack, room=room)
    elif "multipliers" in witness and objective == "tv" and isinstance(law, FixedDecay):
        theorem, task = profile_dual.THEOREM, (target, caps, law.rates, share, witness["multipliers"])
        if not beta1:
            bound = profile_dual.lower_bound(*task, room=room)
        elif "missed" in witness:
            bound = profile_dual.gradients_bound(*task, witness["missed"], beta1, room=room)
    measure = unrolling.ratio if objective == "ratio" else unrolling.variation
    return Certificate(measure(memory, target, room=room), bound, theorem, "rounded", witness=witness)
