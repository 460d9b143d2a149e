"""The assignment dual against plain rational arithmetic, entry by entry, and against every assignment there is."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from infimum.errors import RangeError, VerificationError
from infimum.proof.theorems import assignment_dual as theorem
from infimum.proof.theorems.assignment_dual import (
    Bias,
    Groups,
    Limits,
    best_entries,
    biased,
    dual,
    exact_dot,
    exact_sum,
    largest,
    outward,
    rounded_sum,
    threshold_dual,
    two_sum,
    unbalanced,
)

FINITE = st.floats(-1e200, 1e200, allow_subnormal=True)
NEAR = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.1 + 0.2, 1.0, 1.0 + 2.0**-52, 1.0 - 2.0**-53, -0.7, 5e-324])
TINY = 5e-324


def rational(values):
    return [Fraction(value) for value in np.ravel(values).tolist()]


def whole(*numbers):
    return np.array(numbers, dtype=np.int64)


def bias(*numbers):
    return Bias(np.array([numbers], dtype=float))


# ------------------------------------------------------------------ sums


@settings(max_examples=60, deadline=None, derandomize=True)
@given(arrays.arrays(np.float64, st.integers(0, 30), elements=FINITE))
def test_sums_are_exact(values):
    assert exact_sum(values) == sum(rational(values), Fraction(0))
    weights = np.arange(values.size) - 7
    assert exact_dot(weights, values) == sum((int(w) * v for w, v in zip(weights, rational(values), strict=True)), 0)


def test_sums_span_all_exponents_and_take_matrices():
    values = np.array([[2.0**1000, TINY], [-(2.0**1000), 3 * TINY], [1.0 - 2.0**-53, -1.0]])
    assert exact_sum(values) == 4 * Fraction(TINY) - Fraction(1, 2**53)
    assert exact_sum(values[:, :1]) == Fraction(1.0 - 2.0**-53)
    assert exact_dot(whole(3, -2), np.array([2.0**1000, TINY])) == 3 * Fraction(2) ** 1000 - 2 * Fraction(TINY)


def test_long_sums_do_not_leave_53_bits(monkeypatch):
    """The halves of the mantissas are added as floats: as many as a chunk holds, all of the largest size."""
    count = 2**21
    values = np.full(count, 2.0 - 2.0**-52)
    assert exact_sum(values) == count * Fraction(2.0 - 2.0**-52)
    assert theorem.CHUNK * 2**27 <= 2**53
    monkeypatch.setattr(theorem, "CHUNK", 3)
    assert exact_sum(values[:10] * [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) == sum(
        rational(values[:10] * [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    )


def test_sums_of_two_keep_what_rounding_leaves():
    for a, b in itertools.product([1.0, 1e16, -0.1, TINY, 2.0**1000, 2.0**-52], repeat=2):
        total, rest = two_sum(np.array([a]), np.array([b]))
        assert total[0] == a + b
        assert Fraction(total[0]) + Fraction(rest[0]) == Fraction(a) + Fraction(b)


def test_sums_that_two_floats_hold_and_sums_that_need_a_third():
    rows = np.array([[1.0, 1.0], [0.0, 0.0], [-np.inf, 0.0]])
    high, rest, exact = biased(rows, Bias(np.array([[2.0**-54, 0.0], [2.0**-120, 0.0]])))
    assert exact.tolist() == [False, True, True]
    assert (high[1].tolist(), rest[1].tolist()) == ([2.0**-54, 0.0], [2.0**-120, 0.0])
    assert (high[2, 0], rest[2, 0]) == (-np.inf, 0.0)
    high, rest, exact = biased(np.array([[1.0]]), Bias(np.array([[2.0**-53], [2.0**-54]])))
    assert (high[0, 0], rest[0, 0], exact.all()) == (1.0 + 2.0**-52, -(2.0**-54), True)


@pytest.mark.parametrize("seed", range(6))
def test_biases_of_many_parts_are_compared_in_integers(seed):
    """Parts from 2**-1074 to 2**1000: what two floats lose decides, and pairs that are not admitted are left out."""
    rng = np.random.default_rng(seed)
    parts = np.ldexp(rng.integers(-3, 4, (5, 4)) / 2.0, rng.integers(-1073, 999, (5, 4)))
    parts[:, 1] = parts[:, 0]  # ties to the last digit
    rows = np.ldexp(rng.integers(-3, 4, (12, 4)) / 2.0, rng.integers(-1073, 999, (12, 4)))
    rows[:, 1] = np.where(rng.random(12) < 0.5, rows[:, 0] + np.where(rng.random(12) < 0.5, TINY, 0.0), rows[:, 1])
    rows[rng.random(rows.shape) < 0.2] = -np.inf
    exact = [sum((Fraction(x) for x in column), Fraction(0)) for column in parts.T.tolist()]
    for k in (1, 2):
        admitted = rows[np.isfinite(rows).sum(axis=1) >= k]
        sums = [
            [Fraction(x) + b if x > -np.inf else None for x, b in zip(row, exact, strict=True)]
            for row in admitted.tolist()
        ]
        chosen = largest(admitted, Bias(parts), k)
        for row, places in zip(sums, chosen.tolist(), strict=True):
            taken = [row[place] for place in places]
            assert len(set(places)) == k
            assert None not in taken
            assert sum(taken) == sum(sorted((x for x in row if x is not None), reverse=True)[:k])
        none, most = whole(0, 0, 0, 0), np.full(4, len(admitted))
        best = sum(sum(sorted((x for x in row if x is not None), reverse=True)[:k]) for row in sums)
        value = best + terms(exact, none, most)
        assert dual(admitted, k, Limits(none, most), Bias(parts)).bound == value


def test_what_is_not_admitted_is_never_chosen_whatever_its_bias():
    scores = np.array([[-np.inf, 1.0, 0.5], [2.0, -np.inf, 0.25]])
    within = Limits(whole(0, 0, 0), whole(2, 2, 2))
    found = dual(scores, 2, within, bias(100.0, 100.0, 0.0))
    assert found.loads.tolist() == [1, 1, 2]
    assert found.score == Fraction(15, 4)
    for b in (bias(0.0, 0.0, 0.0), bias(-8.0, 3.0, 0.0)):
        assert dual(scores, 2, within, b).bound >= Fraction(15, 4)
    for rows in (scores, np.vstack([scores, np.ones((1, 3))])):  # all tokens admit too few experts, or some of them
        with pytest.raises(VerificationError, match="admit at least k = 3"):
            dual(rows, 3, within, bias(0.0, 0.0, 0.0))
    dual(np.array([[1.0, -np.inf, 2.0]]), 2, Limits(whole(0, 0, 0), whole(1, 1, 1)), bias(0.0, 0.0, 0.0))
    assert unbalanced(scores, 2) == Fraction(15, 4)


# ------------------------------------------------------------------ the dual


def case(draw, elements):
    tokens, experts = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    least = draw(arrays.arrays(np.int64, experts, elements=st.integers(0, tokens)))
    most = np.minimum(tokens, least + draw(arrays.arrays(np.int64, experts, elements=st.integers(0, 2))))
    scores = draw(arrays.arrays(np.float64, (tokens, experts), elements=elements))
    groups = None
    if draw(st.booleans()):
        of = np.arange(experts) % 2
        groups = Groups(of, whole(1, 0)[: of.max() + 1], whole(4, 3)[: of.max() + 1])
        groups = groups._replace(high=np.minimum(groups.high, tokens * experts))
    return scores, Limits(least, most, groups)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_dual_is_what_its_definition_says(data):
    elements = data.draw(st.sampled_from([NEAR, st.floats(-4.0, 4.0)]))
    scores, limits = case(data.draw, elements)
    experts = scores.shape[1]
    k = data.draw(st.integers(1, experts))
    high = data.draw(arrays.arrays(np.float64, experts, elements=elements))
    low = np.zeros(experts) if elements is not NEAR else 2.0**-60 * np.arange(experts)
    lower = low[None] if low.any() else np.zeros((0, experts))
    shared = None
    if limits.groups is not None and data.draw(st.booleans()):
        shared = np.array([[0.3, -0.2], [2.0**-58, 0.0]])[:, : limits.groups.low.size]
    found = dual(scores, k, limits, Bias(np.concatenate([high[None], lower]), shared))
    b = [h + x for h, x in zip(rational(high), rational(low), strict=True)]
    value = Fraction(0)
    for row in scores:
        value += sum(sorted((s + c for s, c in zip(rational(row), b, strict=True)), reverse=True)[:k])
    own = list(b)
    if limits.groups is not None:
        parts = np.zeros((2, limits.groups.low.size)) if shared is None else shared
        d = [Fraction(x) + Fraction(y) for x, y in parts.T.tolist()]
        own = [c - d[g] for c, g in zip(b, limits.groups.of.tolist(), strict=True)]
        value += terms(d, limits.groups.low, limits.groups.high)
    assert found.bound == value + terms(own, limits.low, limits.high)
    assert found.score + found.surplus == found.bound
    assert found.loads.sum() == scores.shape[0] * k


def terms(numbers, low, high):
    pairs = zip(numbers, low.tolist(), high.tolist(), strict=True)
    return sum((-x * max(b, 0) + y * max(-b, 0) for b, x, y in pairs), Fraction(0))


@pytest.mark.parametrize("seed", range(8))
def test_no_assignment_is_better_and_slackness_means_equality(seed):
    """Statement 1 and 3 on the page, for every assignment: equality exactly where slackness holds."""
    rng = np.random.default_rng(seed)
    tokens, experts, k = 4, 3, 1 + seed % 2
    scores = rng.integers(0, 3, (tokens, experts)) / 4.0
    low, high = whole(0, 1, 1), whole(2, 3, 4)
    b = rng.integers(-2, 3, experts) / 4.0
    bound = dual(scores, k, Limits(low, high), bias(*b)).bound
    choices = list(itertools.combinations(range(experts), k))
    met = 0
    for answer in itertools.product(choices, repeat=tokens):
        loads = np.bincount(np.concatenate(answer), minlength=experts)
        if not Limits(low, high).admit(loads):
            assert np.any((loads < low) | (loads > high))
            continue
        assert np.all((loads >= low) & (loads <= high))
        score = sum(Fraction(scores[i, list(chosen)].sum()) for i, chosen in enumerate(answer))
        best = all(
            sum(sorted(scores[i] + b)[experts - k :]) == sum(scores[i, list(c)] + b[list(c)])
            for i, c in enumerate(answer)
        )
        slack = all(loads[j] == low[j] for j in np.flatnonzero(b > 0)) and all(
            loads[j] == high[j] for j in np.flatnonzero(b < 0)
        )
        assert (score == bound) == (best and slack)
        assert score <= bound
        met += 1
    assert met


def test_upper_limits_are_respected_by_equality():
    """A negative bias proves an optimum only where its expert is full: u_j, not the load, is in the bound."""
    scores = np.array([[3.0, 0.0], [2.0, 0.0]])
    loose = dual(scores, 1, Limits(whole(0, 0), whole(2, 2)), bias(-2.5, 0.0)).bound
    tight = dual(scores, 1, Limits(whole(0, 0), whole(1, 2)), bias(-2.5, 0.0)).bound
    assert (loose, tight) == (Fraction(11, 2), 3)  # 3 + 2 is admissible below 2 tokens, 3 + 0 below 1


def test_groups_are_admitted_by_their_joint_load():
    within = Limits(whole(0, 0, 0), whole(3, 3, 3), Groups(whole(0, 1, 1), whole(1, 2), whole(1, 2)))
    assert within.admit(whole(1, 1, 1))
    assert within.admit(whole(1, 0, 2))
    assert not within.admit(whole(0, 1, 2))  # below the first group's window
    assert not within.admit(whole(2, 1, 1))
    assert not within.admit(whole(1, 3, 0))
    assert not within.admit(whole(1, 1, 0))


def test_near_ties_are_told_apart_by_what_rounding_leaves():
    """1 + b and 1 + 2**-52 + b round to the same float for a large b, and only the second may be taken."""
    scores = np.array([[1.0, 1.0 + 2.0**-52, 0.0], [1.0 + 2.0**-52, 1.0, 0.0]])
    large = bias(2.0**10, 2.0**10, 0.0)
    found = dual(scores, 1, Limits(whole(0, 0, 0), whole(2, 2, 2)), large)
    assert found.score == 2 * Fraction(1.0 + 2.0**-52)
    low = Bias(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0**-60]]))  # of two equal scores the bias below float64 decides
    found = dual(np.array([[0.5, 0.5, 0.5]]), 1, Limits(whole(0, 0, 0), whole(1, 1, 1)), low)
    assert found.loads.tolist() == [0, 0, 1]
    found = dual(np.array([[0.5, 0.5, 0.5]]), 2, Limits(whole(0, 0, 0), whole(1, 1, 1)), low)
    assert found.loads[2] == 1


def test_many_rows_are_cut_into_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    scores, b = rng.standard_normal((17, 4)), rng.standard_normal(4)
    limits = Limits(whole(3, 3, 3, 3), whole(9, 9, 9, 9))
    whole_, free = dual(scores, 2, limits, bias(*b)), unbalanced(scores, 2)
    for block in (1, 4, 12):
        monkeypatch.setattr(theorem, "BLOCK", block)
        found = dual(scores, 2, limits, bias(*b))
        assert (found.bound, found.score, found.loads.tolist()) == (whole_.bound, whole_.score, whole_.loads.tolist())
        assert unbalanced(scores, 2) == free
    assert free == sum(sum(sorted(rational(row))[2:]) for row in scores)


# ------------------------------------------------------------------ thresholds


@settings(max_examples=60, deadline=None, derandomize=True)
@given(arrays.arrays(np.float64, (4, 3), elements=NEAR), arrays.arrays(np.float64, 3, elements=NEAR), NEAR)
def test_thresholds(scores, thresholds, level):
    low, high, total = whole(0, 1, 2), whole(1, 3, 2), 5
    t = rational(thresholds)
    above = sum((max(Fraction(s) - t[j], 0) for row in scores.tolist() for j, s in enumerate(row)), Fraction(0))
    value = above + Fraction(level) * total + terms([Fraction(level) - x for x in t], low, high)
    assert threshold_dual(scores, total, Limits(low, high), thresholds, level) == value
    assert best_entries(scores, 5) == sum(sorted(rational(scores), reverse=True)[:5])


def test_no_best_entries_and_all_of_them():
    scores = np.array([[1.0, 2.0], [3.0, 5.0]])
    assert [best_entries(scores, count) for count in range(5)] == [0, 5, 8, 10, 11]


# ------------------------------------------------------------------ rounding


def test_rounding_is_outward_and_range_is_kept():
    third = Fraction(1, 3)
    value, bound = outward(third, third)
    assert Fraction(bound) < third < Fraction(value)
    assert math.nextafter(bound, 1.0) == value
    for number in (Fraction(1, 4), Fraction(0), Fraction(-3, 8)):
        assert outward(number, number) == (float(number), float(number))
    up, down = Fraction(1) + Fraction(1, 2**80), Fraction(1) - Fraction(1, 2**80)  # both round to 1 by themselves
    assert outward(up, down) == (math.nextafter(1.0, 2.0), math.nextafter(1.0, 0.0))
    assert outward(down, up) == (1.0, 1.0)
    assert outward(-third, -third) == (-bound, -value)
    with pytest.raises(RangeError):
        outward(Fraction(10) ** 400, Fraction(0))
    with pytest.raises(RangeError, match="range"):
        theorem.rounded_sum(np.array([1e308]), np.array([1e308]))


# ------------------------------------------------------------------ every hypothesis, broken once

SCORES = np.array([[0.5, 0.25], [1.0, 0.0], [0.5, 0.75]])
GOOD = Limits(whole(1, 1), whole(2, 3))
GROUPED = GOOD._replace(groups=Groups(whole(0, 0), whole(3), whole(6)))
ZERO = bias(0.0, 0.0)
BROKEN = {
    "k of 0": (0, GOOD, ZERO),
    "k above the experts": (3, GOOD, ZERO),
    "k that is no whole number": (1.0, GOOD, ZERO),
    "k that is a truth value": (True, GOOD, ZERO),
    "negative low": (1, GOOD._replace(low=whole(-1, 1)), ZERO),
    "low above high": (1, GOOD._replace(low=whole(1, 4), high=whole(2, 3)), ZERO),
    "high above the tokens": (1, GOOD._replace(high=whole(2, 4)), ZERO),
    "high that wraps": (1, GOOD._replace(high=whole(2**62, 2**62)), ZERO),
    "float windows": (1, GOOD._replace(low=np.array([0.5, 1.0])), ZERO),
    "float upper windows": (1, GOOD._replace(high=np.array([2.5, 3.0])), ZERO),
    "wrapped windows": (1, GOOD._replace(high=np.array([2, 3], dtype=np.uint8)), ZERO),
    "one window for all": (1, GOOD._replace(low=whole(1)), ZERO),
    "one upper window for all": (1, GOOD._replace(high=whole(3)), ZERO),
    "three windows": (1, Limits(whole(1, 1, 0), whole(2, 3, 0)), ZERO),
    "NaN": (1, GOOD, bias(np.nan, 0.0)),
    "infinity": (1, GOOD, bias(0.0, -np.inf)),
    "a bias out of range": (1, GOOD, bias(2.0**1021, 0.0)),
    "a low part out of range": (1, GOOD, Bias(np.array([[0.0, 0.0], [0.0, -(2.0**1021)]]))),
    "parts that are out of range together": (1, GOOD, Bias(np.full((2, 2), 2.0**1020))),
    "a whole bias": (1, GOOD, Bias(np.zeros((1, 2), int))),
    "a complex bias": (1, GOOD, Bias(np.zeros((1, 2), complex))),
    "a broadcast bias": (1, GOOD, Bias(np.zeros((1, 1)))),
    "a bias of no parts": (1, GOOD, Bias(np.zeros((0, 2)))),
    "a bias of one axis": (1, GOOD, Bias(np.zeros(2))),
    "a bias of groups without groups": (1, GOOD, ZERO._replace(groups=np.zeros((2, 1)))),
    "a bias of two groups for one": (1, GROUPED, ZERO._replace(groups=np.zeros((2, 2)))),
    "a bias of groups of one axis": (1, GROUPED, ZERO._replace(groups=np.zeros(1))),
    "a whole bias of groups": (1, GROUPED, ZERO._replace(groups=np.zeros((1, 1), int))),
    "NaN for a group": (1, GROUPED, ZERO._replace(groups=np.array([[0.0], [np.nan]]))),
    "a group that is none": (1, GROUPED._replace(groups=GROUPED.groups._replace(of=whole(0, 1))), ZERO),
    "a negative group": (1, GROUPED._replace(groups=GROUPED.groups._replace(of=whole(0, -1))), ZERO),
    "a group for all": (1, GROUPED._replace(groups=GROUPED.groups._replace(of=whole(0))), ZERO),
    "float groups": (1, GROUPED._replace(groups=GROUPED.groups._replace(of=np.zeros(2))), ZERO),
    "negative group load": (1, GROUPED._replace(groups=GROUPED.groups._replace(low=whole(-1))), ZERO),
    "group load above all": (1, GROUPED._replace(groups=GROUPED.groups._replace(high=whole(7))), ZERO),
    "group load crossed": (1, GROUPED._replace(groups=GROUPED.groups._replace(low=whole(5), high=whole(4))), ZERO),
}


@pytest.mark.parametrize("label", BROKEN)
def test_hypotheses_are_asked_for(label):
    k, limits, given_bias = BROKEN[label]
    with pytest.raises(VerificationError):
        dual(SCORES, k, limits, given_bias)


def test_the_last_that_is_allowed_is_taken():
    dual(SCORES, 1, GOOD, ZERO)
    dual(SCORES, 2, Limits(whole(0, 3), whole(0, 3)), bias(2.0**1020, -(2.0**1020)))
    shared = ZERO._replace(groups=np.array([[0.5], [0.0]]))
    assert (
        dual(SCORES, 1, GROUPED, shared).bound == dual(SCORES, 1, GROUPED, ZERO).bound + 1
    )  # 5 * 0.5 of the experts, -3 * 0.5 of the group


@pytest.mark.parametrize(
    "change",
    [
        {"total": -1},
        {"total": 7},
        {"total": 2.0},
        {"total": True},
        {"level": math.nan},
        {"level": math.inf},
        {"level": 2.0**1021},
        {"level": -(2.0**1021)},
        {"level": True},
        {"level": "0"},
        {"thresholds": np.array([0.0, np.nan])},
        {"thresholds": np.array([0.0])},
        {"thresholds": np.zeros((2, 1))},
        {"thresholds": np.array([0.0, 2.0**1021])},
        {"thresholds": np.zeros(2, int)},
        {"limits": GOOD._replace(high=whole(2**62, 3))},
        {"limits": GOOD._replace(low=whole(-1, 1))},
    ],
    ids=str,
)
def test_hypotheses_of_thresholds_are_asked_for(change):
    arguments = {"total": 3, "limits": GOOD, "thresholds": np.zeros(2), "level": 0.0}
    threshold_dual(SCORES, **arguments)
    threshold_dual(SCORES, **{**arguments, "total": 6, "level": 2.0**1020})
    threshold_dual(SCORES, **{**arguments, "total": 0, "level": -(2.0**1020)})
    with pytest.raises(VerificationError):
        threshold_dual(SCORES, **{**arguments, **change})


def test_the_low_part_of_a_bias_decides_ties():
    chosen = largest(np.array([[1.0, 0.0]]), Bias(np.array([[0.0, 0.0], [0.0, 5.0]])), 1)
    assert chosen.tolist() == [[1]]


def test_one_sum_beyond_the_range_is_enough_to_refuse():
    with pytest.raises(RangeError, match="beyond the range"):
        rounded_sum(np.array([1.7e308, 1.0]), np.array([1.7e308, 1.0]))
    with pytest.raises(RangeError, match="beyond the range"):
        rounded_sum(np.array([1.7e308, -np.inf]), np.array([1.7e308, 1.0]))
    assert rounded_sum(np.array([-np.inf, 1.0]), np.array([3.0, 1.0])).tolist() == [-np.inf, 2.0]


def test_a_load_outside_its_own_window_is_not_admitted_by_its_group():
    limits = Limits(whole(1, 1), whole(2, 2), Groups(whole(0, 0), whole(4), whole(4)))
    assert limits.admit(whole(2, 2))
    assert not limits.admit(whole(3, 1))


def test_an_exact_product_has_as_many_weights_as_values():
    with pytest.raises(ValueError, match="zip"):
        exact_dot(whole(1, 2), np.array([1.0]))


def test_k_of_every_row_are_taken_however_many_tie():
    """Rows of three values in every order: with fewer, as many and more ties than there are places left."""
    rows = np.array(list(itertools.product([0.0, 1.0, 2.0], repeat=4)))
    lower = Bias(np.array([[1.0, 0.0, 2.0, 1.0], 2.0**-60 * np.array([1.0, -1.0, 0.0, 2.0])]))
    for given_bias, k in itertools.product([bias(0.0, 0.0, 0.0, 0.0), bias(1.0, 0.0, 2.0, 1.0), lower], range(1, 5)):
        chosen = largest(rows, given_bias, k)
        assert chosen.shape == (len(rows), k)
        b = [sum(map(Fraction, column), Fraction(0)) for column in given_bias.parts.T.tolist()]
        for row, places in zip(rows.tolist(), chosen.tolist(), strict=True):
            moved = [Fraction(s) + c for s, c in zip(row, b, strict=True)]
            assert len(set(places)) == k
            assert sum(moved[place] for place in places) == sum(sorted(moved)[4 - k :])


def test_no_tokens_score_nothing():
    """Every sum over the tokens is empty: what is left of D(b) are the terms of the windows, all of them [0, 0]."""
    none, empty = np.zeros((0, 3)), Limits(whole(0, 0, 0), whole(0, 0, 0))
    found = dual(none, 2, empty, bias(1.0, -2.0, 0.5))
    assert (found.bound, found.score, found.loads.tolist()) == (0, 0, [0, 0, 0])
    assert unbalanced(none, 2) == best_entries(none, 0) == 0


def test_a_bias_of_no_groups_needs_no_groups():
    given_bias = bias(1.0, -2.0)
    found = dual(SCORES, 1, GOOD, given_bias._replace(groups=np.zeros((2, 0))))
    assert found.bound == dual(SCORES, 1, GOOD, given_bias).bound


@pytest.mark.parametrize(
    ("row", "parts"),
    [
        # rounded, the first sum is ahead by a spacing; what rounding took and gave, and the second parts, say otherwise
        ([1.0, 1.0], [[2.0**-53 + 2.0**-60, 2.0**-53 - 2.0**-60], [-(2.0**-58), 2.0**-58]]),
        # the first parts leave exact sums in one order, the second parts turn it
        ([1.0, 1.0 - 2.0**-30], [[0.0, 0.0], [-1.5 * 2.0**-31, 1.5 * 2.0**-31]]),
        # the same below 0: the sums are a spacing apart, of which rounding made up all but what the second parts turn
        ([-1.5 - 2.0**-52] * 2, [[2.0**-53, 2.0**-53 - 2.0**-80], [-(2.0**-80), 2.0**-80]]),
        # many parts, each too small to turn the order by itself
        ([6.0 * 2.0**-30, 0.0], [[0.0, 0.0], *[[0.0, 2.0**-30]] * 7]),
    ],
)
def test_longer_biases_overrule_the_order_of_rounded_sums(row, parts):
    found = largest(np.array([row]), Bias(np.array(parts)), 1)
    exact = [Fraction(x) + sum(map(Fraction, b)) for x, b in zip(row, zip(*parts, strict=True), strict=True)]
    assert exact[1] > exact[0]
    assert found.tolist() == [[1]]


def test_a_row_that_needs_more_digits_beside_one_that_does_not():
    rows = np.array([[0.0, 0.0], [1.0, 1.0]])
    longer = Bias(np.array([[2.0**-53, 2.0**-53], [2.0**-120, 0.0]]))
    assert biased(rows, longer)[2].tolist() == [True, False]
    assert largest(rows, longer, 1).tolist() == [[0], [0]]
