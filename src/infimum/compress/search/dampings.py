"""How much the moments of layers are damped: what one half of the text makes is judged by the other."""

from __future__ import annotations

from collections.abc import Sequence

from infimum._threads import together
from infimum.compress.measure.processes import spread
from infimum.compress.measure.progress import Progress, Steps
from infimum.compress.measure.side_by_side import two_by_two
from infimum.compress.menu.judging import Trial, crosswise, of_rank, scale_of, trial_of
from infimum.compress.menu.ranks import Damping
from infimum.compress.menu.task import Task
from infimum.compress.menu.widths import Group
from infimum.compress.model.layer import Layer

RIGHT, LEFT = (0.01, 0.1, 1.0, 3.0), (0.25, 0.03, 1.0, 4.0)  # the right ones are tried with the first left one


def judged_dampings(task: Task, groups: Sequence[Group], on_progress: Progress | None) -> dict[str, Damping]:
    """Choose the damping of each layer, with which what each half of the text makes has the least error on the other.

    The left one is chosen at a rank, for the repair of a layer that loses inputs does not depend on it.
    """
    pairs = [(group, layer) for group in groups for layer in group.layers]

    steps = Steps(on_progress, "dampings")

    def judged(some: Sequence[tuple[Group, Layer]]) -> list[Damping]:
        return two_by_two(lambda pair: _judged(task, *pair), some, lambda pair: pair[1:], steps)

    found = spread(pairs, judged)
    return {layer.name: damping for (_, layer), damping in zip(pairs, found, strict=True)}


def _judged(task: Task, group: Group, layer: Layer) -> Damping:
    trial, rank = trial_of(task, group, layer), of_rank(task, layer)
    right = _best(task, layer, trial, [Damping(each, LEFT[0]) for each in RIGHT]).right
    damping = _best(task, layer, rank, [Damping(right, each) for each in LEFT])
    return damping._replace(scale=scale_of(task, group, layer, damping))


def _best(task: Task, layer: Layer, trial: Trial, tried: list[Damping]) -> Damping:
    seen = together(lambda damping: crosswise(task, layer, trial, damping)[0], tried)
    return tried[seen.index(min(seen))]
