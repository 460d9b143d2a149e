"""Orthogonalisation by certified steps against the coefficients of torch.optim.Muon, other tables and the SVD.

The loss is the certified error of the coefficients over all singular values from 0.001 of the norm, the floor that of
the best table with as many steps: both hold for every such matrix, and the matrix here only takes the time.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from functools import partial

import torch

from benchmarks.harness import Comparison, Contender
from infimum import minimax, optim

LOWER = 1e-3
CUBIC = (1.5, -0.5)
TABLES = {table.name: table.rows for table in minimax.PUBLISHED}
Rows = Sequence[Sequence[float]]


def comparisons() -> Iterator[Comparison]:
    """Yield every comparison of the schedules."""
    generator = torch.Generator().manual_seed(0)
    M = torch.randn(384, 512, generator=generator)
    yield five_steps(M)
    yield equal_error(M)
    yield optimizers(M.shape)
    yield designs(5)


def five_steps(M: torch.Tensor) -> Comparison:
    """Compare tables of five steps: the same products, other numbers."""
    best = minimax.msign_schedule(LOWER, 5)
    tables: dict[str, Rows] = {
        "infimum, optimal": best.coefficients,
        "infimum, default (cushion, safety)": optim.default_schedule().coefficients,
        "torch.optim.Muon's triple": TABLES["Jordan, 5 steps"],
        "Su's five steps": TABLES["Su, 5 steps"],
        "quintic of modded-nanogpt, 2025": TABLES["quintic, 5 steps"],
        "nanochat": TABLES["nanochat"],
        "CANS": TABLES["CANS"],
    }
    return Comparison(
        problem="orthogonalize",
        input=f"Gaussian {M.shape[0]} x {M.shape[1]}, float32",
        task="five quintic steps",
        contenders={name: partial(apply, M, rows) for name, rows in tables.items()},
        loss=error,
        floor=best.certificate.lower_bound,
        rounds=9,
    )


def designs(steps: int) -> Comparison:
    """Compare ways to design a table: all steps together, or each best for what the one before it leaves."""
    best = minimax.msign_schedule(LOWER, steps)
    contenders: dict[str, Contender] = {
        "infimum": lambda seed: minimax.msign_schedule(LOWER, steps).coefficients,
        "infimum, recentre=False": lambda seed: minimax.msign_schedule(LOWER, steps, recentre=False).coefficients,
        "Su's five steps": lambda seed: TABLES["Su, 5 steps"],
        "CANS": lambda seed: TABLES["CANS"],
    }
    return Comparison(
        problem="msign-schedule",
        input=f"singular values from {LOWER:g} to 1",
        task=f"{steps} quintic steps",
        contenders=contenders,
        loss=error,
        floor=best.certificate.lower_bound,
        rounds=3,
    )


def equal_error(M: torch.Tensor) -> Comparison:
    """Compare the time for an error of at most a thousandth: how many steps each set of coefficients needs."""
    tables: dict[str, Rows] = {
        "infimum": shortest([minimax.msign_schedule(LOWER, steps).coefficients for steps in range(5, 9)]),
        "infimum, mixed degrees": shortest(
            [minimax.msign_schedule(LOWER, 5, (5,) * (5 - k) + (7,) * k).coefficients for k in range(1, 6)]
        ),
        "infimum, cubic": shortest([minimax.msign_schedule(LOWER, steps, 3).coefficients for steps in range(6, 15)]),
        "DeepSeek-V4": TABLES["DeepSeek-V4"],
        "Newton-Schulz, cubic": shortest([[CUBIC] * steps for steps in range(15, 30)]),
    }
    contenders: dict[str, Contender] = {
        f"{name}: {len(rows)} steps, {products(rows)} products": partial(apply, M, rows)
        for name, rows in tables.items()
    }
    contenders["SVD (torch.linalg.svd)"] = partial(singular, M)
    return Comparison(
        problem="orthogonalize",
        input=f"Gaussian {M.shape[0]} x {M.shape[1]}, float32",
        task="error at most 0.001",
        contenders=contenders,
        loss=error,
        floor=0.0,  # more steps have a smaller one
        rounds=9,
    )


def optimizers(shape: Sequence[int]) -> Comparison:
    """Compare a step of Muon on one weight in bfloat16, as training does it."""
    best = minimax.msign_schedule(LOWER, 5)
    weight = torch.zeros(*shape)
    gradient = torch.randn(*shape, generator=torch.Generator().manual_seed(1))
    ours = optim.Muon([weight.clone().requires_grad_()], schedule=optim.default_schedule())
    plain = optim.Muon([weight.clone().requires_grad_()], schedule=None)
    theirs = torch.optim.Muon([weight.clone().requires_grad_()])
    rows = {"infimum.optim.Muon, default schedule": optim.default_schedule().coefficients}
    rows |= dict.fromkeys(("infimum.optim.Muon, no schedule", "torch.optim.Muon"), TABLES["Jordan, 5 steps"])
    chosen = zip(rows.items(), (ours, plain, theirs), strict=True)
    return Comparison(
        problem="Muon",
        input=f"one weight {shape[0]} x {shape[1]}",
        task="one optimizer step, five quintic steps in bfloat16",
        contenders={name: partial(step, optimizer, gradient, table) for (name, table), optimizer in chosen},
        loss=error,
        floor=best.certificate.lower_bound,
        rounds=9,
    )


def apply(M: torch.Tensor, rows: Rows, seed: int) -> Rows:
    """Orthogonalise, and return the coefficients for their error."""
    optim.orthogonalize(M, rows)
    return rows


def singular(M: torch.Tensor, seed: int) -> Rows:
    """Orthogonalise by the singular value decomposition, exact up to rounding."""
    U, _, Vh = torch.linalg.svd(M, full_matrices=False)
    _ = U @ Vh
    return ()


def step(optimizer: torch.optim.Optimizer, gradient: torch.Tensor, rows: Rows, seed: int) -> Rows:
    """Do one optimizer step."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = gradient
    optimizer.step()
    return rows


def error(rows: Rows) -> float:
    """Certified error of a table; 0 for the exact factor."""
    return _certified(tuple(map(tuple, rows)))


@functools.cache
def _certified(rows: tuple[tuple[float, ...], ...]) -> float:
    return minimax.verify_schedule(rows, LOWER).certificate.value if rows else 0.0


def products(rows: Rows) -> int:
    """Count the matrix products: the Gram matrix, its polynomial by Horner's rule, and the last one."""
    return sum(map(len, rows))


def shortest(tables: Sequence[Rows]) -> Rows:
    """Return the first table with an error of at most a thousandth."""
    return next(rows for rows in tables if error(rows) <= 1e-3)
