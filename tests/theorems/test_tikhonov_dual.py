"""The Tikhonov dual: attained by Tikhonov's inverse, hypotheses asked, allowances of the size on the page."""

import math

import flint
import numpy as np
import pytest

from infimum._arrays import working
from infimum.errors import VerificationError
from infimum.proof.theorems.tikhonov_dual import THEOREM, dual_value, lower_bound, spectrum

EPS = 2.0**-52


def attained(s, mu, rows):
    """Optimum, to hundreds of digits, and a radius at or above that for which `mu` is the best multiplier."""
    with flint.ctx.workprec(400):
        m, values = flint.arb(mu), [flint.arb(v) for v in s]
        best = sum(((m / (v * v + m)) ** 2 for v in values), flint.arb(rows - len(s)))
        radius = sum(((v / (v * v + m)) ** 2 for v in values), flint.arb(0)).sqrt()
        return best.sqrt(), np.nextafter(float(radius.mid()), np.inf)


def test_never_above_the_optimum_and_attained_at_the_best_multiplier():
    rng = np.random.default_rng(0)
    for _ in range(300):
        p = int(rng.integers(1, 6))
        rows = p + int(rng.integers(0, 3))
        s = 10.0 ** rng.uniform(-6.0, 1.0, p)
        mu = float(10.0 ** rng.uniform(-9.0, 1.0))
        best, radius = attained(s, mu, rows)
        for factor in (1.0, 0.3, 3.0, 1e-6, 0.0):
            bound = lower_bound(s, rows, radius, factor * mu)
            with flint.ctx.workprec(400):
                assert flint.arb(bound) <= best
        assert lower_bound(s, rows, radius, mu) >= float(best.mid()) * (1.0 - 1e-9) - 1e-7


def test_known_cases():
    assert lower_bound(np.array([1.0]), 5, 0.0, 0.0) == pytest.approx(2.0, rel=1e-13)  # four rows out of reach
    assert lower_bound(np.array([1.0, 1.0]), 2, 0.0, 1e12) == pytest.approx(math.sqrt(2.0), rel=1e-9)  # B = 0
    assert lower_bound(np.array([1.0, 1.0]), 2, 10.0, 0.0) == 0.0
    assert lower_bound(np.array([1.0]), 1, 100.0, 1.0) == 0.0  # what is paid exceeds what is reached
    assert lower_bound(np.array([0.0]), 1, 0.0, 1.0) == pytest.approx(1.0, rel=1e-13)
    assert lower_bound(np.array([2.0]), 1, 0.25, 4.0) == pytest.approx(0.5, rel=1e-13)  # 1/2 - 4/16


def test_scales_beyond_all_range_give_no_bound_and_no_error():
    assert lower_bound(np.array([1.0]), 1, 1e300, 1.0) == 0.0
    assert lower_bound(np.array([1e300]), 1, 0.0, 5e-324) == 0.0
    tiny = lower_bound(np.array([1e-170]), 1, 0.0, 1e-322)  # whose squares are subnormal, or 0
    assert tiny <= math.sqrt(1e-322 / (1e-322 + 1e-340))


@pytest.mark.parametrize("room", [1.0, 3.0, 1e9])
def test_allowance_has_the_size_on_the_page(room):
    s, rows, radius, mu = np.array([3.0, 0.5, 0.25]), 5, 0.7, 0.2
    reached, paid = sum(mu / (v * v + mu) for v in s), mu * radius**2
    rounding = 4.0 * (3 + 4) * EPS * (2.0 + reached + paid)
    expected = math.sqrt(2.0 + reached - paid - room * rounding) * (1.0 - room * 2.0**-50)
    assert lower_bound(s, rows, radius, mu, room) == pytest.approx(expected, rel=4e-16 if room < 10 else 1e-9, abs=0)


def test_without_the_allowance_the_bound_would_be_false():
    """Computed, what is reached less what is paid lies above the truth; the answer's own loss would be below it."""
    rng, wrong = np.random.default_rng(1), 0
    for _ in range(200):
        s, mu = 10.0 ** rng.uniform(-1.0, 1.0, 6), float(rng.uniform(0.1, 1.0))
        with flint.ctx.workprec(400):
            whole = sum((flint.arb(mu) / (flint.arb(v) ** 2 + mu) for v in s), flint.arb(0))
            radius = float(((whole / mu).sqrt() * (1 - flint.arb(2) ** -44)).mid())  # nearly all of it is paid
            truth = whole - flint.arb(mu) * flint.arb(radius) ** 2
            assert flint.arb(lower_bound(s, 6, radius, mu)) ** 2 <= truth
            wrong += bool(flint.arb(lower_bound(s, 6, radius, mu, room=0.0)) ** 2 > truth)
    assert wrong > 20


def test_spectrum_and_its_allowance():
    A = np.random.default_rng(2).standard_normal((30, 4))
    scaled = working(A)
    values, allowance = spectrum(scaled)
    assert np.allclose(values, np.linalg.svd(scaled.array, compute_uv=False), rtol=1e-13)
    assert allowance == pytest.approx((200.0 + 16.0 * math.sqrt(30.0)) * EPS * values[0], rel=1e-12)
    given, other = spectrum(scaled, np.array([7.0, 1.0]))
    assert given.tolist() == [7.0, 1.0]
    assert other == pytest.approx(allowance * 7.0 / values[0])
    assert spectrum(working(A * (1 + 1j)))[1] > 1.9 * allowance  # complex products round more often
    assert THEOREM == "tikhonov_dual"


@pytest.mark.parametrize("mu", [-1.0, -5e-324, math.nan, math.inf, True, 1j, "1", None, np.array([1.0]), 10**400])
def test_multiplier_is_asked(mu):
    with pytest.raises(VerificationError, match="mu must be"):
        lower_bound(np.array([1.0]), 2, 1.0, mu)


@pytest.mark.parametrize("radius", [-1e-300, math.nan, math.inf, False, 1j])
def test_radius_is_asked(radius):
    with pytest.raises(VerificationError, match="radius must be"):
        lower_bound(np.array([1.0]), 2, radius, 1.0)


@pytest.mark.parametrize(
    "above",
    [np.ones(3), np.zeros(0), np.array([1.0, -1e-300]), np.array([1j]), np.array([math.nan]), np.ones((1, 1)), [1.0]],
)
def test_singular_values_are_asked(above):
    with pytest.raises(VerificationError, match="singular values"):
        lower_bound(above, 2, 1.0, 1.0)


def test_one_allowance_is_the_default():
    s = np.array([3.0, 0.5])
    assert lower_bound(s, 4, 0.7, 0.2) == lower_bound(s, 4, 0.7, 0.2, 1.0) == dual_value(s, 4, 0.7, 0.2)
    assert lower_bound(s, 4, 0.7, 0.2, 1e9) < lower_bound(s, 4, 0.7, 0.2)
