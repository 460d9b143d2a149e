"""Does the error on text that made nothing say how good a model will be? MiniLM in unlike forms, and their ranks.

``python -m benchmarks.judged_errors --cache FOLDER`` compresses MiniLM in 24 ways by one half of its calibration text:
integers of 3 and 4 bits, rounded by one side and by both, with dampings from small to large, and ranks at four budgets
and three dampings. Of each it measures the summed error by the moments of either half, and the similarity on held-out
topics.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import budgets, few_bits, machine, model_tables, records
from infimum import compress
from infimum.compress.measure.moments import LayerMoments, MomentShelf
from infimum.compress.menu.rounding import Shape, factors, round_matrix

BITS, GROUP = (4, 3), 64
RIGHT, LEFT = (0.01, 0.1), (0.01, 0.1, 0.5, 2.0)  # dampings of the moments of inputs and of gradients
REMOVED, DAMPINGS = (0.05, 0.1, 0.2, 0.3), (0.01, 0.1, 1.0)


def rounded(setting: budgets.Setting, bits: int, right: float, left: float) -> Any:
    """Round every layer with these dampings."""
    model = setting.checkpoint.load()
    for layer in setting.layers:
        found = setting.halves.layers[layer.name]
        shape = Shape(bits, math.gcd(GROUP, layer.shape[1]))
        stored = round_matrix(setting.weight(layer), factors(found.right, right), factors(found.left, left), shape)
        with torch.no_grad():
            model.get_submodule(layer.name).weight.copy_(torch.from_numpy(stored.grid.values(stored.integers)))
    return model


def ways(setting: budgets.Setting) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the name of every way, and what makes the model."""
    for bits in BITS:
        for right in RIGHT:
            one = f"{bits} bits, one-sided, damping {right:g}"
            yield one, lambda bits=bits, right=right: rounded(setting, bits, right, math.inf)
        for left in LEFT:
            both = f"{bits} bits, two-sided, damping {left:g}"
            yield both, lambda bits=bits, left=left: rounded(setting, bits, RIGHT[1], left)
    made = dataclasses.replace(setting.halves, judge=None)
    for damping in DAMPINGS:
        plans: list[compress.Plan] = []  # the first of this damping, when it is made
        for remove in REMOVED:
            name = f"{remove:.0%} by ranks, damping {damping:g}"
            yield (
                name,
                lambda remove=remove, damping=damping, plans=plans: _of_lower_rank(
                    setting, made, remove, damping, plans
                ),
            )


def _of_lower_rank(
    setting: budgets.Setting, made: compress.Moments, remove: float, damping: float, plans: list[compress.Plan]
) -> Any:
    if plans:
        plan = plans[0].with_budget(remove)
    else:
        plan = compress.plan(setting.checkpoint, remove=remove, menu=("ranks",), moments=made, damping=damping)
        plans.append(plan)
    return plan.apply(setting.checkpoint.load())


def error(setting: budgets.Setting, model: Any, shelf: MomentShelf) -> float:
    """Return the summed error of all layers by these moments, without damping."""
    return sum(
        _error(setting.weight(layer), model.get_submodule(layer.name), shelf[layer.name]) for layer in setting.layers
    )


def _error(W: np.ndarray, module: Any, found: LayerMoments) -> float:
    Q = module.to_dense() if hasattr(module, "to_dense") else module.weight
    D = W - Q.detach().double().numpy()
    return float(np.sum((found.left @ D @ found.right) * D))


def main() -> None:
    """Measure what is missing, store every row, print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judged_errors", description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="folder for the calibration")
    parser.add_argument("--tokens", type=int, help="of calibration")
    parser.add_argument("--part", type=int, default=1, help="measure on one in so many of the held-out tokens")
    parser.add_argument("--out", type=Path, default=records.MODELS / "judged_errors.json")
    arguments = parser.parse_args()
    subject = few_bits.minilm(arguments)
    rows = records.Rows(
        arguments.out,
        {**few_bits.setting_of(subject, arguments.tokens), "name": "judged_errors"},
        machine.describe(torch.get_num_threads()),
        ("way",),
    )
    halves = few_bits.halves_of(subject, 0, arguments.cache, arguments.tokens)
    assert halves.judge is not None
    setting = budgets.Setting(subject.checkpoint, halves, arguments.cache, None, 0)
    for way, make in ways(setting):
        if (way,) not in rows:
            model = make()
            errors = {"made": error(setting, model, halves.layers), "judged": error(setting, model, halves.judge)}
            rows.add({"way": way, **errors, **subject.measure(model)})
    print(model_tables.judged_errors(rows.document))


if __name__ == "__main__":
    main()
