"""The problems of the minimax room."""

from __future__ import annotations

import numpy as np

from infimum import minimax
from infimum.minimax.brute_force import least_error
from infimum.problems.entry import Case, Problem


def _tiny(rng: np.random.Generator) -> Case:
    a, b = np.round(rng.uniform(0.5, 2.0, 2), 3).tolist()
    return Case((f"exp({a} * x) / ({b} + x)",), {"degree": int(rng.integers(1, 3)), "domain": (0.0, 1.0)})


PROBLEMS: tuple[Problem, ...] = (
    Problem(
        name="minimax.polynomial",
        minimises="largest error over the domain, over all polynomials of the degree (or of the given system)",
        solve=minimax.polynomial,
        result=minimax.MinimaxPolynomial,
        inputs=("f",),
        scale=lambda f: 1e-3,  # recheck compares claims itself: errors of 1e-18 are no rounding here
        example=lambda: Case(("gelu",), {"degree": 20, "domain": (-8.0, 8.0)}),
        example_text="GELU, the activation function of BERT and GPT-2, on [-8, 8]",
        answer_text=lambda result: f"powers up to {max(result.powers)}, alternation on {len(result.points)} points",
        tiny=_tiny,
        optimum=lambda result, f: least_error(f, result.degree, *result.domain[0]),
        arrays=False,
        short="minimax",
    ),
)
