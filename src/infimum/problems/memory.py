"""The problems of the memory room."""

from __future__ import annotations

import numpy as np

import infimum.memory as memory
from infimum.memory import brute_force
from infimum.problems.entry import Case, Problem


def _published_run() -> Case:
    run = memory.PUBLISHED[0]
    options = {"max_lr": run.peak, "weight_decay": run.weight_decay, "warmup": run.warmup}
    return Case((np.ones(run.steps),), options)


PROBLEMS: tuple[Problem, ...] = (
    Problem(
        name="memory.design",
        minimises="distance of the batches' memory (not the training loss) from a target, over schedules within caps",
        solve=memory.design,
        result=memory.Schedule,
        scale=lambda target: 1.0,
        example=_published_run,
        example_text="equal memory of all 143,000 batches of Pythia-410M, within its warm-up and peak learning rate",
        answer_text=lambda result: (
            f"learning rate {float(max(result.lr)):.3g} falls to {float(result.lr[-1]):.3g}, "
            f"initialisation keeps {result.initial_share:.1%}"
        ),
        tiny=lambda rng: Case(
            (rng.uniform(0.5, 2.0, 4),),
            {"max_lr": 0.4, "weight_decay": 1.0, "warmup": 2, "max_initial_share": 0.4},
        ),
        optimum=brute_force.best_profile,
    ),
)
