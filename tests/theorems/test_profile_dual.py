"""The profile dual against its definition in fractions and random schedules; hypotheses; rounding against the page."""

import math
from fractions import Fraction

import numpy as np
import pytest

from infimum.errors import VerificationError
from infimum.proof.rounding import ROOM
from infimum.proof.theorems import profile_dual
from infimum.proof.theorems.profile_dual import gradients_bound, lower_bound
from infimum.proof.theorems.unrolling import SPACING, WIDE


def problem(seed, steps=6):
    rng = np.random.default_rng(seed)
    target, caps = rng.uniform(0.2, 1.0, steps), rng.uniform(0.05, 0.5, steps)
    rates = rng.uniform(0.0, 1.5, steps) * (rng.random(steps) < 0.8)
    return target.astype(WIDE), caps.astype(WIDE), rates.astype(WIDE)


def definition(target, caps, rates, share, multipliers):
    """The statement on the page, in fractions."""
    p, h, rate = ([Fraction(float(x)) for x in item] for item in (target, caps, rates))
    u = [Fraction(float(x)) for x in multipliers] + [Fraction(0)] * (len(p) - len(multipliers))
    rho = Fraction(share)
    v = sum(x * y for x, y in zip(h, u, strict=True)) / (1 - rho)
    g = [u[j] - rate[j] * (sum(x * y for x, y in zip(h[j:], u[j:], strict=True)) + rho * v) for j in range(len(p))]
    m = min(g)
    return m + sum(x / sum(p) * min(y - m, Fraction(1)) for x, y in zip(p, g, strict=True))


@pytest.mark.parametrize("seed", range(30))
def test_bound_is_its_definition_less_little(seed):
    target, caps, rates = problem(seed)
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.uniform(-2, 1)
    multipliers = rng.uniform(0.0, scale, rng.integers(1, 7)) * (rng.random() < 0.9)
    share = float(rng.uniform(0.05, 0.95))
    true = definition(target, caps, rates, share, multipliers)
    found = lower_bound(target, caps, rates, share, multipliers)
    assert Fraction(found) <= max(true, 0)
    assert found >= float(true) - 1e-14 * (1.0 + scale)


@pytest.mark.parametrize("seed", range(12))
def test_no_schedule_is_nearer(seed):
    target, caps, rates = problem(seed)
    rng = np.random.default_rng(seed + 99)
    proved = 0
    for _ in range(40):
        lr = caps * rng.uniform(0.1, 1.0, 6) ** rng.uniform(0.0, 2.0)
        keep = 1.0 - lr * rates
        weights = lr * np.append(np.cumprod(keep[::-1])[::-1][1:], 1.0)
        distance = 0.5 * float(np.abs(weights / weights.sum() - target / target.sum()).sum())
        share = min(1.0, float(keep.prod()) * (1.0 + 1e-15))
        for size in (0.3, 1.0, 3.0):
            bound = lower_bound(target, caps, rates, share, size * rng.random(6) * (rng.random(6) < 0.4))
            assert bound <= distance + 1e-15
            proved += bound > 0.0
    assert proved or seed


def test_a_warm_up_is_proved_by_its_own_multipliers():
    """The first step is capped at a tenth of what the target asks: no schedule comes nearer, and the bound says so."""
    target, caps, rates = np.ones(4, WIDE), np.array([0.02, 0.5, 0.5, 0.5], WIDE), np.ones(4, WIDE)
    share = 0.3
    u = np.array([1.0 / (1.0 - 0.02)])
    bound = lower_bound(target, caps, rates, share, u)
    assert 0.2 < bound < 0.25
    assert bound == pytest.approx(float(definition(target, caps, rates, share, u)), abs=1e-15)


