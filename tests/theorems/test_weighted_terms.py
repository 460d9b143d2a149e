"""Weighted terms: below every choice with any weights, on trees too; hypotheses asked; allowances needed."""

import dataclasses
import itertools
import math
from typing import Any

import flint
import numpy as np
import pytest

from infimum.errors import VerificationError
from infimum.proof.operators import product
from infimum.proof.theorems import weighted_terms
from infimum.proof.theorems.weighted_terms import EPS, NODES, Fit, Relaxed, optimum_bound


def drawn(rng, size, complex_=False, rows=4):
    X, Y = rng.standard_normal((rows, size)), rng.standard_normal((size, 3))
    if complex_:
        X, Y = X + 1j * rng.standard_normal(X.shape), Y + 1j * rng.standard_normal(Y.shape)
    parts = product.terms(X, Y)
    return X, Y, weighted_terms.fit(parts), 2.0**parts.exponent


def least(X, Y, kept):
    """Squared loss of the best choice with its best weights, to 300 bits (the weights with a ridge far below them)."""
    with flint.ctx.workprec(300):
        terms = [
            [flint.acb(complex(x)) * flint.acb(complex(y)) for x in X[:, t] for y in Y[t]] for t in range(X.shape[1])
        ]
        target = flint.acb_mat([[sum((term[e] for term in terms), flint.acb(0))] for e in range(len(terms[0]))])
        losses = []
        for S in itertools.combinations(range(len(terms)), kept):
            residual = target
            if S:
                V = flint.acb_mat([[terms[t][e] for t in S] for e in range(len(terms[0]))])
                G = V.conjugate().transpose() * V
                ridge = flint.acb_mat([[flint.arb(2) ** -200 * (i == j) for j in range(kept)] for i in range(kept)])
                residual = target - V * (G + ridge).solve(V.conjugate().transpose() * target)
            losses.append(sum((x.real**2 + x.imag**2 for x in residual.entries()), flint.arb(0)))
        return min(losses, key=lambda loss: loss.mid())


def below(bound, scale, squared):
    with flint.ctx.workprec(300):
        return flint.arb(bound) ** 2 * flint.arb(scale) ** 2 <= squared * (1 + flint.arb(2) ** -100)


@pytest.mark.parametrize("complex_", [False, True])
def test_never_above_the_best_choice(complex_):
    rng = np.random.default_rng(0)
    for _ in range(12):
        size = int(rng.integers(1, 7))
        X, Y, fit, scale = drawn(rng, size, complex_, rows=int(rng.integers(1, 6)))
        kept = int(rng.integers(0, size + 1))
        best = least(X, Y, kept)
        smallest = min(max(float(np.linalg.eigvalsh(fit.unit)[0]), 0.0), 1.0)
        for diagonal in (np.full(size, smallest), rng.uniform(0.0, 1.0, size), np.ones(size)):
            relaxed = Relaxed(fit, diagonal)
            assert np.linalg.eigvalsh(fit.unit - np.diag(relaxed.d))[0] >= -1e-15
            points = [np.zeros(size), rng.standard_normal(size), relaxed.point(rng.uniform(0.0, 1.0, size))]
            for point in (points[0], points[1] * (1 + 1j) if complex_ else points[1], points[2]):
                assert below(relaxed.bound(point, kept), scale, best)
        assert below(optimum_bound(fit, kept, 40, 1e9)[0], scale, best) or kept == size


def test_the_tree_finds_and_proves_the_optimum():
    rng = np.random.default_rng(1)
    for size, kept in ((6, 2), (9, 4), (8, 6)):
        X, Y, fit, scale = drawn(rng, size)
        best = math.sqrt(float(least(X, Y, kept).mid())) / scale
        bound, chosen = optimum_bound(fit, kept, NODES, 1e9)
        assert best * (1.0 - 1e-5) <= bound <= best
        assert chosen.size == kept
        assert optimum_bound(fit, kept, NODES, 0.5 * best) == (0.5 * best, None)  # known to be reached
        assert 0.5 * best <= optimum_bound(fit, kept, NODES, 1e9, enough=0.5 * best)[0] <= best
        bounds = [optimum_bound(fit, kept, nodes, 1e9)[0] for nodes in (0, 2, 20, 200)]
        assert bounds == sorted(bounds)


