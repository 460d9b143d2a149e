"""The problems of the balance room."""

from __future__ import annotations

import numpy as np

from infimum import balance, sample_data
from infimum._arrays import to_numpy
from infimum.balance import brute_force
from infimum.problems.entry import Case, Problem


def _loads(result: balance.BalancedAssignment) -> str:
    low, high = (int(to_numpy(result.loads).min()), int(to_numpy(result.loads).max()))
    return f"{low} tokens for every expert" if low == high else f"{low} to {high} tokens for every expert"


PROBLEMS: tuple[Problem, ...] = (
    Problem(
        name="balance.balanced_topk",
        minimises="score given up against unbalanced top-k over all assignments whose loads lie within their limits",
        solve=balance.balanced_topk,
        result=balance.BalancedAssignment,
        inputs=("scores",),
        scale=lambda scores: float(np.abs(to_numpy(scores)).max()) * scores.shape[0],
        example=lambda: Case((np.ascontiguousarray(sample_data.python_documentation().weights),), {"k": 4}),
        example_text="term-document matrix of the Python documentation",
        answer_text=_loads,
        tiny=lambda rng: Case((rng.standard_normal((5, 4)),), {"k": 2}),
        optimum=lambda result, scores: brute_force.least_given_up(
            scores, result.experts.shape[1], result.load, result.groups, result.group_load
        ),
        short="balance",
    ),
)
