"""The Gram bound: below every choice of terms, on trees too; hypotheses asked; allowances of the size on the page."""

import dataclasses
import itertools
import math
from types import SimpleNamespace
from typing import Any

import flint
import numpy as np
import pytest
import scipy.linalg

from infimum.errors import VerificationError
from infimum.proof.operators import product
from infimum.proof.theorems import gram
from infimum.proof.theorems.gram import NODES, Gram, Relaxation, optimum_bound

EPS = 2.0**-52


def drawn(rng, size, complex_=False, rank=3):
    X, Y = rng.standard_normal((rank, size)), rng.standard_normal((size, 4))
    if complex_:
        X, Y = X + 1j * rng.standard_normal(X.shape), Y + 1j * rng.standard_normal(Y.shape)
    return X, Y, gram.gram(product.terms(X, Y))


def least(X, Y, kept):
    """Squared loss of the best choice, in multi-precision arithmetic."""
    size = X.shape[1]
    with flint.ctx.workprec(300):
        terms = [
            [
                flint.acb(complex(X[i, t])) * flint.acb(complex(Y[t, j]))
                for i in range(X.shape[0])
                for j in range(Y.shape[1])
            ]
            for t in range(size)
        ]
        losses = []
        for out in itertools.combinations(range(size), size - kept):
            sums = [sum((terms[t][e] for t in out), flint.acb(0)) for e in range(len(terms[0]))]
            losses.append(sum((v.real**2 + v.imag**2 for v in sums), flint.arb(0)))
        return min(losses, key=lambda loss: loss.mid())


def scale(X, Y):
    return 2.0 ** product.terms(X, Y).exponent


@pytest.mark.parametrize("complex_", [False, True])
def test_never_above_the_best_choice(complex_):
    rng = np.random.default_rng(0)
    for _ in range(25):
        size = int(rng.integers(1, 7))
        X, Y, G = drawn(rng, size, complex_, rank=int(rng.integers(1, 9)))
        kept = int(rng.integers(0, size + 1))
        best = least(X, Y, kept)
        smallest = min(float(np.linalg.eigvalsh(G.unit)[0]), 1.0)
        for diagonal in (np.full(size, smallest), np.full(size, -1.0), rng.uniform(-1.0, 1.0, size), np.ones(size)):
            relaxation = Relaxation(G, diagonal)
            shifted = G.unit - np.diag(relaxation.d / G.norms**2)
            assert scipy.linalg.eigvalsh(shifted)[0] >= -1e-15
            for point in (np.zeros(size), np.full(size, (size - kept) / size), rng.uniform(0.0, 1.0, size)):
                bound = relaxation.bound(point, size - kept)
                with flint.ctx.workprec(300):
                    assert flint.arb(bound * scale(X, Y)) ** 2 <= best
            with flint.ctx.workprec(300):
                assert flint.arb(optimum_bound(relaxation, kept, 40, 1e9)[0] * scale(X, Y)) ** 2 <= best or kept == size


def test_the_tree_finds_and_proves_the_optimum():
    rng = np.random.default_rng(1)
    for size, kept in ((6, 2), (9, 4), (10, 7)):
        X, Y, G = drawn(rng, size)
        best = math.sqrt(float(least(X, Y, kept).mid())) / scale(X, Y)
        relaxation = Relaxation(G, np.full(size, float(np.linalg.eigvalsh(G.unit)[0])))
        bound, dropped = optimum_bound(relaxation, kept, NODES, 1e9)
        assert best * (1.0 - 1e-6) <= bound <= best
        assert int(dropped.sum()) == size - kept
        assert math.sqrt(dropped @ G.matrix.real @ dropped) == pytest.approx(best)
        assert optimum_bound(relaxation, kept, NODES, 0.5 * best) == (0.5 * best, None)  # known to be reached
        early = optimum_bound(relaxation, kept, NODES, 1e9, enough=0.5 * best)[0]
        assert 0.5 * best <= early <= best
        bounds = [optimum_bound(relaxation, kept, nodes, 1e9)[0] for nodes in (0, 2, 20, 200)]
        assert bounds == sorted(bounds)