def test_orthogonal_terms_have_no_gap():
    """Their best weights are 1, and the longest are the best."""
    fit = weighted_terms.fit(product.terms(np.diag([3.0, 1.0, 2.0, 5.0]), np.eye(4)))
    scale = 2.0 ** product.terms(np.diag([3.0, 1.0, 2.0, 5.0]), np.eye(4)).exponent
    relaxed = Relaxed(fit, np.ones(4))
    bound = relaxed.bound(relaxed.point(np.array([1.0, 0.0, 0.0, 1.0])), 2) * scale
    assert bound == pytest.approx(math.sqrt(5.0), rel=1e-6)
    assert bound < math.sqrt(5.0)


def test_what_is_measured_of_the_terms():
    rng = np.random.default_rng(2)
    for complex_ in (False, True):
        X, Y, fit, scale = drawn(rng, 5, complex_)
        terms = [np.outer(X[:, t], Y[t]) for t in range(5)]
        unit = [term / np.linalg.norm(term) for term in terms]
        assert np.allclose(fit.unit, [[np.sum(a.conj() * b) for b in unit] for a in unit], rtol=1e-12)
        assert np.allclose(fit.products * scale, [np.sum(a.conj() * (X @ Y)) for a in unit], rtol=1e-11)
        assert math.sqrt(fit.energy) * scale == pytest.approx(np.linalg.norm(X @ Y), rel=1e-12)
        assert fit.error == (4 + 3 + 6) * EPS / 2 * (2 if complex_ else 1)
    # a term of 1e-200 keeps its direction: with a weight of 1e200 it is a term like any other
    X[:, 1] *= 1e-200
    tiny = weighted_terms.fit(product.terms(X, Y))
    assert np.allclose(tiny.unit, fit.unit, rtol=1e-12)
    X[:, 0] = 0.0
    assert np.array_equal(weighted_terms.fit(product.terms(X, Y)).unit[0], np.eye(5)[0])


def test_a_tiny_term_may_carry_a_large_weight():
    X, Y = np.array([[1.0, 1e-180]]), np.array([[1.0], [1.0]])
    fit = weighted_terms.fit(product.terms(X, Y))
    assert optimum_bound(fit, 1, NODES, 1e9)[0] < 1e-6  # either of them gives the product


FIT = drawn(np.random.default_rng(3), 4)[2]


@pytest.mark.parametrize(
    ("diagonal", "point", "kept", "message"),
    [
        (np.full(4, 1.5), np.zeros(4), 2, "from -1 to 1"),
        (np.full(4, -1.5), np.zeros(4), 2, "from -1 to 1"),
        (np.full(3, 0.1), np.zeros(4), 2, "shape"),
        (np.full(4, np.nan), np.zeros(4), 2, "from -1 to 1"),
        (np.full(4, 0.1), np.zeros(3), 2, "shape"),
        (np.full(4, 0.1), np.full(4, np.inf), 2, "finite"),
        (np.full(4, 0.1), np.full(4, 1e130), 2, "less than 1e"),
        (np.full(4, 0.1), np.full(4, 1j), 2, "real"),
        (np.full(4, 0.1), np.zeros(4, dtype=int), 2, "real"),
        (np.full(4, 0.1), np.zeros(4), 5, "from 0 to 4"),
        (np.full(4, 0.1), np.zeros(4), 1.5, "whole"),
    ],
)
def test_witnesses_are_asked(diagonal, point, kept, message):
    with pytest.raises(VerificationError, match=message):
        Relaxed(FIT, diagonal).bound(point, kept)


def test_nodes_are_asked():
    assert optimum_bound(FIT, 2, 2 * NODES, 1e9)[0] > 0.0
    for nodes in (2 * NODES + 1, -1, 1.5):
        with pytest.raises(VerificationError, match="nodes"):
            optimum_bound(FIT, 2, nodes, 1e9)
    with pytest.raises(VerificationError, match="kept terms"):
        optimum_bound(FIT, 5, 1, 1e9)


def test_a_diagonal_that_is_too_large_is_lowered():
    relaxed = Relaxed(FIT, np.ones(4))
    assert np.linalg.eigvalsh(FIT.unit - np.diag(relaxed.d))[0] >= 0.0
    assert np.all(relaxed.d < 1.0)


def test_entries_that_are_not_positive_bound_nothing():
    """With a diagonal of 0 any weight is free: nothing is proved, unless no term is kept."""
    singular = drawn(np.random.default_rng(4), 14)[2]  # more terms than entries
    relaxed = Relaxed(singular, np.zeros(14))
    assert np.all(relaxed.d <= 0.0)
    assert relaxed.bound(np.zeros(14), 1) == 0.0
    assert relaxed.bound(np.zeros(14), 0) == pytest.approx(math.sqrt(singular.energy), rel=1e-6)


