"""The unrolling identity against rational arithmetic, its hypotheses, and its rounding against the page's formula."""

import math
from fractions import Fraction

import numpy as np
import pytest

from infimum.errors import RangeError, VerificationError
from infimum.proof.rounding import ROOM
from infimum.proof.theorems import unrolling
from infimum.proof.theorems.unrolling import (
    SPACING,
    WIDE,
    Unrolled,
    initial_share,
    ratio,
    require_share,
    unroll,
    variation,
)


def wide(*numbers):
    return np.array(numbers, dtype=WIDE)


def exact(number):
    """Return an extended-precision number as a fraction: it is the sum of two doubles."""
    high = float(number)
    return Fraction(high) + Fraction(float(number - WIDE(high)))


def schedule(seed, steps, most=1.0):
    rng = np.random.default_rng(seed)
    lr = rng.uniform(0.01, 1.0, steps)
    return lr, rng.uniform(0.0, most / lr.max(), steps) * 0.999


def truth(lr, rates):
    """Weights, share of the initialisation and the identity, in rational arithmetic."""
    weights, left = [], Fraction(1)
    for rate, loss in zip(lr.tolist()[::-1], rates.tolist()[::-1], strict=True):
        weights.append(Fraction(rate) * left)
        left *= 1 - Fraction(rate) * Fraction(loss)
    weights = weights[::-1]
    assert left + sum(Fraction(loss) * w for loss, w in zip(rates.tolist(), weights, strict=True)) == 1
    return weights, left


@pytest.mark.parametrize("seed", range(6))
def test_weights_and_share_are_within_the_stated_error(seed):
    lr, rates = schedule(seed, 12)
    memory = unroll(lr.astype(WIDE), lr.astype(WIDE) * rates)
    weights, left = truth(lr, rates)
    error = Fraction(memory.error)
    for computed, w in zip(memory.weights, weights, strict=True):
        assert abs(exact(computed) - w) <= error * w
    assert abs(exact(memory.initial) - left) <= error * left
    assert left <= Fraction(initial_share(memory))
    assert initial_share(memory) <= float(left) * (1.0 + 1e-15)


@pytest.mark.parametrize("seed", range(6))
def test_losses_are_above_the_truth_and_near_it(seed):
    lr, rates = schedule(seed, 9)
    target = np.random.default_rng(seed + 50).uniform(0.5, 2.0, 9)
    memory, (weights, _) = unroll(lr.astype(WIDE), lr.astype(WIDE) * rates), truth(lr, rates)
    wanted = [Fraction(p) for p in target.tolist()]
    distance = sum(abs(w / sum(weights) - p / sum(wanted)) for w, p in zip(weights, wanted, strict=True)) / 2
    quotients = [w / p for w, p in zip(weights, wanted, strict=True)]
    for found, true in (
        (variation(memory, target), distance),
        (ratio(memory, target), max(quotients) / min(quotients)),
    ):
        assert true <= Fraction(found)
        assert found <= float(true) * (1.0 + 1e-14) + 1e-15


def test_a_step_may_learn_nothing_but_not_all_of_them():
    memory = unroll(wide(0.0, 0.5), wide(0.0, 0.25))
    assert memory.weights.tolist() == [0.0, 0.5]
    assert memory.initial == 0.75
    assert variation(memory, np.ones(2)) == pytest.approx(0.5)
    with pytest.raises(RangeError, match="not finite"):
        ratio(memory, np.ones(2))
    tiny = unroll(wide(1e-4900, 1.0) if WIDE is not np.float64 else wide(1e-320, 1.0), wide(0.0, 0.0))
    assert tiny.weights[1] == 1.0


# ------------------------------------------------------------------ rounding, against the page


def spread_of(memory, room):
    return room * memory.error


