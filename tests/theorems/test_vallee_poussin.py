"""De la Vallée-Poussin's bound against other quotients, and each of its hypotheses broken once."""

import math

import numpy as np
import pytest

from infimum.errors import VerificationError
from infimum.proof.enclosure.balls import working
from infimum.proof.theorems.vallee_poussin import THEOREM, lower_bound, points_needed

ENDS = (-1.0, 1.0)


def bound(points, errors, needed, *domain, below=None):
    with working(64) as flint:
        balls = (
            [b if isinstance(b, flint.arb) else flint.arb(b) for b in row] for row in (errors, below or errors[:0])
        )
        e, q = balls
        return lower_bound(points, domain or (ENDS,), e, q if below else [flint.arb(1)] * len(e), needed)


def test_name():
    assert THEOREM == "vallee_poussin"


@pytest.mark.parametrize(
    ("type_", "degrees", "needed"),
    [((3, 3), (2, 2), 7), ((3, 3), (3, 2), 8), ((3, 3), (3, 3), 8), ((0, 0), (0, 0), 2), ((4, 1), (1, 0), 6),
     ((1, 4), (0, 1), 6), ((5, 2), (2, 2), 9), ((2, 5), (2, 1), 9), ((0, 2), (-1, 0), 2), ((3, 3), (-1, 0), 5),
     ((3, 3), (-1, 2), 7)],
)  # fmt: skip
def test_number_of_points(type_, degrees, needed):
    """The zeros of ``P q - p Q`` are at most its degree."""
    assert points_needed(type_, degrees) == needed


@pytest.mark.parametrize(
    ("type_", "degrees"),
    [((3, 3), (4, 3)), ((3, 3), (3, 4)), ((3, 3), (-2, 0)), ((3, 3), (0, -1)), ((0, 0), (1, 0)), ((0, 0), (0, 1))],
)
def test_degrees_beyond_the_type_are_refused(type_, degrees):
    with pytest.raises(VerificationError, match="degrees up to"):
        points_needed(type_, degrees)


def test_the_smallest_error_counts():
    points = [-1.0, 0.0, 1.0]
    assert bound(points, [1.0, -2.0, 3.0], 3) == 1.0
    assert bound(points, [-3.0, 1.5, -2.0], 3) == 1.5
    assert bound(points, [3.0, -2.0, 1.0], 2) == 1.0
    assert bound([0.5], [-0.25], 1) == 0.25


def test_errors_over_a_power_of_x_alternate():
    with working(64) as flint:
        errors, ones = [flint.arb(e) for e in (1.0, -2.0, -3.0, 4.0)], [flint.arb(1)] * 4
        points = [-1.0, -0.5, 0.25, 1.0]
        assert lower_bound(points, (ENDS,), errors, ones, 4, 1) == 1.0
        assert lower_bound(points, (ENDS,), errors, ones, 4, 3) == 1.0
        assert lower_bound(points, (ENDS,), errors, ones, 4, 2) == 0.0
        assert lower_bound(points, (ENDS,), errors, ones, 4) == 0.0
        errors[1] = -errors[1]
        errors[0] = -errors[0]
        for start, found in ((0, 1.0), (1, 0.0), (2, 1.0)):
            assert lower_bound(points, (ENDS,), errors, ones, 4, start) == found
        assert lower_bound([-1.0, 0.0, 1.0], (ENDS,), [flint.arb(e) for e in (1.0, -1.0, 1.0)], ones[:3], 2, 2) == 0.0


def test_the_modulus_is_rounded_downwards():
    with working(64) as flint:
        third = flint.arb(1) / 3
        found = bound([0.0, 1.0], [third, -third], 2)
        assert found <= third
        assert math.nextafter(found, 1.0) > third
        wide = flint.arb(1.0, 0.25)
        assert bound([0.0, 1.0], [wide, -2 * wide], 2) == pytest.approx(0.75, abs=1e-8)
        assert bound([0.0, 1.0], [wide, -2 * wide], 2) <= 0.75


