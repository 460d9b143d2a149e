"""The bound by duality: against exact arithmetic, each hypothesis broken once, and each allowance by an input.

In double precision the truth is known: points and values are doubles, so that weights and bound are rational numbers.
"""

import math
from fractions import Fraction

import numpy as np
import pytest

from infimum.proof.enclosure.balls import working
from infimum.proof.theorems import alternation
from infimum.proof.theorems.alternation import Annihilator

UNIT = 2.0**-53


def exact_weights(x, start, stride):
    points = [Fraction(v) for v in x]
    t = [p**stride for p in points]
    return [
        1 / (p**start * math.prod((a - b for j, b in enumerate(t) if j != k), start=Fraction(1)))
        for k, (p, a) in enumerate(zip(points, t, strict=True))
    ]


def exact_bound(weights, values, inverse):
    total = sum(w * Fraction(v) for w, v in zip(weights, values, strict=True))
    return abs(total) / sum(abs(w) * Fraction(i) for w, i in zip(weights, inverse, strict=True))


def test_name_and_constants():
    assert alternation.THEOREM == "alternation"
    stated = (alternation.UNIT, alternation.VALUES, alternation.POWER, alternation.SECOND_ORDER)
    assert stated == (2.0**-53, 16.0, 4.0, 1.0625)
    assert (alternation.LARGEST_LOSS, alternation.LEAST_WEIGHT, alternation.LEAST_BOUND) == (
        2.0**-6,
        2.0**-960,
        2.0**-1000,
    )


# ------------------------------------------------------------------ ball arithmetic


def test_weights_annihilate():
    with working(200) as flint:
        t = [flint.arb(v) for v in (0.1, 0.3, 0.35, 0.9, 1.7)]
        weights = alternation.divided_difference(t)
        for w, truth in zip(weights, exact_weights((0.1, 0.3, 0.35, 0.9, 1.7), 0, 1), strict=True):
            assert (w - flint.arb(flint.fmpq(truth.numerator, truth.denominator))).contains(0)
            assert w.rad() < 1e-40
        columns = [[v.exp() for v in t], [v.sin() for v in t], [flint.arb(1)] * 5, t]
        null = alternation.null_vector(list(zip(*columns, strict=True)))
        assert null[-1] == 1
        for column in columns:
            total = sum((w * v for w, v in zip(null, column, strict=True)), flint.arb(0))
            assert total.contains(0)
            assert total.rad() < 1e-40
        assert alternation.null_vector([[flint.arb(2)], [flint.arb(3)]])[0] == flint.arb(-1.5)


def test_duality_is_tight_for_the_parabola():
    with working(100) as flint:
        points = [flint.arb(v) for v in (-1, 0, 1)]
        weights, squares = alternation.divided_difference(points), [p * p for p in points]
        bound = alternation.duality(weights, squares, [flint.arb(1)] * 3)
        assert bound == flint.arb(0.5)
        weighted = alternation.duality(weights, squares, [flint.arb(v) for v in (1, 2, 4)])
        assert (weighted - flint.arb(2) / 9).contains(0)
        assert alternation.duality([-w for w in weights], squares, [flint.arb(1)] * 3) == flint.arb(-0.5)


def test_duality_asks_for_its_hypotheses():
    with working(100) as flint:
        one, zero = flint.arb(1), flint.arb(0)
        weights, values = [one, -one, one], [one, one, one]
        for bad in (zero, -one, flint.arb.nan(), flint.arb(0, 1)):
            assert not alternation.duality(weights, values, [bad, flint.arb(5), one]).is_finite()
            assert not alternation.duality(weights, values, [one, one, bad]).is_finite()
        assert not alternation.duality([zero, zero, zero], values, [one] * 3).is_finite()
        assert not alternation.duality([flint.arb.nan(), one, one], values, [one] * 3).is_finite()
        for few in (([one, one], values, [one] * 3), (weights, values[:2], [one] * 3), (weights, values, [one] * 2)):
            with pytest.raises(ValueError, match="zip"):
                alternation.duality(*few)


