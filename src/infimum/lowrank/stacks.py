"""Solvers for stacks of matrices: one answer for each, together in a batch."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

from infimum._arrays import Array, as_array, is_array, namespace
from infimum.errors import ShapeError
from infimum.proof.batch import Batch

P = ParamSpec("P")
Answer = TypeVar("Answer")


def over_stacks(count: int) -> Callable[[Callable[P, Answer]], Callable[P, Answer]]:
    """Let a solver take stacks in place of its first `count` arguments, matrices: it returns a `Batch` then."""

    def of_solver(solve: Callable[P, Answer]) -> Callable[P, Answer]:
        @wraps(solve)
        def solver(*args: P.args, **options: P.kwargs) -> Answer:
            if not args or not _stacked(args[0]):
                return solve(*args, **options)
            stacks = [as_array(item, "a stack of matrices") for item in args[:count]]
            names = list(inspect.signature(solve).parameters)[:count]
            return _of_each(solve, names, stacks, args[count:], options)  # type: ignore[return-value]

        return solver

    return of_solver


def _stacked(item: Any) -> bool:
    """Tell whether an input has leading dimensions."""
    return (np.ndim(item) if isinstance(item, list | tuple) else getattr(item, "ndim", 2)) > 2 and (
        is_array(item) or isinstance(item, list | tuple)
    )


def _of_each(
    solve: Callable[..., Any],
    names: list[str],
    stacks: list[Array],
    rest: tuple[Any, ...],
    options: dict[str, Any],
) -> Batch:
    shapes = [tuple(int(length) for length in stack.shape) for stack in stacks]
    leading = shapes[0][:-2]
    if any(len(shape) < 3 or shape[:-2] != leading for shape in shapes) or 0 in leading:
        raise ShapeError(
            f"{' and '.join(names)} must be matrices, or stacks with the same leading dimensions, none of them 0; got "
            f"shapes {shapes}"
        )
    flat = [
        namespace(stack=stack).reshape(stack, (-1, *shape[-2:])) for stack, shape in zip(stacks, shapes, strict=True)
    ]
    if options.get("rng") is not None:  # one generator for all, so that every matrix gets draws of its own
        options = {**options, "rng": np.random.default_rng(options["rng"])}
    results = tuple(solve(*(part[i, :, :] for part in flat), *rest, **options) for i in range(math.prod(leading)))
    return Batch(results, leading)
