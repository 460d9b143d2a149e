"""Least loss of tiny designs in rational arithmetic: slow, obviously right, used by the contract and the tests."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from infimum._arrays import to_numpy
from infimum.proof.answers.memory_design import Schedule
from infimum.proof.profiles import as_target
from infimum.proof.schedule_limits import caps_of

Row = tuple[list[Fraction], Fraction]


def best_profile(result: Schedule, target: Any) -> float:
    """Least loss of any schedule with the weight decay, the caps and at most the initial share of `result`."""
    return float(exact_loss(result, target))


def exact_loss(result: Schedule, target: Any) -> Fraction:
    """Least loss as a fraction, from the floating-point data as they are.

    The unknowns are the memory weights y_1..y_T, up to a common factor, the weight t of the initialisation, and for
    "tv" the missing parts d_j >= q_j - y_j, for "ratio" the ratio itself.
    """
    profile = as_target(target, result.lr.shape[0])
    p = [Fraction(float(x)) for x in to_numpy(profile)]
    q = [x / sum(p) for x in p]
    caps = [Fraction(float(x)) for x in to_numpy(caps_of(result.max_lr, result.warmup, profile))]
    rates = [Fraction(float(x)) for x in to_numpy(result.weight_decay)]
    share, steps = Fraction(result.initial_share), len(q)
    extra = steps if result.objective == "tv" else 1
    width = steps + 1 + extra  # y, t, d or the ratio
    at_most: list[Row] = []
    for j in range(steps):  # y_j <= cap_j (t + sum_{i<=j} rates_i y_i)
        entries = {i: -caps[j] * rates[i] for i in range(j + 1)}
        entries[j] += 1
        at_most.append((_row(width, {**entries, steps: -caps[j]}), Fraction(0)))
    at_most.append((_row(width, {**{i: -share * rates[i] for i in range(steps)}, steps: 1 - share}), Fraction(0)))
    parts = _parts_of_gradients(steps, result.beta1)  # of the updates, for each gradient
    if result.objective == "tv":
        at_most += [
            (_row(width, {**{i: -x for i, x in parts[j].items()}, steps + 1 + j: Fraction(-1)}), -q[j])
            for j in range(steps)
        ]
        equal = [(_row(width, dict.fromkeys(range(steps), Fraction(1))), Fraction(1))]
        cost = _row(width, dict.fromkeys(range(steps + 1, width), Fraction(1)))
    else:
        at_most += [(_row(width, {i: -x for i, x in parts[j].items()}), -q[j]) for j in range(steps)]
        at_most += [(_row(width, {**parts[j], steps + 1: -q[j]}), Fraction(0)) for j in range(steps)]
        equal, cost = [], _row(width, {steps + 1: Fraction(1)})
    return minimum(cost, at_most, equal)


def _parts_of_gradients(steps: int, beta1: float) -> list[dict[int, Fraction]]:
    """Return for every gradient its part in each update: without momentum all of its own."""
    b = Fraction(beta1)
    return [{i: (1 - b) * b ** (i - j) / (1 - b ** (i + 1)) for i in range(j, steps)} for j in range(steps)]


def _row(width: int, entries: dict[int, Fraction]) -> list[Fraction]:
    return [entries.get(column, Fraction(0)) for column in range(width)]


def minimum(cost: list[Fraction], at_most: list[Row], equal: list[Row]) -> Fraction:
    """Minimise ``cost @ x`` over x >= 0 with ``row @ x <= limit`` or ``== limit``: the two-phase simplex method.

    Bland's rule, exact arithmetic. Raises `ArithmeticError` if there is no such x.
    """
    width, slack = len(cost), len(at_most)
    rows = [[*row, *(Fraction(int(i == k)) for k in range(slack)), limit] for i, (row, limit) in enumerate(at_most)]
    rows += [[*row, *[Fraction(0)] * slack, limit] for row, limit in equal]
    rows = [[-x for x in row] if row[-1] < 0 else row for row in rows]
    total, height = width + slack, len(rows)
    table = [[*row[:-1], *(Fraction(int(i == k)) for k in range(height)), row[-1]] for i, row in enumerate(rows)]
    basis = list(range(total, total + height))
    if _simplex(table, basis, [Fraction(int(j >= total)) for j in range(total + height)]) > 0:
        raise ArithmeticError("the constraints contradict each other")
    for i, j in enumerate(basis):  # an artificial variable at 0 leaves the basis where it can
        if j >= total:
            entering = next((k for k in range(total) if table[i][k]), None)
            if entering is not None:
                _pivot(table, basis, i, entering)
    kept = [i for i, j in enumerate(basis) if j < total]
    table, basis = [[*table[i][:total], table[i][-1]] for i in kept], [basis[i] for i in kept]
    return _simplex(table, basis, [*cost, *[Fraction(0)] * slack])


def _simplex(table: list[list[Fraction]], basis: list[int], cost: list[Fraction]) -> Fraction:
    while True:
        prices = [cost[j] for j in basis]
        entering = next(
            (
                j
                for j in range(len(cost))
                if j not in basis and cost[j] < sum(c * row[j] for c, row in zip(prices, table, strict=True))
            ),
            None,
        )
        if entering is None:
            return sum((c * row[-1] for c, row in zip(prices, table, strict=True)), Fraction(0))
        ratios = [(row[-1] / row[entering], basis[i], i) for i, row in enumerate(table) if row[entering] > 0]
        if not ratios:
            raise ArithmeticError("the minimum is unbounded")
        _pivot(table, basis, min(ratios)[2], entering)


def _pivot(table: list[list[Fraction]], basis: list[int], leaving: int, entering: int) -> None:
    scale = table[leaving][entering]
    table[leaving] = [x / scale for x in table[leaving]]
    for i, row in enumerate(table):
        if i != leaving and row[entering]:
            factor = row[entering]
            table[i] = [x - factor * y for x, y in zip(row, table[leaving], strict=True)]
    basis[leaving] = entering
