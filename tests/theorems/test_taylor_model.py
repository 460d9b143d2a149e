"""Taylor models and balls: enclosures against exact values, and the size of every bound pinned."""

import itertools
import math
import random
from fractions import Fraction

import numpy as np
import pytest

from infimum.proof.enclosure import taylor_model as tm
from infimum.proof.enclosure.balls import LARGEST, float_above, float_below, hull, working
from infimum.proof.enclosure.taylor_model import Cell, Model

S = [Fraction(k, 7) for k in range(-7, 8)]


@pytest.fixture(autouse=True)
def flint():
    with working(128, 20) as module:
        yield module


def exact(ball):
    mantissa, exponent = (int(part) for part in ball.man_exp())
    return mantissa * Fraction(2) ** exponent


def model(flint, coefficients, tail):
    return Model([flint.arb(c) for c in coefficients], flint.arb(tail))


def encloses(found, function, slack=0):
    """Whether ``|e(s) - sum c_i s^i| <= tail |s|^order``, with what rounding of the coefficients may add."""
    order = len(found.coefficients)
    for s in S:
        near = sum(exact(c.mid()) * s**i for i, c in enumerate(found.coefficients))
        spread = sum(exact(c.rad()) * abs(s) ** i for i, c in enumerate(found.coefficients))
        allowed = exact(found.tail.upper()) * (abs(s) ** order if order > 1 else 1)
        if abs(function(s) - near) > allowed + spread + slack:
            return False
    return True


def polynomial(coefficients):
    return lambda s: sum(Fraction(c) * s**i for i, c in enumerate(coefficients))


A, B = [1.0, -2.0, 0.5, 3.0, -0.25], [2.0, 0.25, -1.0, 0.125, 1.0]


def test_a_polynomial_and_its_rest(flint):
    for order in range(1, 7):
        found = tm.of_polynomial([flint.arb(c) for c in A], order)
        assert len(found.coefficients) == min(order, 5)
        assert exact(found.tail) == sum(abs(Fraction(c)) for c in A[order:])
        assert encloses(found, polynomial(A))


def test_shortened(flint):
    full = model(flint, A, 0.5)
    for order in (1, 2, 4):
        found = tm.shortened(full, order)
        assert [float(c) for c in found.coefficients] == A[:order]
        assert float(found.tail) == 0.5 + sum(map(abs, A[order:]))
    for order in (5, 6):
        assert tm.shortened(full, order) is full


def test_difference(flint):
    found = tm.difference(model(flint, A, 0.5), model(flint, B[:3], 0.25))
    assert [float(c) for c in found.coefficients] == [-1.0, -2.25, 1.5]
    assert float(found.tail) == 0.75 + 3.0 + 0.25


def test_product(flint):
    found = tm.product(model(flint, A[:3], 0.5), model(flint, B[:2], 0.25))
    assert [float(c) for c in found.coefficients] == [2.0, -3.75]
    # the square term of the product, tails times sizes, tail times tail
    assert float(found.tail) == 2.0 * 0.25 + (0.5 + 0.5) * 2.25 + 0.25 * 3.0 + (0.5 + 0.5) * 0.25
    for order in (1, 2, 3, 5):
        a, b = (tm.of_polynomial([flint.arb(c) for c in part], order) for part in (A, B))
        f, g = polynomial(A), polynomial(B)
        assert encloses(tm.product(a, b), lambda s, f=f, g=g: f(s) * g(s))


def test_reciprocal(flint):
    for order in (1, 2, 4):
        g = tm.of_polynomial([flint.arb(c) for c in (3.0, 0.5, -0.25, 0.125)], order)
        f = polynomial((3.0, 0.5, -0.25, 0.125))
        assert encloses(tm.reciprocal(g), lambda s, f=f: 1 / f(s))
    found = tm.reciprocal(model(flint, [2.0, 0.5], 0.25))
    assert [float(c) for c in found.coefficients] == [0.5, -0.125]
    # (1/2 - s/8) (2 + s/2) - 1 = -s^2/16, and the tail times the size of h; over 2 - 1/2 - 1/4
    assert float(found.tail) == pytest.approx((0.0625 + 0.25 * 0.625) / 1.25, rel=1e-12)
    assert exact(found.tail) * Fraction(5, 4) >= Fraction(1, 16) + Fraction(5, 32)