@pytest.mark.parametrize("room", [1.0, ROOM, 1e6])
def test_allowances_have_the_size_that_the_page_states(room):
    """1.01 eps (sum 1 / keep + T + 4) for every weight, and 3 (T + 4) eps for sums: on a run where both count."""
    steps = 3000
    lr, decay = np.full(steps, 0.5, dtype=WIDE), np.full(steps, 0.5, dtype=WIDE)
    decay[:1500] = 1.0 - 2.0**-20
    memory = unroll(lr, decay)
    error = 1.01 * SPACING * (1500 * 2.0**20 + 1500 * 2.0 + steps + 4)
    assert memory.error == pytest.approx(error, rel=1e-12, abs=0.0)
    memory = Unrolled(np.ones(steps, dtype=WIDE), WIDE(0.25), 1e-9)
    e = room * 1e-9
    assert variation(memory, np.ones(steps), room=room) == pytest.approx(
        e / (1.0 - e) + room * 3.0 * (steps + 4) * SPACING, rel=1e-12, abs=0.0
    )
    exact_memory = memory._replace(error=0.0)
    assert variation(exact_memory, np.ones(steps), room=room) == pytest.approx(
        room * 3.0 * (steps + 4) * SPACING, rel=1e-12, abs=0.0
    )
    assert ratio(memory, np.ones(steps), room=room) - 1.0 == pytest.approx(2.0 * e / (1.0 - e), rel=1e-6, abs=0.0)
    assert ratio(exact_memory, np.ones(steps), room=room * 1e6) - 1.0 == pytest.approx(
        room * 1e6 * 8.0 * SPACING, rel=1e-3, abs=0.0
    )
    assert initial_share(memory, room=room) == pytest.approx(0.25 / (1.0 - e), rel=1e-15, abs=0.0)


def test_results_are_rounded_upwards():
    memory = Unrolled(wide(3.0, 1.0), WIDE(0.25), 0.0)
    assert initial_share(memory) == math.nextafter(0.25, 1.0)
    assert initial_share(memory._replace(initial=WIDE(1.0))) == 1.0
    assert ratio(memory, np.array([1.0, 1.0])) == math.nextafter(3.0, 4.0)
    assert ratio(memory, np.array([3.0, 1.0])) == math.nextafter(1.0, 2.0)
    assert variation(memory, np.array([1.0, 1.0])) == math.nextafter(0.25, 1.0)
    assert 0.0 < variation(memory, np.array([3.0, 1.0])) < 1e-15


def test_a_larger_room_is_never_smaller():
    lr, rates = schedule(1, 40)
    memory = unroll(lr.astype(WIDE), lr.astype(WIDE) * rates)._replace(error=1e-6)
    for measure in (variation, ratio):
        assert measure(memory, np.ones(40), room=ROOM) > measure(memory, np.ones(40))
    assert initial_share(memory, room=ROOM) > initial_share(memory)


def test_a_share_is_claimed_with_room_and_no_more():
    memory = Unrolled(wide(1.0), WIDE(0.25), 1e-6)
    require_share(memory, initial_share(memory, room=ROOM))
    require_share(memory, initial_share(memory))
    least, most = 0.25 / (1.0 - 1e-6), 0.25 / (1.0 - ROOM * 1e-6) * (1.0 + 1e-6) / (1.0 - 1e-6)
    require_share(memory, most * (1.0 - 1e-12))
    for wrong in (least * (1.0 - 1e-12), 0.25, most * (1.0 + 1e-12), 0.3, 1.0):
        with pytest.raises(VerificationError, match="initial_share"):
            require_share(memory, wrong)
    whole = Unrolled(wide(1.0), WIDE(1.0), 1e-6)
    require_share(whole, 1.0)
    with pytest.raises(VerificationError):
        require_share(whole, 1.0 + 2.0**-52)


@pytest.mark.parametrize("measure", [variation, ratio])
def test_an_error_that_hides_the_memory_is_refused(measure):
    for error, room in ((0.5, 1.0), (0.2, ROOM), (math.inf, 1.0), (math.nan, 1.0)):
        memory = Unrolled(wide(1.0, 1.0), WIDE(0.5), error)
        with pytest.raises(RangeError, match="too near to 1"):
            measure(memory, np.ones(2), room=room)
        with pytest.raises(RangeError, match="too near to 1"):
            initial_share(memory, room=room)
    measure(Unrolled(wide(1.0, 1.0), WIDE(0.5), 0.499), np.ones(2))


