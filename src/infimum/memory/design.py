"""Design a schedule of learning rate and weight decay from the memory that it should leave of every batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from infimum._arguments import axes, one_of
from infimum._arrays import Array, to_numpy
from infimum.errors import OptionError, VerificationError
from infimum.memory import program
from infimum.memory.filling import above, exact_after, with_share
from infimum.memory.limits import (
    Limits,
    caps_of,
    highest_of,
    host,
    law_of,
    limits_of,
    positive,
    rounded,
)
from infimum.memory.targets import as_target
from infimum.proof.certificate import Certificate
from infimum.proof.result import Result
from infimum.proof.theorems import capped_filling, profile_dual, unrolling
from infimum.proof.theorems.capped_filling import FixedDecay

EXACT = 1e-15  # a cap that is met to rounding does not spoil an exact profile
CLOSED = 1e-9  # a larger gap in the total variation sends the design to the linear program


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
        certificate, share = _certify(limits, self.lr, self.weight_decay, self.objective, self.certificate.witness)
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
        title = f"{kind} {self.certificate.value:.4g}, initialisation keeps {self.initial_share:.1%}"
        ax.set(xlabel="step", ylabel="relative to the largest", title=title, ylim=(0.0, 1.05))
        ax.legend()
        return ax


def design(
    target: Literal["uniform"] | Any = "uniform",
    steps: int | None = None,
    *,
    max_lr: float | Any,
    weight_decay: float | Any,
    warmup: int = 0,
    max_initial_share: float | None = None,
    objective: Literal["tv", "ratio"] = "tv",
) -> Schedule:
    """Learning rate and weight decay whose memory of the batches comes nearest to a target profile.

    Minimises the total variation distance ``sum(abs(w / sum(w) - p / sum(p))) / 2`` (or the ratio ``max(w / p) /
    min(w / p)``) between the memory weights w and the target p, over all schedules within the learning-rate caps and
    with at most a given share of the initialisation. The weights w are those of the updates in the final weights of
    the network, exactly (see `memory.report`). The certificate is about this profile, **not about the training
    loss**: in our experiment evenness did not order the losses.

    Parameters
    ----------
    target : "uniform" or array (steps,)
        Wanted memory of every step's batch, positive, up to a common factor: a data-quality curriculum, `forgetting`,
        `per_sample` for several epochs. Real; NumPy or any library of the array API standard.
    steps : int, optional
        Number of optimizer steps; needed for "uniform".
    max_lr : float or array (steps,)
        Largest learning rate (of every step).
    weight_decay : float, array (steps,), Proportional or MatchRMS
        Decoupled decay: a step multiplies the weights by ``1 - lr * weight_decay``. `Proportional(peak)` lets it
        follow the learning rate; `MatchRMS(rms)` chooses it so that the root mean square of the weights stays at
        `rms`.
    warmup : int
        Steps of linear warm-up: step j is capped at ``max_lr * j / warmup`` there.
    max_initial_share : float, optional
        Largest share of the initialisation in the final weights, 0 < share <= 1. Default: the smallest share for
        which the target is met exactly after the warm-up.
    objective : {"tv", "ratio"}
        What is minimised. With `Proportional` or `MatchRMS` only "ratio" has a useful lower bound once the caps or
        the share forbid the exact profile; for "tv" it is then 0.

    Returns
    -------
    Schedule
        `lr`, `weight_decay` (steps,): library, dtype and device of `target`; `initial_share`; `certificate`.

    Raises
    ------
    OptionError, ShapeError, NonFiniteError, DTypeError, LibraryError
        Each says what was expected, what came, and what to do.
    InfeasibleError
        The wishes contradict each other; the message names the binding constraint and the nearest feasible profile.

    References
    ----------
    .. [1] Su Jianlin, Scientific Spaces 11459, https://kexue.fm/archives/11459.
    .. [2] Wang, Aitchison, "How to set AdamW's weight decay as you scale model and dataset size", arXiv:2405.13698.

    Examples
    --------
    >>> import infimum
    >>> schedule = infimum.memory.design("uniform", 4, max_lr=0.5, weight_decay=1.0)
    >>> [round(float(lr), 4) for lr in schedule.lr], round(schedule.initial_share, 4)
    ([0.5, 0.3333, 0.25, 0.2], 0.2)
    """
    one_of("objective", objective, ("tv", "ratio"))
    profile = as_target(target, steps)
    highest = highest_of(max_lr, profile)
    caps = caps_of(highest, warmup, profile)
    law, rate, rates = law_of(weight_decay, caps, profile)
    limits = limits_of(profile, caps, rates, law, rate)
    if max_initial_share is None:
        filling = exact_after(limits, max(int(warmup), 1) - 1)
    else:
        filling = with_share(limits, _share(max_initial_share))
    exact = bool(np.all(filling.weights >= limits.target * (1.0 - EXACT)))
    witness: dict[str, Any] = {}
    if objective == "tv" and not exact and isinstance(limits.law, FixedDecay):
        filling, witness = program.nearest(limits, limits.law, filling, CLOSED)
    free = np.minimum(limits.caps, filling.weights / filling.filled[1:])  # a cap just met may be passed by rounding
    lr = rounded(np.where(filling.capped, limits.caps, free), profile, "lr")
    if rates is None:
        rates = rounded(limits.law.decay(host(lr)) / host(lr), profile, "weight_decay")
    if objective == "ratio" and not exact:
        share = unrolling.initial_share(unrolling.unroll(host(lr), host(lr) * host(rates)))
        witness = {"initial": above(limits, filling, share)}
    certificate, share = _certify(limits, lr, rates, objective, witness)
    return Schedule(
        lr=lr,
        weight_decay=rates,
        initial_share=share,
        max_lr=highest,
        warmup=int(warmup),
        objective=objective,
        decay_law=law,
        decay_rate=rate,
        certificate=certificate,
    )


def _share(share: object) -> float:
    if positive(share, "max_initial_share") > 1.0:
        raise OptionError(f"max_initial_share must be above 0 and at most 1, got {share!r}")
    return float(share)  # type: ignore[arg-type]


def _certify(
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
