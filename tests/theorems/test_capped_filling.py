"""The capped filling against random schedules and rational arithmetic; hypotheses; rounding against the page."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import ClassVar

import numpy as np
import pytest

from infimum.errors import VerificationError
from infimum.proof.rounding import ROOM
from infimum.proof.theorems import capped_filling
from infimum.proof.theorems.capped_filling import (
    DecayLaw,
    FixedDecay,
    NormKeepingDecay,
    ProportionalDecay,
    fill,
    ratio_bound,
    relative_error,
)
from infimum.proof.theorems.unrolling import SPACING, WIDE

EPS = float(np.finfo(float).eps)
LAWS: dict[str, Callable[[int], DecayLaw]] = {
    "fixed": lambda T: FixedDecay(np.linspace(0.5, 1.5, T).astype(WIDE)),
    "proportional": lambda _: ProportionalDecay(2.0),
    "norm": lambda _: NormKeepingDecay(0.8),
}


def wide(*numbers):
    return np.array(numbers, dtype=WIDE)


def problem(seed, steps=8):
    rng = np.random.default_rng(seed)
    return rng.uniform(0.5, 1.0, steps).astype(WIDE), rng.uniform(0.1, 0.5, steps).astype(WIDE)


# ------------------------------------------------------------------ laws


def test_what_is_lost_at_a_learning_rate():
    lr = wide(0.5, 0.25)
    assert FixedDecay(wide(1.0, 2.0)).decay(lr).tolist() == [0.5, 0.5]
    assert ProportionalDecay(2.0).decay(lr).tolist() == [0.5, 0.125]
    assert NormKeepingDecay(0.5).decay(wide(0.3, 0.4)).astype(float).tolist() == pytest.approx([0.2, 0.4])
    small = WIDE(1e-12)
    assert float(NormKeepingDecay(1.0).decay(small) / (small * small / 2)) == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize("name", LAWS)
def test_growth_follows_the_law(name):
    """D_j (1 - decay(y_j / D_j)) = D_{j-1}, from any step on."""
    law, weights = LAWS[name](6), wide(0.3, 0.2, 0.4, 0.1)
    after = law.free(WIDE(1.5), weights, 2)
    before = np.concatenate([wide(1.5), after[:-1]])
    lr = np.zeros(6, dtype=WIDE)
    lr[2:] = weights / after
    assert np.allclose((after * (1.0 - law.decay(lr)[2:])).astype(float), before.astype(float), rtol=1e-14)
    assert law.free(WIDE(1.5), weights[:0], 2).size == 0


# ------------------------------------------------------------------ the filling


@pytest.mark.parametrize("chunk", [1, 2, 32])
@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("seed", range(3))
def test_fillings_follow_their_recursion(name, seed, chunk, monkeypatch):
    monkeypatch.setattr(capped_filling, "CHUNK", chunk)
    target, caps = problem(seed, 40)
    law = LAWS[name](40)
    reach = caps / (1.0 - law.decay(caps))
    for initial in (0.01, 0.5, 1.5, 3.0, 50.0):
        filling = fill(target, caps, law, WIDE(initial))
        assert filling.filled[0] == WIDE(initial)
        for j in range(40):
            before = filling.filled[j]
            assert filling.capped[j] == (reach[j] * before < target[j])
            assert math.isclose(filling.weights[j], min(target[j], reach[j] * before), rel_tol=1e-14)
            after = law.free(before, filling.weights[j : j + 1], j)[0]
            assert math.isclose(filling.filled[j + 1], after, rel_tol=1e-13)
        assert filling.share == filling.filled[0] / filling.filled[-1]
    assert fill(target, caps, law, WIDE(50.0)).capped.sum() == 0
    assert fill(target, caps, law, WIDE(1e-9)).capped.all()


def schedules(target, caps, law, rng, count):
    """Draw schedules within the caps, with their ratio and share."""
    for _ in range(count):
        part = rng.uniform(0.2, 1.0) if rng.random() < 0.5 else rng.uniform(0.3, 1.0, caps.size)
        lr = caps * part
        keep = 1.0 - law.decay(lr)
        later = np.append(np.cumprod(keep[::-1])[::-1][1:], 1.0)
        weights = lr * later
        relative = weights / target
        yield float(relative.max() / relative.min()), float(keep.prod())


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("seed", range(4))
def test_no_schedule_is_more_even(name, seed):
    """For every schedule: whatever the witness, none with its share or less has a smaller ratio than the bound."""
    target, caps = problem(seed)
    law, rng = LAWS[name](8), np.random.default_rng(seed)
    proved = 0
    for found, share in schedules(target, caps, law, rng, 30):
        for initial in np.geomspace(1e-3, 20.0, 25):
            bound = ratio_bound(target, caps, law, share, initial=float(initial), slack=0.0)
            assert bound <= found * (1.0 + 1e-12)
            proved += bound > 1.0
    assert proved


@pytest.mark.parametrize("name", LAWS)
def test_the_filling_itself_meets_its_bound(name):
    target, caps = problem(3)
    law = LAWS[name](8)
    filling = fill(target, caps, law, WIDE(0.5))
    found = float((target / filling.weights).max())
    assert found > 1.0
    share = float(filling.share)
    below = ratio_bound(target, caps, law, share * (1.0 - 1e-12), initial=0.5, slack=0.0)
    assert found * (1.0 - 1e-12) <= below <= found
    assert ratio_bound(target, caps, law, share * (1.0 + 1e-15), initial=0.5, slack=0.0) == 1.0


def test_a_filling_without_caps_proves_nothing():
    target, caps = problem(3)
    assert ratio_bound(target, caps, FixedDecay(np.ones(8)), 1e-3, initial=50.0, slack=0.0) == 1.0


def test_bound_against_rational_arithmetic():
    """Fixed decay in fractions: two steps, the first at its cap."""
    target, caps, rates = wide(1.0, 1.0), wide(0.25, 0.5), wide(1.0, 1.0)
    initial = Fraction(3, 2)
    first = min(Fraction(1), Fraction(1, 3) * initial)  # 0.25 / (1 - 0.25)
    filled = initial + first
    second = min(Fraction(1), Fraction(1) * filled)
    share = initial / (filled + second)
    bound = ratio_bound(target, caps, FixedDecay(rates), float(share) * 0.999, initial=1.5, slack=0.0)
    assert Fraction(bound) <= 1 / first <= Fraction(bound) * (1 + Fraction(1, 10**14))


# ------------------------------------------------------------------ rounding, against the page


@pytest.mark.parametrize("room", [1.0, ROOM])
def test_allowances_have_the_size_that_the_page_states(room):
    caps = np.full(1000, WIDE(0.5))
    for law, spacing in ((FixedDecay(np.ones(1000)), SPACING), (ProportionalDecay(2.0), EPS)):
        for slack in (0.0, 1e-7, 1e-4):
            growth = 1000 * 0.5 / (1.0 - 0.5 * (1.0 + slack))
            error = room * (spacing * 8008.0 + 2.0 * SPACING * growth) + slack * growth
            assert relative_error(law, caps, slack, room=room) == pytest.approx(
                error / (1.0 - error), rel=1e-12, abs=0.0
            )
    assert NormKeepingDecay(1.0).spacing == FixedDecay(caps).spacing == SPACING
    assert ProportionalDecay.spacing == EPS
    near = np.full(1000, 1.0 - WIDE(2.0) ** -40)  # the growth counts
    growth = 1000 * (2.0**40 - 1.0)
    error = room * (SPACING * 8008.0 + 2.0 * SPACING * growth)
    assert relative_error(FixedDecay(np.ones(1000)), near, room=room) == pytest.approx(
        error / (1.0 - error), rel=1e-9, abs=0.0
    )


def test_errors_that_leave_nothing():
    caps = np.full(10, WIDE(0.5))
    law = FixedDecay(np.ones(10))
    assert relative_error(law, caps, 1.0) == math.inf  # 2 * 0.5: nothing is kept
    assert relative_error(law, caps, 0.5) == math.inf  # an error of more than 1
    assert relative_error(law, caps, 1e-2) < 0.2
    assert ratio_bound(np.ones(10), caps, law, 1e-9, initial=0.5, slack=0.5) == 1.0


def test_errors_on_both_sides_of_one():
    caps, law = np.full(10, WIDE(0.5)), FixedDecay(np.ones(10))
    assert relative_error(law, caps, 0.107) == math.inf  # 10 * 0.107 / (1 - 0.107) = 1.2
    assert relative_error(law, caps, 0.0654) == pytest.approx(0.69976 / 0.30024, rel=1e-3)


def test_one_step_that_keeps_nothing_is_enough():
    assert relative_error(FixedDecay(np.ones(2)), wide(0.1, 0.9), 0.5) == math.inf


def test_a_cap_that_is_just_met_does_not_bind():
    filling = fill(wide(1.0), wide(0.5), FixedDecay(wide(1.0)), WIDE(1.0))
    assert (filling.capped.tolist(), filling.weights.tolist()) == ([False], [1.0])


def test_one_allowance_and_no_slack_by_default():
    caps, law = np.full(1000, WIDE(0.5)), ProportionalDecay(2.0)
    assert relative_error(law, caps) == relative_error(law, caps, 0.0, room=1.0)
    options = {"initial": 0.5, "slack": 0.0}
    bound = ratio_bound(np.ones(1000), caps, law, 1e-9, **options)
    assert 1.0 < bound == ratio_bound(np.ones(1000), caps, law, 1e-9, room=1.0, **options)
    assert bound > ratio_bound(np.ones(1000), caps, law, 1e-9, room=1.5, **options)


def test_slack_lowers_both_sides():
    """Decays off by a factor prove less: the share must exceed by the error, and the bound is lowered by it."""
    target, caps = problem(3)
    law = ProportionalDecay(2.0)
    filling = fill(target, caps, law, WIDE(0.5))
    error = relative_error(law, caps, 1e-3)
    found, share = float((target / filling.weights).max()), float(filling.share)
    inside, outside = share * (1.0 - error) * (1.0 - 1e-9), share * (1.0 - error) * (1.0 + 1e-9)
    assert ratio_bound(target, caps, law, inside, initial=0.5, slack=1e-3) == pytest.approx(
        found * (1.0 - error), rel=1e-14, abs=0.0
    )
    assert ratio_bound(target, caps, law, outside, initial=0.5, slack=1e-3) == 1.0
    bound = ratio_bound(target, caps, law, 1e-3, initial=0.5, slack=0.0)
    assert ratio_bound(target, caps, law, 1e-3, initial=0.5, slack=0.0, room=ROOM) < bound
    room = relative_error(law, caps, 0.0, room=1e6)
    assert ratio_bound(target, caps, law, 1e-3, initial=0.5, slack=0.0, room=1e6) == pytest.approx(
        found * (1.0 - room), rel=1e-14, abs=0.0
    )


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_slack_covers_every_decay_within_it(sign):
    """Schedules whose decay is off by the slack are not below the bound: with enough steps a bound without it fails."""
    slack, steps = 0.02, 60
    target, caps = np.ones(steps, dtype=WIDE), np.full(steps, WIDE(0.1))
    law = FixedDecay(np.ones(steps))
    loose = FixedDecay(np.full(steps, 1.0 + sign * slack))
    for initial in np.geomspace(0.5, 9.0, 12):
        filling = fill(target, caps, loose, WIDE(initial))
        found, share = float((target / filling.weights).max()), float(filling.share)
        for witness in np.geomspace(0.4, 12.0, 30):
            assert ratio_bound(target, caps, law, share, initial=float(witness), slack=slack) <= found * (1.0 + 1e-12)


def test_rounded_downwards():
    target, caps = wide(1.0, 1.0), wide(0.25, 0.5)
    law = FixedDecay(wide(1.0, 1.0))
    bound = ratio_bound(target, caps, law, 0.1, initial=1.5, slack=0.0)
    assert bound == math.nextafter(2.0, 0.0) or bound == math.nextafter(math.nextafter(2.0, 0.0), 0.0)


# ------------------------------------------------------------------ hypotheses

GOOD = {
    "target": wide(1.0, 1.0),
    "caps": wide(0.25, 0.5),
    "law": FixedDecay(wide(1.0, 1.0)),
    "share": 0.1,
    "initial": 1.5,
    "slack": 0.0,
}
BROKEN = [
    {"target": wide(1.0, 0.0)},
    {"target": wide(1.0, -1.0)},
    {"target": wide(1.0, np.nan)},
    {"target": wide(1.0)},
    {"target": np.array([1.0, 1j])},
    {"target": np.array([1, 1])},
    {"caps": wide(0.25, 0.0), "law": FixedDecay(wide(1.0, 1.0))},
    {"caps": wide(-0.25, 0.5)},
    {"caps": wide(0.25, np.inf)},
    {"caps": np.array([0.25, 0.5 + 0j])},
    {"caps": np.array(0.25, dtype=WIDE)},
    {"law": FixedDecay(wide(-1.0, 1.0))},
    {"law": FixedDecay(wide(1.0, 2.0))},
    {"law": FixedDecay(wide(1.0, 3.0))},
    {"law": FixedDecay(wide(1.0, np.nan))},
    {"law": FixedDecay(wide(1.0, 1.0, 1.0)[:, None])},
    {"law": FixedDecay(np.array([1.0, 1.0 + 0j]))},
    {"law": ProportionalDecay(-1.0)},
    {"law": ProportionalDecay(5.0)},
    {"share": 0.0},
    {"share": -0.1},
    {"share": 1.1},
    {"share": math.nan},
    {"share": True},
    {"share": 0.5 + 0j},
    {"share": "0.5"},
    {"initial": 0.0},
    {"initial": -1.0},
    {"initial": math.inf},
    {"initial": True},
    {"initial": np.array([1.5])},
    {"slack": -1e-9},
    {"slack": math.nan},
    {"slack": True},
]


@pytest.mark.parametrize("change", BROKEN, ids=str)
def test_hypotheses_are_asked_for(change):
    with pytest.raises(VerificationError):
        ratio_bound(**{**GOOD, **change})


def test_the_last_that_is_allowed_is_taken():
    assert ratio_bound(**GOOD) > 1.9
    assert ratio_bound(**{**GOOD, "share": 1.0}) == 1.0
    assert ratio_bound(**{**GOOD, "law": FixedDecay(wide(0.0, 0.0)), "initial": 2.0}) > 1.9
    assert capped_filling.THEOREM == "capped_filling"


class Recorded(FixedDecay):
    """Fixed decay that keeps how many steps were tried at once, of those that are not at their cap."""

    tried: ClassVar[list[tuple[int, int]]] = []

    def free(self, filled, weights, start):
        self.tried.append((start, weights.size))
        return super().free(filled, weights, start)


def test_four_times_as_many_steps_are_tried_after_a_success():
    """And as few as at first after a failure; runs at the caps in between grow likewise."""
    steps = 1000
    law, target, caps = Recorded(np.full(steps, WIDE(1e-3))), np.ones(steps), np.full(steps, WIDE(0.5))
    Recorded.tried.clear()
    assert not fill(target, caps, law, WIDE(10.0)).capped.any()
    assert Recorded.tried == [(0, 32), (32, 128), (160, 512), (672, 328)]
    caps[[100, 400]] = 1e-3  # two steps at their caps
    Recorded.tried.clear()
    assert fill(target, caps, law, WIDE(10.0)).capped.nonzero()[0].tolist() == [100, 400]
    assert Recorded.tried == [(0, 32), (32, 128), (101, 32), (133, 128), (261, 512), (401, 32), (433, 128), (561, 439)]
    assert capped_filling.CHUNK == 32


class Exact(FixedDecay):
    """Fixed decay whose operations do not round."""

    spacing: ClassVar[float] = 0.0


def test_a_share_that_is_just_met_proves_nothing():
    """No decay: the initialisation is all there is, and no share is above that of all."""
    law = Exact(wide(0.0))
    options = {"initial": 2.0, "slack": 0.0}
    assert ratio_bound(wide(1.0), wide(0.25), law, 1.0, **options) == 1.0
    assert ratio_bound(wide(1.0), wide(0.25), law, math.nextafter(1.0, 0.0), **options) == math.nextafter(2.0, 0.0)


def test_an_error_of_one_leaves_nothing():
    class Coarse(FixedDecay):
        spacing: ClassVar[float] = 0.0625

    assert relative_error(Coarse(wide(0.0)), wide(0.25)) == math.inf  # 16 spacings
    assert relative_error(Coarse(wide(0.0)), wide(0.25), room=0.5) == 1.0
