"""Column subset: the tree against every choice, its range of nodes, and the size of every allowance."""

import itertools
import math

import numpy as np
import pytest

import infimum
from infimum import lowrank
from infimum._arrays import working
from infimum.errors import VerificationError
from infimum.proof.rounding import rounding_allowance, tails
from infimum.proof.theorems import column_subset
from tests.lowrank import exact
from tests.lowrank.hostile import matrices, with_spectrum

EPS = float(np.finfo(float).eps)


def bound(M, rank, nodes, **options):
    return column_subset.search(M, rank, exponent=working(M).exponent, nodes=nodes, **options)


def test_true_on_hostile_matrices_whatever_the_number_of_nodes():
    rng = np.random.default_rng(1)
    for label, M in matrices(72, seed=33):
        rank = int(rng.integers(1, min(M.shape) + 1))
        wide = M.astype(np.complex128 if np.iscomplexobj(M) else np.float64)
        optimum = exact.best_columns(working(wide).array, rank)
        for nodes in (0, 1, M.shape[1], 40, 5000):
            assert bound(M, rank, nodes).bound <= optimum + 1e-13, (label, rank, nodes)


@pytest.mark.parametrize("complex_", [False, True])
def test_the_whole_tree_is_the_optimum_and_names_it(complex_):
    rng = np.random.default_rng(2)
    for _ in range(6):
        M = with_spectrum(rng, 7, 8, 0.8 ** np.arange(7)) * (0.6 + 0.8j if complex_ else 1.0)
        scaled = working(M).array
        proof = bound(M, 3, 10**5)
        optimum = exact.best_columns(scaled, 3)
        assert optimum * (1 - 1e-9) <= proof.bound <= optimum
        left = scaled - scaled[:, proof.columns] @ np.linalg.lstsq(scaled[:, proof.columns], scaled)[0]
        assert np.linalg.norm(left) == pytest.approx(optimum, rel=1e-9)


def test_levels_by_hand():
    """Nothing, one level, the tree: the tail; the t-th smallest bound of one column; the optimum."""
    M = with_spectrum(np.random.default_rng(3), 8, 7, 0.7 ** np.arange(7))
    scaled, rank = working(M).array, 3

    def level(D):
        U = np.linalg.qr(scaled[:, D])[0]
        return np.linalg.norm(np.linalg.svd(scaled - U @ (U.T @ scaled), compute_uv=False)[rank - len(D) :])

    first = np.linalg.norm(np.linalg.svd(scaled, compute_uv=False)[rank:])
    one = sorted(max(first, level([j])) for j in range(7))[rank - 1]
    best = min(level(list(S)) for S in itertools.combinations(range(7), rank))
    for nodes, expected in ((0, first), (7, one), (10**5, best)):
        assert bound(M, rank, nodes).bound == pytest.approx(expected, rel=1e-10)
    assert bound(M, rank, 10**5, at_most=first * 1.0001).bound == pytest.approx(first * 1.0001)
    # a single node is the whole first level: its candidates are bounded together
    assert bound(M, rank, 1) == bound(M, rank, 7) != bound(M, rank, 0)


def test_allowances_are_those_of_the_page():
    M = np.random.default_rng(4).standard_normal((6, 6))
    unit = M / np.linalg.norm(M, axis=0)
    chosen = unit[:, bound(M, 2, 10**5).columns]
    smallest = float(np.linalg.svd(chosen, compute_uv=False)[-1])
    for rows, backward in ((None, 0.0), (10**6, 16.0 * 1e3 * EPS)):
        norm = float(np.linalg.norm(working(M).array))
        plain = rounding_allowance((6, 6), EPS, norm)
        first = [bound(M, 2, 0, rows=rows, room=room).bound for room in (0.0, 1.0, 3.0)]
        assert first[0] - first[1] == pytest.approx(plain + backward * norm, rel=0.05)
        assert first[0] - first[2] == pytest.approx(3 * (plain + backward * norm), rel=0.05)
        whole = [bound(M, 2, 10**5, rows=rows, room=room).bound for room in (0.0, 1.0, 3.0)]
        steps = 2.0 * 6 * (2 + 3) * EPS + backward
        doubt = 2.0 * steps * (1.0 + math.sqrt(2) / smallest) * norm
        assert whole[0] - whole[1] == pytest.approx(plain + doubt, rel=0.05)
        assert whole[0] - whole[2] == pytest.approx(3 * (plain + doubt), rel=0.05)
    assert (column_subset.STEPS, column_subset.DOUBTFUL, column_subset.GRID) == (2.0, 1e-3, 2.0**-30)