def test_what_is_inside_counts_whatever_it_gains():
    rng = np.random.default_rng(5)
    fit = drawn(rng, 6)[2]
    relaxed = Relaxed(fit, np.full(6, max(0.0, float(np.linalg.eigvalsh(fit.unit)[0]))))
    point = relaxed.point(np.full(6, 0.4))
    assert relaxed.bound(point, 3, inside=2) >= relaxed.bound(point, 3)
    worst = np.argsort(np.abs(fit.products))[:3]
    order = np.concatenate([worst, np.setdiff1d(np.arange(6), worst)])
    part = Relaxed(fit.part(order), np.full(6, max(0.0, float(np.linalg.eigvalsh(fit.unit)[0]))))
    assert part.bound(point[order], 3, inside=3) > relaxed.bound(point, 3)


@pytest.mark.parametrize("doubt", ["error", "products_error", "energy_error", "target_error"])
def test_each_allowance_lowers_the_bound(doubt):
    """A fit that is off by as much as it says must not be believed further."""
    plain = Fit(np.eye(2), np.array([1.0, 0.5]), 1.25, 0.0, 0.0, 0.0, 0.0)
    point = np.array([0.9, 0.4])
    exact = Relaxed(plain, np.full(2, 0.5)).bound(point, 1)
    assert exact == pytest.approx(math.sqrt(1.25 - 0.5 * (0.81 + 0.16) - 0.55**2 / 0.5), rel=1e-12)
    for room in (1.0, 3.0):
        lowered = Relaxed(plain._replace(**{doubt: 1e-3}), np.full(2, 0.5), room).bound(point, 1)
        expected = {
            "target_error": exact - room * 1e-3,
            "energy_error": math.sqrt(exact**2 - room * 1e-3),
            "products_error": math.sqrt(exact**2 - ((0.55 + room * 1e-3) ** 2 - 0.55**2) / 0.5),
        }
        if doubt in expected:
            assert lowered == pytest.approx(expected[doubt], rel=1e-9)
        assert lowered < exact - room * 5e-4


def test_without_terms_there_is_the_whole_product():
    fit = FIT._replace(energy=4.0, energy_error=1e-4, target_error=0.1)
    for room in (1.0, 3.0):
        assert optimum_bound(fit, 0, NODES, 1e9, room=room)[0] <= 2.0 - room * 0.1


@pytest.mark.parametrize("complex_", [False, True])
def test_allowances_have_the_size_on_the_page(monkeypatch, complex_):
    """With a spacing of 1e-4 the allowances are seen: each is what the page says, as often as `room` says."""
    monkeypatch.setattr(weighted_terms, "EPS", 1e-4)
    rng, size, kept = np.random.default_rng(6), 5, 2
    factor = rng.standard_normal((7, size)) + 1j * complex_ * rng.standard_normal((7, size))
    factor = (factor if complex_ else factor.real) / np.linalg.norm(factor, axis=0)
    unit, q = factor.conj().T @ factor, rng.standard_normal(size) * (1 + 0.5j * complex_)
    q = q if complex_ else q.real
    b = unit @ np.array([3.0, 2.0, 1.0, 1.0, 0.5])
    fit = Fit(unit, b, 900.0, 1e-5, 2e-4, 3e-3, 4e-3)  # so much that something is left after all
    least = float(np.linalg.eigvalsh(unit)[0])
    for room in (1.0, 3.0):
        relaxed = Relaxed(fit, np.full(size, 0.5 * least), room)
        q_near = np.where(np.arange(size) < 2, np.array([3.0, 2.0, 0, 0, 0]), 0.05 * q)
        total, d = float(np.sum(np.abs(q_near))), relaxed.d
        image = unit @ q_near
        entries = np.abs(b - image + d * q_near) * (1.0 + 4e-4) + room * (2e-4 + (1e-5 + 18e-4) * total)
        gains = np.sort(entries**2 / d)[::-1]
        for inside in (0, 1):
            largest = gains[:kept].sum()
            if inside:
                rest = np.sort(entries[1:] ** 2 / d[1:])[::-1]
                largest = entries[0] ** 2 / d[0] + rest[: kept - 1].sum()
            form = float((q_near.conj() @ image).real) - float(d @ np.abs(q_near) ** 2)
            doubt = 3e-3 + (1e-5 + 26e-4) * total**2 + 13e-4 * (fit.energy + abs(form) + largest)
            squared = fit.energy - form - largest - room * doubt
            assert squared > 1.0
            expected = math.sqrt(squared) - room * 4e-3
            assert relaxed.bound(q_near, kept, inside) == pytest.approx(expected, rel=1e-11, abs=0.0)
        assert relaxed.bound(q_near * 0.0, 0) == pytest.approx(
            math.sqrt(fit.energy - room * (3e-3 + 13e-4 * fit.energy)) - room * 4e-3, rel=1e-9
        )


