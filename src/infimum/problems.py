"""The register of problems: what the contract suite, the command line, the demo and the reports are built from.

A new problem is a file in a room, a theorem in `bounds`, one entry here and one docs page (see CONTRIBUTING.md).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from infimum import integers, lowrank, memory, sample_data
from infimum._arrays import to_numpy
from infimum._linalg import norm
from infimum.errors import FileFormatError, OptionError
from infimum.integers.brute_force import least_cost
from infimum.lowrank import brute_force
from infimum.memory import brute_force as rational
from infimum.result import Result


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
    inputs : tuple of str
        Parameters of `solve` that are data; all others are options.
    scale : callable
        ``scale(*inputs)``: natural size of the loss, against which rounding is measured.
    example, example_text, answer_text : callable, str, callable
        A real input (a `Case`), what it is, and one line that says what a result answers.
    tiny, optimum : callable, callable
        ``tiny(rng)`` draws a `Case` small enough for ``optimum(result, *inputs)``, the least loss by brute force.
    arrays : bool
        True when the inputs are arrays of floating-point numbers, so that the array part of the contract applies.
    short : str
        Name on the command line and of the docs page, where the last part of `name` would not do.
    """

    name: str
    minimises: str
    solve: Callable[..., Result]
    result: type[Result]
    inputs: tuple[str, ...]
    scale: Callable[..., float]
    example: Callable[[], Case]
    example_text: str
    answer_text: Callable[[Any], str]
    tiny: Callable[[np.random.Generator], Case]
    optimum: Callable[..., float]
    arrays: bool = True
    short: str = ""

    @property
    def command(self) -> str:
        """Name on the command line, and of the docs page."""
        return self.short or self.name.rpartition(".")[2].replace("_", "-")


def _topics() -> np.ndarray:
    return sample_data.python_documentation().weights


def _chosen_topics(result: lowrank.Interpolative) -> str:
    names = sample_data.python_documentation().topics
    return "topics " + ", ".join(names[j] for j in to_numpy(result.columns)[:5]) + ", ..."


def _split(result: integers.ProductPlusRemainder) -> str:
    text = f"{result.n} = {result.a} * {result.b} + {result.c} at cost {result.value}"
    return text if result.optima is None else f"{text}; all optima (a, b, c): {', '.join(map(str, result.optima))}"


def _tiny_matrix(rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((5, 6)) @ np.diag(0.5 ** np.arange(6))


def _published_run() -> Case:
    run = memory.PUBLISHED[0]
    options = {"max_lr": run.peak, "weight_decay": run.weight_decay, "warmup": run.warmup}
    return Case((np.ones(run.steps),), options)


PROBLEMS: tuple[Problem, ...] = (
    Problem(
        name="lowrank.svd",
        minimises="Frobenius norm of M - X over all matrices X of rank at most r",
        solve=lowrank.svd,
        result=lowrank.SVD,
        inputs=("M",),
        scale=norm,
        example=lambda: Case((_topics(),), {"rank": 20}),
        example_text="term-document matrix of the Python documentation",
        answer_text=lambda result: f"rank {result.rank}, largest singular value {float(result.s[0]):.4g}",
        tiny=lambda rng: Case((_tiny_matrix(rng),), {"rank": 2}),
        optimum=lambda result, M: brute_force.best_matrix(M, result.rank),
    ),
    Problem(
        name="lowrank.pinv",
        minimises="Frobenius norm of A B - I over all matrices B that are no longer than the answer",
        solve=lowrank.pinv,
        result=lowrank.PseudoInverse,
        inputs=("A",),
        scale=lambda A: float(A.shape[0]) ** 0.5,
        example=lambda: Case((_topics(),)),
        example_text="term-document matrix of the Python documentation",
        answer_text=lambda result: f"rank {result.rank}, rank decision {'doubtful' if result.ambiguous else 'clear'}",
        tiny=lambda rng: Case((_tiny_matrix(rng),), {"rtol": 1e-3}),
        optimum=lambda result, A: brute_force.nearest_to_identity(A, norm(result.matrix)),
    ),
    Problem(
        name="lowrank.interpolative",
        minimises="Frobenius norm of M - M[:, S] Z over all choices S of r columns",
        solve=lowrank.interpolative,
        result=lowrank.Interpolative,
        inputs=("M",),
        scale=norm,
        example=lambda: Case((_topics(),), {"rank": 20}),
        example_text="term-document matrix of the Python documentation",
        answer_text=_chosen_topics,
        tiny=lambda rng: Case((_tiny_matrix(rng),), {"rank": 2}),
        optimum=lambda result, M: brute_force.best_columns(M, result.rank),
    ),
    Problem(
        name="integers.product_plus_remainder",
        minimises="cost of a, b and c over all whole numbers with a * b + c = n",
        solve=integers.product_plus_remainder,
        result=integers.ProductPlusRemainder,
        inputs=("n",),
        scale=lambda n: 1.0,  # integers: nothing is rounded
        example=lambda: Case((30522,)),
        example_text="number of words in the vocabulary of BERT",
        answer_text=_split,
        tiny=lambda rng: Case(
            (int(rng.integers(20, 400)),), {"cost": tuple(rng.integers(1, 6, size=3).tolist()), "all": True}
        ),
        optimum=lambda result, n: least_cost(n, result.cost),
        arrays=False,
        short="split",
    ),
    Problem(
        name="integers.product_plus_remainder_many",
        minimises="total of a + b + c over all whole numbers with a * b + c = n, for every n of an array",
        solve=integers.product_plus_remainder_many,
        result=integers.ProductsPlusRemainders,
        inputs=("values",),
        scale=lambda values: 1.0,
        example=lambda: Case((np.array([30522, 32000, 50257, 128256, 151936, 256000]),)),
        example_text="vocabulary sizes of BERT, Llama 2, GPT-2, Llama 3, Qwen 2.5 and Gemma",
        answer_text=lambda result: f"sums {', '.join(map(str, to_numpy(result.sums).ravel()[:6]))}",
        tiny=lambda rng: Case((rng.integers(0, 400, size=(2, 3)),)),
        optimum=lambda result, values: sum(least_cost(n, (1, 1, 1)) for n in to_numpy(values).ravel().tolist()),
        arrays=False,
        short="split-many",
    ),
    Problem(
        name="memory.design",
        minimises="distance of the batches' memory from a target profile over all schedules within the caps",
        solve=memory.design,
        result=memory.Schedule,
        inputs=("target",),
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
        optimum=rational.best_profile,
    ),
)


def get(name: str) -> Problem:
    """Return the problem of that name (``"lowrank.svd"``) or command (``"svd"``)."""
    for problem in PROBLEMS:
        if name in (problem.name, problem.command):
            return problem
    raise OptionError(f"problem must be one of {', '.join(p.name for p in PROBLEMS)}, got {name!r}")


def problem_of(result: Result) -> Problem:
    """Return the problem that a result answers."""
    return get(getattr(result, "problem", type(result).__name__))


def from_json(text: str) -> Result:
    """Read a result of any problem back from what its `to_json` wrote."""
    document = json.loads(text)
    if not isinstance(document, dict) or "problem" not in document:
        raise FileFormatError("expected the JSON of an infimum result, with a 'problem' entry")
    return get(document["problem"]).result.from_json(text)