def test_doubt_about_a_span_is_taken_off():
    """Two columns that differ by rounding span nobody knows what: without the doubt the bound would be false."""
    for gap in (1e-12, 1e-13, 1e-14, 1e-15):
        a, noise = np.array([1.0, 1.0, 1.0, 1.0]), np.array([0.3, -0.7, 0.2, 0.9])
        M = np.column_stack([a, a + gap * noise, [0.31, 0.17, 0.77, 0.5]])
        for rank in (1, 2):
            optimum = math.sqrt(float(min(exact_error(M, S).mid() for S in itertools.combinations(range(3), rank))))
            for nodes in (3, 100):
                found = bound(M, rank, nodes).bound * 2.0 ** working(M).exponent
                assert found <= optimum * (1 + 1e-15) + 1e-300, (gap, rank, nodes)


def exact_error(M, S):
    """Squared error of a choice, in multi-precision: Gram determinants column by column."""
    import flint

    with flint.ctx.workprec(exact.PRECISION):
        A = flint.arb_mat([[flint.arb(float(x)) for x in row] for row in M[:, list(S)]])
        inner = A.transpose() * A
        total = flint.arb(0)
        for j in range(M.shape[1]):
            b = flint.arb_mat([[flint.arb(float(x))] for x in M[:, j]])
            c = A.transpose() * b
            rest = (b.transpose() * b)[0, 0] - (c.transpose() * inner.solve(c))[0, 0]
            total += rest
        return abs(total)


def test_columns_that_add_nothing_are_left_out():
    M = np.array([[1.0, -1.0, 0.0, 2.0, 0.0], [2.0, -2.0, 0.0, 4.0, 1.0]])
    assert bound(M, 2, 100).bound == 0.0
    assert bound(M, 1, 100).bound == pytest.approx(exact.best_columns(working(M).array, 1), rel=1e-12)
    assert bound(np.zeros((3, 3)), 1, 10).bound == 0.0
    assert bound(M * (1 + 1j), 2, 100).bound == 0.0


