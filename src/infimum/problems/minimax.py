"""The problems of the minimax room."""

from __future__ import annotations

import numpy as np

import infimum.minimax as minimax
from infimum.minimax import brute_force
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
        scale=lambda f: 1e-3,  # recheck compares claims itself: errors of 1e-18 are no rounding here
        example=lambda: Case(("gelu",), {"degree": 20, "domain": (-8.0, 8.0)}),
        example_text="GELU, the activation function of BERT and GPT-2, on [-8, 8]",
        answer_text=lambda result: f"powers up to {max(result.powers)}, alternation on {len(result.points)} points",
        tiny=_tiny,
        optimum=lambda result, f: brute_force.least_error(f, result.degree, *result.domain[0]),
        arrays=False,
        short="minimax",
    ),
    Problem(
        name="minimax.rational",
        minimises="largest error over the domain, over all rational functions of the type without poles there",
        solve=minimax.rational,
        result=minimax.MinimaxRational,
        scale=lambda f: 1e-3,  # as above
        example=lambda: Case(("sigmoid",), {"type": (4, 4), "domain": (-8.0, 8.0)}),
        example_text="the logistic function on [-8, 8]",
        answer_text=lambda result: f"type {result.type}, alternation on {len(result.points)} points",
        tiny=lambda rng: Case((f"exp({rng.uniform(0.5, 2.0):.3f} * x)",), {"type": (1, 1), "domain": (0.0, 1.0)}),
        optimum=lambda result, f: brute_force.least_error_of_quotients(f, *result.interval),
        arrays=False,
    ),
    Problem(
        name="minimax.msign_schedule",
        minimises="largest distance from 1 of the singular values after so many steps, over all odd polynomials",
        solve=minimax.msign_schedule,
        result=minimax.Composition,
        scale=lambda lower: 1.0,
        example=lambda: Case((1e-3,), {"steps": 5}),
        example_text="five quintic steps of Muon for singular values from 0.001 to 1",
        answer_text=lambda result: (
            f"first step {', '.join(f'{c:.5g}' for c in result.coefficients[0])}, error {result.certificate.value:.4g}"
        ),
        tiny=lambda rng: Case((float(rng.uniform(0.05, 0.5)),), {"steps": 2, "degree": 3}),
        optimum=brute_force.best_two_cubics,
        arrays=False,
    ),
    Problem(
        name="minimax.rounded",
        minimises="largest error over the domain, over the polynomials with machine numbers as coefficients",
        solve=minimax.rounded,
        result=minimax.RoundedPolynomial,
        scale=lambda f: 1e-3,
        example=lambda: Case(("2**x",), {"degree": 4, "domain": (0.0, 1.0), "dtype": "bfloat16"}),
        example_text="2**x on [0, 1], the core of every exp on a GPU",
        answer_text=lambda result: f"{', '.join(map(repr, result.values.tolist()))} in {result.formats[0]}",
        tiny=lambda rng: Case(
            (f"exp({rng.uniform(0.5, 2.0):.3f} * x)",), {"degree": 1, "domain": (0.0, 1.0), "dtype": "bfloat16"}
        ),
        optimum=brute_force.best_rounded_line,
        arrays=False,
    ),
)