def test_orthogonal_terms_have_no_gap():
    X, Y = np.diag([3.0, 1.0, 2.0, 5.0]), np.eye(4)
    G = gram.gram(product.terms(X, Y))
    bound = Relaxation(G, np.ones(4)).bound(np.zeros(4), 2) * scale(X, Y)
    assert bound == pytest.approx(math.sqrt(5.0), rel=1e-9)
    assert bound < math.sqrt(5.0)


def test_the_gram_matrix_and_its_error():
    rng = np.random.default_rng(2)
    for complex_ in (False, True):
        X, Y, G = drawn(rng, 5, complex_)
        terms = [np.outer(X[:, t], Y[t]) / scale(X, Y) for t in range(5)]
        expected = [[np.sum(a.conj() * b) for b in terms] for a in terms]
        assert np.allclose(G.matrix, expected, rtol=1e-12)
        assert np.allclose(G.norms, [np.linalg.norm(term) for term in terms], rtol=1e-13)
        assert G.error == (3 + 4 + 4) * EPS * (2 if complex_ else 1)
        assert np.allclose(np.diag(G.unit), 1.0)
        assert np.allclose(G.unit * np.outer(G.norms, G.norms), np.real(expected), rtol=1e-12)
    X[:, 0], X[:, 1] = 0.0, X[:, 1] * 1e-150  # terms that vanish stand alone
    G = gram.gram(product.terms(X, Y))
    assert G.norms[:2].tolist() == [0.0, 0.0]
    assert np.array_equal(G.unit[:2], np.eye(5)[:2])
    assert not np.any(G.matrix[:2])


def test_allowances_have_the_size_on_the_page():
    rng = np.random.default_rng(3)
    A = rng.standard_normal((4, 6))
    norms = rng.uniform(0.5, 2.0, 4)
    unit = A @ A.T / np.outer(np.linalg.norm(A, axis=1), np.linalg.norm(A, axis=1))
    G = Gram(unit * np.outer(norms, norms), norms, 1e-6)
    assert G.allowance == pytest.approx(16.0 * (1e-6 + 24 * EPS) * np.sum(norms) ** 2, rel=1e-14, abs=0.0)
    exact = Gram(G.matrix, norms, 0.0)
    assert exact.allowance == pytest.approx(16.0 * 24 * EPS * np.sum(norms) ** 2, rel=1e-14, abs=0.0)
    lowered = Relaxation(exact, np.full(4, -0.5), 1e9).d / norms**2 + 0.5
    assert lowered == pytest.approx(np.full(4, -1e9 * 2.0 * 6 * EPS * 4), rel=1e-9)
    slack = 4 * 1e-6 + 2.0 * 6 * EPS * 4
    for room in (1.0, 3.0):
        relaxation = Relaxation(G, np.full(4, -0.5), room)
        assert relaxation.d / norms**2 == pytest.approx(np.full(4, -0.5 - room * slack), rel=1e-12)
        d = (-0.5 - room * slack) * norms**2
        H, point = G.matrix - np.diag(d), np.array([0.2, 0.9, 0.5, 0.4])
        gradient = 2.0 * H @ point + d
        assert np.allclose(relaxation.tangent(point), gradient, rtol=1e-13)
        squared = np.sum(np.sort(gradient)[:2]) - point @ H @ point
        assert relaxation.bound(point, 2) == pytest.approx(math.sqrt(max(squared - room * G.allowance, 0.0)), rel=1e-12)
        assert relaxation.bound(np.zeros(4), 2) == 0.0  # a sum of negative entries


def test_a_diagonal_too_large_is_lowered_until_the_decomposition_succeeds():
    size, error = 4, 1e-9
    G = Gram(np.ones((size, size)), np.ones(size), error)  # singular: its least eigenvalue is 0
    slack = size * error + 2.0 * (size + 2) * EPS * size
    d = Relaxation(G, np.full(size, 1e-7)).d
    shifts = [slack * 4.0**attempt for attempt in range(60)]
    assert d[0] == pytest.approx(1e-7 - next(s for s in shifts if s > 1e-7) - slack, rel=1e-6)
    far = Relaxation(G, np.zeros(size), room=3.0).d[0]
    assert far == pytest.approx(-3.0 * slack - next(s for s in (0.0, *shifts) if s > 2.0 * slack), rel=1e-6)
    assert far <= Relaxation(G, np.zeros(size)).d[0]