def test_points_that_coincide_and_functions_that_depend_prove_nothing():
    with working(100) as flint:
        twice = alternation.divided_difference([flint.arb(v) for v in (0.5, 0.5, 1.0)])
        assert not twice[0].is_finite()
        unsure = alternation.divided_difference([flint.arb(0.5, 1e-3), flint.arb(0.5), flint.arb(1)])
        assert not unsure[0].is_finite()
        singular = alternation.null_vector([[flint.arb(1), flint.arb(2)]] * 3)
        assert not any(w.is_finite() for w in singular)
        assert len(singular) == 3


# ------------------------------------------------------------------ double precision: powers


SPACES = [(0, 1), (1, 2), (0, 2), (2, 3), (1, 1), (3, 5)]


@pytest.mark.parametrize(("start", "stride"), SPACES)
def test_weights_of_powers_are_as_near_as_stated(start, stride):
    rng = np.random.default_rng(0)
    for size in (2, 3, 6, 14):
        for low in (0.01, -1.0):
            x = np.sort(rng.uniform(low if stride % 2 else 0.01, 1.0, size))
            found = alternation.of_powers(x, start, stride)
            truth = exact_weights(x, start, stride)
            factor = Fraction(found.weights[0]) / truth[0]
            scale = Fraction(2) ** round(math.log2(abs(factor)))
            assert found.leak == 0.0
            assert 0.5 <= np.max(np.abs(found.weights)) <= 2.0
            for w, t, loss in zip(found.weights, truth, found.loss, strict=True):
                assert abs(Fraction(w) / scale - t) <= Fraction(loss) * abs(t)


@pytest.mark.parametrize(("start", "stride"), SPACES)
def test_the_loss_is_counted_as_the_page_says(start, stride):
    x = np.array([0.125, 0.25, 0.375, 0.75, 1.0])
    t = x**stride
    moved = [sum((a + b) / abs(a - b) for j, b in enumerate(t) if j != k) for k, a in enumerate(t)]
    expected = [2.0**-53 * (10.0 + start + (4.0 * m if stride > 1 else 0.0)) for m in moved]
    assert alternation.of_powers(x, start, stride).loss == pytest.approx(expected, rel=1e-12, abs=0.0)


def test_near_powers_are_paid_for():
    """The powers of 1 and of its neighbour lie 5 roundings apart: without the cancellation the weights are false."""
    x = np.array([1.0 - 3e-15, 1.0, 1.5])
    found = alternation.of_powers(x, 0, 5)
    truth = exact_weights(x, 0, 5)
    ratio = Fraction(found.weights[0]) / Fraction(found.weights[2]) / (truth[0] / truth[2])
    assert abs(float(ratio) - 1.0) > UNIT * 2 * (6.0 + 0.0)
    assert abs(float(ratio) - 1.0) <= found.loss[0] + found.loss[2]


def test_products_that_would_overflow():
    x = np.linspace(-1e-3, 1e-3, 301)
    found = alternation.of_powers(x, 0, 1)
    assert np.all(np.isfinite(found.weights))
    assert np.all(found.weights[:-1] * found.weights[1:] < 0.0)
    middle = [math.comb(300, k) for k in (149, 150)]
    assert abs(found.weights[149] / found.weights[150]) == pytest.approx(middle[0] / middle[1], rel=1e-10)
    wide = alternation.of_powers(np.linspace(-1e3, 1e3, 301), 0, 1)
    assert wide.weights[149] / wide.weights[150] == pytest.approx(found.weights[149] / found.weights[150], rel=1e-10)


def test_no_weights_where_points_coincide_or_vanish():
    for x, start, stride in (
        ([0.0, 0.5, 1.0], 1, 1),
        ([0.0, 0.25, 1.0], 1, 1),
        ([-1.0, 0.0, 0.25], 2, 1),
        ([0.5, 0.5, 1.0], 0, 1),
        ([-0.5, 0.5, 1.0], 0, 2),
        ([1e-200, 2e-200, 1.0], 0, 2),
    ):
        assert alternation.of_powers(np.array(x), start, stride) is alternation.NOTHING
    assert alternation.of_powers(np.array([0.0, 0.5, 1.0]), 0, 1) is not alternation.NOTHING
    nothing = alternation.NOTHING
    assert (nothing.weights.size, nothing.loss.size, nothing.leak) == (0, 0, math.inf)
    assert alternation.in_doubles(nothing, np.zeros(0), np.zeros(0), np.ones(0)) == 0.0


