"""What is chosen where nothing is said."""

from __future__ import annotations

import copy
import dataclasses

from infimum.compress.menu.alternatives import numbers_in
from infimum.compress.menu.budget import budget_of
from infimum.compress.menu.compressed_tensors import packed_alternatives
from infimum.compress.menu.loader_files import has_experts
from infimum.compress.menu.settings import Format, Kind
from infimum.compress.menu.task import Task
from infimum.compress.menu.widths import partition
from infimum.compress.model.checkpoint import Checkpoint
from infimum.compress.model.heads import Goal

DAMPING: dict[Goal, float] = {"embedding": 0.01, "logits": 0.01, "loss": 0.03}  # by what the gradients are of


def usual_menu(goal: Goal, format: Format, *, whole: bool) -> tuple[Kind, ...]:
    """Return what layers may become: `whole` if few bits are not possible, or cannot be judged."""
    if format != "infimum":
        return ("bits",)
    if not whole:
        return "bits", "ranks", "widths"
    return ("ranks", "widths") if goal == "loss" else ("ranks",)


def for_engines(task: Task) -> Task:
    """Return a task in the format that engines load, if it is of few bits of a language model, and the budget allows.

    Engines read 4 and 8 bits, so that about 4.1 bits a weight are the least.
    """
    if task.checkpoint.head.loader != "AutoModelForCausalLM" or not task.settings.rounds:
        return task
    served = task._replace(settings=dataclasses.replace(task.settings, menu=("bits",), format="compressed-tensors"))
    return served if _smallest(served) <= budget_of(served) and _loads(task.checkpoint) else task


def _smallest(task: Task) -> int:
    """Return the numbers that the layers take when each is as small as the format makes it."""
    cost = 0
    for together in partition(task):
        for layer in together:
            offered = packed_alternatives(task.checkpoint, layer, together)
            sizes = [numbers_in(one.bytes(layer.shape), task.item(layer)) for one in offered]
            cost += min(sizes, default=layer.size)
    return cost


def _loads(checkpoint: Checkpoint) -> bool:
    """Whether transformers loads a model in the format of engines: some it cannot.

    It finds no parts of a tensor that it makes of others, experts among them, and what a class does to begin with may
    need the weights for which integers stand.
    """
    if checkpoint.tensors.pieces or has_experts(checkpoint.skeleton):
        return False
    model = copy.deepcopy(checkpoint.skeleton)
    for module in model.modules():
        module._is_hf_initialized = False  # type: ignore[assignment]
    for layer in checkpoint.layers:
        if packed_alternatives(checkpoint, layer, (layer,)):
            del model.get_submodule(layer.name).weight
    try:
        model.initialize_weights()  # type: ignore[no-untyped-call]
    except AttributeError:
        return False
    return True
