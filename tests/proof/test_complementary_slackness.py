"""An assignment and duals that prove each other: told without a sum, as the sums in rational numbers tell it."""

import functools
from fractions import Fraction

import numpy as np
import pytest

from infimum import balance
from infimum.proof import complementary_slackness
from infimum.proof.complementary_slackness import slackness_holds
from infimum.proof.theorems.assignment_dual import REACH, Bias, Limits, dual
from tests.balance.reference import without_numba

FORMS = {
    "compiled": lambda _: slackness_holds,
    "as it is written": lambda _: getattr(slackness_holds, "py_func", slackness_holds),
    "of arrays": lambda patch: without_numba(patch, complementary_slackness).slackness_holds,
}


def worth(cost, taken, duals):
    """Tell in rational numbers whether the dual is worth what the assignment costs; infinite costs bound nothing."""
    rows, columns = cost.shape
    most = np.ones(columns, dtype=np.int64)
    limits = Limits(most if rows == columns else 0 * most, most)
    total = sum(map(Fraction, cost[np.arange(rows), taken].tolist()), Fraction(0))
    return total == -dual(-cost, 1, limits, Bias(duals[None])).bound


@functools.cache
def judged(count):
    """Cases with what rational numbers say of them, which every form is held against."""
    return [(*case, worth(*case)) for case in cases(count)]


def cases(count):
    """Draw assignments with duals of which many are optimal, many by a last digit only, and many are not."""
    rng = np.random.default_rng(0)
    for number in range(count):
        rows = int(rng.integers(1, 5))
        columns = rows + int(rng.integers(0, 3))
        cost = rng.integers(0, 4, (rows, columns)) / 4.0
        if number % 3:
            cost = cost * rng.choice([1.0, 2.0**-52, 2.0**70, 0.1], (rows, columns))
        cost[rng.random(cost.shape) < 0.1] = np.inf
        taken = rng.permutation(columns)[:rows]
        if np.isfinite(cost[np.arange(rows), taken]).all() and np.isfinite(cost).any(axis=1).all():
            duals = (
                rng.integers(-2, 1 + (rows == columns), columns) / 4.0 * rng.choice([0.0, 1.0, 2.0**-53, 0.1], columns)
            )
            yield cost, taken, duals


@pytest.mark.parametrize("form", FORMS)
def test_agrees_with_rational_numbers(form, monkeypatch):
    holds = FORMS[form](monkeypatch)
    seen = {True: 0, False: 0}
    for cost, taken, duals, expected in judged(6000):
        answer = holds(cost, taken, duals, REACH)
        assert answer == expected
        seen[bool(answer)] += 1
    assert min(seen.values()) > 300


@pytest.mark.parametrize("form", FORMS)
def test_differences_that_rounding_hides(form, monkeypatch):
    holds = FORMS[form](monkeypatch)
    cost = np.array([[1.0, 1.0], [0.0, 0.0]])
    for small, optimal in ((0.0, True), (2.0**-60, False), (-(2.0**-60), False)):
        duals = np.array([0.0, small])  # 1 - small is rounded to 1
        assert holds(cost[:1], np.array([0]), np.array([0.0, min(small, 0.0)]), REACH) == (small >= 0.0)
        assert holds(cost, np.array([0, 1]), duals, REACH) == optimal


@pytest.mark.parametrize("form", FORMS)
def test_what_is_no_assignment_and_duals_out_of_range(form, monkeypatch):
    holds = FORMS[form](monkeypatch)
    cost = np.array([[0.0, 1.0], [0.0, 1.0]])
    assert holds(cost, np.array([0, 1]), np.array([-1.0, 0.0]), REACH)
    assert not holds(cost, np.array([0, 0]), np.zeros(2), REACH)  # two rows of one column
    for wrong in (np.nan, np.inf, -np.inf, 2.0 * REACH):
        assert not holds(cost, np.array([0, 1]), np.array([wrong, 0.0]), REACH)
        assert not holds(cost[:1], np.array([0]), np.array([0.0, -abs(wrong)]), REACH)


def test_values_and_bounds_are_rounded_outwards():
    for small in (2.0**-60, -(2.0**-60), 0.0):
        certificate = balance.linear_assignment(np.diag([1.0, small]) + 8.0 * (1.0 - np.eye(2))).certificate
        assert Fraction(certificate.lower_bound) <= 1 + Fraction(small) <= Fraction(certificate.value)
        assert (certificate.gap > 0.0) == (small != 0.0)
        assert certificate.gap <= 2.0**-52