@pytest.mark.parametrize(("start", "stride"), SPACES)
def test_bound_is_below_the_truth_and_near_it(start, stride):
    """Values next to those of a function of the space: the sums cancel, and rounding is all that is left of some."""
    rng = np.random.default_rng(1)
    passed = 0
    for _ in range(60):
        size = int(rng.integers(2, 12))
        x = np.sort(rng.uniform(0.05, 1.0, size + 1))
        powers = start + stride * np.arange(size)
        f = (x[:, None] ** powers) @ rng.standard_normal(size) + 10.0 ** rng.uniform(-17, 0) * rng.standard_normal(
            size + 1
        )
        inverse = rng.uniform(0.5, 2.0, size + 1)
        found = alternation.of_powers(x, start, stride)
        bound = alternation.in_doubles(found, f, np.abs(f), inverse)
        truth = exact_bound(exact_weights(x, start, stride), f, inverse)
        assert Fraction(bound) <= truth
        naive = abs(np.sum(found.weights * f)) / np.sum(np.abs(found.weights) * inverse)
        passed += Fraction(naive) > truth
        scale = np.sum(np.abs(found.weights * f)) / np.sum(np.abs(found.weights) * inverse)
        assert bound >= float(truth) - 4.0 * scale * (np.max(found.loss) + 32 * UNIT)
    assert passed > 10  # without the allowance these would be false


# ------------------------------------------------------------------ double precision: any functions


def test_the_example_of_the_referee():
    """With functions 1, 1 + e x, a bump, 1 + e x + e^2 x^2 and f = the bump the optimum is 0."""
    x = np.array([-0.9, -0.3, 0.3, 0.6, 0.9])
    bump = np.exp(-1e4 * (x - 0.9) ** 2)
    for e in (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-6):
        functions = np.stack([np.ones(5), 1 + e * x, bump, 1 + e * x + e**2 * x**2], axis=1)
        for f in (bump, functions[:, 3], functions @ np.array([1.0, -2.0, 3.0, 0.5])):
            found = alternation.of_functions(functions)
            assert alternation.in_doubles(found, f, np.abs(f), np.ones(5)) == 0.0


def test_what_weights_leave_of_functions_is_bounded():
    rng = np.random.default_rng(2)
    for columns in (1, 2, 4, 7):
        for spread in (0.0, 6.0):
            matrix = rng.standard_normal((columns + 1, columns)) @ np.diag(
                10.0 ** rng.uniform(-spread, spread, columns)
            )
            matrix[:, 0] += matrix[:, -1] * 1e3
            found = alternation.of_functions(matrix)
            assert np.array_equal(found.loss, np.zeros(columns + 1))
            for _ in range(5):
                c = [Fraction(v) for v in rng.standard_normal(columns) / np.max(np.abs(matrix), axis=0)]
                g = [sum(Fraction(v) * k for v, k in zip(row, c, strict=True)) for row in matrix]
                left = abs(sum(Fraction(w) * v for w, v in zip(found.weights, g, strict=True)))
                size = math.sqrt(sum(v * v for v in g))
                assert float(left) <= found.leak * size


def leak(matrix, values=16.0, doubt=2.0):
    scaled = matrix / np.max(np.abs(matrix), axis=0)
    rows = len(scaled)
    weights = np.linalg.qr(scaled, mode="complete")[0][:, -1]
    left = np.abs(weights @ scaled) + 2.0**-53 * (rows + doubt + values) * (np.abs(weights) @ np.abs(scaled))
    norm = np.linalg.norm(scaled)
    allowance = (200.0 + 16.0 * math.sqrt(rows)) * 2.0**-52 * norm + (values + 1.0) * 2.0**-53 * norm
    smallest = np.linalg.svd(scaled, compute_uv=False)[-1] - allowance
    return 1.0625 * np.linalg.norm(left) / smallest


@pytest.mark.parametrize("near", [1.0, 1e-6, 1e-11])
def test_the_leak_is_what_the_page_says(near):
    """The smallest singular value is down to its allowance in the last case."""
    x = np.linspace(0.0, 1.0, 4)
    matrix = np.stack([np.ones(4), 3.0 + near * x, np.exp(x)], axis=1)
    assert alternation.of_functions(matrix).leak == pytest.approx(leak(matrix), rel=1e-9, abs=0.0)


