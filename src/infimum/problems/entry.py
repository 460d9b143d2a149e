"""What the register says of one problem."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from infimum.proof.result import Result


@dataclass(frozen=True, slots=True)
class Case:
    """Arguments of one call: `inputs` are the data (given again to `verify`), `options` everything else."""

    inputs: tuple[Any, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Problem:
    """One certified problem.

    Attributes
    ----------
    name : str
        ``"room.function"``. The command line calls it by the last part, or by `short`;
        its page is ``docs/problems/<command>.md``.
    minimises : str
        What is minimised, over what: one line.
    solve, result : callable, type
        The public function and the class of its answer.
    scale : callable
        ``scale(*inputs)``: natural size of the loss, against which tests measure rounding.
    example, example_text, answer_text : callable, str, callable
        A real input (a `Case`), what it is, and one line that says what a result answers.
    tiny, optimum : callable, callable
        ``tiny(rng)`` draws a `Case` small enough for ``optimum(result, *inputs)``, the least loss by brute force.
    arrays : bool
        True when the inputs are arrays of floating-point numbers, so that the array part of the contract applies.
    sparse : bool
        True when SciPy sparse arrays are taken as they are; the command line gives the zeros to the others.
    barred : float, optional
        An infinity that an entry may be, of a pair that no answer chooses.
    comparison : callable, optional
        ``comparison(result, *inputs)``: a table for the report (``title``, ``text``, ``columns``, ``rows`` of text)
        that sets the answer beside others on the same input.
    named : mapping of str to tuple of (str, int)
        Fields of the answer that hold indices: for each the inputs and axes that they count, the first one with names
        being asked for them.
    short : str
        Name on the command line and of the docs page, where the last part of `name` would not do.
    ticks : mapping of str to tuple of (str, str)
        Fields of `named` that an axis of the picture shows, "x" or "y": one after the other ("order"), or each at its
        own index ("index").
    """

    name: str
    minimises: str
    solve: Callable[..., Result]
    result: type[Result]
    scale: Callable[..., float]
    example: Callable[[], Case]
    example_text: str
    answer_text: Callable[[Any], str]
    tiny: Callable[[np.random.Generator], Case]
    optimum: Callable[..., float]
    arrays: bool = True
    sparse: bool = False
    barred: float | None = None
    comparison: Callable[..., Mapping[str, Any]] | None = None
    named: Mapping[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    short: str = ""
    ticks: Mapping[str, tuple[Literal["x", "y"], Literal["order", "index"]]] = field(default_factory=dict)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Parameters of `solve` that are data; all others are options."""
        return self.result.inputs

    @property
    def command(self) -> str:
        """Name on the command line, and of the docs page."""
        return self.short or self.name.rpartition(".")[2].replace("_", "-")
