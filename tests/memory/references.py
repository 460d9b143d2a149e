"""Independent ways to the same numbers: a dense linear program in the weights, and random constrained designs."""

from typing import Any

import numpy as np
import scipy.optimize

from infimum import memory
from infimum._arrays import to_numpy
from infimum.proof.schedule_limits import caps_of


def random_options(rng, steps, law="fixed"):
    """Caps, decay, warm-up and a share that the caps allow but that usually spoils the exact profile."""
    max_lr = 10.0 ** rng.uniform(-3, 0)
    kappa = 10.0 ** rng.uniform(-0.5, 1)
    rate = min(kappa / (steps * max_lr), 0.9 / max_lr)
    options: dict[str, Any] = {"warmup": int(rng.integers(0, steps // 2 + 1))}
    kind = rng.integers(3)
    caps = np.full(steps, max_lr)
    if kind == 1:
        caps = max_lr * rng.uniform(0.05, 1.0, steps)
    elif kind == 2:
        caps = max_lr * np.linspace(1.0, rng.uniform(0.02, 0.5), steps)
    options["max_lr"] = max_lr if kind == 0 else caps
    decay = np.full(steps, rate) if rng.integers(2) else rate * rng.uniform(0.2, 1.0, steps)
    if law == "proportional":
        options["weight_decay"] = memory.Proportional(rate)
    elif law == "match_rms":
        options["weight_decay"] = memory.MatchRMS(max_lr / np.sqrt(1 - (1 - min(rate * max_lr, 0.9)) ** 2))
    else:
        options["weight_decay"] = rate if np.ptp(decay) == 0.0 else decay
    ramp = np.minimum(1.0, np.arange(1, steps + 1) / max(options["warmup"], 1))
    least = np.exp(np.sum(np.log1p(-np.clip(caps * ramp * decay, 0, 0.99))))
    if law == "fixed" and rng.integers(4):
        options["max_initial_share"] = float(least + (1 - least) * rng.uniform(0.02, 0.5))
    return options


def least_loss(target, lr_caps, rates, share, objective):
    """Solve for the weights with a dense triangular matrix (no D), by HiGHS's simplex."""
    steps = target.size
    p = target / target.sum()
    scale = steps  # weights of size 1 suit the solver's absolute tolerances
    triangle = np.tril(np.ones((steps, steps)))
    cap = np.hstack([np.eye(steps) - (lr_caps[:, None] * triangle) * rates[None, :], -lr_caps[:, None]])
    limit = np.append(-share * rates, 1.0 - share)[None, :]
    if objective == "tv":
        pad = np.zeros((steps + 1, steps))
        rows = np.block([[np.vstack([cap, limit]), pad], [-np.eye(steps), np.zeros((steps, 1)), -np.eye(steps)]])
        bounds = np.concatenate([np.zeros(steps + 1), -scale * p])
        cost = np.concatenate([np.zeros(steps + 1), np.ones(steps) / scale])
        total = np.concatenate([np.ones(steps), np.zeros(steps + 1)])[None, :]
        answer = scipy.optimize.linprog(cost, rows, bounds, total, [scale], method="highs-ds", options=TIGHT)
    else:
        pad = np.zeros((steps + 1, 1))
        high = np.hstack([np.eye(steps), np.zeros((steps, 1)), -scale * p[:, None]])
        rows = np.vstack([np.hstack([np.vstack([cap, limit]), pad]), high])
        low = [(scale * x, None) for x in p]
        answer = scipy.optimize.linprog(
            np.append(np.zeros(steps + 1), 1.0),
            rows,
            np.zeros(2 * steps + 1),
            bounds=[*low, (0, None), (0, None)],
            method="highs-ds",
            options=TIGHT,
        )
    assert answer.status == 0, answer.message
    return answer.fun


TIGHT = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


def constraints_of(schedule, target) -> tuple[np.ndarray, np.ndarray, float]:
    """Caps, rates and share of a design, as float64 arrays."""
    caps = to_numpy(caps_of(schedule.max_lr, schedule.warmup, np.asarray(target, dtype=float)))
    return caps, to_numpy(schedule.weight_decay), schedule.initial_share