def test_dependent_functions_prove_nothing():
    x = np.linspace(0.0, 1.0, 4)
    for third in (2.0 + x, np.zeros(4), np.full(4, np.nan), 1e-14 * x**2 + x):
        assert alternation.of_functions(np.stack([np.ones(4), x, third], axis=1)) is alternation.NOTHING
    for points in (3, 5):
        assert alternation.of_functions(np.eye(points)[:, :3]) is alternation.NOTHING


def test_bound_for_functions_is_below_the_truth():
    """Points, values and functions are doubles, so that the space has exact weights."""
    rng = np.random.default_rng(3)
    naive_false = 0
    for _ in range(60):
        matrix = np.stack([np.ones(3), 1.0 + 10.0 ** rng.uniform(-8, 0) * rng.standard_normal(3)], axis=1)
        f = matrix @ rng.standard_normal(2) + 10.0 ** rng.uniform(-18, 0) * rng.standard_normal(3)
        inverse = rng.uniform(0.5, 2.0, 3)
        a = [[Fraction(v) for v in row] for row in matrix]
        truth = [
            a[1][0] * a[2][1] - a[1][1] * a[2][0],
            a[2][0] * a[0][1] - a[2][1] * a[0][0],
            a[0][0] * a[1][1] - a[0][1] * a[1][0],
        ]
        found = alternation.of_functions(matrix)
        best = exact_bound(truth, f, inverse)
        assert Fraction(alternation.in_doubles(found, f, np.abs(f), inverse)) <= best
        naive_false += Fraction(abs(found.weights @ f) / (np.abs(found.weights) @ inverse)) > best
    assert naive_false > 10


# ------------------------------------------------------------------ double precision: the sums


WEIGHTS = Annihilator(np.array([1.0, -2.0, 1.0]), np.array([2.0**-30, 2.0**-31, 2.0**-29]), 0.0)
F, SIZES, INVERSE = np.array([1.0, 0.25, 2.0]), np.array([1.5, 0.25, 3.0]), np.array([1.0, 3.0, 0.5])


def by_hand(annihilator, f, sizes, inverse, room):
    weights, loss, drop = annihilator
    doubt = [Fraction(v) + Fraction(2) ** -53 * (len(f) + 19) for v in loss]
    second = Fraction(17, 16) * Fraction(room)
    norm = lambda v: Fraction(math.sqrt(sum(Fraction(c) ** 2 for c in v)))  # noqa: E731
    modulus = [abs(Fraction(w)) for w in weights]
    lost = second * (
        sum(d * w * Fraction(s) for d, w, s in zip(doubt, modulus, sizes, strict=True)) + Fraction(drop) * norm(sizes)
    )
    parts = zip(doubt, modulus, inverse, strict=True)
    price = sum((w * Fraction(i) * (1 + second * d) for d, w, i in parts), Fraction(0))
    price += second * Fraction(drop) * norm(inverse)
    total = abs(sum((Fraction(w) * Fraction(v) for w, v in zip(weights, f, strict=True)), Fraction(0)))
    return float(max((total - lost) / price, Fraction(0)) * (1 - 8 * Fraction(room) * Fraction(2) ** -53))


@pytest.mark.parametrize("room", [1.0, 3.0, 2.0**20])
@pytest.mark.parametrize("drop", [0.0, 2.0**-28])
def test_every_allowance_has_the_size_that_the_page_states(room, drop):
    annihilator = WEIGHTS._replace(leak=drop)
    found = alternation.in_doubles(annihilator, F, SIZES, INVERSE, room=room)
    assert 0.0 < found == pytest.approx(by_hand(annihilator, F, SIZES, INVERSE, room), rel=4e-16, abs=0.0)


