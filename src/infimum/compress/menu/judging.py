"""How a damped norm of a layer is judged: by what one half of the text makes in it, and the other half sees of that."""

from __future__ import annotations

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
from infimum.compress.model.layer import Layer
from infimum.errors import VerificationError
from infimum.proof.checkpoint import same

MIDDLE = 3 * PARTS // 4  # sixteenths of its numbers that a layer has in a trial
AGREE = 1e-2
FAINT = 1e-4  # of the error without the layer: what is less differs from machine to machine

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
    """Return the trial of a layer that may lose inputs: `narrowed`."""
    W = task.checkpoint.weight(group.layers[-1]).double().numpy()
    return lambda damping, made: narrowed(W, damped(made.right, damping.right), group)


def narrowed(W: np.ndarray, C: np.ndarray, group: Group) -> np.ndarray:
    """Return what the last layer of a group loses at three quarters of its inputs, which make up for the others.

    That is a regression, which fits a text far better than the next one, unless C is damped.
    """
    order = group.order
    assert order is not None
    width = widths_of(len(order), (MIDDLE,))[0]
    kept, gone = order[:width], order[width:]
    repair = scipy.linalg.solve(C[np.ix_(kept, kept)], C[np.ix_(kept, gone)], assume_a="pos", check_finite=False)
    D = np.zeros_like(W)
    D[:, gone], D[:, kept] = W[:, gone], -W[:, gone] @ repair.T
    return D


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
        seen += _weighed(lost, judge.left, judge.right)
        own += _weighed(lost, norm.G, norm.C)
    return seen, own


def scale_of(task: Task, group: Group, layer: Layer, damping: Damping) -> float:
    """Return what a norm is times: it gives the trial the error that the other half sees.

    So errors of all layers can be added, whatever their dampings. 1 where the trial loses next to nothing.
    """
    plain = damping._replace(scale=1.0)
    seen, own = crosswise(task, layer, trial_of(task, group, layer), plain)
    W = task.checkpoint.weight(layer).double().numpy()
    all_seen, all_own = crosswise(task, layer, lambda *_: W, plain)
    return seen / own if seen > FAINT * all_seen and own > FAINT * all_own else 1.0


def check_scales(task: Task, groups: Sequence[Group], claimed: Mapping[str, Damping]) -> None:
    """Ask that dampings are those of the layers that may be replaced, and that their scales follow, to two digits.

    Moments in float32 give no more where matrices are nearly singular: 1.5e-3 was seen between two processors. Within
    that a scale is part of what the norm is said to be.
    """
    same("settings: the layers of damping", sorted(claimed), sorted(layer.name for layer in task.layers))
    if task.moments.judge is None:
        raise VerificationError("calibration: split must be true for dampings that one half of the text has judged")
    for group in groups:
        for layer in group.layers:
            damping = claimed[layer.name]
            with one_thread():
                scale = scale_of(task, group, layer, damping)
            if not math.isclose(damping.scale, scale, rel_tol=AGREE):
                raise VerificationError(f"{layer.name}: scale of its norm: claimed {damping.scale}, derived {scale}")


def _weighed(lost: np.ndarray, G: np.ndarray | None, C: np.ndarray) -> float:
    return float(np.sum((lost if G is None else G @ lost) * (lost @ C)))