def test_a_larger_claim_of_a_solver_stays_below_what_is_derived():
    rng = np.random.default_rng(4)
    for _ in range(40):
        _, _, G = drawn(rng, 6, rank=int(rng.integers(1, 4)))
        smallest = float(np.linalg.eigvalsh(G.unit)[0])
        diagonal = np.full(6, smallest + rng.choice([0.0, 1e-14, -1e-14]))
        point = rng.uniform(0.0, 1.0, 6)
        assert Relaxation(G, diagonal, room=3.0).bound(point, 3) <= Relaxation(G, diagonal).bound(point, 3)


GRAM = gram.gram(product.terms(np.eye(3), np.eye(3)))


@pytest.mark.parametrize(
    "vector",
    [
        np.zeros(2),
        np.zeros((3, 1)),
        np.full(3, 1.0 + 1e-9),
        np.full(3, math.nan),
        1j * np.ones(3),
        np.ones(3, dtype=int),
        [0.0] * 3,
        None,
    ],
)
def test_vectors_are_asked(vector):
    with pytest.raises(VerificationError, match="the diagonal must"):
        Relaxation(GRAM, vector)
    with pytest.raises(VerificationError, match="the point must"):
        Relaxation(GRAM, np.zeros(3)).bound(vector, 1)


def test_limits_belong_to_their_ranges():
    relaxation = Relaxation(GRAM, np.full(3, -1.0))
    assert relaxation.bound(np.ones(3), 3) >= 0.0
    assert Relaxation(GRAM, np.ones(3)).bound(np.zeros(3), 0) == 0.0
    with pytest.raises(VerificationError, match="diagonal must"):
        Relaxation(GRAM, np.full(3, -1.0 - 1e-9))
    with pytest.raises(VerificationError, match="point must"):
        relaxation.bound(np.full(3, -1e-300), 1)
    for wrong in (-1, 4, True, 1.0, 2**70):
        with pytest.raises(VerificationError, match="dropped terms must"):
            relaxation.bound(np.zeros(3), wrong)
        with pytest.raises(VerificationError, match="kept terms must"):
            optimum_bound(relaxation, wrong, 10, 1.0)
    for wrong in (-1, 2 * NODES + 1, 10**12, True, 10.0):
        with pytest.raises(VerificationError, match="nodes must"):
            optimum_bound(relaxation, 1, wrong, 1.0)


def test_no_diagonal_helps_a_matrix_that_is_not_one():
    with pytest.raises(VerificationError, match="semidefinite"):
        Relaxation(Gram(np.array([[1.0, math.inf], [math.inf, 1.0]]), np.ones(2), 0.0), np.zeros(2))


def test_one_allowance_is_the_default():
    _, _, G = drawn(np.random.default_rng(6), 5, rank=8)
    rough, diagonal = Gram(G.matrix, G.norms, 1e-6), np.full(5, -0.25)
    point = np.full(5, 0.4)
    bounds = [Relaxation(rough, diagonal, *room).bound(point, 4) for room in ((), (1.0,), (2.0,))]
    assert bounds[0] == bounds[1] > bounds[2] > 0.0


def test_constants():
    assert (gram.THEOREM, NODES, gram.NEGLIGIBLE, gram.STEPS) == ("gram", 20_000, 1e-140, 30)


def test_the_diagonal_is_lowered_sixty_times_at_most():
    """Four times as far each time: the last shift is ``4**58`` times the slack of ``16 * EPS``."""
    last = 16.0 * EPS * 4.0**58
    within, beyond = (Gram(np.array([[1.0, c], [c, 1.0]]), np.ones(2), 0.0) for c in (0.6 * last, 1.1 * last))
    assert Relaxation(within, np.zeros(2)).d == pytest.approx([-last] * 2, rel=1e-12, abs=0.0)
    with pytest.raises(VerificationError, match="semidefinite"):
        Relaxation(beyond, np.zeros(2))