@pytest.mark.parametrize("leak", [0.0, 2.0**-28])
def test_the_bound_follows_the_scales_of_values_and_weights(leak):
    """Squares of such numbers overflow or vanish, and so would the norms of the allowance."""
    given = WEIGHTS._replace(leak=leak)
    one = alternation.in_doubles(given, F, SIZES, INVERSE)
    for a, b in ((900, 0), (-900, 0), (0, 900), (0, -900), (900, 900), (-900, -900), (990, 12)):
        found = alternation.in_doubles(given, np.ldexp(F, a), np.ldexp(SIZES, a), np.ldexp(INVERSE, b))
        assert found == math.ldexp(one, a - b)
    for a, b in ((1000, -100), (-500, 600)):
        assert alternation.in_doubles(given, np.ldexp(F, a), np.ldexp(SIZES, a), np.ldexp(INVERSE, b)) == 0.0
    exact = Annihilator(np.array([1.0, -1.0]), np.zeros(2), 0.0)
    for a, kept in ((-998, True), (-1002, False)):
        found = alternation.in_doubles(exact, np.ldexp([1.0, -1.0], a), np.ldexp([1.0, 1.0], a), np.ones(2))
        assert (found > 0.0) == kept
    assert alternation.in_doubles(exact, np.zeros(2), np.zeros(2), np.ones(2)) == 0.0


def test_without_room_there_is_one_allowance():
    assert alternation.in_doubles(WEIGHTS, F, SIZES, INVERSE) == alternation.in_doubles(
        WEIGHTS, F, SIZES, INVERSE, room=1.0
    )


def test_a_bound_below_0_is_0():
    assert alternation.in_doubles(WEIGHTS, np.array([1.0, 1.0, 1.0]), np.ones(3), INVERSE) == 0.0


@pytest.mark.parametrize(
    ("changed", "arrays"),
    [
        (WEIGHTS._replace(weights=np.array([1.0, np.inf, 1.0])), {}),
        (WEIGHTS._replace(weights=np.array([1.0, np.nan, 1.0])), {}),
        (WEIGHTS._replace(weights=np.array([1.0, -2.0])), {}),
        (WEIGHTS._replace(leak=math.inf), {}),
        (WEIGHTS._replace(leak=math.nan), {}),
        (WEIGHTS._replace(loss=np.array([0.0, math.nextafter(2.0**-6, 1.0), 0.0])), {}),
        (WEIGHTS._replace(loss=np.array([0.0, np.nan, 0.0])), {}),
        (WEIGHTS._replace(weights=np.array([1.0, -2.0, 2.0**-960])), {}),
        (WEIGHTS._replace(weights=np.array([1.0, -2.0, 0.0])), {}),
        (WEIGHTS, {"sizes": np.array([0.5, 0.25, 3.0])}),
        (WEIGHTS, {"sizes": np.array([1.5, np.inf, 3.0])}),
        (WEIGHTS, {"sizes": np.array([1.5, np.inf, 3.0]), "inverse": np.array([1.0, np.inf, 0.5])}),
        (WEIGHTS._replace(weights=np.array([1.0, -np.inf, 1.0])), {"inverse": np.array([1.0, np.inf, 0.5])}),
        (WEIGHTS, {"sizes": np.array([1.5, 0.25])}),
        (WEIGHTS, {"values": np.array([1.0, 0.25])}),
        (WEIGHTS, {"values": np.array([1.0, np.nan, 2.0])}),
        (WEIGHTS, {"inverse": np.array([1.0, 3.0, 0.0])}),
        (WEIGHTS, {"inverse": np.array([1.0, -3.0, 20.0])}),
        (WEIGHTS, {"inverse": np.array([1.0, np.inf, 0.5])}),
        (WEIGHTS, {"inverse": np.array([1.0, np.nan, 0.5])}),
        (WEIGHTS, {"inverse": np.array([1.0, 3.0])}),
    ],
)
def test_each_hypothesis_broken_proves_nothing(changed, arrays):
    given = {"values": F, "sizes": SIZES, "inverse": INVERSE} | arrays
    assert alternation.in_doubles(changed, given["values"], given["sizes"], given["inverse"]) == 0.0


def test_limits_belong_to_what_is_allowed():
    at_limit = WEIGHTS._replace(loss=np.array([0.0, 2.0**-6, 0.0]))
    assert alternation.in_doubles(at_limit, F, SIZES, INVERSE) > 0.0
    small = WEIGHTS._replace(weights=np.array([1.0, -2.0, 2.0**-959]))
    assert alternation.in_doubles(small, F, SIZES, INVERSE) > 0.0
    assert alternation.in_doubles(WEIGHTS, F, np.abs(F), INVERSE) > 0.0


