"""The trusted core against plain rational arithmetic, entry by entry."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from infimum.errors import RangeError
from infimum.proof.theorems.assignment_dual import (
    Bias,
    Groups,
    Limits,
    best_entries,
    dual,
    exact_dot,
    exact_sum,
    outward,
    threshold_dual,
    unbalanced,
)

FINITE = st.floats(-1e200, 1e200, allow_subnormal=True)
NEAR = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.1 + 0.2, 1.0, 1.0 + 2.0**-52, 1.0 - 2.0**-53, -0.7, 5e-324])


def rational(values):
    return [Fraction(value) for value in np.ravel(values).tolist()]


@given(arrays.arrays(np.float64, st.integers(0, 30), elements=FINITE))
def test_sums_are_exact(values):
    assert exact_sum(values) == sum(rational(values), Fraction(0))
    weights = np.arange(values.size) - 7
    assert exact_dot(weights, values) == sum((int(w) * v for w, v in zip(weights, rational(values), strict=True)), 0)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_dual_is_what_its_definition_says(data):
    tokens, experts = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))
    k = data.draw(st.integers(1, experts))
    elements = data.draw(st.sampled_from([NEAR, st.floats(-4.0, 4.0)]))
    scores = data.draw(arrays.arrays(np.float64, (tokens, experts), elements=elements))
    high = data.draw(arrays.arrays(np.float64, experts, elements=elements))
    low = np.zeros(experts) if elements is not NEAR else 2.0**-60 * np.arange(experts)
    least = data.draw(arrays.arrays(np.int64, experts, elements=st.integers(0, 3)))
    most = least + data.draw(arrays.arrays(np.int64, experts, elements=st.integers(0, 2)))
    groups, shared = None, None
    if data.draw(st.booleans()):
        of = np.arange(experts) % 2
        groups = Groups(of, np.array([1, 0])[: of.max() + 1], np.array([4, 3])[: of.max() + 1])
        shared = np.array([[0.3, -0.2], [2.0**-58, 0.0]])[:, : of.max() + 1]
    try:
        found = dual(scores, k, Limits(least, most, groups), Bias(high, low, shared))
    except RangeError:  # more digits than two floats hold
        return
    b = [h + x for h, x in zip(rational(high), rational(low), strict=True)]
    value = Fraction(0)
    for row in scores:
        value += sum(sorted((s + c for s, c in zip(rational(row), b, strict=True)), reverse=True)[:k])
    own, d = list(b), []
    if groups is not None:
        d = [Fraction(x) + Fraction(y) for x, y in shared.T.tolist()]
        own = [c - d[g] for c, g in zip(b, groups.of.tolist(), strict=True)]
        value += terms(d, groups.low, groups.high)
    assert found.bound == value + terms(own, least, most)
    assert found.score + found.surplus == found.bound
    assert found.loads.sum() == tokens * k


def terms(bias, low, high):
    pairs = zip(bias, low.tolist(), high.tolist(), strict=True)
    return sum((-x * max(b, 0) + y * max(-b, 0) for b, x, y in pairs), Fraction(0))


@settings(deadline=None)
@given(arrays.arrays(np.float64, (4, 3), elements=NEAR), arrays.arrays(np.float64, 3, elements=NEAR), NEAR)
def test_thresholds(scores, thresholds, level):
    low, high, total = np.array([0, 1, 2]), np.array([1, 3, 2]), 5
    t = rational(thresholds)
    above = sum((max(Fraction(s) - t[j], 0) for row in scores.tolist() for j, s in enumerate(row)), Fraction(0))
    value = above + Fraction(level) * total + terms([Fraction(level) - x for x in t], low, high)
    assert threshold_dual(scores, total, Limits(low, high), thresholds, level) == value
    assert best_entries(scores, 5) == sum(sorted(rational(scores), reverse=True)[:5])


def test_near_ties_are_told_apart_by_what_rounding_leaves():
    """1 + b and 1 + 2**-52 + b round to the same float for a large b, and only the second may be taken."""
    scores = np.array([[1.0, 1.0 + 2.0**-52, 0.0]])
    bias = Bias(np.array([2.0**10, 2.0**10, 0.0]), np.zeros(3))
    assert dual(scores, 1, Limits(np.zeros(3, int), np.ones(3, int)), bias).loads.tolist() == [0, 1, 0]


def test_rounding_is_outward_and_range_is_kept():
    third = Fraction(1, 3)
    value, bound = outward(third, third)
    assert Fraction(bound) < third < Fraction(value)
    assert outward(Fraction(1, 4), Fraction(1, 4)) == (0.25, 0.25)
    with pytest.raises(RangeError):
        outward(Fraction(10) ** 400, Fraction(0))
    with pytest.raises(RangeError, match="range"):
        dual(np.array([[1e308]]), 1, Limits(np.zeros(1, int), np.ones(1, int)), Bias(np.array([1e308]), np.zeros(1)))
    assert unbalanced(np.array([[0.1, 0.2, 0.3]]), 2) == Fraction(0.2) + Fraction(0.3)