def test_trivial_bounds():
    target, caps, rates = problem(0)
    assert lower_bound(target, caps, rates, 1.0, np.ones(6)) == 0.0
    assert lower_bound(target, caps, rates, 0.5, np.zeros(0)) == 0.0
    assert lower_bound(target, caps, rates, 0.5, np.zeros(6)) == 0.0
    assert lower_bound(target, caps, rates, 0.5, np.full(6, 1e308)) == 0.0  # a poor choice
    assert lower_bound(target, caps, rates, 0.5, np.full(6, 5e-324)) == 0.0


# ------------------------------------------------------------------ rounding, against the page


@pytest.mark.parametrize("room", [1e6, ROOM * 1e6])
@pytest.mark.parametrize("steps", [1, 5, 400])
@pytest.mark.parametrize("size", [1.0, 7.0])
def test_allowance_has_the_size_that_the_page_states(room, steps, size):
    """4 (T + 8) eps (max u + max pull + |m| + 2): where it is large, the bound is the definition less it."""
    target, caps = np.ones(steps, WIDE), np.full(steps, WIDE(0.5))
    rates = np.linspace(0.0, 1.0, steps).astype(WIDE) * WIDE(0.01)
    u = np.zeros(steps)
    u[0] = size / steps
    if steps > 1:
        u[: steps // 2] += 0.5
    share = 0.25
    later = np.cumsum((caps * u)[::-1])[::-1]
    pull = rates * (later + share * later[0] / (1.0 - share))
    true = float(definition(target, caps, rates, share, u))
    m = float((u - pull).min())
    allowance = 4.0 * (steps + 8.0) * SPACING * (u.max() + float(pull.max()) + abs(m) + 2.0)
    found = lower_bound(target, caps, rates, share, u, room=room)
    assert true - room * allowance > 0.01 or steps == 1
    assert found == pytest.approx(max(0.0, true - room * allowance), abs=1e-3 * room * allowance)


def test_the_multiplier_of_the_share_is_rounded_upwards(monkeypatch):
    """v (1 + (T + 8) eps): with a coarse spacing the pull on every step grows by it."""
    monkeypatch.setattr(profile_dual, "SPACING", 1e-6)
    target, caps, rates = np.ones(2, WIDE), np.array([0.1, 0.5], WIDE), np.array([0.0, 1.0], WIDE)
    u, share = np.array([3.0]), 0.5
    v = 0.3 * (1.0 + 10.0 * 1e-6) / 0.5
    g = [3.0, -1.0 * (0.0 + 0.5 * v)]
    bound = g[1] + 0.5 * min(g[0] - g[1], 1.0)
    allowance = 4.0 * 10.0 * 1e-6 * (3.0 + 0.5 * v + abs(g[1]) + 2.0)
    assert lower_bound(target, caps, rates, share, u, room=0.0) == pytest.approx(bound, abs=1e-12)
    assert lower_bound(target, caps, rates, share, u) == pytest.approx(bound - allowance, abs=1e-12)
    assert bound < float(definition(target, caps, rates, share, u)) - 1e-7


def test_rounded_downwards_and_by_room():
    target, caps, rates = np.ones(2, WIDE), np.array([0.1, 0.5], WIDE), np.zeros(2, WIDE)
    bound = lower_bound(target, caps, rates, 0.5, np.array([1.0]))
    assert bound == math.nextafter(0.5, 0.0)
    assert lower_bound(target, caps, rates, 0.5, np.array([1.0]), room=0.0) == math.nextafter(0.5, 0.0)
    assert lower_bound(target, caps, rates, 0.5, np.array([1.0]), room=1e9) < bound


# ------------------------------------------------------------------ hypotheses

GOOD = {
    "target": np.ones(2, WIDE),
    "caps": np.array([0.1, 0.5], WIDE),
    "rates": np.ones(2, WIDE),
    "share": 0.5,
    "multipliers": np.array([1.0, 0.5]),
}
BROKEN = [
    {"multipliers": np.array([1.0, -1e-9])},
    {"multipliers": np.array([1.0, np.nan])},
    {"multipliers": np.array([1.0, np.inf])},
    {"multipliers": np.ones(3)},
    {"multipliers": np.ones((2, 1))},
    {"multipliers": np.array([1.0, 1j])},
    {"multipliers": np.array([1, 1])},
    {"multipliers": np.array([True, True])},
    {"multipliers": [1.0, 1.0]},
    {"multipliers": 1.0},
    {"multipliers": None},
    {"share": 0.0},
    {"share": -0.5},
    {"share": 1.5},
    {"share": math.nan},
    {"share": True},
    {"share": 0.5j},
    {"share": None},
    {"rates": np.array([1.0, -1.0], WIDE)},
    {"rates": np.array([1.0, 2.0], WIDE)},
    {"rates": np.array([1.0, np.nan], WIDE)},
    {"rates": np.ones((2, 1), WIDE)},
    {"rates": np.array([1.0, 1.0 + 0j])},
    {"caps": np.array([0.1, 0.0], WIDE)},
    {"caps": np.array([0.1, -0.5], WIDE)},
    {"caps": np.array([0.1], WIDE)},
    {"target": np.array([1.0, 0.0], WIDE)},
    {"target": np.array([1.0, -1.0], WIDE)},
    {"target": np.array([1.0], WIDE)},
    {"target": np.array([1.0, 1j])},
]


@pytest.mark.parametrize("change", BROKEN, ids=str)
def test_hypotheses_are_asked_for(change):
    lower_bound(**GOOD)
    with pytest.raises(VerificationError):
        lower_bound(**{**GOOD, **change})


# ------------------------------------------------------------------ gradients


def parts_of(steps, beta):
    """Entry (j, i): the part of gradient j in update i."""
    b = Fraction(beta)
    return [
        [(1 - b) * b ** (i - j) / (1 - b ** (i + 1)) if i >= j else Fraction(0) for i in range(steps)]
        for j in range(steps)
    ]


@pytest.mark.parametrize("seed", range(20))
def test_bound_of_gradients_is_its_definition_less_little(seed):
    target, caps, rates = problem(seed)
    rng = np.random.default_rng(seed)
    u, missed, share = rng.uniform(0.0, 2.0, 6), rng.uniform(0.0, 1.0, 6), float(rng.uniform(0.05, 0.95))
    beta = float(rng.choice([0.0, 0.5, 0.9, 0.99]))
    p, h, rate, prices, f = ([Fraction(float(x)) for x in item] for item in (target, caps, rates, u, missed))
    v = sum(x * y for x, y in zip(h, prices, strict=True)) / (1 - Fraction(share))
    pull = [sum(x * y for x, y in zip(h[j:], prices[j:], strict=True)) + Fraction(share) * v for j in range(6)]
    parts = parts_of(6, beta)
    averages = [sum(parts[j][i] * f[j] for j in range(6)) for i in range(6)]
    least = min(prices[j] - rate[j] * pull[j] - averages[j] for j in range(6))
    true = least + sum(x / sum(p) * y for x, y in zip(p, f, strict=True))
    found = gradients_bound(target, caps, rates, share, u, missed, beta)
    assert Fraction(found) <= max(true, 0)
    assert found >= float(true) - 1e-12
    assert gradients_bound(target, caps, rates, share, u, missed, beta, room=0.0) <= max(float(true) + 1e-13, 0.0)
    assert gradients_bound(target, caps, rates, share, u, missed, beta, room=1e13) == 0.0


@pytest.mark.parametrize("seed", range(8))
def test_no_gradients_are_nearer(seed):
    target, caps, rates = problem(seed)
    rng = np.random.default_rng(seed + 7)
    beta, positive = float(rng.uniform(0.1, 0.95)), 0
    parts = np.array(parts_of(6, beta), dtype=float)
    for _ in range(60):
        lr = caps * rng.uniform(0.1, 1.0, 6) ** rng.uniform(0.0, 2.0)
        keep = 1.0 - lr * rates
        weights = parts @ (lr * np.append(np.cumprod(keep[::-1])[::-1][1:], 1.0))
        missing = target / target.sum() - weights / weights.sum()
        share = min(1.0, float(keep.prod()) * (1.0 + 1e-15))
        for u in (np.zeros(6), rng.random(6) * (rng.random(6) < 0.4)):
            for missed in ((missing > 0.0).astype(float), rng.random(6)):
                bound = gradients_bound(target, caps, rates, share, u, missed, beta)
                assert bound <= 0.5 * float(np.abs(missing).sum()) + 1e-14
                positive += bound > 0.0
    assert positive or seed


def test_allowance_of_gradients(monkeypatch):
    """4 (T + 8) eps (max u + max pull + 2 + |m|), and twice the rounding of the averages: for one room, as stated."""
    target, caps, rates = np.ones(6, WIDE), np.full(6, 0.1, WIDE), np.zeros(6, WIDE)
    task = (target, caps, rates, 0.5, np.full(6, 0.6), np.full(6, 0.9), 0.9)
    exact, averages = 0.9 - 0.3, 2.0**-53 * (12.0 + 8.0 + 80.0)  # m = 0.6 - 0.9
    allowance = 4.0 * 14.0 * SPACING * (0.6 + 2.0 + 0.3) + 2.0 * averages
    found = gradients_bound(*task, room=1e12)
    assert found == pytest.approx(exact - 1e12 * allowance, abs=1e9 * SPACING)
    monkeypatch.setattr(profile_dual, "rounding", lambda beta, steps: 1e-3)
    assert gradients_bound(*task) == pytest.approx(exact - 2e-3, abs=1e-12)


def test_without_momentum_it_is_the_bound_of_the_updates():
    target, caps, rates = problem(8)
    u = np.array([0.5, 1.5, 0.4, 0.7, 2.0, 0.3])
    plain = lower_bound(target, caps, rates, 0.3, u)
    later = np.cumsum((caps * u)[::-1])[::-1]
    g = u - rates * (later + 0.3 * later[0] / 0.7)
    missed = np.minimum(g - g.min(), 1.0).astype(float)
    assert plain > 0.0
    assert gradients_bound(target, caps, rates, 0.3, u, missed, 0.0) == pytest.approx(plain, abs=1e-12)


@pytest.mark.parametrize(
    "change",
    [
        *BROKEN,
        {"missed": np.array([0.5, -1e-9])},
        {"missed": np.array([0.5, 1.0 + 2.0**-52])},
        {"missed": np.array([0.5, np.nan])},
        {"missed": np.array([0.5])},
        {"missed": np.array([0.5, 1j])},
        {"missed": None},
        {"beta": 1.0},
        {"beta": -0.1},
        {"beta": math.nan},
        {"beta": None},
    ],
    ids=str,
)
def test_hypotheses_of_gradients_are_asked_for(change):
    good = {**GOOD, "missed": np.array([1.0, 0.0]), "beta": 0.9}
    gradients_bound(**good)
    with pytest.raises(VerificationError):
        gradients_bound(**{**good, **change})


def test_gradients_have_no_bound_without_a_share_to_keep():
    good = {**GOOD, "missed": np.array([1.0, 0.0]), "beta": 0.9}
    assert gradients_bound(**{**good, "share": 1.0}) == gradients_bound(**{**good, "multipliers": np.zeros(0)}) == 0.0


def test_one_allowance_by_default(monkeypatch):
    monkeypatch.setattr(profile_dual, "SPACING", 1e-6)
    bound = lower_bound(**{**GOOD, "rates": np.zeros(2, WIDE)})
    assert 0.0 < bound == lower_bound(**{**GOOD, "rates": np.zeros(2, WIDE)}, room=1.0)


def test_its_name():
    assert profile_dual.THEOREM == "profile_dual"
