"""Designs of a memory profile against a general linear-programming solver and against schedules in use."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse

from benchmarks.harness import Comparison, Contender
from infimum import memory

Tables = tuple[np.ndarray, np.ndarray]
METHODS = ("highs-ds", "highs-ipm")


def comparisons() -> Iterator[Comparison]:
    """Yield every comparison of the memory room."""
    pythia = memory.PUBLISHED[0]
    for steps, peak, decay, warmup, name, methods in (
        (400, 1e-3, 7.5, 40, "warm-up 40 of 400, kappa 3", METHODS),
        (5000, 1e-3, 0.1, 100, "nanoGPT's run", METHODS[:1]),  # the other one is slower
        (pythia.steps, pythia.peak, pythia.weight_decay, pythia.warmup, "Pythia-410M's run", ()),
    ):
        caps = memory.lr_table("constant", steps, peak=peak, warmup=warmup)
        yield total_variation(name, caps, decay, methods)
    steps = 400
    falling = 1e-3 * np.minimum(np.minimum(1.0, np.arange(1, steps + 1) / 40), np.linspace(3.0, 0.02, steps))
    yield total_variation("falling caps, 400 steps", falling, 7.5, METHODS, share=0.25)


def total_variation(
    name: str, caps: np.ndarray, decay: float, methods: tuple[str, ...], share: float | None = None
) -> Comparison:
    """Compare even designs by the total variation of the schedule as returned; common shapes under the same caps."""
    steps = caps.size
    ours = partial(memory.design, "uniform", steps, max_lr=caps, weight_decay=decay)
    if share is None:  # that of the warm-up followed by the exact rule
        warmup = int(np.argmax(caps >= caps.max())) + 1
        share = memory.design(
            "uniform", steps, max_lr=float(caps.max()), weight_decay=decay, warmup=warmup
        ).initial_share * (1.0 + 1e-9)

    def loss(answer: Any) -> float:
        lr, decays = (answer.lr, answer.weight_decay) if isinstance(answer, memory.Schedule) else answer
        return memory.report(lr, decays).total_variation

    contenders: dict[str, Contender] = {"infimum design": lambda seed: ours(max_initial_share=share)}
    for method in methods:
        contenders[f"scipy linprog, {method}"] = partial(program, caps, decay, share, method)
    for shape in ("constant", "cosine", "linear", "wsd"):
        contenders[f"{shape} under the caps"] = partial(common, shape, caps, decay)
    return Comparison(
        problem="design",
        input=name,
        task=f"even memory, initial share at most {share:.4g}",
        contenders=contenders,
        loss=loss,
        # ours undercuts the share by 1e-12, for rounding; the floor is for all that meet it
        floor=ours(max_initial_share=share * (1.0 + 1e-11)).certificate.lower_bound,
        certify=lambda result: result.recheck("uniform"),
        seconds=60.0,
    )


def common(shape: str, caps: np.ndarray, decay: float, seed: int) -> Tables:
    """Return a common shape; its share of the initialisation is its own."""
    lr = np.minimum(caps, memory.lr_table(shape, caps.size, peak=float(caps.max())))
    return lr, np.full(caps.size, decay)


def program(caps: np.ndarray, decay: float, share: float, method: str, seed: int) -> Tables:
    """Solve the sparse linear program in weights and filled memory, as one would without knowing its structure."""
    n = caps.size
    scale = caps.max() * n  # weights and memory of size about 1
    cap, gain = caps / caps.max(), decay * scale / n
    eye = scipy.sparse.identity(n, format="csr")
    before = scipy.sparse.diags_array([np.ones(n - 1)], offsets=[-1], shape=(n, n))
    first = np.zeros((n, 1))
    first[0] = 1.0
    zero = scipy.sparse.csr_array((n, n))
    # y <= cap D, D_j = D_{j-1} + gain y_j, t <= share D_T, d >= 1 - y; variables y, D, t, d
    limit = np.zeros((1, 3 * n + 1))
    limit[0, 2 * n - 1], limit[0, 2 * n] = -share, 1.0
    answer = scipy.optimize.linprog(
        np.concatenate([np.zeros(2 * n + 1), np.full(n, 1.0 / n)]),
        A_ub=scipy.sparse.vstack(
            [
                scipy.sparse.hstack([eye, scipy.sparse.diags_array(-cap), np.zeros((n, 1)), zero]),
                limit,
                scipy.sparse.hstack([-eye, zero, np.zeros((n, 1)), -eye]),
            ]
        ),
        b_ub=np.concatenate([np.zeros(n + 1), -np.ones(n)]),
        A_eq=scipy.sparse.vstack(
            [
                scipy.sparse.hstack([-gain * eye, eye - before, -first, zero]),
                np.concatenate([np.ones(n), np.zeros(2 * n + 1)])[None, :],
            ]
        ),
        b_eq=np.append(np.zeros(n), n),
        method=method,
    )
    if answer.x is None:
        raise RuntimeError(answer.message)
    y, filled = answer.x[:n], answer.x[n : 2 * n]
    return np.minimum(caps, caps.max() * y / filled), np.full(n, decay)