def test_points_are_moved_into_the_box_and_to_the_sum():
    low, high = np.array([0.0, 1.0, 0.0, 0.25]), np.array([0.0, 1.0, 1.0, 0.75])
    moved = gram._within(np.array([0.5, 0.5, 0.9, 0.65]), low, high, 2)  # 0.55 too much: 0.9 and 0.4 to take from
    assert moved == pytest.approx([0.0, 1.0, 0.9 * (1 - 0.55 / 1.3), 0.65 - 0.4 * 0.55 / 1.3], rel=1e-14, abs=0.0)
    moved = gram._within(np.array([0.5, 0.5, 0.1, 0.35]), low, high, 2)  # 0.55 too little: room for 0.9 and 0.4
    assert moved == pytest.approx([0.0, 1.0, 0.1 + 0.9 * 0.55 / 1.3, 0.35 + 0.4 * 0.55 / 1.3], rel=1e-14, abs=0.0)
    moved = gram._within(np.array([0.5, 0.5, 0.8, 0.7]), np.zeros(4), np.ones(4), 2)  # between 0 and 1 too much
    assert moved == pytest.approx([0.4, 0.4, 0.64, 0.56], rel=1e-14)
    corner = np.array([1.0, 0.0])
    assert gram._within(corner, corner, corner, 1).tolist() == [1.0, 0.0]


def searched(relaxation, point, low, high, dropped):
    """The conditional gradient, written again: the best of the tangents at its points."""
    H, d, free = relaxation.H, relaxation.d, [i for i in range(len(low)) if low[i] != high[i]]
    point = gram._within(point, low, high, dropped)
    best, where = 0.0, point
    for _ in range(30):
        gradient = 2.0 * H @ point + d
        vertex = low.copy()
        for i in sorted(free, key=lambda i: gradient[i])[: dropped - round(sum(low))]:
            vertex[i] = 1.0
        squared = sum(gradient * vertex) - point @ H @ point - relaxation.allowance
        if squared > best**2:
            best, where = math.sqrt(squared), point
        step = vertex - point
        slope, curvature = gradient @ step, step @ H @ step
        if slope >= 0.0:
            break
        point = point + (min(1.0, -slope / (2.0 * curvature)) if curvature > 0.0 else 1.0) * step
    return best, where


def rough(rng, size, rank, least_=None):
    G = drawn(rng, size, rank=rank)[2]
    G = Gram(G.matrix, G.norms, 1e-5)
    return Relaxation(G, np.full(size, float(np.linalg.eigvalsh(G.unit)[0]) if least_ is None else least_))


def test_nodes_search_as_the_conditional_gradient_does():
    rng = np.random.default_rng(8)
    positive = 0
    for _ in range(60):
        size = int(rng.integers(3, 8))
        relaxation = rough(rng, size, 8, None if rng.uniform() < 0.7 else -0.5)
        low, high = np.zeros(size), np.ones(size)
        low[0] = high[1] = float(rng.integers(0, 2))
        dropped = int(rng.integers(int(low.sum()), int(high.sum()) + 1))
        point = rng.uniform(0.0, 1.0, size)
        bound, where = gram._node(relaxation, point, low, high, dropped)
        again, there = searched(relaxation, point, low, high, dropped)
        assert bound == pytest.approx(again, rel=1e-9, abs=1e-300)
        assert where == pytest.approx(there, rel=1e-6, abs=1e-9)
        positive += bound > 0.0
    assert positive > 30


