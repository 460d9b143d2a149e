"""The profile of the gradients of least total variation under caps and a share, for given decay: a linear program."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse

from infimum.memory.search.initial_weight import with_share
from infimum.proof.momentum import bias_corrections, spread
from infimum.proof.schedule_limits import Limits
from infimum.proof.theorems.capped_filling import Filling, FixedDecay

MOST = 5000  # steps for which the program is solved
LEAST = 1e-12  # of the largest weight: what the program leaves out altogether


def nearest_gradients(goal: Limits, law: FixedDecay, filling: Filling, beta: float) -> tuple[Filling, dict[str, Any]]:
    """Return the filling, or the optimum at its share where the program is solved, with what bounds all others."""
    share = float(filling.share)
    found = _solve(goal, law, share, beta) if goal.target.size <= MOST and share < 1.0 else None
    if found is None:
        return filling, {}
    weights, multipliers, missed = found
    rival = with_share(goal._replace(target=np.maximum(weights, LEAST * weights.max())), share)
    better = _miss(rival, goal.target, beta) < _miss(filling, goal.target, beta)
    return rival if better else filling, {"multipliers": multipliers, "missed": missed}


def _miss(filling: Filling, target: np.ndarray, beta: float) -> float:
    gradients = spread(filling.weights, beta)
    return float(0.5 * np.abs(gradients / gradients.sum() - target / target.sum()).sum())


def _solve(
    goal: Limits, law: FixedDecay, share: float, beta: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Minimise what the gradients miss of the target; return weights, multipliers of the caps, and those of the misses.

    Variables: weights y of the updates and x of the gradients, missing parts d >= q - x, and the memory D_0..D_n
    filled; all in units of 1/n, D in such of the largest 1/cap.
    """
    n = goal.target.size
    q = (goal.target / goal.target.sum()).astype(float)
    unit = float((1.0 / goal.caps).max())
    need, gain = (1.0 / goal.caps).astype(float) / unit, law.rates.astype(float) / unit
    eye, none = scipy.sparse.eye_array(n, format="csr"), scipy.sparse.csr_array((n, n))
    edge = scipy.sparse.csr_array((n, 1))
    ahead = scipy.sparse.eye_array(n, k=1, format="csr")
    before, after = scipy.sparse.hstack([eye, edge]), scipy.sparse.hstack([edge, eye])
    # the last weight takes its cap from the memory after it: y <= cap * D
    last = scipy.sparse.csr_array(([1.0, -share], ([0, 0], [3 * n, 4 * n])), shape=(1, 4 * n + 1))
    above = scipy.sparse.vstack(
        [
            scipy.sparse.hstack([scipy.sparse.diags_array(need), none, none, -after]),
            last,
            scipy.sparse.hstack([none, -eye, -eye, scipy.sparse.csr_array((n, n + 1))]),
        ]
    )
    parts = scipy.sparse.diags_array(1.0 / bias_corrections(beta, n))
    equal = scipy.sparse.vstack(
        [
            scipy.sparse.hstack([-scipy.sparse.diags_array(gain), none, none, after - before]),
            scipy.sparse.hstack([-parts, eye - beta * ahead, none, scipy.sparse.csr_array((n, n + 1))]),
            scipy.sparse.csr_array(np.append(np.ones(n), np.zeros(3 * n + 1))[None]),
        ]
    )
    answer = scipy.optimize.linprog(
        np.concatenate([np.zeros(2 * n), np.ones(n), np.zeros(n + 1)]),
        A_ub=above.tocsr(),
        b_ub=np.concatenate([np.zeros(n + 1), -n * q]),
        A_eq=equal.tocsr(),
        b_eq=np.concatenate([np.zeros(2 * n), [n]]),
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if answer.x is None:
        return None
    prices = -answer.ineqlin.marginals
    return answer.x[:n] / n, np.maximum(prices[:n], 0.0) * need, np.clip(prices[n + 1 :], 0.0, 1.0)
