"""Compositions: dual bounds and ranges against dense samples and rational arithmetic, every hypothesis broken once."""

import dataclasses
import itertools
import math
import sys
from fractions import Fraction

import numpy as np
import pytest

import infimum
from infimum import minimax
from infimum.errors import RangeError, VerificationError
from infimum.proof.theorems import composition
from infimum.proof.theorems.composition import final_floor, floors, image, images, step_bound, width_left

HALF, ONE = Fraction(1, 2), Fraction(1)


def test_constants():
    assert composition.THEOREM == "composition"
    assert (composition.MAX_STEPS, composition.MAX_TERMS, composition.MAX_POWER) == (100, 8, 12)
    assert Fraction(sys.float_info.max) == composition.RANGE
    assert (composition.BITS, composition.GRID, composition.DEPTH) == (512, 2048, 64)
    assert composition.LEAST_NODE == 2.0**-400


# ------------------------------------------------------------------ lower bounds


def test_one_coefficient_has_a_closed_form():
    """``x -> a x`` on [l, u] is best with a = 2 / (l + u): the error is (u - l) / (u + l)."""
    for low in (Fraction(1, 10), HALF, Fraction(9, 10)):
        assert step_bound([low, ONE], 5) == (1 - low) / (1 + low)
        assert floors(low, ONE, 3, [[0.0, 1.0]]) == [(1 - low) / (1 + low)]
        assert floors(3 * low, Fraction(3), 3, [[0.0, 1.0]]) == [(1 - low) / (1 + low)]


@pytest.mark.parametrize(("power", "terms"), list(itertools.product((1, 2, 3), (1, 2, 3))))
def test_the_bound_is_the_best_error_on_the_points(power, terms):
    """Solve ``x q(x**r) + (-1)**k h = 1`` at the points, in rationals: no q has a smaller error there."""
    points = [Fraction(k + 2, terms + 3) for k in range(terms + 1)]
    rows = [[x ** (power * j + 1) for j in range(terms)] + [Fraction((-1) ** k)] for k, x in enumerate(points)]
    h = solved(rows, [ONE] * (terms + 1))[-1]
    assert step_bound(points, power) == abs(h)


