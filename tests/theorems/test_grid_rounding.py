"""Rounding to a grid: the bound against every rounding, its hypotheses and its allowances."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from infimum.errors import VerificationError
from infimum.proof.grid import BFLOAT16, FLOAT16, FLOAT32, Grid, Precision
from infimum.proof.theorems import grid_rounding, weighted_tail
from infimum.proof.theorems.grid_rounding import EPS, ask_grid, bound, is_below, loss


def moment(n, seed, rows=None):
    x = np.random.default_rng(seed).standard_normal((rows or 3 * n, n)) * np.geomspace(1.0, 0.3, n)
    return weighted_tail.semidefinite(x.T @ x / len(x))


def problem(m=2, n=4, groups=2, bits=1, seed=0):
    rng = np.random.default_rng(seed)
    top = 2**bits - 1
    scales = rng.uniform(0.5, 1.5, (m, groups)).astype(np.float16).astype(np.float64)
    grid = Grid(bits, scales, rng.integers(0, top + 1, (m, groups)).astype(np.float64))
    return rng.standard_normal((m, n)), grid, moment(n, seed + 1), moment(m, seed + 2)


def half(C):
    """Return an e that is below C."""
    return np.full(len(C), 0.5 * float(np.linalg.eigvalsh(C)[0]))


def exact_loss(W, Q, C, G):
    W, Q, C, G = ([[Fraction(x) for x in row] for row in part.tolist()] for part in (W, Q, C, G))
    m, n = len(W), len(W[0])
    D = [[W[i][j] - Q[i][j] for j in range(n)] for i in range(m)]
    right = [[sum(D[i][k] * C[k][j] for k in range(n)) for j in range(n)] for i in range(m)]
    return sum(G[i][k] * right[k][j] * D[i][j] for i in range(m) for k in range(m) for j in range(n))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("bits", "shape"), [(1, (2, 4)), (2, (1, 4)), (2, (2, 2))])
def test_no_rounding_is_below_the_bound(seed, bits, shape):
    m, n = shape
    W, grid, C, G = problem(m, n, groups=2 if n == 4 else 1, bits=bits, seed=seed)
    floor = bound(W, grid, C, G, half(C), half(G))
    every = itertools.product(range(2**bits), repeat=W.size)
    losses = [loss(W, grid.values(np.array(k, dtype=np.float64).reshape(W.shape)), C, G, room=0.0) for k in every]
    assert 0.0 < floor <= min(losses)


@pytest.mark.parametrize("seed", range(4))
def test_diagonal_moments_are_rounded_optimally_entry_by_entry(seed):
    W, grid, _, _ = problem(3, 4, bits=2, seed=seed)
    c, g = np.array([1.0, 2.0, 0.5, 4.0]), np.array([3.0, 1.0, 2.0])
    shrink = 1.0 - 1e-12  # what rounding needs to prove it
    floor = bound(W, grid, np.diag(c), np.diag(g), shrink * c, shrink * g)
    best = float(g @ grid.distances(W) ** 2 @ c)
    assert floor == pytest.approx(best, rel=1e-11, abs=0.0)
    assert floor < best


def test_distances_are_to_the_nearest_number():
    W, grid, _, _ = problem(3, 6, 3, bits=2, seed=5)
    numbers = np.stack([grid.values(np.full(W.shape, float(k))) for k in range(4)])
    assert np.array_equal(grid.distances(W), np.abs(W - numbers).min(axis=0))
    wide = Grid(2, np.zeros((3, 3)), np.ones((3, 3)))
    assert np.array_equal(wide.distances(W), np.abs(W))  # a step of 0 leaves 0 alone


@pytest.mark.parametrize("precision", [BFLOAT16, FLOAT16, Precision(2, -3, 1e3)])
def test_distances_are_to_the_nearest_rounded_number(precision):
    rng = np.random.default_rng(0)
    scales = precision.rounded(rng.uniform(0.01, 0.1, (4, 2)) * 4.0)
    grid = Grid(8, scales, rng.integers(0, 256, (4, 2)).astype(np.float64), precision)
    W = rng.standard_normal((4, 64)) * 20.0
    numbers = np.stack([grid.values(np.full(W.shape, float(k))) for k in range(256)])
    assert np.array_equal(grid.distances(W), np.abs(W - numbers).min(axis=0))
    assert np.any(grid.distances(W) != grid._replace(precision=None).distances(W))


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_precisions_are_those_of_the_dtypes(name):
    torch = pytest.importorskip("torch")
    precision, dtype = {"bfloat16": BFLOAT16, "float16": FLOAT16}[name], getattr(torch, name)
    rng = np.random.default_rng(0)
    exponents = rng.integers(-160 if name == "bfloat16" else -30, 15, 3000)
    x = torch.from_numpy(np.ldexp(rng.integers(-(2**16), 2**16, 3000).astype(np.float64), exponents - 16))
    assert np.array_equal(precision.rounded(x.numpy()), x.to(dtype).double().numpy())
    assert precision.largest == torch.finfo(dtype).max
    assert np.array_equal(precision.rounded(np.zeros(2)), np.zeros(2))


@pytest.mark.parametrize(("x", "expected"), [(-5.0, 5.0), (9.0, 2.0), (3.4, 0.4), (3.6, 0.4), (0.0, 0.0), (7.0, 0.0)])
def test_distances_end_with_the_grid(x, expected):
    grid = Grid(3, np.ones((1, 1)), np.zeros((1, 1)))
    assert grid.distances(np.array([[x]]))[0, 0] == pytest.approx(expected, abs=1e-15)
    assert grid.top == 7


def test_a_quotient_that_overflows_is_beyond_the_grid():
    grid = Grid(2, np.full((1, 1), 2.0**-1000), np.zeros((1, 1)))
    assert grid.distances(np.array([[1e300]]))[0, 0] == 1e300
    assert grid.distances(np.array([[-1e300]]))[0, 0] == 1e300


def with_offsets(m=2, n=4, groups=2, bits=2, seed=0, size=1.0):
    """Return W and a grid whose numbers are rounded to float32; the larger the offsets, the more that changes."""
    rng = np.random.default_rng(seed)
    scales = rng.uniform(0.5, 1.5, (m, groups)).astype(np.float16).astype(np.float64)
    offsets = (size * rng.uniform(0.5, 1.5, (m, groups))).astype(np.float32).astype(np.float64)
    grid = Grid(bits, scales, np.zeros((m, groups)), FLOAT32, offsets)
    return rng.standard_normal((m, n)) * 2.0 - np.repeat(offsets, n // groups, axis=1), grid


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [1.0, 1e6])
def test_with_offsets_no_rounding_is_below_the_bound(seed, size):
    W, grid = with_offsets(seed=seed, groups=1, n=2, size=size)
    C, G = moment(2, seed + 1), moment(2, seed + 2)
    floor = bound(W, grid, C, G, half(C), half(G))
    every = itertools.product(range(4), repeat=W.size)
    losses = [loss(W, grid.values(np.array(k, dtype=np.float64).reshape(W.shape)), C, G, room=0.0) for k in every]
    assert 0.0 < floor <= min(losses)


def test_with_offsets_numbers_are_those_of_float32():
    W, grid = with_offsets(3, 8, 2, seed=4, size=1e5)
    integers = np.random.default_rng(1).integers(0, 4, W.shape).astype(np.float64)
    found = grid.values(integers)
    for i, j in itertools.product(range(3), range(8)):
        scale, offset = (np.float32(part[i, j // 4]) for part in (grid.scales, grid.offsets))
        assert found[i, j] == float(scale * np.float32(integers[i, j]) - offset)
        exact = Fraction(float(scale)) * int(integers[i, j]) - Fraction(float(offset))
        assert abs(Fraction(float(found[i, j])) - exact) <= abs(exact) * Fraction(1, 2**24)


@pytest.mark.parametrize("size", [1.0, 1e4, 1e6])
def test_a_number_of_the_grid_is_at_no_distance_from_it(size):
    # what is rounded to float32 is only near the exact number: that one has a distance
    W, grid = with_offsets(16, 32, 2, seed=1, size=size)
    integers = np.random.default_rng(2).integers(0, 4, W.shape).astype(np.float64)
    assert not np.any(grid.distances(grid.values(integers)))
    exact = np.repeat(grid.scales, 16, axis=1) * integers - np.repeat(grid.offsets, 16, axis=1)
    assert np.any(grid.distances(exact))


@pytest.mark.parametrize("size", [1.0, 1e6, 1e9])
def test_with_offsets_distances_are_to_the_nearest_number(size):
    W, grid = with_offsets(6, 12, 3, seed=3, size=size)
    numbers = np.stack([grid.values(np.full(W.shape, float(k))) for k in range(4)])
    assert np.array_equal(grid.distances(W), np.abs(W - numbers).min(axis=0))


def test_offsets_are_asked():
    good = Grid(2, np.full((2, 2), 0.5), np.ones((2, 2)), FLOAT32, np.full((2, 2), 0.25))
    ask_grid(good, (2, 4))
    ask_grid(good._replace(scales=np.full((2, 2), 1.0 + 2.0**-21)), (2, 4))
    ask_grid(good._replace(offsets=np.full((2, 2), FLOAT32.largest / 2.0)), (2, 4))
    bad = [
        (good._replace(precision=None), "must be rounded to float32"),
        (good._replace(precision=BFLOAT16), "must be rounded to float32"),
        (good._replace(offsets=np.full((2, 1), 0.25)), "offsets must have shape"),
        (good._replace(offsets=np.full((2, 2), np.nan)), "offsets must be finite"),
        (good._replace(offsets=np.full((2, 2), 1.0 + 2.0**-24)), "offsets must be numbers of float32"),
        (good._replace(offsets=np.full((2, 2), -(2.0**127))), "at most half its largest"),
        (good._replace(scales=np.full((2, 2), 2.0**-150)), "scales must be numbers of float32"),
        (good._replace(scales=np.full((2, 2), 2.0**127)), "scales times 3 must be at most"),
        (good._replace(scales=np.full((2, 2), 1.0 + 2.0**-22)), "at most 22 significant bits"),
    ]
    for grid, message in bad:
        with pytest.raises(VerificationError, match=message):
            ask_grid(grid, (2, 4))


@pytest.mark.parametrize("seed", range(5))
def test_the_loss_is_rounded_upwards(seed):
    W, grid, C, G = problem(3, 4, bits=2, seed=seed)
    Q = grid.values(np.ones(W.shape))
    exact = exact_loss(W, Q, C, G)
    assert Fraction(loss(W, Q, C, G)) >= exact
    assert loss(W, Q, C, G) == pytest.approx(float(exact), rel=1e-13, abs=0.0)


def test_the_allowances_of_the_loss():
    W, grid, C, G = problem(3, 4, bits=2)
    Q = grid.values(np.ones(W.shape))
    plain = loss(W, Q, C, G, room=0.0)
    squares = float(np.sum((W - Q) ** 2))
    own = 7 * EPS * squares * np.linalg.norm(C) * np.linalg.norm(G)
    own_root = EPS * (squares * np.trace(C) * np.trace(G)) ** 0.5
    for room in (1.0, 3.0, 1e9):
        expected = ((plain + room * own) ** 0.5 + room * own_root) ** 2
        assert loss(W, Q, C, G, room=room) == pytest.approx(expected, rel=1e-15, abs=0.0)
    assert loss(W, Q, C, G) == loss(W, Q, C, G, room=1.0)


def test_without_its_allowance_the_loss_of_a_difference_that_cancels_is_false():
    # the moment sees the sum of the inputs alone, and the difference has a sum far below its entries
    C = weighted_tail.semidefinite(np.ones((3, 3)))
    found = 0
    for seed in range(200):
        d = np.random.default_rng(seed).standard_normal((1, 3))
        d[0, 2] = -(d[0, 0] + d[0, 1])
        exact = exact_loss(d, np.zeros((1, 3)), C, np.eye(1))
        found += Fraction(loss(d, np.zeros((1, 3)), C, np.eye(1), room=0.0)) < exact
        assert Fraction(loss(d, np.zeros((1, 3)), C, np.eye(1))) >= exact
    assert found > 0


@pytest.mark.parametrize("seed", range(6))
def test_a_diagonal_may_be_a_vector(seed):
    W, grid, C, _ = problem(3, 4, bits=2, seed=seed)
    g = np.random.default_rng(seed).uniform(0.0, 3.0, 3)
    Q = grid.values(np.ones(W.shape))
    exact = exact_loss(W, Q, C, np.diag(g))
    assert Fraction(loss(W, Q, C, g)) >= exact
    assert loss(W, Q, C, g) == pytest.approx(float(exact), rel=1e-13, abs=0.0)
    below = [0.5 * g, g]
    plain = [bound(W, grid, C, g, half(C), part) for part in below]
    assert plain[0] == pytest.approx(bound(W, grid, C, np.diag(g), half(C), below[0]), rel=1e-14, abs=0.0)
    assert plain[1] == pytest.approx(2.0 * plain[0], rel=1e-13, abs=0.0)  # the whole diagonal is below itself


@pytest.mark.parametrize("seed", range(4))
def test_no_rounding_is_below_the_bound_of_a_diagonal(seed):
    W, grid, C, _ = problem(2, 2, groups=1, bits=2, seed=seed)
    g = np.array([2.0, 0.0 if seed == 0 else 0.3])
    floor = bound(W, grid, C, g, half(C), g)
    every = itertools.product(range(4), repeat=W.size)
    losses = [loss(W, grid.values(np.array(k, dtype=np.float64).reshape(W.shape)), C, g, room=0.0) for k in every]
    assert 0.0 < floor <= min(losses)


def test_the_allowances_of_a_diagonal():
    W, grid, C, _ = problem(3, 4, bits=2)
    Q, g = grid.values(np.ones(W.shape)), np.array([1.0, 2.0, 0.5])
    plain = loss(W, Q, C, g, room=0.0)
    squares = float(np.sum((W - Q) ** 2))
    own = 7 * EPS * squares * np.linalg.norm(C) * np.linalg.norm(g)
    own_root = EPS * (squares * np.trace(C) * 3.5) ** 0.5
    for room in (1.0, 1e9):
        expected = ((plain + room * own) ** 0.5 + room * own_root) ** 2
        assert loss(W, Q, C, g, room=room) == pytest.approx(expected, rel=1e-15, abs=0.0)


def test_a_diagonal_is_asked():
    W, grid, C, _ = problem(3, 4, bits=2)
    g, Q = np.array([1.0, 2.0, 0.5]), np.ones((3, 4))
    zero = np.array([1.0, 0.0, 0.5])
    assert loss(W, Q, C, zero) > 0.0
    assert bound(W, grid, C, zero, half(C), zero) > 0.0
    for wrong, message in [
        (np.array([1.0, -1e-300, 0.5]), "G must not be negative, got -1e-300"),
        (np.array([1.0, np.nan, 0.5]), "G must be finite"),
        (g.astype(np.float32), "G must be float64"),
    ]:
        with pytest.raises(VerificationError, match=message):
            loss(W, Q, C, wrong)
        with pytest.raises(VerificationError, match=message):
            bound(W, grid, C, wrong, half(C), np.full(3, 0.1))
    with pytest.raises(VerificationError, match="G must have shape"):
        bound(W, grid, C, np.ones(4), half(C), np.full(3, 0.1))
    with pytest.raises(VerificationError, match="W must have shape"):
        loss(W, Q, C, np.ones(4))
    with pytest.raises(VerificationError, match=r"diag\(g\) must be at most G"):
        bound(W, grid, C, g, half(C), np.array([1.0, np.nextafter(2.0, 3.0), 0.5]))
    with pytest.raises(VerificationError, match="C must"):
        bound(W, grid, -C, g, half(C), g)


def test_the_allowance_of_the_bound():
    W, grid, C, G = problem(3, 4, bits=2)
    e, g = half(C), half(G)
    plain = bound(W, grid, C, G, e, g, room=0.0)
    assert plain == pytest.approx(float(g @ grid.distances(W) ** 2 @ e), rel=1e-15, abs=0.0)
    for room in (1.0, 3.0, 1e6):
        assert bound(W, grid, C, G, e, g, room=room) == pytest.approx(
            plain * (1.0 - room * 13 * EPS), rel=1e-15, abs=0.0
        )
    assert bound(W, grid, C, G, e, g) == bound(W, grid, C, G, e, g, room=1.0)


def test_without_its_allowance_the_bound_is_false():
    found = 0
    for seed in range(100):
        W, grid, _, _ = problem(3, 4, bits=2, seed=seed)
        C, G = moment(4, seed), moment(3, seed + 50)
        e, g = half(C), half(G)
        exact = sum(
            Fraction(float(g[i])) * Fraction(float(e[j])) * _distance(W[i, j], grid, i, j) ** 2
            for i in range(3)
            for j in range(4)
        )
        found += Fraction(bound(W, grid, C, G, e, g, room=0.0)) > exact
        assert Fraction(bound(W, grid, C, G, e, g)) <= exact
    assert found > 0


def _distance(x, grid, i, j):
    h = j * grid.scales.shape[1] // 4
    numbers = (Fraction(float(grid.scales[i, h])) * (k - int(grid.zeros[i, h])) for k in range(4))
    return min(abs(Fraction(float(x)) - number) for number in numbers)


def test_what_is_below_a_moment():
    C = moment(4, 0)
    least = float(np.linalg.eigvalsh(C)[0])
    assert is_below(np.full(4, 0.999 * least), C)
    assert not is_below(np.full(4, 1.001 * least), C)
    assert not is_below(np.zeros(4), np.zeros((4, 4)))  # nothing is proved of zeros
    assert not is_below(np.zeros(4), np.ones((4, 4)))  # singular: positive by rounding alone


@pytest.mark.parametrize("room", [None, 1.0, 3.0, 1e9])
def test_how_near_an_edge_is_proved(room):
    C, asked = np.eye(4) * 2.0, () if room is None else (room,)  # the shift is room * (4 + 3) * EPS * 8
    shift = (room or 1.0) * 7 * EPS * 8.0
    assert is_below(np.full(4, 2.0 - 1.06 * shift), C, *asked)
    assert not is_below(np.full(4, 2.0 - 0.94 * shift), C, *asked)


def test_one_wrong_entry_is_enough():
    good = Grid(2, np.full((2, 2), 0.5), np.ones((2, 2)))
    for part, wrong in [("scales", -0.5), ("scales", 1.0 + 2.0**-30), ("zeros", -1.0), ("zeros", 4.0), ("zeros", 0.5)]:
        changed = getattr(good, part).copy()
        changed[1, 1] = wrong
        with pytest.raises(VerificationError, match=part):
            ask_grid(good._replace(**{part: changed}), (2, 4))
    W, C, G = np.ones((2, 4)), np.eye(4), np.eye(2)
    for e, message in [([0.0, 0.0, 0.0, -0.1], "negative"), ([0.0, 0.0, 0.0, 1.1], "at most C")]:
        with pytest.raises(VerificationError, match=message):
            bound(W, good, C, G, np.array(e), np.full(2, 0.5))


@pytest.mark.parametrize(
    ("part", "wrong", "message"),
    [
        ("scales", 2.0**127, "scales times 3 must be at most"),
        ("scales", 1.0 + 2.0**-22, "at most 22 significant bits"),
        ("scales", 2.0**-150, "scales must be numbers of float32"),
        ("offsets", 1.0 + 2.0**-24, "offsets must be numbers of float32"),
        ("offsets", FLOAT32.largest, "at most half its largest"),
    ],
)
def test_one_wrong_entry_is_enough_with_offsets(part, wrong, message):
    good = Grid(2, np.full((2, 2), 0.5), np.ones((2, 2)), FLOAT32, np.full((2, 2), 0.25))
    changed = getattr(good, part).copy()
    changed[1, 1] = wrong
    with pytest.raises(VerificationError, match=message):
        ask_grid(good._replace(**{part: changed}), (2, 4))


def test_of_a_moment_of_zeros_nothing_is_asked():
    grid = Grid(2, np.full((2, 2), 0.5), np.ones((2, 2)))
    assert bound(np.ones((2, 4)), grid, np.zeros((4, 4)), np.eye(2), np.zeros(4), np.full(2, 0.5)) == 0.0


def test_grids_are_asked():
    good = Grid(2, np.full((2, 2), 0.5), np.ones((2, 2)))
    ask_grid(good, (2, 4))
    ask_grid(good._replace(scales=np.zeros((2, 2))), (2, 4))
    ask_grid(good._replace(scales=np.full((2, 2), 1.0 + 2.0**-23)), (2, 4))
    ask_grid(good._replace(zeros=np.full((2, 2), 3.0)), (2, 4))
    ask_grid(good._replace(bits=8), (2, 4))
    ask_grid(Grid(1, np.full((2, 2), 65504.0), np.ones((2, 2)), FLOAT16), (2, 4))
    bad = [
        (good._replace(bits=0), "bits"),
        (good._replace(bits=9), "bits"),
        (good._replace(bits=2.0), "bits"),
        (good._replace(bits=True), "bits"),
        (good._replace(scales=np.full((2, 2), -0.5)), "scales must not be negative"),
        (good._replace(scales=np.full((2, 2), 1.0 + 2.0**-24)), "24 significant bits"),
        (good._replace(scales=np.full((2, 2), np.nan)), "scales"),
        (good._replace(scales=np.full((2, 2), 0.5, dtype=np.float32)), "scales must be float64"),
        (good._replace(scales=np.full((3, 2), 0.5)), "scales must have shape"),
        (good._replace(zeros=np.full((2, 2), -1.0)), "zeros must be whole numbers from 0 to 3"),
        (good._replace(zeros=np.full((2, 2), 4.0)), "zeros must be whole"),
        (good._replace(zeros=np.full((2, 2), 0.5)), "zeros must be whole"),
        (good._replace(zeros=np.ones((2, 1))), "zeros must have shape"),
        (Grid(2, np.ones((2, 3)), np.ones((2, 3))), "groups must divide the 4 columns, got 3"),
        (Grid(2, np.ones((2, 0)), np.ones((2, 0))), "groups must divide"),
        (
            good._replace(scales=np.full((2, 2), 2.0**15), precision=FLOAT16),
            "times 3 must be at most 65504",
        ),
    ]
    for grid, message in bad:
        with pytest.raises(VerificationError, match=message):
            ask_grid(grid, (2, 4))
        W = np.ones((2, 4))
        with pytest.raises(VerificationError):
            bound(W, grid, np.eye(4), np.eye(2), np.full(4, 0.5), np.full(2, 0.5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"e": np.full(4, -1e-300)}, "e must not be negative"),
        ({"g": np.full(3, -1e-300)}, "g must not be negative"),
        ({"e": np.full(4, 1.01)}, "at most C"),
        ({"g": np.full(3, 1.01)}, "at most G"),
        ({"e": np.full(3, 0.5)}, "e must have shape"),
        ({"g": np.full(4, 0.5)}, "g must have shape"),
        ({"e": np.full(4, 0.5, dtype=np.float32)}, "e must be float64"),
        ({"e": np.full(4, np.nan)}, "e must be finite"),
        ({"g": np.full(3, 0.5 + 0j)}, "g must hold real"),
        ({"e": [0.5] * 4}, "e must be an array"),
        ({"C": np.eye(3)}, "C must have shape"),
        ({"G": np.eye(4)}, "G must have shape"),
        ({"C": -np.eye(4)}, "C must"),
        ({"G": np.triu(np.ones((3, 3)))}, "G must be symmetric"),
        ({"W": np.ones((3, 4), dtype=np.float32)}, "W must be float64"),
        ({"W": np.full((3, 4), np.inf)}, "W must be finite"),
        ({"W": np.ones(4)}, "W must have shape"),
    ],
)
def test_evidence_is_asked(change, message):
    grid = Grid(2, np.full((3, 2), 0.5), np.ones((3, 2)))
    parts = {"W": np.ones((3, 4)), "C": np.eye(4), "G": np.eye(3), "e": np.full(4, 0.5), "g": np.full(3, 0.5)} | change
    with pytest.raises(VerificationError, match=message):
        bound(parts["W"], grid, parts["C"], parts["G"], parts["e"], parts["g"])


def test_no_weights_prove_nothing_and_ask_nothing_more():
    W, grid, C, G = problem(3, 4, bits=2)
    assert bound(W, grid, C, G, np.zeros(4), half(G)) == 0.0
    assert bound(W, grid, C, G, half(C), np.zeros(3)) == 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Q": np.ones((3, 3))}, "Q must have shape"),
        ({"Q": np.full((3, 4), np.nan)}, "Q must be finite"),
        ({"W": np.ones((3, 5))}, "W must have shape"),
        ({"W": np.ones((3, 4), dtype=np.float32)}, "W must be float64"),
        ({"C": -np.eye(4)}, "C must"),
        ({"G": -np.eye(3)}, "G must"),
    ],
)
def test_the_loss_asks_too(change, message):
    parts = {"W": np.ones((3, 4)), "Q": np.ones((3, 4)), "C": np.eye(4), "G": np.eye(3)} | change
    with pytest.raises(VerificationError, match=message):
        loss(parts["W"], parts["Q"], parts["C"], parts["G"])


def test_name():
    assert grid_rounding.THEOREM == "grid_rounding"
