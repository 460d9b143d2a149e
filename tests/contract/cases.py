"""Cases of a problem, and how they are solved, converted and perturbed: what the checks share."""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import array_api_compat
import array_api_strict
import numpy as np

from infimum._arrays import is_array, like_array, to_numpy
from infimum.problems import Case, Problem
from infimum.proof.result import Result

ROOT = Path(__file__).parents[2]
SEEDS = range(5)
LIBRARIES: dict[str, Callable[..., Any]] = {"numpy": np.asarray, "array_api_strict": array_api_strict.asarray}
if importlib.util.find_spec("torch"):  # an extra: the core is tested without it on each version of Python
    import torch

    LIBRARIES["torch"] = torch.asarray


def solve(problem: Problem, case: Case) -> Result:
    """Run the solver with a fixed seed, where it takes one."""
    seeded = {"rng": 0} if "rng" in inspect.signature(problem.solve).parameters else {}
    return problem.solve(*case.inputs, **{**seeded, **case.options})


def tiny(problem: Problem, seed: int = 0) -> Case:
    return problem.tiny(np.random.default_rng(seed))


def answer_fields(result: Result) -> list[str]:
    return [field.name for field in dataclasses.fields(result) if field.name != "certificate"]


def perturbed(item: Any) -> Any:
    """Return `item` with one number changed beyond rounding."""
    if is_array(item):
        values = to_numpy(item).copy()
        index = np.unravel_index(int(np.argmax(np.abs(values))), values.shape)
        values[index] = perturbed(values[index].item())
        return array_api_compat.array_namespace(item).astype(like_array(values, item), item.dtype)
    if isinstance(item, bool):
        return not item
    if isinstance(item, int):
        return item + 1
    if isinstance(item, float | complex):
        return item * 1.5 + (1.0 if abs(item) < 1e-3 else 0.0)
    if isinstance(item, list | tuple):
        return type(item)([perturbed(item[0]), *item[1:]])
    return f"not {item}"


def converted(case: Case, library: str, dtype: str | None = None) -> Case:
    convert = LIBRARIES[library]
    return Case(
        tuple(convert(np.array(item, dtype=dtype)) if is_array(item) else item for item in case.inputs), case.options
    )
