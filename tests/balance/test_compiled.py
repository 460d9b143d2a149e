"""Loops that are compiled where Numba is installed, and the operations on arrays that stand for them elsewhere."""

import numpy as np
import pytest
import scipy.sparse

from infimum.balance.search import arc_costs, shortest_path, single_moves
from infimum.balance.search.integer_scores import BARRED, NONE
from infimum.proof import largest_entries
from tests.balance.reference import without_numba


def scores(kind, rng, shape):
    if kind == "floats":
        return rng.standard_normal(shape)
    if kind == "not admitted":
        return np.where(rng.random(shape) < 0.4, -np.inf, rng.standard_normal(shape))
    return rng.integers(-2, 3, shape) if kind == "whole" else rng.integers(-2, 3, shape) / 4.0


def same(found, again):
    return all(np.array_equal(one, other) and one.dtype == other.dtype for one, other in zip(found, again, strict=True))


@pytest.mark.parametrize("kind", ["floats", "ties", "whole", "not admitted"])
def test_k_largest(kind, monkeypatch):
    rng, plain = np.random.default_rng(0), without_numba(monkeypatch, largest_entries)
    rows = scores(kind, rng, (60, 9))
    for k in range(1, 10):
        for bias in (None, scores(kind if kind != "not admitted" else "ties", rng, 9)):
            found, moved = largest_entries.k_largest(rows, k, bias), rows + (0 if bias is None else bias)
            assert same(found, plain.k_largest(rows, k, bias))
            ordered = -np.sort(-moved, axis=1) if kind != "whole" else np.sort(moved, axis=1)[:, ::-1]
            taken = np.take_along_axis(moved, found.columns, axis=1)
            assert np.array_equal(np.sort(taken, axis=1)[:, ::-1], ordered[:, :k])
            assert np.array_equal(found.threshold, ordered[:, k - 1])
            assert k == 9 or np.array_equal(found.dropped, ordered[:, k])
            assert np.all(np.diff(found.columns, axis=1) > 0)


def test_the_loop_says_the_same_uncompiled():
    """Python runs what Numba compiles: what coverage sees of it."""
    loop, rng = largest_entries._k_largest, np.random.default_rng(2)
    uncompiled = getattr(loop, "py_func", loop)
    for kind in ("floats", "ties", "whole"):
        rows = scores(kind, rng, (12, 7))
        bias, least = np.zeros(7, dtype=rows.dtype), rows.min() - 1
        for k in (1, 3, 7):
            assert same(uncompiled(rows, bias, k, least), loop(rows, bias, k, least))


def test_sums_are_in_the_precision_of_the_bias():
    rows = np.array([[1.0, 1.0]], dtype=np.float32)
    found = largest_entries.k_largest(rows, 1, np.array([0.0, 2.0**-40]))
    assert found.columns.tolist() == [[1]]
    assert found.threshold[0] == 1.0 + 2.0**-40


@pytest.mark.parametrize("kind", ["whole", "not admitted"])
def test_costs_of_moves(kind, monkeypatch):
    rng, plain = np.random.default_rng(1), without_numba(monkeypatch, arc_costs)
    drawn = scores(kind, rng, (40, 6))
    drawn[:, :2] = 0  # every token admits as many as it holds
    values = np.where(drawn > -np.inf, np.rint(100.0 * np.where(drawn > -np.inf, drawn, 0.0)), BARRED).astype(np.int64)
    member = np.argsort(np.argsort(-values, axis=1), axis=1) < 2
    member[:, 5] = False  # an expert without tokens
    tables = []
    for module in (arc_costs, plain):
        cost, owner = np.full((7, 7), NONE), np.full((6, 6), -1)
        module.cheapest_tokens(values, member, cost, owner)
        tables.append((cost, owner))
    assert same(*tables)
    cost, owner = tables[0]
    for a in range(6):
        for b in range(6):
            losses = [(values[t, a] - values[t, b], t) for t in range(40) if member[t, a] and not member[t, b]]
            losses = [pair for pair in losses if values[pair[1], b] != BARRED]
            assert (cost[a, b], owner[a, b]) == min(losses, default=(NONE, -1))
    assert np.all(cost[6] == NONE)