def solved(rows, right):
    rows = [[*row, side] for row, side in zip(rows, right, strict=True)]
    for i in range(len(rows)):
        pivot = next(k for k in range(i, len(rows)) if rows[k][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [c / rows[i][i] for c in rows[i]]
        for k in range(len(rows)):
            if k != i:
                rows[k] = [a - rows[k][i] * b for a, b in zip(rows[k], rows[i], strict=True)]
    return [row[-1] for row in rows]


def test_steps_follow_each_other():
    """Two steps of one coefficient: the second finds what the best first one leaves, an interval of the same ratio."""
    low = Fraction(1, 4)
    first, second = floors(low, ONE, 2, [[0.0, 1.0], [0.0, 1.0]])
    assert first == Fraction(3, 5)
    assert abs(second - first) < Fraction(1, 2**500)
    assert second <= first
    nodes = [[0.0, 0.25, 1.0], [0.0, 0.5, 1.0]]
    found = floors(low, ONE, 2, nodes)
    width = 2 * found[0] / (1 + found[0])
    expected = step_bound([1 - width, 1 - width / 2, ONE], 2)
    assert found[0] == step_bound([low, 1 - Fraction(3, 4) * Fraction(3, 4), ONE], 2)
    assert abs(found[1] / expected - 1) < Fraction(1, 2**500)
    assert found[1] <= expected


def test_the_width_left_is_rounded_downwards():
    for floor in (Fraction(1, 5), Fraction(1, 7**40), Fraction(1, 3**200)):
        exact = 2 * floor / (1 + floor)
        assert exact * (1 - Fraction(1, 2**511)) <= width_left(floor) < exact
        assert width_left(floor).numerator.bit_length() in (511, 512, 513)
    assert width_left(Fraction(1, 3**1290)) > 0
    assert width_left(Fraction(1, 3**1290)).denominator.bit_length() <= composition.GRID + 1
    assert width_left(Fraction(1, 3**1300)) == 0
    assert width_left(Fraction(0)) == 0


def test_nothing_is_left_of_a_point():
    assert floors(ONE, ONE, 2, [[0.0, 1.0], [0.0, 0.5, 1.0]]) == [0, 0]


@pytest.mark.parametrize("numerator", [1, 2, 5])
def test_final_floor(numerator):
    """The best scale of [m, M] centres the powers of the ends."""
    for floor in (Fraction(0), Fraction(1, 10), HALF):
        low, high = (1 - floor) ** numerator, (1 + floor) ** numerator
        assert final_floor(floor, numerator) == (high - low) / (high + low)


def test_any_nodes_prove_a_true_bound():
    rng = np.random.default_rng(3)
    best = minimax.root_schedule(3, lower=0.01, steps=2, terms=(2, 3))
    for _ in range(20):
        nodes = [np.sort(rng.uniform(0, 1, size)).tolist() for size in (3, 4)]
        assert 0 <= floors(Fraction(best.lower), Fraction(best.upper), 3, nodes)[-1] <= best.certificate.value


# ------------------------------------------------------------------ ranges


@pytest.mark.parametrize("seed", range(12))
def test_ranges_enclose_and_are_sharp(seed):
    rng = np.random.default_rng(seed)
    power, terms = int(rng.integers(1, 4)), int(rng.integers(1, 6))
    row = rng.standard_normal(terms).tolist()
    low, high = (Fraction(float(end)) for end in np.sort(rng.uniform(-1.2, 1.2, 2)))
    least, largest = image(row, power, (low, high))
    x = np.linspace(float(low), float(high), 20001)
    y = sum(c * x ** (power * k + 1) for k, c in enumerate(row))
    slack = 1e-14 + 1e-7 * (y.max() - y.min())
    assert y.min() - slack <= least <= y.min() + 1e-14
    assert y.max() - 1e-14 <= largest <= y.max() + slack
    for point in (low, high, (low + high) / 2):
        assert least <= sum(Fraction(c) * point ** (power * k + 1) for k, c in enumerate(row)) <= largest


@pytest.mark.parametrize("depth", [0, 1, 2, 4])
def test_ranges_enclose_whatever_the_depth(monkeypatch, depth):
    """A coarse end of the bisection: the bound is the largest of all cells that are left."""
    monkeypatch.setattr(composition, "DEPTH", depth)
    rng = np.random.default_rng(depth)
    x = np.linspace(0.1, 1.2, 4001)
    for _ in range(25):
        row = (np.polynomial.chebyshev.cheb2poly([0.0] * 9 + [1.0])[1::2] * rng.uniform(0.9, 1.1, 5)).tolist()
        least, largest = image(row, 2, (Fraction(0.1), Fraction(1.2)))
        y = sum(c * x ** (2 * k + 1) for k, c in enumerate(row))
        assert least <= y.min() + 1e-9
        assert largest >= y.max() - 1e-9
        least, largest = image(row, 2, (Fraction(0.1), Fraction(0.97)))
        y = y[x <= 0.97]
        assert least <= y.min() + 1e-9
        assert largest >= y.max() - 1e-9


def test_ranges_of_monotone_steps_are_those_of_their_ends():
    third = Fraction(1, 3)
    least, largest = image([1.0, 1.0], 2, (third, ONE))
    assert largest == 2
    exact = third + third**3
    assert exact * (1 - Fraction(1, 2**510)) <= least <= exact
    least, largest = image([-1.0, -1.0], 2, (third, ONE))
    assert least == -2
    assert -exact <= largest <= -exact * (1 - Fraction(1, 2**510))


def test_an_inner_extremum_is_sharp_to_64_digits_of_the_spread():
    """``1.5 x - 0.5 x**3`` has its maximum 1 at 1; ``3 x - 4 x**3`` the same at 1/2."""
    for row, interval in (([1.5, -0.5], (HALF, Fraction(6, 5))), ([3.0, -4.0], (Fraction(1, 3), Fraction(4, 5)))):
        largest = image(row, 2, interval)[1]
        assert 1 <= largest <= 1 + Fraction(1, 2**60)
        least = image([-c for c in row], 2, interval)[0]
        assert -1 - Fraction(1, 2**60) <= least <= -1


def bisected(control, depth):
    """Largest value, level by level, in averages of rationals; the spread of the start decides where it ends."""
    cells, best = [[Fraction(c) for c in control]], Fraction(max(control[0], control[-1]))
    slack = Fraction(max(control) - min(control), 2**depth)
    while cells := [cell for cell in cells if max(cell) > best]:
        bound = max(max(cell) for cell in cells)
        if bound <= best + slack:
            return bound
        halves = []
        for cell in cells:
            rows = [cell]
            while len(rows[-1]) > 1:
                rows.append([(a + b) / 2 for a, b in itertools.pairwise(rows[-1])])
            halves += [[row[0] for row in rows], [row[-1] for row in reversed(rows)]]
        cells, best = halves, max(best, *(end for half in halves for end in (half[0], half[-1])))
    return best


@pytest.mark.parametrize("depth", [0, 1, 2, 3, 9, 64])
def test_the_bisection_ends_as_soon_as_it_may(monkeypatch, depth):
    monkeypatch.setattr(composition, "DEPTH", depth)
    rng = np.random.default_rng(depth)
    controls = [[0, 4, 0], [-1, 3, -1], [2, 5, 1], [0, 3, -1], [1, 3, 0], [7], [3, 3, 3], [5, 1, 2], [2, 1, 5]]
    controls += [rng.integers(-50, 50, int(rng.integers(2, 8))).tolist() for _ in range(30)]
    for control in controls:
        assert composition._maximum(control) == bisected(control, depth)


def test_halves_and_control_coefficients():
    a, b, c, d = control = [3, -5, 11, 2]
    middle = a + 3 * b + 3 * c + d
    left, right = composition._halves(control)
    assert left == [8 * a, 4 * (a + b), 2 * (a + 2 * b + c), middle]
    assert right == [middle, 2 * (b + 2 * c + d), 4 * (c + d), 8 * d]
    low, high = Fraction(2, 3), Fraction(7, 5)
    for degree in range(5):
        monomial = [Fraction(0)] * degree + [Fraction(3)]
        expected = [3 * low ** (degree - j) * high**j for j in range(degree + 1)]
        assert composition._bernstein(monomial, low, high) == expected
    assert composition._bernstein([ONE, ONE, ONE], low, high) == [
        1 + low + low**2, 1 + (low + high) / 2 + low * high, 1 + high + high**2
    ]  # fmt: skip


@pytest.mark.parametrize("sign", [1, -1])
def test_ends_keep_512_bits_and_none_below_the_grid(sign):
    for number in (
        Fraction(10**300, 7),
        Fraction(1, 3),
        Fraction(7**250, 3**200),
        Fraction(1, 3**900),
        Fraction(1, 3**1280),
    ):
        bits = composition.BITS - number.numerator.bit_length() + number.denominator.bit_length()
        spacing = Fraction(1, 2) ** min(bits, composition.GRID)
        below, above = (composition._rounded(sign * number, up=up) for up in (False, True))
        assert below < sign * number < above
        assert above - below == spacing
        assert (below / spacing).denominator == 1
        assert composition._rounded(below, up=False) == composition._rounded(below, up=True) == below


def test_a_constant_range_and_a_point():
    assert image([0.0, 0.0], 2, (HALF, ONE)) == (0, 0)
    assert image([1.0], 4, (HALF, HALF)) == (HALF, HALF)
    assert image([2.0, 1.0], 1, (HALF, HALF)) == (Fraction(5, 4), Fraction(5, 4))


def test_images_are_widened_by_the_noise():
    noise = Fraction(1, 8)
    found = images([[2.0], [0.5]], 2, HALF, ONE, noise)
    assert found == [(HALF, ONE), (1 - noise, 2 + noise), ((1 - noise) / 2 - noise, (2 + noise) / 2 + noise)]
    assert images([[1.0]], 1, HALF, HALF, Fraction(0)) == [(HALF, HALF), (HALF, HALF)]


def test_ends_near_zero_are_rounded_outwards():
    tiny = Fraction(5e-324)
    for step, (low, high) in enumerate(images([[0.0, 1.0]] * 4, 12, tiny, 2 * tiny, Fraction(0))):
        assert 0 <= low <= (tiny ** (13**step))
        assert high >= (2 * tiny) ** (13**step) if step < 3 else high > 0
        assert high.denominator.bit_length() <= composition.GRID + 1


def test_error():
    error = composition.error
    assert error((HALF, Fraction(5, 4)), 1) == HALF
    assert error((Fraction(3, 4), Fraction(3, 2)), 1) == HALF
    assert error((HALF, Fraction(3, 2)), 2) == Fraction(5, 4)
    assert error((Fraction(-3, 4), Fraction(-1, 2)), 2) == Fraction(3, 4)
    assert error((Fraction(-1, 2), Fraction(-1, 4)), 1) == Fraction(3, 2)
    assert error((Fraction(-1, 100), ONE), 2) == 1
    assert error((Fraction(-1), ONE), 2) == 1
    assert error((Fraction(0), ONE), 1) == 1
    assert error((Fraction(-1), Fraction(0)), 2) == 1
    assert error((Fraction(-1), Fraction(3)), 1) == 2


def test_roundings_to_floats():
    third = Fraction(1, 3)
    assert composition.downwards(third) < third < composition.upwards(third)
    assert math.nextafter(composition.downwards(third), 1.0) == composition.upwards(third)
    for number in (0.0, 0.1, -2.5, 5e-324):
        assert composition.downwards(Fraction(number)) == composition.upwards(Fraction(number)) == number
    assert (composition.downwards(Fraction(1, 2**2000)), composition.upwards(Fraction(1, 2**2000))) == (0.0, 5e-324)


# ------------------------------------------------------------------ hypotheses


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (floors, (Fraction(0), ONE, 2, [[0.0, 1.0]]), "lower must be above 0"),
        (floors, (-HALF, ONE, 2, [[0.0, 1.0]]), "lower must be above 0"),
        (floors, (Fraction(2), ONE, 2, [[0.0, 1.0]]), "lower must be above 0"),
        (floors, (HALF, ONE, 0, [[0.0, 1.0]]), "power must be from 1 to 12"),
        (floors, (HALF, ONE, 13, [[0.0, 1.0]]), "power must be from 1 to 12"),
        (floors, (HALF, ONE, True, [[0.0, 1.0]]), "power must be a whole number"),
        (floors, (HALF, ONE, 2.0, [[0.0, 1.0]]), "power must be a whole number"),
        (floors, (HALF, ONE, 2, [[0.0]]), "must be at least two"),
        (floors, (HALF, ONE, 2, [[0.0, 0.0]]), "increase"),
        (floors, (HALF, ONE, 2, [[0.5, 0.25, 1.0]]), "increase"),
        (floors, (ONE, ONE, 2, [[1.0, 0.0]]), "the nodes of a step must be at least two, and increase"),
        (floors, (HALF, ONE, 2, [[0.0, 1.0 + 2**-52]]), "a node must be"),
        (floors, (HALF, ONE, 2, [[-(2.0**-60), 1.0]]), "a node must be"),
        (floors, (HALF, ONE, 2, [[0.0, 2.0**-401]]), "a node above 0"),
        (floors, (HALF, ONE, 2, [[math.nan, 1.0]]), "a node must be"),
        (floors, (HALF, ONE, 2, [[False, True]]), "a node must be a real number"),
        (floors, (HALF, ONE, 2, [[0j, 1.0]]), "a node must be a real number"),
        (floors, (HALF, ONE, 2, [["0", "1"]]), "a node must be a real number"),
        (floors, (HALF, ONE, 2, [[k / 9 for k in range(10)]]), "1 to 9 items"),
        (floors, (HALF, ONE, 2, [[0.0, 1.0]] * 101), "1 to 100 items"),
        (floors, (HALF, ONE, 2, []), "1 to 100 items"),
        (floors, (HALF, ONE, 2, None), "nodes must be a list"),
        (floors, (HALF, ONE, 2, [0.0, 1.0]), "the nodes of a step must be a list"),
        (floors, (HALF, ONE, 2, "nodes"), "nodes must be a list"),
        (step_bound, ([Fraction(0), ONE], 2), "increase"),
        (step_bound, ([-ONE, ONE], 2), "increase"),
        (step_bound, ([ONE], 2), "at least two"),
        (images, ([[1.0]], 2, Fraction(0), ONE, Fraction(0)), "lower must be above 0"),
        (images, ([[1.0]], 2, ONE, HALF, Fraction(0)), "lower must be above 0"),
        (images, ([[1.0]], 2, HALF, ONE, Fraction(-1, 10**9)), "noise must be at least 0"),
        (images, ([[1.0]], 0, HALF, ONE, Fraction(0)), "power must be from 1"),
        (images, ([[1.0]], 13, HALF, ONE, Fraction(0)), "power must be from 1"),
        (images, ([[1.0] * 9], 2, HALF, ONE, Fraction(0)), "1 to 8 items"),
        (images, ([[]], 2, HALF, ONE, Fraction(0)), "1 to 8 items"),
        (images, ([[1.0]] * 101, 2, HALF, ONE, Fraction(0)), "1 to 100 items"),
        (images, ([[math.inf]], 2, HALF, ONE, Fraction(0)), "a coefficient must be"),
        (images, ([[1j]], 2, HALF, ONE, Fraction(0)), "a coefficient must be"),
        (composition.error, ((HALF, ONE), 0), "numerator must be from 1"),
        (composition.error, ((HALF, ONE), 13), "numerator must be from 1"),
        (final_floor, (HALF, 0), "numerator must be from 1"),
        (final_floor, (HALF, 13), "numerator must be from 1"),
        (final_floor, (HALF, True), "numerator must be a whole number"),
    ],
)
def test_every_hypothesis_is_asked(function, arguments, message):
    with pytest.raises(VerificationError, match=message):
        function(*arguments)