def test_errors_of_a_fit_have_the_size_on_the_page(monkeypatch):
    monkeypatch.setattr(weighted_terms, "EPS", 0.5)
    rng = np.random.default_rng(7)
    parts = product.terms(rng.standard_normal((4, 5)), rng.standard_normal((5, 3)))
    parts = dataclasses.replace(parts, eps=0.01)
    monkeypatch.setattr(product.Terms, "smallest", 0.3)
    fit, total = weighted_terms.fit(parts), float(np.sum(parts.norms))
    error = (4 + 3 + 6) * 0.01
    assert fit.error == pytest.approx(error, rel=1e-14)
    assert fit.products_error == pytest.approx((error + 7 * 0.5) * total, rel=1e-14)
    assert fit.energy_error == pytest.approx((error + 14 * 0.5) * total**2, rel=1e-14)
    assert fit.target_error == pytest.approx(error * total + 0.3, rel=1e-14)


def test_a_point_solves_the_relaxed_problem_and_shares_are_the_best():
    rng = np.random.default_rng(8)
    fit = drawn(rng, 6, rows=5)[2]
    relaxed = Relaxed(fit, np.full(6, max(0.0, float(np.linalg.eigvalsh(fit.unit)[0]))))
    share = np.array([1.0, 0.5, 0.3, 0.2, 0.0, 1.0])
    point = relaxed.point(share)
    used = share > 0.0
    matrix = fit.unit[np.ix_(used, used)] + np.diag(relaxed.d[used] * (1.0 / share[used] - 1.0))
    assert point[4] == 0.0
    assert np.allclose(matrix @ point[used], fit.products[used])
    for kept, inside in ((3, 0), (3, 1), (2, 2), (5, 0)):
        best = relaxed.shares(point, kept, inside)
        assert np.all((best >= 0.0) & (best <= 1.0))
        assert best[:inside].tolist() == [1.0] * inside
        assert best.sum() == pytest.approx(min(kept, 5))
        sizes = relaxed.d * np.abs(point) ** 2

        def cost(h, sizes=sizes):
            return float(np.sum(np.where(sizes > 0.0, sizes / np.maximum(h, 1e-12), 0.0)))

        for _ in range(30):  # no shift of share from one term to another helps
            i, j = rng.choice(np.arange(inside, 6), 2, replace=False) if inside < 5 else (0, 0)
            step = min(0.01, best[i], 1.0 - best[j])
            moved = best.copy()
            moved[i] -= step
            moved[j] += step
            assert cost(best) <= cost(moved) * (1.0 + 1e-9)


def test_the_tree_ends_by_its_nodes_and_by_what_is_reached():
    fit = drawn(np.random.default_rng(9), 7)[2]
    whole = optimum_bound(fit, 3, NODES, 1e9)[0]
    root = optimum_bound(fit, 3, 0, 1e9)
    assert root[1] is None
    assert root[0] < whole
    assert optimum_bound(fit, 3, NODES, whole * 0.9)[0] == pytest.approx(whole * 0.9)
    assert optimum_bound(fit, 7, NODES, 1e9)[0] < 1e-6
    assert optimum_bound(fit, 3, NODES, 1e9, room=3.0)[0] <= whole


def test_constants():
    assert (NODES, weighted_terms.STEPS, weighted_terms.LARGEST, weighted_terms.LEAST_SHARE) == (4000, 6, 1e120, 1e-9)


def test_points_as_long_as_may_be():
    relaxed = Relaxed(FIT, np.full(4, 0.1))
    with pytest.raises(VerificationError, match="less than 1e"):
        relaxed.bound(np.array([1e120, 0.0, 0.0, 0.0]), 2)
    assert relaxed.bound(np.array([0.99e120, 0.0, 0.0, 0.0]), 2) == 0.0