def divided(relaxation, kept, nodes, at_most, enough=math.inf):
    """The tree, written again with a list in place of a heap."""
    G, size = relaxation.G.matrix.real, len(relaxation.d)
    first = gram._node(relaxation, np.full(size, (size - kept) / size), np.zeros(size), np.ones(size), size - kept)
    leaves: list[Any] = [(*first, {})]
    best, reached = None, at_most
    while leaves and min(leaf[0] for leaf in leaves) < min(reached, enough) and nodes > 0:
        at = min(range(len(leaves)), key=lambda k: leaves[k][0])
        _, point, fixed = leaves.pop(at)
        pick = min((i for i in range(size) if i not in fixed), key=lambda i: abs(point[i] - 0.5))
        for value in (0, 1):
            nodes -= 1
            decided = {**fixed, pick: value}
            missing, free = size - kept - sum(decided.values()), size - len(decided)
            if missing < 0 or missing > free:
                continue
            low, high = (np.array([float(decided.get(i, end)) for i in range(size)]) for end in (0, 1))
            if missing == 0 or missing == free:
                g = high if missing else low
                loss = math.sqrt(max(0.0, g @ G @ g - relaxation.allowance))
                if loss < reached:
                    reached, best = loss, g
                continue
            bound, inside = gram._node(relaxation, point, low, high, size - kept)
            if bound < reached:
                leaves.append((bound, inside, decided))
    return min([reached, *(leaf[0] for leaf in leaves)]), best


def test_the_tree_divides_the_least_bound_first():
    rng = np.random.default_rng(9)
    for size, kept, rank in ((4, 2, 2), (5, 1, 8), (6, 3, 3), (7, 4, 8), (6, 0, 3), (5, 5, 3), (1, 0, 3), (2, 1, 1)):
        relaxation = rough(rng, size, rank)
        for nodes in (0, 1, 2, 3, 4, 7, 16, 200, 2 * NODES):
            for at_most in (1e9, 0.9 * optimum_bound(relaxation, kept, 400, 1e9)[0]):
                bound, best = optimum_bound(relaxation, kept, nodes, at_most)
                again, found = divided(relaxation, kept, nodes, at_most)
                assert bound == pytest.approx(again, rel=1e-9, abs=1e-300)
                assert (best is None) == (found is None)
                assert best is None or best.tolist() == found.tolist()
        whole = optimum_bound(relaxation, kept, NODES, 1e9)[0]
        for share in (0.3, 0.8, 0.95):
            bound = optimum_bound(relaxation, kept, 400, 1e9, share * whole)[0]
            assert bound == pytest.approx(divided(relaxation, kept, 400, 1e9, share * whole)[0], rel=1e-9, abs=1e-300)


def test_more_room_asks_for_a_decomposition_further_inside():
    """A slack of 0.04 is seen: at 2 and 3 times the room the matrix must lie one and two slacks further inside."""
    G = Gram(np.eye(4), np.ones(4), 0.01)
    slack = 0.04 + 2.0 * 6 * EPS * 4
    for room in (1.0, 2.0, 3.0):
        for diagonal, shift in ((0.99 - (room - 1.0) * slack, 0.0), (1.0 - (room - 1.5) * slack - (room == 1.0), None)):
            d = Relaxation(G, np.full(4, min(diagonal, 1.0)), room).d
            if shift == 0.0:
                assert d == pytest.approx(np.full(4, diagonal - room * slack), rel=1e-12, abs=0.0)
            elif room > 1.0:
                assert d == pytest.approx(np.full(4, diagonal - slack - room * slack), rel=1e-12, abs=0.0)


def test_each_end_of_a_vector_is_asked():
    assert gram.limited("nothing", np.zeros(0), 0, least=0.0).size == 0
    for vector in ([-0.5, 0.5], [0.5, 1.5]):
        with pytest.raises(VerificationError, match="from 0 to 1"):
            gram.limited("it", np.array(vector), 2, least=0.0)


def test_twice_the_nodes_are_allowed():
    assert optimum_bound(Relaxation(GRAM, np.ones(3)), 1, 2 * NODES, 1e9)[0] > 0.0


def test_a_term_of_the_negligible_length_counts_as_none():
    parts = product.terms(np.eye(2), np.eye(2))
    for length, kept in ((1e-140, 0.0), (math.nextafter(1e-140, 1.0), math.nextafter(1e-140, 1.0))):
        G = gram.gram(dataclasses.replace(parts, norms=np.array([1.0, length])))
        assert G.norms.tolist() == [1.0, kept]