def test_the_limits_themselves_are_allowed():
    assert len(floors(HALF, ONE, 12, [[0.0, 1.0]] * 100)) == 100
    assert len(floors(HALF, ONE, 1, [[k / 8 for k in range(9)]])) == 1
    assert floors(HALF, ONE, 2, [[0.0, 2.0**-400]])[0] > 0
    assert len(images([[1.0]] * 100, 12, HALF, HALF, Fraction(0))) == 101
    assert images([[1.0] * 8], 1, HALF, HALF, Fraction(0))[-1][0] > 0
    assert composition.error((ONE, ONE), 12) == final_floor(Fraction(0), 12) == 0


def test_what_no_float_holds_is_refused():
    for table in ([[1e300], [1e300]], [[-1e300], [1e300]], [[1e300, 1e300]] * 100, [[0.0, 1e308]] * 100):
        with pytest.raises(RangeError, match="beyond the range"):
            images(table, 2, HALF, ONE, Fraction(0))
    with pytest.raises(RangeError, match="beyond the range"):
        composition.error((ONE, Fraction(10) ** 200), 2)
    largest = Fraction(sys.float_info.max)
    assert images([[1.0]], 1, HALF, largest, Fraction(0))[-1][1] == largest


# ------------------------------------------------------------------ answers