@pytest.mark.parametrize(("coefficients", "tail"), [([1.0, 0.5], 0.5), ([1.0, 1.0], 0.0), ([0.0], 0.0), ([-1.0], 1.0)])
def test_no_reciprocal_where_zero_is_reached(flint, coefficients, tail):
    assert not tm.reciprocal(model(flint, coefficients, tail)).is_finite()


def test_empty_models_say_nothing(flint):
    empty = Model([], flint.arb(1))
    assert not tm.reciprocal(empty).is_finite()
    assert not tm.divided(model(flint, [0.0], 0.0), 1).is_finite()
    assert not tm.divided(model(flint, [2.0**-1000, 1.0], 0.0), 1).is_finite()
    assert not tm.divided(Model([flint.arb(0, 1e-30), flint.arb(1)], flint.arb(0)), 1).is_finite()


def test_divided(flint):
    found = tm.divided(model(flint, [0.0, 3.0, -1.0], 0.5), 1)
    assert [float(c) for c in found.coefficients] == [3.0, -1.0]
    assert float(found.tail) == 0.5


@pytest.mark.parametrize("order", [1, 3, 8])
def test_models_of_functions(flint, order):
    cell = Cell(flint.arb(0.5), flint.arb(0.25))
    found = tm.of_function(lambda u: u.exp(), cell, order)
    assert len(found.coefficients) == order
    for s in (-1.0, -0.3, 0.0, 0.7, 1.0):
        value = (flint.arb(0.5) + flint.arb(0.25) * s).exp()
        near = sum((c * flint.arb(s) ** i for i, c in enumerate(found.coefficients)), flint.arb(0))
        assert abs(value - near).lower() <= found.tail * abs(flint.arb(s)) ** order
    scale = math.exp(0.75) * 0.25**order / math.factorial(order)
    assert 0.99 * scale <= float(found.tail) <= 1.01 * scale


def test_a_function_that_is_not_smooth_has_a_model_of_order_one(flint):
    cell = Cell(flint.arb(0), flint.arb(1))

    def kink(u):
        return flint.arb_series([abs(u[0]), flint.arb(0, 1), *[flint.arb.nan()] * 18])

    found = tm.of_function(kink, cell, 5)
    assert len(found.coefficients) == 1
    assert 1.0 <= float(found.tail.upper()) <= 1.001

    def jump(u):
        return flint.arb_series([flint.arb(0, 1), *[flint.arb.nan()] * 19])

    found = tm.of_function(jump, cell, 5)
    assert len(found.coefficients) == 1
    assert 1.0 <= float(found.tail.upper()) <= 1.001


def largest_by_samples(coefficients, tail):
    order = len(coefficients)
    grid = [k / 500 for k in range(-500, 501)]
    worst = 0.0
    for s in grid:
        value = abs(sum(c * s**i for i, c in enumerate(coefficients)))
        worst = max(worst, value + tail * (abs(s) ** order if order > 1 else 1.0))
    return worst


def test_largest_bounds_and_is_near(flint):
    draw = random.Random(0)
    for _ in range(200):
        size, tail = draw.randint(1, 6), draw.choice((0.0, draw.uniform(0, 1)))
        coefficients = [draw.uniform(-1, 1) for _ in range(size)]
        found = tm.largest(model(flint, coefficients, tail), flint.arb(1))
        assert found >= largest_by_samples(coefficients, tail)
        assert found <= (sum(map(abs, coefficients)) + tail) * (1 + 1e-13)


def test_largest_of_parabolas_is_sharp(flint):
    for c0, c1, c2 in itertools.product((-1.0, 0.0, 0.5), (-1.5, 0.0, 1.0), (-2.0, -0.5, 0.0, 1.0)):
        found = tm.largest(model(flint, [c0, c1, c2], 0.0), flint.arb(1))
        top = largest_by_samples([c0, c1, c2], 0.0)
        assert top <= found <= top * (1 + 1e-5) + 1e-280
    assert tm.largest(model(flint, [5.0, 2.0, -4.0, 1.0], 0.5), flint.arb(1)) == pytest.approx(5 + 4 / (4 * 2.5))
    assert tm.largest(model(flint, [5.0, 6.0, -4.0, 1.0], 0.5), flint.arb(1)) == pytest.approx(5 + 6 - 2.5)


