"""The problems of the balance room."""

from __future__ import annotations

import numpy as np

import infimum.balance as balance
from infimum import sample_data
from infimum._arrays import to_numpy
from infimum.balance import brute_force, comparison
from infimum.problems.entry import Case, Problem

ROUTER = "scores of a trained router: 1024 tokens of the Python documentation, 32 experts, k = 4"


def _loads(result: balance.BalancedAssignment) -> str:
    low, high = (int(to_numpy(result.loads).min()), int(to_numpy(result.loads).max()))
    return f"{low} tokens for every expert" if low == high else f"{low} to {high} tokens for every expert"


def _topic_distances() -> np.ndarray:
    weights = sample_data.python_documentation().weights
    distances = 1.0 - weights.T @ weights
    np.fill_diagonal(distances, 2.0)  # no topic is its own neighbour
    return np.asarray(distances)


def _pairs(result: balance.LinearAssignment) -> str:
    names = sample_data.python_documentation().topics
    pairs = (f"{names[i]} -> {names[j]}" for i, j in enumerate(to_numpy(result.columns)[:3].tolist()))
    return f"{', '.join(pairs)}, ..."


PROBLEMS: tuple[Problem, ...] = (
    Problem(
        name="balance.balanced_topk",
        minimises="score given up against unbalanced top-k over all assignments whose loads lie within their limits",
        solve=balance.balanced_topk,
        result=balance.BalancedAssignment,
        scale=lambda scores: float(np.abs(to_numpy(scores)).max()) * scores.shape[0],
        example=lambda: Case((sample_data.router_scores(),), {"k": 4}),
        example_text=ROUTER,
        answer_text=_loads,
        tiny=lambda rng: Case((rng.standard_normal((5, 4)),), {"k": 2}),
        optimum=lambda result, scores: brute_force.least_given_up(
            scores, result.experts.shape[1], result.load, result.groups, result.group_load
        ),
        barred=-np.inf,
        comparison=comparison.table,
        named={"experts": (("scores", 1),)},
        ticks={"experts": ("x", "index")},
        short="balance",
    ),
    Problem(
        name="balance.linear_assignment",
        minimises="sum of the chosen entries over all assignments of rows to columns, none twice",
        solve=balance.linear_assignment,
        result=balance.LinearAssignment,
        scale=lambda cost: float(np.abs(to_numpy(cost)).max()) * cost.shape[0],
        example=lambda: Case((_topic_distances(),)),
        example_text="distances between the topics of the Python documentation, each to be given another one",
        answer_text=_pairs,
        tiny=lambda rng: Case((rng.standard_normal((5, 5)),)),
        optimum=lambda result, cost: brute_force.least_total(cost, result.maximize),
        barred=np.inf,
        named={"columns": (("cost", 1),)},
        ticks={"columns": ("x", "index")},
        short="assign",
    ),
    Problem(
        name="balance.threshold_routing",
        minimises="score given up against the best entries anywhere over all choices of as many within the loads",
        solve=balance.threshold_routing,
        result=balance.ThresholdRouting,
        scale=lambda scores: float(np.abs(to_numpy(scores)).max()) * scores.shape[0],
        example=lambda: Case((sample_data.router_scores(),), {"k": 4}),
        example_text=ROUTER,
        answer_text=lambda result: f"0 to {int(to_numpy(result.chosen).sum(axis=1).max())} experts per token",
        tiny=lambda rng: Case((rng.standard_normal((4, 3)),), {"k": 1.25}),
        optimum=lambda result, scores: brute_force.least_given_up_anywhere(
            scores, int(to_numpy(result.loads).sum()), result.load
        ),
        short="threshold",
    ),
    Problem(
        name="balance.balanced_codebook",
        minimises="sum of squared distances to the codes over all assignments whose loads lie within their limits",
        solve=balance.balanced_codebook,
        result=balance.BalancedCodebook,
        scale=lambda points: float(np.square(to_numpy(points), dtype=np.float64).sum()),
        example=lambda: Case((np.ascontiguousarray(sample_data.python_documentation().weights.T),), {"n_codes": 8}),
        example_text="topics of the Python documentation by the words in them",
        answer_text=lambda result: (
            f"{result.codes.shape[0]} codes of {int(to_numpy(result.loads).max())} points at most"
        ),
        tiny=lambda rng: Case((rng.standard_normal((6, 2)),), {"n_codes": 2}),
        optimum=lambda result, points: brute_force.least_distance(points, result.codes, result.load),
        short="codebook",
    ),
)