@pytest.fixture(scope="module")
def schedule():
    return minimax.msign_schedule(0.1, 2, (3, 5))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lower", True), ("lower", 0.0), ("lower", math.nan), ("lower", "0.1"), ("upper", 0.05), ("upper", math.inf),
        ("upper", 1e61), ("upper", 1 + 0j), ("power", 2.0), ("power", 0), ("power", 13), ("power", True),
        ("numerator", 0), ("numerator", 10**30), ("noise", -1e-9), ("noise", math.nan), ("noise", False),
        ("table", None), ("table", [[1.5, -0.5, 0.0]] * 2), ("table", np.ones((2, 3), dtype=complex)),
        ("table", np.ones((2, 3), dtype=np.int64)), ("table", np.ones((2, 3), dtype=np.float32)), ("table", np.ones(3)),
        ("table", np.ones((2, 3))), ("table", np.ones((101, 3))), ("table", np.ones((2, 9))),
        ("table", np.ones((0, 3))), ("table", np.full((2, 3), np.nan)), ("terms", None),
        ("terms", np.array([2.0, 3.0])), ("terms", np.array([2])),
        ("terms", np.array([[2, 3]])), ("terms", np.array([2, 4])), ("terms", np.array([0, 3])),
        ("terms", np.array([True, True])), ("terms", np.array([2 - 2**63, 3])), ("terms", np.array([1, 3])),
    ],
)  # fmt: skip
def test_fields_of_the_wrong_kind_are_refused(schedule, field, value):
    with pytest.raises(VerificationError):
        infimum.verify(dataclasses.replace(schedule, **{field: value}), 0.1)