def test_largest_in_units_and_at_the_ends_of_the_range(flint):
    assert tm.largest(model(flint, [3.0, 1.0], 0.5), flint.arb(2)) == pytest.approx(2.25, rel=1e-13)
    assert tm.largest(model(flint, [0.0, 0.0], 0.0), flint.arb(1)) == 0.0
    assert tm.largest(model(flint, [1e200, 0.0, 0.0], 0.0), flint.arb(1)) == math.inf
    assert tm.largest(model(flint, [1e-200, 0.0, 0.0], 0.0), flint.arb(1)) >= 1e-200
    for bad in (flint.arb.nan(), flint.arb.pos_inf()):
        assert tm.largest(Model([flint.arb(1), bad, flint.arb(0)], flint.arb(0)), flint.arb(1)) == math.inf
        assert tm.largest(Model([flint.arb(1)] * 3, bad), flint.arb(1)) == math.inf


def test_floats_about_a_ball(flint):
    draw = random.Random(1)
    for _ in range(200):
        number = Fraction(draw.getrandbits(120), 1) * Fraction(2) ** draw.randint(-1200, 850) * draw.choice((-1, 1))
        ball = flint.arb(flint.fmpz(number.numerator)) / flint.fmpz(number.denominator)
        low, high = float_below(ball), float_above(ball)
        assert Fraction(low) <= number
        assert math.isinf(high) or Fraction(high) >= number
        assert math.isinf(high) or high <= math.nextafter(low, math.inf)
    assert (float_below(flint.arb(2) ** 1024), float_above(flint.arb(-2) ** 1025)) == (LARGEST, -LARGEST)
    assert float_below(-(flint.arb(2) ** 1024)) == -math.inf
    assert (float_below(flint.arb(LARGEST)), float_above(flint.arb(LARGEST))) == (LARGEST, LARGEST)
    assert (float_below(flint.arb(5e-324)), float_below(flint.arb(2) ** -1075)) == (5e-324, 0.0)
    assert math.copysign(1.0, float_above(flint.arb(0))) == 1.0


def test_hull(flint):
    for low, high in ((0.0, 1.0), (-1e300, 1e-300), (0.1, 0.7), (1.0, 1.0), (-5e-324, 5e-324)):
        centre, radius = hull(low, high)
        assert exact(centre) - exact(radius) <= Fraction(low)
        assert exact(centre) + exact(radius) >= Fraction(high)
        assert (
            exact(radius)
            <= (Fraction(high) - Fraction(low)) / 2 * (1 + Fraction(1, 2**20)) + abs(exact(centre)) / 2**100
        )


# ------------------------------------------------------------------ about singular points


def covers(flint, found, function, *, half=False):
    """Whether a model encloses a function of s on [-1, 1] or [0, 1]."""
    order = len(found.coefficients)
    for s in np.linspace(0.0 if half else -1.0, 1.0, 17).tolist():
        place = flint.arb(s)
        near = sum((c * place**i for i, c in enumerate(found.coefficients)), flint.arb(0))
        rest = found.tail * (abs(place) ** order if order > 1 else 1)
        if not abs(function(place) - near).lower() <= rest:
            return False
    return True


def test_quotients_cancel_common_zeros(flint):
    a, b = model(flint, [0.0, 0.0, 3.0, -1.0, 0.5], 0.0), model(flint, [0.0, 2.0, 0.25, 0.0, 0.0], 0.0)
    found = tm.quotient(a, b)
    assert covers(flint, found, lambda s: (3 * s - s**2 + s**3 / 2) / (2 + s / 4))
    assert not tm.quotient(b, a).is_finite()
    assert not tm.quotient(a, model(flint, [0.0, 0.0], 0.0)).is_finite()