@pytest.mark.parametrize("target_error", [0.0, 1.0, 3.0])
def test_no_bound_is_negative(target_error):
    """What is left may be nothing at all, and the target may be off by more than is left."""
    fit = Fit(np.eye(2), np.array([1.0, 0.5]), 4.0, 0.0, 0.0, 0.0, target_error)
    relaxed = Relaxed(fit, np.full(2, 0.5))
    assert relaxed.bound(np.zeros(2), 0) == pytest.approx(max(2.0 - target_error, 0.0), abs=1e-9)
    doubtful = optimum_bound(fit._replace(energy_error=0.01), 0, 0, 1e9)[0]
    assert doubtful == pytest.approx(max(math.sqrt(3.99) - target_error, 0.0), abs=1e-9)
    assert optimum_bound(fit, 2, 0, 1e9)[0] >= 0.0
    assert Relaxed(fit._replace(energy=0.0, products=np.zeros(2)), np.full(2, 0.5)).bound(np.zeros(2), 1) == 0.0


def test_a_diagonal_below_zero_counts_as_nothing_in_the_search():
    relaxed = Relaxed(FIT, np.full(4, -0.5))
    assert np.all(relaxed.d < 0.0)
    assert np.allclose(relaxed.point(np.full(4, 0.5)), np.linalg.solve(FIT.unit, FIT.products), rtol=1e-12)
    assert relaxed.shares(np.ones(4), 2).tolist() == [0.0] * 4  # sizes of nothing


def test_the_least_share_takes_no_part():
    relaxed = Relaxed(FIT, np.full(4, 0.1))
    for share, part in ((1e-9, False), (1.1e-9, True), (0.9e-9, False)):
        point = relaxed.point(np.array([1.0, 0.5, share, 0.5]))
        assert (point[2] != 0.0) == part


def test_dependent_terms_have_a_point():
    fit = Fit(np.ones((2, 2)), np.array([1.0, 1.0]), 1.0, 0.0, 0.0, 0.0, 0.0)
    assert Relaxed(fit, np.zeros(2)).point(np.ones(2)) == pytest.approx([0.5, 0.5])


def test_shares_go_by_the_root_of_the_diagonal():
    fit = Fit(np.eye(4), np.ones(4), 4.0, 0.0, 0.0, 0.0, 0.0)
    relaxed = Relaxed(fit, np.array([0.64, 0.36, 0.16, 0.04]))
    assert relaxed.shares(np.ones(4), 1) == pytest.approx(np.array([0.8, 0.6, 0.4, 0.2]) / 2.0, rel=1e-9)
    assert relaxed.shares(np.ones(4), 1).tolist() == relaxed.shares(np.ones(4), 1, 0).tolist()
    point = np.array([0.0, -2.0, 1.0, 0.0])
    assert relaxed.shares(point, 4).tolist() == [0.0, 1.0, 1.0, 0.0]  # a term without a weight has no share
    assert relaxed.shares(np.array([0.0, 0.0, 1.0, 0.0]), 1).tolist() == [0.0, 0.0, 1.0, 0.0]
    assert relaxed.shares(point, 1, 1).tolist() == [1.0, 0.0, 0.0, 0.0]
    assert relaxed.shares(np.array([1.0, 9.0, 1.0, 1.0]), 2) == pytest.approx([0.8 / 1.4, 1.0, 0.4 / 1.4, 0.2 / 1.4])