def test_columns_are_scaled_by_their_largest_modulus():
    """Also where every value of one is negative, or the largest modulus is that of a negative value."""
    matrix = np.stack([np.ones(3), np.array([-3.0, -2.0, 0.5])], axis=1)
    assert alternation.of_functions(matrix).leak == pytest.approx(leak(matrix), rel=1e-9, abs=0.0)
    below = np.stack([np.ones(3), np.array([-3.0, -1.0, 0.0])], axis=1)
    assert alternation.of_functions(below).leak == pytest.approx(leak(below), rel=1e-9, abs=0.0)


def test_the_loss_counts_moduli_of_powers():
    """Also of negative ones, of which two may have different signs, or a sum near 0."""
    x = np.array([-1.0, -0.75, -0.25, 0.5, 0.875])
    t = x**3
    moved = [sum((abs(a) + abs(b)) / abs(a - b) for j, b in enumerate(t) if j != k) for k, a in enumerate(t)]
    expected = [2.0**-53 * (12.0 + 4.0 * m) for m in moved]
    assert alternation.of_powers(x, 2, 3).loss == pytest.approx(expected, rel=1e-12, abs=0.0)


def test_of_no_functions_one_point_is_enough():
    with working(100):
        assert alternation.null_vector([[]]) == [1]


def test_a_size_below_the_modulus_of_a_negative_value_proves_nothing():
    values = np.array([-1.0, 0.25, -2.0])
    assert alternation.in_doubles(WEIGHTS, values, np.abs(values), INVERSE) > 0.0
    for few in ([0.5, 0.25, 2.0], [1.0, 0.25, 1.5]):
        assert alternation.in_doubles(WEIGHTS, values, np.array(few), INVERSE) == 0.0


def test_scales_are_those_of_the_largest_size_and_inverse_weight():
    """Beside it the others may be 0, or vanish: scaled by the least one the squares would overflow."""
    values = np.array([0.0, 0.0, 2.0])
    one = alternation.in_doubles(WEIGHTS, values, values, INVERSE)
    for a in (-900, 900):
        scaled = np.ldexp(values, a)
        assert alternation.in_doubles(WEIGHTS, scaled, scaled, INVERSE) == math.ldexp(one, a) > 0.0
    wide = np.array([2.0**-700, 1.0, 2.0**700])
    bound = alternation.in_doubles(WEIGHTS, F, SIZES, wide)
    assert bound == pytest.approx(2.5 * 2.0**-700, rel=1e-8, abs=0.0)


def test_a_bound_of_the_least_size_is_kept():
    exact, ends = Annihilator(np.array([1.0, -1.0]), np.zeros(2), 0.0), np.array([1.0, -1.0])
    for a, expected in ((-1000, 2.0**-1000), (-1001, 0.0)):
        values = np.ldexp(ends, a)
        assert alternation.in_doubles(exact, values, np.abs(values), np.ones(2), room=0.0) == expected


def test_a_least_singular_value_of_the_size_of_its_allowance_proves_nothing(monkeypatch):
    column = np.array([[1.0], [0.0]])
    for short, proved in ((0.0, False), (UNIT, True)):
        allowance = 1.0 - 17.0 * UNIT - short
        monkeypatch.setattr(alternation, "rounding_allowance", lambda *_, allowance=allowance: allowance)
        assert (alternation.of_functions(column) is not alternation.NOTHING) == proved


@pytest.mark.parametrize(
    ("weights", "sizes", "inverse"),
    [
        (np.array([np.inf, -np.inf, np.inf]), SIZES, INVERSE),
        (np.zeros(3), np.array([1.5, np.inf, 3.0]), INVERSE),
        (np.zeros(3), SIZES, np.array([1.0, np.inf, 0.5])),
    ],
)
def test_nothing_is_computed_with_what_is_not_finite(weights, sizes, inverse):
    """Infinity less itself, or times 0, would warn whoever asks for the bound."""
    with np.errstate(all="raise"):
        assert alternation.in_doubles(WEIGHTS._replace(weights=weights), F, sizes, inverse) == 0.0


def test_no_room_is_so_large_that_a_bound_comes_back():
    """Both the bound and the factor for its own rounding are negative then, and their product is not."""
    for room in (2.0**50, 2.0**53, 2.0**60):
        assert alternation.in_doubles(WEIGHTS, F, SIZES, INVERSE, room=room) == 0.0