@pytest.mark.parametrize("tail", [0.0, 0.01])
def test_compositions_enclose(flint, tail):
    inner = model(flint, [0.5, 0.25, -0.125, 0.0, 0.0625], tail)
    for function in (lambda u: u.exp(), lambda u: u.sin(), lambda u: 1 / (u + 1)):
        found = tm.composed(function, inner)
        assert found.is_finite()
        for sign in (-1, 0, 1):  # the ends of what the rest of the inner model allows

            def value(s, sign=sign, function=function):
                u = 0.5 + s / 4 - s**2 / 8 + s**4 / 16 + sign * flint.arb(tail) * abs(s) ** 5
                return function(flint.arb_series([u]))[0]

            assert covers(flint, found, value)
    assert not tm.composed(lambda u: u.exp(), model(flint, [1.0], 0.5)).is_finite()
    assert not tm.composed(lambda u: u.log(), model(flint, [0.5, 1.0], 0.0)).is_finite()


def test_powers_of_what_vanishes(flint):
    cell, half = Cell(flint.arb(0), flint.arb(1)), Cell(flint.arb(0), flint.arb(1), 2, half=True)
    u = model(flint, [0.0, 0.0, 4.0, 1.0, 0.0], 0.0)

    def root(s):
        return s * (4 + s).sqrt()

    def raised(exponent):
        return lambda v: v.sqrt() if exponent == Fraction(1, 2) else v**3

    found = tm.power(u, Fraction(1, 2), half, raised(Fraction(1, 2)))
    assert found.coefficients[0].is_zero()
    assert covers(flint, found, root, half=True)
    assert covers(flint, tm.power(u, Fraction(3), cell, raised(3)), lambda s: (4 * s**2 + s**3) ** 3)
    assert not tm.power(u, Fraction(1, 2), cell, raised(Fraction(1, 2))).is_finite()  # abs(s) is no power of s
    assert not tm.power(u, Fraction(1, 3), half, raised(3)).is_finite()
    assert not tm.power(u, Fraction(-1), half, raised(3)).is_finite()


def test_signs_on_a_cell(flint):
    assert tm.sign_of(model(flint, [1.0, 1.0], 0.0)) == (1, False)
    assert tm.sign_of(model(flint, [1.0, 0.5], 0.25)) == (1, True)
    assert tm.sign_of(model(flint, [-1.0, 0.5], 0.5)) == (-1, False)
    assert tm.sign_of(model(flint, [1.0, 1.0], 2.0**-60)) == (0, False)
    assert tm.sign_of(model(flint, [0.0], 0.0)) == (1, False)
    assert tm.sign_of(tm.unknown()) == (0, False)


def test_one_of_two(flint):
    found = tm.either(model(flint, [1.0, 0.5], 0.25), model(flint, [-1.0], 0.5))
    assert len(found.coefficients) == 1
    for value in (-1.5, -0.5, 0.25, 1.75):
        assert abs(found.coefficients[0] - value) <= found.tail
    assert not tm.either(tm.unknown(), model(flint, [1.0], 0.0)).is_finite()


def test_halves_of_cells(flint):
    left = Cell(flint.arb(1), flint.arb(-0.5), half=True)
    assert [float(part) for part in left.flat()[:2]] == [0.75, 0.25]
    assert left.flat().flat() == left.flat()
    root = Cell(flint.arb(1), flint.arb(-0.5), 2, half=True)
    assert [float(c) for c in root.polynomial().coeffs()] == [1.0, 0.0, -0.5]
    found = tm.of_function(lambda u: u.exp(), left, 5)
    assert covers(flint, found, lambda s: (1 - s / 2).exp(), half=True)


@pytest.mark.parametrize(
    "c", [[1.0, -0.5, 0.25], [1.0, -0.5, -0.25], [1.0, 0.5, -2.0], [-1.0, 0.5, 0.25], [0.1, 2.0, -3]]
)
def test_half_a_cell_counts_the_sign_of_the_slope(flint, c):
    whole = model(flint, [*c, 0.01], 0.02)
    found = tm.largest(whole._replace(half=True), flint.arb(1))
    s = np.linspace(0.0, 1.0, 2001)
    worst = np.max(np.abs(np.polynomial.polynomial.polyval(s, c)) + 0.01 * s**3 + 0.02 * s**4)
    assert worst <= found * (1 + 1e-15)
    assert found <= tm.largest(whole, flint.arb(1))
    assert found <= np.max(np.abs(np.polynomial.polynomial.polyval(s, c)) + 0.03 * s**2) * (1 + 1e-6)