# ------------------------------------------------------------------ hypotheses

BROKEN = {
    "negative lr": (wide(-0.1, 0.5), wide(0.0, 0.1)),
    "no lr at all": (wide(0.0, 0.0), wide(0.0, 0.0)),
    "no step": (wide(), wide()),
    "negative decay": (wide(0.1, 0.5), wide(-0.1, 0.1)),
    "decay of 1": (wide(0.1, 0.5), wide(0.1, 1.0)),
    "decay above 1": (wide(0.1, 0.5), wide(1.5, 0.5)),
    "NaN": (wide(0.1, np.nan), wide(0.1, 0.5)),
    "infinity": (wide(0.1, np.inf), wide(0.1, 0.5)),
    "NaN decay": (wide(0.1, 0.5), wide(0.1, np.nan)),
    "complex": (np.array([0.1, 0.5 + 1j]), wide(0.1, 0.5)),
    "complex decay": (wide(0.1, 0.5), np.array([0.1, 0.5 + 1j])),
    "whole": (np.array([1, 2]), wide(0.1, 0.5)),
    "truth values": (np.array([True, True]), wide(0.1, 0.5)),
    "broadcast": (wide(0.1, 0.5), wide(0.1)),
    "a matrix": (np.full((2, 1), WIDE(0.5)), wide(0.1, 0.5)),
    "a list": ([0.1, 0.5], wide(0.1, 0.5)),
}


@pytest.mark.parametrize("label", BROKEN)
def test_hypotheses_are_asked_for(label):
    with pytest.raises(VerificationError):
        unroll(*BROKEN[label])


def test_reports_may_go_beyond():
    memory = unroll(wide(0.5, 0.5), wide(0.5, 1.5), beyond=True)
    assert memory.weights.tolist() == [-0.25, 0.5]
    assert memory.error == pytest.approx(1.01 * SPACING * (2.0 + 2.0 + 4.0), rel=1e-12, abs=0.0)
    unroll(wide(0.1, 0.5), wide(0.0, 1.0 - 2.0**-40))


@pytest.mark.parametrize(
    "target",
    [
        np.array([1.0, 0.0]),
        np.array([1.0, -1.0]),
        np.array([1.0, np.nan]),
        np.array([1.0, np.inf]),
        np.array([1.0]),
        np.ones((2, 1)),
        np.array([1.0, 1j]),
        np.array([1, 1]),
        [1.0, 1.0],
    ],
    ids=str,
)
def test_targets_are_positive_and_as_long_as_the_run(target):
    memory = Unrolled(wide(1.0, 1.0), WIDE(0.5), 0.0)
    for measure in (variation, ratio):
        with pytest.raises(VerificationError, match="target"):
            measure(memory, target)


def test_a_step_that_forgets_all_does_not_count_in_the_error():
    memory = unroll(wide(0.5, 0.5), wide(0.5, 1.0), beyond=True)
    assert memory.weights.tolist() == [0.0, 0.5]
    assert memory.error == pytest.approx(1.01 * SPACING * (2.0 + 2.0 + 4.0), rel=1e-12, abs=0.0)


def test_a_weight_that_is_not_finite_has_no_ratio():
    with pytest.raises(RangeError, match="not finite"):
        ratio(Unrolled(wide(1.0, np.inf), WIDE(0.5), 0.0), np.ones(2))


def test_one_allowance_by_default():
    memory, target = Unrolled(wide(3.0, 1.0), WIDE(0.25), 1e-6), np.array([1.0, 2.0])
    assert variation(memory, target) == variation(memory, target, room=1.0)
    assert ratio(memory, target) == ratio(memory, target, room=1.0)
    assert initial_share(memory) == initial_share(memory, room=1.0)


def test_its_name():
    assert unrolling.THEOREM == "unrolling"
