"""The problems of the minimax room."""

from __future__ import annotations

from infimum import minimax
from infimum.minimax import brute_force
from infimum.problems.entry import Case, Problem

PROBLEMS: tuple[Problem, ...] = (
    Problem(
        name="minimax.msign_schedule",
        minimises="largest distance from 1 of the singular values after so many steps, over all odd polynomials",
        solve=minimax.msign_schedule,
        result=minimax.Composition,
        inputs=("lower",),
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
)