def node_again(fit, kept, inside, free, share, room):
    """A second writing of the bound of a node: six steps of points and shares in turns, one where all is decided."""
    terms = [*inside, *free]
    if not terms:
        return max(0.0, fit.energy**0.5 - room * (fit.energy_error**0.5 + fit.target_error)), share
    part = Fit(fit.unit[np.ix_(terms, terms)], fit.products[terms], *fit[2:])
    least = min(max(np.linalg.eigvalsh(part.unit)[0], 0.0), 1.0)
    relaxed = Relaxed(part, np.full(len(terms), least), room)
    left, count = kept - len(inside), len(inside)
    share = [min(max(h, 0.01), 1.0) for h in share[: len(free)]]
    total = max(sum(share), 0.01)
    share = np.array([1.0] * count + [h * min(1.0, left / total) for h in share])
    found, best = [], share
    for _ in range(6 if len(free) else 1):
        point = relaxed.point(share)
        found.append(relaxed.bound(point, kept, count))
        if found[-1] > max([0.0, *found[:-1]]):
            best = share
        share = relaxed.shares(point, kept, count)
    return max(0.0, *found), best[count:]


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize("room", [1.0, 3.0])
def test_a_node_by_a_second_writing(complex_, room):
    rng = np.random.default_rng(10)
    for size in (0, 1, 2, 5, 8, 5, 8, 5, 8, 6, 6, 6, 7, 7, 7):
        fit = drawn(rng, max(size, 1), complex_, rows=3)[2]
        fit = fit._replace(energy_error=0.04 * fit.energy, target_error=0.05 * fit.energy**0.5)
        order = rng.permutation(size).astype(np.int64)
        cut = int(rng.integers(0, size + 1))
        inside, free = order[:cut], order[cut:]
        kept = int(rng.integers(cut, size + 1))
        for share in (rng.uniform(-0.2, 1.2, free.size), np.zeros(free.size), np.full(free.size, kept / max(size, 1))):
            bound, where = weighted_terms._node(fit, kept, inside, free, share, room)
            again, other = node_again(fit, kept, inside, free, share, room)
            assert bound == pytest.approx(again, rel=1e-12, abs=1e-14)
            assert np.allclose(where, other, rtol=1e-9, atol=1e-12)


def tree_again(fit, kept, nodes, at_most, enough, room):
    """A second writing of the tree, with a list that is sorted in place of a heap; how many nodes it bounded, too."""
    size, count = len(fit.unit), 0
    bound, share = weighted_terms._node(fit, kept, np.zeros(0, int), np.arange(size), np.full(size, kept / size), room)
    waiting: list[Any] = [(bound, 0, [], list(range(size)), list(share))]
    reached, best = at_most, None
    while waiting and nodes > 0:
        waiting.sort(key=lambda node: node[:2])
        if waiting[0][0] >= reached or waiting[0][0] >= enough:
            break
        known, _, inside, free, share = waiting.pop(0)
        pick = min(range(len(free)), key=lambda i: abs(share[i] - 0.5))
        rest, left = free[:pick] + free[pick + 1 :], share[:pick] + share[pick + 1 :]
        for chosen in ([*inside, free[pick]], inside):
            nodes -= 1
            missing = kept - len(chosen)
            if missing < 0 or missing > len(rest):
                continue
            decided = missing == 0 or missing == len(rest)
            if decided:
                chosen = chosen + rest[:missing]
            free_now = [] if decided else rest
            arrays = (np.array(chosen, dtype=np.int64), np.array(free_now, dtype=np.int64), np.array(left))
            bound, shared = weighted_terms._node(fit, kept, *arrays, room)
            bound = max(bound, known)
            if bound < reached and decided:
                reached, best = bound, sorted(chosen)
            elif bound < reached:
                count += 1
                waiting.append((bound, count, chosen, rest, list(shared)))
    return min([reached, *(node[0] for node in waiting)]), best


@pytest.mark.parametrize("seed", range(4))
def test_the_tree_by_a_second_writing(seed):
    rng = np.random.default_rng(20 + seed)
    size = 6 + seed
    fit = drawn(rng, size, seed % 2 == 1, rows=3)[2]
    fit = fit._replace(energy_error=1e-6 * fit.energy, target_error=1e-4 * fit.energy**0.5)
    for kept in (1, 2, size // 2, size - 1):
        whole = optimum_bound(fit, kept, NODES, 1e9)[0]
        first = optimum_bound(fit, kept, 0, 1e9)[0]
        between = 0.5 * (first + whole)
        for nodes in (0, 1, 2, 3, 4, 7, 12, 25, 60, 300):
            for at_most, enough in ((1e9, math.inf), (between, math.inf), (1e9, between), (whole, whole), (first, 1e9)):
                for room in (1.0, 3.0):
                    found = optimum_bound(fit, kept, nodes, at_most, enough, room)
                    again = tree_again(fit, kept, nodes, at_most, enough, room)
                    assert found[0] == pytest.approx(again[0], rel=1e-12, abs=0.0)
                    assert (None if found[1] is None else found[1].tolist()) == again[1]
        assert optimum_bound(fit, kept, 7, 1e9)[0] == optimum_bound(fit, kept, 7, 1e9, math.inf, 1.0)[0]
    with pytest.raises(VerificationError, match="kept terms"):
        optimum_bound(fit, -1, 7, 1e9)