def test_too_few_points_or_equal_signs_prove_nothing():
    points = [-1.0, 0.0, 1.0]
    assert bound(points, [1.0, -2.0, 3.0], 4) == 0.0
    assert bound(points, [1.0, 2.0, -3.0], 3) == 0.0
    assert bound(points, [1.0, -2.0, -3.0], 3) == 0.0
    assert bound(points, [-1.0, -2.0, 3.0], 3) == 0.0
    assert bound(points, [0.0, -2.0, 3.0], 3) == 0.0
    for pair in ([0.5, 0.75], [2.0, 0.5], [0.5, 2.0], [-0.5, -2.0], [-2.0, -0.5]):
        assert bound([0.0, 1.0], pair, 2) == 0.0
    assert bound(points, [1.0, -2.0, 0.0], 3) == 0.0
    with working(64) as flint:
        assert bound(points, [1.0, flint.arb(0, 1e-3), 1.0], 3) == 0.0
        assert bound(points, [1.0, flint.arb(-1, 2), 1.0], 3) == 0.0
        assert bound(points, [1.0, flint.arb.nan(), 1.0], 3) == 0.0


@pytest.mark.parametrize(
    ("points", "interval"),
    [([-1.0, 0.0, 0.0], ENDS), ([0.0, -1.0, 1.0], ENDS), ([-1.0, 0.0, 1.5], ENDS), ([-1.5, 0.0, 1.0], ENDS),
     ([-1.0, 0.0, math.nan], ENDS), ([-1.0, 1.0], ENDS), ([-1.0, 0.0, 0.5, 1.0], ENDS), ([0.0, 0.5, 1.0], (0.1, 1.0)),
     ([0.0, 0.5, 1.0], (0.0, 0.9))],
)  # fmt: skip
def test_the_points_must_be_increasing_and_inside(points, interval):
    with pytest.raises(VerificationError, match="increasing points"):
        bound(points, [1.0, -1.0, 1.0], 3, interval)


def test_points_may_lie_in_any_interval_of_the_domain():
    parts = ((-1.0, -0.5), (0.5, 1.0))
    assert bound([-1.0, -0.5, 0.5, 1.0], [1.0, -2.0, 3.0, -4.0], 4, *parts) == 1.0
    with pytest.raises(VerificationError, match="increasing points"):
        bound([-1.0, 0.0, 1.0], [1.0, -2.0, 3.0], 3, *parts)


@pytest.mark.parametrize("below", [[1.0, -1.0, 1.0], [-1.0, -1.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, math.nan]])
def test_the_denominator_must_have_one_sign(below):
    points, errors = [-1.0, 0.0, 1.0], [1.0, -2.0, 3.0]
    assert bound(points, errors, 3, below=[-1.0, -2.0, -0.5]) == 1.0
    assert bound(points, errors, 3, below=below) == 0.0
    with pytest.raises(VerificationError, match="2 denominators"):
        bound(points, errors, 3, below=[1.0, 1.0])


def test_no_other_quotient_of_the_type_is_better():
    """exp against its Padé quotient plus a shift: thousands of others of type (1, 1) have larger errors."""
    rng = np.random.default_rng(0)
    x = np.linspace(-1.0, 1.0, 201)
    points = [-1.0, -0.2226, 0.6997, 1.0]

    def quotient(c, at):
        return (c[0] + c[1] * at) / (1.0 + c[2] * at)

    near = np.array([1.017, 0.5175, -0.4398])
    errors = np.exp(points) - quotient(near, np.array(points))
    floor = bound(points, errors.tolist(), points_needed((1, 1), (1, 1)))
    assert floor > 0.01
    least = min(
        np.max(np.abs(np.exp(x) - quotient(near + scale * rng.standard_normal(3), x)))
        for scale in (1e-3, 1e-2, 3e-2)
        for _ in range(800)
    )
    assert floor <= least


def test_no_quotient_with_a_constant_above_is_better_than_none():
    """x**3 against 0: two points bound all of type (0, 2), and what others reach is not below the bound."""
    rng = np.random.default_rng(1)
    x = np.linspace(-1.0, 1.0, 201)
    floor = bound([-1.0, 1.0], [-1.0, 1.0], points_needed((0, 2), (-1, 0)))
    assert floor == 1.0
    for c in rng.standard_normal((500, 3)):
        below = 1.0 + 0.3 * c[1] * x + 0.3 * c[2] * x**2
        if np.all(below > 0.0):
            assert floor <= np.max(np.abs(x**3 - 0.1 * c[0] / below))