@pytest.mark.parametrize("nodes", [None, [], [[0.0, 1.0]], [[0.0, 0.5, 1.0]] * 2, [[0.0, 0.5, 1.0]] * 3, [[1], [2]]])
def test_witnesses_of_the_wrong_kind_are_refused(schedule, nodes):
    for witness in ({"nodes": nodes}, {}):
        forged = dataclasses.replace(schedule.certificate, witness=witness)
        with pytest.raises(VerificationError):
            infimum.verify(dataclasses.replace(schedule, certificate=forged), 0.1)


def test_claims_on_the_unsafe_side_are_refused():
    """However small: a claim of 0 for an error of 1e-155 was accepted once."""
    for arguments in ((0.5, 8, 9), (0.1, 2, 5), (1.0, 1, 3)):
        honest = minimax.msign_schedule(*arguments)
        claim = honest.certificate
        assert infimum.verify(honest, arguments[0]) == claim
        lies = [(0.0, 0.0), (math.nextafter(claim.value, 0.0), claim.lower_bound)]
        lies += [(claim.value, math.nextafter(claim.lower_bound, 1.0))]
        for value, bound in lies:
            if bound <= value and (value, bound) != (claim.value, claim.lower_bound):
                certificate = dataclasses.replace(claim, value=value, lower_bound=bound)
                with pytest.raises(VerificationError):
                    infimum.verify(dataclasses.replace(honest, certificate=certificate), arguments[0])