def test_ties_do_not_turn_with_rounding(monkeypatch):
    """Columns of equal worth, on machines that round the singular values otherwise: the same way through the tree."""
    rng, svd = np.random.default_rng(5), np.linalg.svd

    def rounded_otherwise(*args, **options):
        values = svd(*args, **options)
        return values * (1.0 + 4 * EPS * rng.standard_normal(values.shape))

    for _ in range(5):
        M = np.kron(np.eye(4), rng.integers(-2, 3, (2, 3)).astype(float))
        for nodes in (12, 30, 77, 150):
            expected = bound(M, 4, nodes).bound
            with monkeypatch.context() as patched:
                patched.setattr(np.linalg, "svd", rounded_otherwise)
                others = [bound(M, 4, nodes).bound for _ in range(3)]
            assert others == pytest.approx([expected] * 3, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("nodes", [10**12, 200_001, -1, True, 7.0, None, "9", 2**70])
def test_nodes_are_bounded(nodes):
    import dataclasses

    M = with_spectrum(np.random.default_rng(6), 9, 9, 0.9 ** np.arange(9))
    for result in (lowrank.interpolative(M, 3), lowrank.cur(M, 3)):
        certificate = dataclasses.replace(result.certificate, witness={"nodes": nodes})
        with pytest.raises(VerificationError, match="nodes"):
            infimum.verify(dataclasses.replace(result, certificate=certificate), M)


def test_tails_are_summed_from_the_small_end():
    assert tails(np.array([1.0, 1e-9]))[1] == 1e-9


# --- allowances, magnified by a large room until nine digits of them are seen ----------------------------------------

ROOM = 1e8


def prepared(M, count=2, rows=None, room=1.0):
    """The matrix as the tree sees it."""
    return column_subset._Columns.of(M, count, working(M).exponent, rows or M.shape[0], room)


@pytest.mark.parametrize("shape", [(5, 5), (4, 9), (9, 4)])
@pytest.mark.parametrize("rows", [None, 900])
@pytest.mark.parametrize("complex_", [False, True])
def test_the_tail_leaves_what_is_stated(shape, rows, complex_):
    """Of a tall matrix the triangular factor counts, and its backward error; of complex numbers twice the spacing."""
    M = np.random.default_rng(7).standard_normal(shape) * (0.6 + 0.8j if complex_ else 1.0)
    eps, norm, small = EPS * (1 + complex_), float(np.linalg.norm(working(M).array)), (min(shape), shape[1])
    tall = (rows or shape[0]) > shape[1]
    backward = 16.0 * math.sqrt(rows or shape[0]) * eps if tall else 0.0
    allowance = rounding_allowance(small, eps, norm) + backward * norm
    none, some = (bound(M, 2, 0, rows=rows, room=room).bound for room in (0.0, ROOM))
    assert none - some == pytest.approx(ROOM * allowance, rel=1e-7, abs=0.0)
    assert bound(M, 2, 0, rows=rows) == bound(M, 2, 0, rows=rows, room=1.0) != bound(M, 2, 0, rows=rows, room=2.0)
    assert bound(M, 2, 0, room=1e20).bound == 0.0


@pytest.mark.parametrize("shape", [(5, 5), (4, 9), (9, 4)])
@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize("projected", [(), (1,), (1, 3)])
def test_a_span_leaves_what_is_stated(shape, complex_, projected):
    M = np.random.default_rng(8).standard_normal(shape) * (0.6 + 0.8j if complex_ else 1.0)
    eps, norm, size = EPS * (1 + complex_), float(np.linalg.norm(working(M).array)), len(projected) + 1
    backward = 16.0 * math.sqrt(shape[0]) * eps if shape[0] > shape[1] else 0.0
    none, some = (prepared(M, 3, room=room).bounds(projected, [0, 2], at_least=0.0) for room in (0.0, ROOM))
    assert none[1] == some[1] == [True, True]
    for candidate, less in zip([0, 2], np.subtract(none[0], some[0]), strict=True):
        chosen = M[:, [*projected, candidate]]
        smallest = np.linalg.svd(chosen / np.linalg.norm(chosen, axis=0), compute_uv=False)[-1]
        steps = 2.0 * min(shape) * (size + 3) * eps + backward
        doubt = 2.0 * steps * (1.0 + math.sqrt(size) / smallest)
        plain = rounding_allowance((min(shape), shape[1]), eps, norm)
        assert less == pytest.approx(ROOM * (plain + doubt * norm), rel=1e-6, abs=0.0)


def test_a_node_is_never_below_its_parent():
    bounds, clear = prepared(np.eye(3)).bounds((), [0, 1, 2], at_least=99.0)
    assert bounds == [99.0] * 3
    assert clear == [True] * 3


def test_a_matrix_that_is_not_tall_is_taken_as_it_is():
    for shape in ((4, 4), (3, 6)):
        M = np.random.default_rng(9).standard_normal(shape)
        np.testing.assert_array_equal(prepared(M).array, working(M).array)
    assert prepared(np.random.default_rng(9).standard_normal((6, 3))).array.shape == (3, 3)


# --- spans in doubt --------------------------------------------------------------------------------------------------


def test_spans_in_doubt_are_not_projected_out(monkeypatch):
    a, noise = np.array([1.0, 1.0, 1.0, 1.0]), np.array([0.3, -0.7, 0.2, 0.9])
    M = np.column_stack([a, a + 1e-14 * noise, [0.31, 0.17, 0.77, 0.5]])
    assert prepared(M).bounds((0,), [1, 2], at_least=0.25)[1] == [False, True]
    assert prepared(M).bounds((0,), [1], at_least=0.25)[0] == [0.25]
    # at the limit itself the doubt is too large
    matrix, seen = prepared(M), []
    monkeypatch.setattr(matrix, "less_rounding", lambda value, doubt: seen.append(doubt) or value)
    matrix.bounds((0,), [2], at_least=0.0)
    for limit, expected in ((seen[0], False), (math.nextafter(seen[0], 1.0), True)):
        monkeypatch.setattr(column_subset, "DOUBTFUL", limit)
        assert matrix.bounds((0,), [2], at_least=0.0)[1] == [expected]
    # whole choices of which one column was left out are not named
    close = np.column_stack([a, a + 1e-15 * noise, a - 1e-15 * noise])
    monkeypatch.undo()
    assert bound(close, 2, 100).columns is None


def test_no_more_columns_than_rows_are_projected_out():
    M = np.random.default_rng(10).standard_normal((2, 6))
    assert prepared(M, 4).bounds((0,), [1, 2], at_least=0.0)[1] == [True, True]
    assert prepared(M, 4).bounds((0, 1), [2, 3], at_least=0.0)[1] == [False, False]
    for rank in (3, 4):
        for nodes in (0, 6, 1000):
            assert bound(M, rank, nodes) == (0.0, None)


def test_parallel_columns_divide_by_nothing():
    M = np.array([[1.0, 3.0, 0.5], [0.0, 0.0, 0.25], [0.0, 0.0, 1.0]])
    with np.errstate(all="raise", under="ignore"):
        bounds, clear = prepared(M).bounds((0,), [1, 2], at_least=0.125)
    assert bounds[0] == 0.125
    assert clear == [False, True]


# --- the way through the tree ----------------------------------------------------------------------------------------


def test_cells_of_the_grid():
    matrix = prepared(np.random.default_rng(11).standard_normal((4, 4)) * 3.0)
    cell = 2.0**-30 * matrix.norm
    assert [matrix.cell(cell * part) for part in (0.0, 0.9, 1.1, 5.5)] == [0, 0, 1, 5]
    assert prepared(np.zeros((2, 2))).cell(0.0) == 0


def test_what_cannot_lower_the_minimum_is_not_expanded(monkeypatch):
    M = with_spectrum(np.random.default_rng(12), 6, 6, 0.7 ** np.arange(6))
    first = bound(M, 2, 0).bound

    def never(self, projected, candidates, at_least):
        raise AssertionError("expanded")

    monkeypatch.setattr(column_subset._Columns, "bounds", never)
    for at_most in (first, first / 2):
        assert bound(M, 2, 100, at_most=at_most) == (at_most, None)
    with pytest.raises(AssertionError, match="expanded"):
        bound(M, 2, 100, at_most=math.nextafter(first, 1.0))


def test_of_equal_choices_the_first_is_named():
    assert bound(np.eye(4), 1, 100).columns == (0,)
    assert bound(np.eye(4), 4, 100) == bound(np.ones((3, 1)), 1, 100) == (0.0, None)


@pytest.mark.parametrize("phase", [1.0, 1j, -1.0, -1j])
def test_columns_of_any_phase_and_scale(phase):
    """Each is scaled by its largest part, real or imaginary, of either sign."""
    M = np.abs(np.random.default_rng(13).standard_normal((4, 5))) * (np.arange(4)[:, None] > 0)
    expected = bound(M * 2.0**100 + 0j, 2, 1000).bound  # in units of a power of two, from where entries are scaled
    for power in (-600, 600):
        assert bound(M * 2.0**power * phase, 2, 1000).bound == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ([[0.5, 0.25], [-0.5, -0.25], [0.5, -0.25]], [0, 2]),
        ([[0.0, 0.0], [0.0, -0.5], [-0.0, 0.5]], [1]),
        ([[0.5, 0.0], [0.5, -0.0], [-0.5, 0.0], [-0.5, -0.0]], [0]),
        ([[0.5, 1e-20], [0.5, 2e-20], [-0.5, -2e-20]], [0, 1]),
        ([[1e-20, 0.5], [2e-20, 0.5]], [0, 1]),
        ([[0.5j, 0.25], [-0.5j, -0.25], [0.5j, -0.25]], [0, 2]),
        ([[-0.5j, 0.25], [0.5j, -0.25]], [0]),
        ([[0.5 - 0.5j, 0.25], [-0.5 + 0.5j, -0.25]], [0]),
        ([[0.5 + 0.5j, 0.25], [-0.5 - 0.5j, -0.25], [0.5 - 0.5j, 0.25]], [0, 2]),
        ([[0.5, 0.5], [0.5j, 0.5j]], [0, 1]),
    ],
)
def test_columns_that_are_others_but_for_a_sign(columns, expected):
    assert column_subset._distinct(np.array(columns).T) == expected
