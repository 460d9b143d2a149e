"""How much the left moments of layers are damped: what one half of the text makes is judged by the other."""

from __future__ import annotations

import numpy as np

from infimum._threads import one_thread, together
from infimum.compress.measure.moments import LayerMoments, Progress
from infimum.compress.menu.ranks import curve, decompose, weighting
from infimum.compress.menu.task import Task
from infimum.compress.model.checkpoint import Layer

TRIED = (0.03, 0.25, 1.0, 4.0)


def judged_dampings(task: Task, on_progress: Progress | None) -> dict[str, float]:
    """Choose the damping of each layer that may be replaced, crosswise, at a rank that the budget would leave it."""
    found = {}
    for index, layer in enumerate(task.layers):
        with one_thread():
            found[layer.name] = _judged(task, layer)
        if on_progress:
            on_progress("dampings", index + 1, len(task.layers))
    return found


def _judged(task: Task, layer: Layer) -> float:
    assert task.moments.judge is not None
    W = task.checkpoint.weight(layer).double().numpy()
    halves = task.moments.layers[layer.name], task.moments.judge[layer.name]
    costs = curve(np.zeros(min(W.shape) + 1), layer.shape, task.settings.form).costs
    rank = max(1, int(np.sum(costs <= (1.0 - task.settings.remove) * W.size)))

    def error(case: tuple[float, LayerMoments, LayerMoments]) -> float:
        damping, made, judge = case
        best = decompose(W, weighting("two-sided", made, damping))
        lost = W - best.left[:, :rank] @ best.right[:rank]
        return float(np.sum((judge.left @ lost @ judge.right) * lost))

    errors = together(error, [(damping, *pair) for damping in TRIED for pair in (halves, halves[::-1])])
    sums = [there + back for there, back in zip(errors[::2], errors[1::2], strict=True)]
    return TRIED[int(np.argmin(sums))]
