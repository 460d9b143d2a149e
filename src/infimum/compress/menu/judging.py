"""How a damped norm of a layer is judged: by what one half of the text makes in it, and the other half sees of that."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import scipy.linalg

from infimum._threads import one_thread
from infimum.compress.measure.moments import LayerMoments
from infimum.compress.menu.ranks import Damping, curve, damped, decompose, weighting
from infimum.compress.menu.task import Task
from infimum.compress.menu.widths import PARTS, Group, widths_of
from infimum.compress.model.checkpoint import Layer
from infimum.errors import VerificationError
from infimum.proof.checkpoint import same

MIDDLE = 3 * PARTS // 4  # sixteenths of its numbers that a layer has in a trial
AGREE = 1e-4  # numbers that follow from moments in float32

Trial: TypeAlias = Callable[[Damping, LayerMoments], np.ndarray]  # what a layer loses


def of_rank(task: Task, layer: Layer) -> Trial:
    """Return the trial of a layer: its best matrix of the rank at which three quarters of its numbers are stored."""
    W = task.checkpoint.weight(layer).double().numpy()
    costs = curve(np.zeros(min(W.shape) + 1), layer.shape, task.settings.form).costs
    rank = max(1, int(np.sum(costs <= W.size * MIDDLE / PARTS)))

    def lost(damping: Damping, made: LayerMoments) -> np.ndarray:
        best = decompose(W, weighting("two-sided", made, damping))
        return np.asarray(W - best.left[:, :rank] @ best.right[:rank])

    return lost


def of_width(task: Task, group: Group) -> Trial:
    """Return the trial of a layer that may lose inputs: three quarters of them, which make up for the others.

    That is a regression, which fits a text far better than the next one, unless it is damped.
    """
    layer, order = group.layers[-1], group.order
    assert order is not None
    W = task.checkpoint.weight(layer).double().numpy()
    width = widths_of(len(order), (MIDDLE,))[0]
    kept, gone = order[:width], order[width:]

    def lost(damping: Damping, made: LayerMoments) -> np.ndarray:
        C = damped(made.right, damping.right)
        repair = scipy.linalg.solve(C[np.ix_(kept, kept)], C[np.ix_(kept, gone)], assume_a="pos", check_finite=False)
        D = np.zeros_like(W)
        D[:, gone], D[:, kept] = W[:, gone], -W[:, gone] @ repair.T
        return D

    return lost


def trial_of(task: Task, group: Group, layer: Layer) -> Trial:
    """Return the trial of a layer of a group."""
    narrows = group.order is not None and layer == group.layers[-1]
    return of_width(task, group) if narrows else of_rank(task, layer)


def crosswise(task: Task, layer: Layer, trial: Trial, damping: Damping) -> tuple[float, float]:
    """Return the error of what each half makes in a trial, as the other half sees it, and in the norm of its own."""
    assert task.moments.judge is not None
    halves, seen, own = (task.moments.layers[layer.name], task.moments.judge[layer.name]), 0.0, 0.0
    for made, judge in (halves, halves[::-1]):
        lost, norm = trial(damping, made), weighting("two-sided", made, damping)
        seen += _error(lost, judge.left, judge.right)
        own += _error(lost, norm.G, norm.C)
    return seen, own


def scale_of(task: Task, group: Group, layer: Layer, damping: Damping) -> float:
    """Return what a norm is times: it gives the trial the error that the other half sees.

    So errors of all layers can be added, whatever their dampings.
    """
    seen, own = crosswise(task, layer, trial_of(task, group, layer), damping._replace(scale=1.0))
    return seen / own if seen > 0.0 and own > 0.0 else 1.0


def with_scales(task: Task, groups: Sequence[Group], claimed: Mapping[str, Damping]) -> Task:
    """Return a task with these dampings, the scales derived; one that is claimed must agree in four digits.

    Raises
    ------
    VerificationError
        It does not, or the dampings are not those of the layers that may be replaced, or nothing can judge them.
    """
    same("settings: the layers of damping", sorted(claimed), sorted(layer.name for layer in task.layers))
    if task.moments.judge is None:
        raise VerificationError("calibration: split must be true for dampings that one half of the text has judged")
    found = {}
    for group in groups:
        for layer in group.layers:
            damping = claimed[layer.name]
            with one_thread():
                scale = scale_of(task, group, layer, damping)
            if not math.isclose(damping.scale, scale, rel_tol=AGREE):
                raise VerificationError(f"{layer.name}: scale of its norm: claimed {damping.scale}, derived {scale}")
            found[layer.name] = damping._replace(scale=scale)
    return task._replace(settings=dataclasses.replace(task.settings, damping=found))


def _error(lost: np.ndarray, G: np.ndarray | None, C: np.ndarray) -> float:
    return float(np.sum((lost if G is None else G @ lost) * (lost @ C)))