def test_another_input_is_refused(schedule):
    for lower in (0.2, math.nextafter(0.1, 1.0), True, "0.1", math.nan):
        with pytest.raises(VerificationError):
            infimum.verify(schedule, lower)


def test_ranges_come_from_the_bernstein_form_of_the_least_degree():
    """An inner extremum is met to 64 digits, not exactly: where the bisection ends depends on the degree."""
    cases = [([3.0, -4.0], 2, (Fraction(1, 3), Fraction(4, 5))), ([1.5, -0.75, 0.3], 3, (HALF, Fraction(7, 5)))]
    for row, power, (low, high) in [*cases, ([2.0, -1.0], 1, (Fraction(1, 7), Fraction(9, 5)))]:
        monomial = [Fraction(0)] * (power * (len(row) - 1) + 2)
        for k, c in enumerate(row):
            monomial[power * k + 1] = Fraction(c)
        control = composition._bernstein(monomial, low, high)
        scale = math.lcm(*(c.denominator for c in control))
        whole = [int(c * scale) for c in control]
        largest, least = bisected(whole, 64) / scale, -bisected([-c for c in whole], 64) / scale
        expected = (composition._rounded(least, up=False), composition._rounded(largest, up=True))
        assert image(row, power, (low, high)) == expected


def test_every_step_starts_from_what_the_one_before_has_left():
    nodes = [[0.0, 0.25, 1.0], [0.0, 0.5, 1.0], [0.0, 0.75, 1.0], [0.0, 1.0]]
    found = floors(Fraction(1, 10), Fraction(2), 2, nodes)
    width = 1 - Fraction(1, 20)
    for floor, marks in zip(found, nodes, strict=True):
        assert floor == step_bound([1 - width * (1 - Fraction(mark)) for mark in marks], 2)
        width = width_left(floor)