@pytest.mark.parametrize("kind", ["floats", "ties", "not admitted"])
def test_cheapest_moves(kind, monkeypatch):
    rng, plain = np.random.default_rng(2), without_numba(monkeypatch, single_moves)
    values = scores(kind, rng, (50, 6))
    member = np.argsort(np.argsort(-values, axis=1), axis=1) < 2
    for excess in (np.array([2, -1, 0, 1, -2, 0]), np.array([1, 1, 0, 0, 0, 0]), np.array([0, 0, -1, 0, -1, 0])):
        found = single_moves.cheapest_moves(values, member, excess)
        with np.errstate(invalid="ignore"):
            again = plain.cheapest_moves(values, member, excess)
        assert np.array_equal(found[0], again[0], equal_nan=True)
        movable = np.isfinite(found[0])
        assert same([part[movable] for part in found], [part[movable] for part in again])
        assert movable.any() == (excess.min() < 0 < excess.max())


def values_and_members(kind, rng):
    """Draw whole values with ties, and some of the admitted pairs as those that are taken."""
    drawn = scores(kind, rng, (40, 6))
    values = np.where(drawn > -np.inf, np.rint(9.0 * np.where(drawn > -np.inf, drawn, 0.0)), BARRED).astype(np.int64)
    return values, (rng.random(values.shape) < 0.4) & (values != BARRED)


@pytest.mark.parametrize("kind", ["whole", "not admitted"])
def test_costs_of_one_experts_moves(kind, monkeypatch):
    rng, plain = np.random.default_rng(3), without_numba(monkeypatch, arc_costs)
    values, member = values_and_members(kind, rng)
    cost, owner = np.full((7, 7), NONE), np.full((6, 6), -1)
    arc_costs.cheapest_tokens(values, member, cost, owner)
    for module in (arc_costs, plain):
        for others in (np.arange(6), np.array([4]), np.array([5, 0]), np.arange(0)):
            again = np.full((7, 7), 5), np.full((6, 6), 5)
            module.cheapest_of_expert(values, member, np.flatnonzero(member[:, 2]), 2, others, *again)
            assert np.array_equal(again[0][2, others], cost[2, others])
            assert np.array_equal(again[1][2, others], owner[2, others])
            assert np.count_nonzero(again[0] != 5) == others.size
    arc_costs.cheapest_of_expert(values, member, np.arange(0), 2, np.arange(6), cost, owner)
    assert np.all(cost[2] == NONE)
    assert np.all(owner[2] == -1)


@pytest.mark.parametrize("kind", ["whole", "not admitted"])
def test_a_token_that_comes_lowers_costs(kind, monkeypatch):
    rng, plain = np.random.default_rng(6), without_numba(monkeypatch, arc_costs)
    values, member = values_and_members(kind, rng)
    tables = [(np.full((7, 7), NONE), np.full((6, 6), -1)) for _ in range(3)]
    arc_costs.cheapest_tokens(values, member, *tables[0])
    for token in range(40):
        arc_costs.lower_costs(values, member, token, *tables[1])
        plain.lower_costs(values, member, token, *tables[2])
    assert same(tables[0], tables[1])
    assert same(tables[1], tables[2])


def test_shortest_paths(monkeypatch):
    rng, plain, ends = np.random.default_rng(4), without_numba(monkeypatch, shortest_path), set()
    for _ in range(200):
        size = int(rng.integers(2, 8))
        cost = np.where(rng.random((size, size)) < 0.4, rng.integers(0, 4, (size, size)), NONE)
        potential = rng.integers(-3, 4, size)
        cost = np.where(cost < NONE, cost + potential - potential[:, None], NONE)  # reduced, no cost is negative
        excess = rng.permutation(np.r_[1, -1, np.zeros(size - 2, np.int64)])
        node, distance, before = shortest_path.shortest_path(cost, potential, excess)
        again = plain.shortest_path(cost, potential, excess)
        assert node == again[0]
        assert same((distance, before), again[1:])
        arcs = np.where(cost < NONE, cost - potential + potential[:, None], 0)
        graph = scipy.sparse.csr_array((arcs[cost < NONE] + 1e-9, np.nonzero(cost < NONE)), shape=cost.shape)
        least = scipy.sparse.csgraph.dijkstra(graph, indices=int(excess.argmax()))[int(excess.argmin())]
        ends.add(node >= 0)
        assert (node < 0) == np.isinf(least)
        assert node < 0 or distance[node] == round(least)
    assert ends == {True, False}
