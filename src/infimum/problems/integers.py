"""The problems of the integers room."""

from __future__ import annotations

import numpy as np

import infimum.integers as integers
from infimum._arrays import to_numpy
from infimum.integers.brute_force import least_cost
from infimum.problems.entry import Case, Problem


def _split(result: integers.ProductPlusRemainder) -> str:
    text = f"{result.n} = {result.a} * {result.b} + {result.c} at cost {result.value}"
    return text if result.optima is None else f"{text}; all optima (a, b, c): {', '.join(map(str, result.optima))}"


PROBLEMS: tuple[Problem, ...] = (
    Problem(
        name="integers.product_plus_remainder",
        minimises="cost of a, b and c over all whole numbers with a * b + c = n",
        solve=integers.product_plus_remainder,
        result=integers.ProductPlusRemainder,
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
        scale=lambda values: 1.0,
        example=lambda: Case((np.array([30522, 32000, 50257, 128256, 151936, 256000]),)),
        example_text="vocabulary sizes of BERT, Llama 2, GPT-2, Llama 3, Qwen 2.5 and Gemma",
        answer_text=lambda result: f"sums {', '.join(map(str, to_numpy(result.sums).ravel()[:6]))}",
        tiny=lambda rng: Case((rng.integers(0, 400, size=(2, 3)),)),
        optimum=lambda result, values: sum(least_cost(n, (1, 1, 1)) for n in to_numpy(values).ravel().tolist()),
        arrays=False,
        short="split-many",
    ),
)
