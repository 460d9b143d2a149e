"""Design a schedule of learning rate and weight decay from the memory that it should leave of every batch."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from infimum._arguments import one_of
from infimum._arrays import Array, ArrayLike
from infimum.errors import OptionError, RangeError
from infimum.memory.decay import MatchRMS, Proportional, highest_of, law_of
from infimum.memory.momentum import gradient_target, momentum_factor
from infimum.memory.search import gradient_program, linear_program
from infimum.memory.search.initial_weight import above, exact_after, with_share
from infimum.proof.answers.memory_design import OBJECTIVES, Objective, Schedule, certify_schedule, memory_of
from infimum.proof.profiles import as_target
from infimum.proof.rounding import ROOM
from infimum.proof.schedule_limits import Limits, caps_of, host, limits_of, positive, rounded
from infimum.proof.theorems import unrolling
from infimum.proof.theorems.capped_filling import Filling, FixedDecay

EXACT = 1e-15  # a cap that is met to rounding does not spoil an exact profile
CLOSED = 1e-9  # a larger gap in the total variation sends the design to the linear program


def design(
    target: Literal["uniform"] | ArrayLike = "uniform",
    steps: int | None = None,
    *,
    max_lr: float | ArrayLike,
    weight_decay: float | ArrayLike | Proportional | MatchRMS,
    warmup: int = 0,
    max_initial_share: float | None = None,
    objective: Objective = "tv",
    beta1: float = 0.0,
) -> Schedule:
    """Learning rate and weight decay whose memory of the batches comes nearest to a target profile.

    Minimises the total variation distance ``sum(abs(w / sum(w) - p / sum(p))) / 2`` (or the ratio ``max(w / p) /
    min(w / p)``) between the memory weights w and the target p, over all schedules within the learning-rate caps and
    with at most a given share of the initialisation. The weights w are those of the updates in the final weights of
    the network, exactly (see `memory.report`), or with momentum those of the gradients. The certificate is about this
    profile, **not about the training loss**: in our experiment evenness did not order the losses.

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
    beta1 : float
        Momentum, 0 <= beta1 < 1. Where it is not 0, the target is that of the gradients, which momentum spreads over
        later updates (see `gradient_target`). The lower bound is then trivial for "ratio", for laws of the decay, and
        beyond 5000 steps, unless the target is met.

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
    .. [1] Su Jianlin, Scientific Spaces 11459 (weight decay and learning rate as a moving average), https://kexue.fm/archives/11459.
    .. [2] Wang, Aitchison, "How to set AdamW's weight decay as you scale model and dataset size", arXiv:2405.13698.

    Examples
    --------
    >>> import infimum
    >>> schedule = infimum.memory.design("uniform", 4, max_lr=0.5, weight_decay=1.0)
    >>> [round(float(lr), 4) for lr in schedule.lr], round(schedule.initial_share, 4)
    ([0.5, 0.3333, 0.25, 0.2], 0.2)
    """
    one_of("objective", objective, OBJECTIVES)
    profile = as_target(target, steps)
    beta1 = momentum_factor(beta1, "beta1")
    highest = highest_of(max_lr, profile)
    caps = caps_of(highest, warmup, profile)
    law, rate, rates = law_of(weight_decay, caps, profile)
    goal = limits = limits_of(profile, caps, rates, law, rate)
    if beta1:
        limits = limits_of(rounded(gradient_target(profile, beta1=beta1), profile, "target"), caps, rates, law, rate)
    if max_initial_share is None:
        filling = exact_after(limits, max(int(warmup), 1) - 1)
    else:
        filling = with_share(limits, _share(max_initial_share))
    exact = bool(np.all(filling.weights >= limits.target * (1.0 - EXACT)))
    witness: dict[str, Any] = {}
    if objective == "tv" and not exact and isinstance(limits.law, FixedDecay):
        filling, witness = _optimum(goal, limits.law, filling, beta1)
    free = np.minimum(limits.caps, filling.weights / filling.filled[1:])  # a cap just met may be passed by rounding
    lr = rounded(np.where(filling.capped, limits.caps, free), profile, "lr")
    if rates is None:
        rates = _rates(limits, lr, profile)
    memory = memory_of(limits, lr, rates)
    share = unrolling.initial_share(memory, room=ROOM)
    if objective == "ratio" and not exact and not beta1:
        witness = {"initial": above(limits, filling, share)}
    return Schedule(
        lr=lr,
        weight_decay=rates,
        initial_share=share,
        max_lr=highest,
        warmup=int(warmup),
        objective=objective,
        decay_law=law,
        decay_rate=rate,
        beta1=beta1,
        certificate=certify_schedule(goal, memory, objective, witness, share, beta1=beta1, room=ROOM),
    )


def _optimum(goal: Limits, law: FixedDecay, filling: Filling, beta1: float) -> tuple[Filling, dict[str, Any]]:
    if beta1:
        return gradient_program.nearest_gradients(goal, law, filling, beta1)
    return linear_program.nearest(goal, law, filling, CLOSED)


def _rates(limits: Limits, lr: Array, profile: Array) -> Array:
    """Weight decay that follows from the learning rates as returned."""
    wide = host(lr)
    law = limits.law.decay(wide)
    rates = rounded(law / np.maximum(wide, np.finfo(float).tiny), profile, "weight_decay")
    kept = (wide > 0.0) & (np.abs(wide * host(rates) - law) <= limits.slack * law)
    if not np.all(kept):
        raise RangeError(
            f"lr, or the weight decay that follows from it, vanishes in {lr.dtype} at step {int(np.argmin(kept)) + 1}; "
            "convert the target to a wider type first"
        )
    return rates


def _share(share: object) -> float:
    if positive(share, "max_initial_share") > 1.0:
        raise OptionError(f"max_initial_share must be above 0 and at most 1, got {share!r}")
    return float(share)  # type: ignore[arg-type]