def fixed_bounds(monkeypatch, first, later):
    """Nodes of known bounds: the first one, and all that are below it. Returns the points at which they began."""
    points = []

    def node(relaxation, point, low, high, dropped):
        points.append(point)
        return (first if len(points) == 1 else later), point

    monkeypatch.setattr(gram, "_node", node)
    return points


def test_a_tree_begins_in_the_middle_and_ends_where_it_is_reached(monkeypatch):
    relaxation = Relaxation(gram.gram(product.terms(np.eye(4), np.eye(4))), np.ones(4))
    points = fixed_bounds(monkeypatch, 2.0, 1.0)
    assert optimum_bound(relaxation, 2, 2, 1.5) == (1.5, None)  # what is below a closed node is not looked at
    assert [point.tolist() for point in points] == [[0.5] * 4]
    for at_most, enough, expected in ((1e9, 2.0, 2.0), (2.0, math.inf, 2.0), (1e9, math.nextafter(2.0, 3.0), 1.0)):
        points = fixed_bounds(monkeypatch, 2.0, 1.0)
        assert optimum_bound(relaxation, 2, 2, at_most, enough)[0] == expected


def test_of_choices_that_lose_as_much_the_first_is_taken():
    """A loss that is known to be reached already is none to speak of, either."""
    relaxation = rough_of(np.eye(2), 1e-9)
    bound, dropped = optimum_bound(relaxation, 1, NODES, 1e9)
    assert dropped.tolist() == [0.0, 1.0]
    assert optimum_bound(relaxation, 1, 0, 1e9)[0] < bound  # so that the choices are looked at
    assert optimum_bound(relaxation, 1, NODES, bound) == (bound, None)


def rough_of(matrix, error, diagonal=0.5):
    size = len(matrix)
    return Relaxation(Gram(matrix, np.ones(size), error), np.full(size, diagonal))


class Recorded:
    """A matrix that keeps what it is multiplied by."""

    def __init__(self, H):
        self.H, self.seen = H, []

    def __matmul__(self, vector):
        self.seen.append(vector.tolist())
        return self.H @ vector


def steps_of(H, d, point, dropped, allowance=0.0):
    relaxation = SimpleNamespace(H=Recorded(np.array(H)), d=np.array(d), allowance=allowance)
    size = len(d)
    found = gram._node(relaxation, np.array(point), np.zeros(size), np.ones(size), dropped)
    return found, relaxation.H.seen


def test_the_search_ends_at_a_minimiser():
    """Nothing is below it: one product for the point, one for a step that leads no further."""
    (bound, where), seen = steps_of(np.eye(4), [0.5] * 4, [0.5] * 4, 2)
    assert seen == [[0.5] * 4, [0.5, 0.5, -0.5, -0.5]]
    assert (bound, where.tolist()) == (math.sqrt(2.0), [0.5] * 4)  # 2 * 1.5 - 1


def test_a_step_without_curvature_goes_to_the_vertex():
    (bound, where), seen = steps_of(np.zeros((3, 3)), [3.0, 1.0, 2.0], [0.75, 0.5, 0.75], 2)
    assert seen == [[0.75, 0.5, 0.75], [-0.75, 0.5, 0.25], [0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    assert (bound, where.tolist()) == (math.sqrt(3.0), [0.75, 0.5, 0.75])


def test_a_point_is_kept_until_another_is_better():
    (bound, where), seen = steps_of(np.eye(3), [3.0, 1.0, 2.0], [0.75, 0.5, 0.75], 2, allowance=100.0)
    assert len(seen) > 4
    assert (bound, where.tolist()) == (0.0, [0.75, 0.5, 0.75])


def test_of_equal_slopes_the_first_are_taken():
    """More of them than a sort keeps in order by chance."""
    size = 96
    point = np.where(np.arange(size) % 3 == 0, 0.75, 0.375)
    seen = steps_of(np.eye(size), [0.5] * size, point, 48)[1]
    order = sorted(range(size), key=lambda i: point[i])[:48]
    assert seen[1] == [float(i in order) - point[i] for i in range(size)]
