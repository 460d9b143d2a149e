"""Schedules for the matrix sign and roots: published tables, independent optima, certificates, hostile input."""

import dataclasses
import inspect
import itertools
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

import infimum
from infimum import minimax
from infimum.errors import DTypeError, NonFiniteError, OptionError, RangeError, VerificationError
from infimum.proof.theorems import composition

CUSHION = 0.02407327424182761
OPTIMA = (".9915297", ".9645720", ".8597707", ".5458933", ".1134485", "9.1647e-4", "4.811e-10")

# Scientific Spaces 10996 (row 6 with its sign) and 11175, as printed
SIGN = """8.28721 -23.5959 17.3004
4.10706 -2.94785 0.544843
3.94869 -2.9089 0.551819
3.31842 -2.48849 0.510049
2.30065 -1.6689 0.418807
1.8913 -1.268 0.376804
1.875 -1.25 0.375
1.875 -1.25 0.375"""
ROOTS = {
    1: "14.2975 -31.2203 18.9214 7.12258 -7.78207 2.35989 6.9396 -7.61544 2.3195 5.98456 -6.77016 2.12571 "
    "3.79109 -4.18664 1.39555",
    2: "7.42487 -18.3958 12.8967 3.48773 -2.33004 0.440469 2.77661 -2.07064 0.463023 1.99131 -1.37394 0.387593",
    3: "5.05052 -13.5427 10.2579 2.31728 -1.06581 0.144441 1.79293 -0.913562 0.186699 1.56683 -0.786609 0.220008",
    4: "3.85003 -10.8539 8.61893 1.80992 -0.587778 0.0647852 1.50394 -0.594516 0.121161",
    5: "3.11194 -8.28217 6.67716 1.5752 -0.393327 0.0380364 1.3736 -0.44661 0.0911259",
}


def digits(number, text):
    """Write a number with as many significant digits as a printed one."""
    count = len(text.lstrip("-0.").partition("e")[0].replace(".", ""))
    return float(f"{number:.{count - 1}e}")


def test_table_of_the_matrix_sign():
    schedule = minimax.msign_schedule(1e-3, 8, cushion=CUSHION)
    for row, line in zip(schedule.coefficients, SIGN.splitlines(), strict=True):
        assert [digits(c, text) for c, text in zip(row, line.split(), strict=True)] == [*map(float, line.split())]


@pytest.mark.parametrize("r", ROOTS)
def test_tables_of_roots(r):
    printed = ROOTS[r].split()
    schedule = minimax.root_schedule(r, lower=1e-4, steps=8, cushion=0.1)
    found = np.ravel(schedule.table)
    assert [digits(c, text) for c, text in zip(found, printed, strict=False)] == [*map(float, printed)]
    limit = [(r + 1) * (2 * r + 1) / (2 * r**2), -(2 * r + 1) / r**2, (r + 1) / (2 * r**2)]
    np.testing.assert_allclose(schedule.table[-1], limit, rtol=1e-7)


def test_optimal_errors_of_quintic_steps():
    schedule = minimax.msign_schedule(1e-3, 7)
    for floor, printed in zip(schedule.floors, OPTIMA, strict=True):
        assert digits(floor, printed) == float(printed)
    for steps in range(1, 8):
        certificate = minimax.msign_schedule(1e-3, steps).certificate
        assert certificate.ratio <= 1 + (1e-12 if steps < 7 else 1e-6)


def test_closed_form_of_the_cubic():
    low, high = 0.1, 1.3
    alpha = np.sqrt(3 / (high**2 + low * high + low**2))
    beta = 4 / (2 + low * high * (low + high) * alpha**3)
    schedule = minimax.msign_schedule(low, 1, 3, upper=high)
    np.testing.assert_allclose(schedule.table[0], [1.5 * alpha * beta, -0.5 * alpha**3 * beta], rtol=1e-14)


@pytest.mark.parametrize(("power", "terms"), [(2, 1), (2, 2), (2, 3), (2, 4), (1, 3), (3, 3), (5, 2)])
def test_one_step_against_linear_programming(power, terms):
    low, high = 0.2, 1.5
    x = np.linspace(low, high, 4001)
    basis = x[:, None] ** (power * np.arange(terms) + 1)
    rows = np.block([[basis, -np.ones((x.size, 1))], [-basis, -np.ones((x.size, 1))]])
    sides = np.concatenate([np.ones(x.size), -np.ones(x.size)])
    found = linprog([*[0.0] * terms, 1.0], A_ub=rows, b_ub=sides, bounds=[(None, None)] * terms + [(0, None)])
    ends = [(end**power) for end in (low, high)]
    schedule = minimax.root_schedule(power, lower=ends[0], upper=ends[1], steps=1, terms=terms)
    certificate = schedule.certificate
    assert certificate.ratio <= 1 + 1e-10
    assert found.fun <= certificate.value + 1e-9  # the grid misses a little of the maximum
    assert certificate.value <= found.fun * (1 + 1e-4)


def test_greedy_is_best_among_random_compositions():
    rng = np.random.default_rng(0)
    best = minimax.msign_schedule(0.1, 2, (3, 5))
    for scale in (1e-3, 1e-2, 1e-1):
        for _ in range(10):
            rows = [np.array(row) * (1 + scale * rng.standard_normal(len(row))) for row in best.coefficients]
            other = minimax.verify_schedule(rows, 0.1)
            assert other.certificate.value >= best.certificate.lower_bound
            assert other.certificate.lower_bound == best.certificate.lower_bound


@pytest.mark.parametrize("seed", range(30))
def test_image_encloses_and_is_tight(seed):
    rng = np.random.default_rng(seed)
    power, terms = int(rng.integers(1, 6)), int(rng.integers(1, 6))
    row = rng.standard_normal(terms) * 10.0 ** rng.integers(-2, 3)
    low, high = np.sort(rng.uniform(-1.5, 1.5, 2))
    found = composition.image(row.tolist(), power, (Fraction(low), Fraction(high)))
    x = np.linspace(low, high, 20001)
    values = sum(c * x ** (power * k + 1) for k, c in enumerate(row))
    spread = values.max() - values.min()
    assert float(found[0]) <= values.min() + 1e-12 * np.abs(values).max()
    assert float(found[1]) >= values.max() - 1e-12 * np.abs(values).max()
    assert float(found[0]) >= values.min() - 1e-5 * spread
    assert float(found[1]) <= values.max() + 1e-5 * spread


def test_image_at_a_flat_maximum():
    row = [15 / 8, -5 / 4, 3 / 8]  # 1 - p has a root of third order at 1
    low, high = composition.image(row, 2, (Fraction(1, 2), Fraction(1)))
    assert high - 1 < Fraction(1, 10**17)
    assert high >= 1
    assert float(low) == pytest.approx(15 / 16 - 5 / 32 + 3 / 256, abs=1e-15)


def test_value_is_the_largest_error_of_the_stored_table():
    schedule = minimax.msign_schedule(1e-3, 6, cushion=CUSHION, safety=1.01)
    x = np.geomspace(1e-3, 1.0, 200001)
    measured = np.abs(schedule(x) - 1).max()
    assert measured <= schedule.certificate.value * (1 + 1e-9)
    assert measured >= schedule.certificate.value * (1 - 1e-3)


def test_certificate_is_tight_below_double_precision():
    exact = minimax.verify_schedule([(1.5, -0.5)] * 3 + [(15 / 8, -10 / 8, 3 / 8)] * 3, 0.9)
    x = Fraction(9, 10)
    for row in exact.coefficients:
        x = sum((Fraction(c) * x ** (2 * k + 1) for k, c in enumerate(row)), Fraction(0))
    assert 1e-60 > exact.certificate.value >= 1 - x  # the largest error is at the lower end
    assert exact.certificate.value == pytest.approx(float(1 - x), rel=1e-9)


def test_noise_and_safety():
    plain = minimax.msign_schedule(1e-2, 6)
    noisy = minimax.verify_schedule(plain, 1e-2, noise=2.0**-9)
    assert noisy.certificate.value > plain.certificate.value
    assert noisy.certificate.lower_bound == plain.certificate.lower_bound
    assert noisy.intervals[1][1] == pytest.approx(plain.intervals[1][1] + 2.0**-9)
    safe = minimax.msign_schedule(1e-2, 6, safety=1.01)
    np.testing.assert_allclose(safe.table[0] * 1.01 ** np.array([1, 3, 5]), plain.table[0])


def test_origin_of_published_tables():
    """The options by which three tables in circulation were made, to their last digits."""
    tables = {table.name: table for table in minimax.PUBLISHED}
    found = minimax.msign_schedule(1e-3, 5, cushion=0.02, safety=1.02).table
    np.testing.assert_allclose(tables["nanochat"].rows, found, rtol=1e-13)
    found = minimax.msign_schedule(1e-3, 5).table
    np.testing.assert_allclose(tables["CANS"].rows, found, atol=6e-5)
    found = minimax.msign_schedule(1e-3, 8, cushion=CUSHION).table
    np.testing.assert_allclose(tables["Polar Express (paper)"].rows[:-1], (found / 1.01 ** np.array([1, 3, 5]))[:-1])


def test_default_of_torch_is_the_first_published_table():
    default = inspect.signature(torch.optim.Muon).parameters
    first = minimax.PUBLISHED[0]
    assert first.rows == (default["ns_coefficients"].default,) * default["ns_steps"].default


def test_published_tables_are_above_their_floor():
    for table in minimax.PUBLISHED:
        certificate = minimax.verify_schedule(table.rows, 1e-3).certificate
        assert 0 < certificate.lower_bound <= certificate.value
        assert table.source


def test_root_of_a_matrix():
    rng = np.random.default_rng(0)
    for r, s in itertools.product((1, 2, 3), (1, 2)):
        values = np.concatenate([[1e-2, 1.0], rng.uniform(1e-2, 1.0, 8)])
        Q = np.linalg.qr(rng.standard_normal((10, 10)))[0]
        P, G = Q @ np.diag(values) @ Q.T, np.eye(10)
        schedule = minimax.root_schedule(r, s, lower=1e-2, steps=4)
        for a, b, c in schedule.coefficients:
            q = a * np.eye(10) + b * P + c * P @ P
            G, P = G @ np.linalg.matrix_power(q, s), P @ np.linalg.matrix_power(q, r)
        relative = np.diag(Q.T @ G @ Q) * values ** (s / r) - 1
        assert np.abs(relative).max() <= schedule.certificate.value + 1e-10
        assert schedule.certificate.gap <= 1e-6 * schedule.certificate.lower_bound + 1e-15


def test_verify_refuses_corruption():
    schedule = minimax.msign_schedule(1e-2, 3, (3, 5, 5))
    assert infimum.verify(schedule, 1e-2).ratio <= 1 + 1e-9
    for field, value in (("upper", 0.9), ("power", 3), ("numerator", 2), ("noise", 1e-3), ("terms", [3, 3, 3])):
        forged = dataclasses.replace(schedule, **{field: np.array(value) if field == "terms" else value})
        with pytest.raises(VerificationError):
            infimum.verify(forged, 1e-2)
    with pytest.raises(VerificationError):
        infimum.verify(schedule, 2e-2)


def test_consistent_lies_are_refused():
    """Options for which the same arithmetic proves something else: a noise that narrows, a power that is always 1."""
    schedule = minimax.verify_schedule([(1.5, -0.5)] * 2, 0.5)
    for field, value, claim in (("noise", -0.05, 0.0), ("numerator", 0, 0.0), ("power", 0, 0.0)):
        certificate = dataclasses.replace(schedule.certificate, value=claim, lower_bound=0.0)
        forged = dataclasses.replace(schedule, **{field: value}, certificate=certificate)
        with pytest.raises(VerificationError, match=field):
            infimum.verify(forged, 0.5)


def test_any_witness_proves_a_true_bound():
    rng = np.random.default_rng(0)
    optimum = minimax.msign_schedule(0.05, 2).certificate.value
    for _ in range(50):
        nodes = [sorted(rng.uniform(0, 1, 4)) for _ in range(2)]
        bound = composition.floors(Fraction(0.05), Fraction(1), 2, nodes)[-1]
        assert 0 <= bound <= optimum


@pytest.mark.parametrize("library", [np.asarray, torch.asarray], ids=["numpy", "torch"])
def test_call_and_intervals(library):
    schedule = minimax.msign_schedule(1e-2, 4, 3)
    x = library(np.linspace(1e-2, 1.0, 5))
    y = schedule(x)
    assert type(y) is type(x)
    low, high = schedule.intervals[-1]
    assert bool((y >= low).all() and (y <= high).all())
    assert schedule(-0.5) == -schedule(0.5)


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        ((0.0,), {}, OptionError),
        ((-1.0,), {}, OptionError),
        ((2.0,), {}, OptionError),
        ((1e-100,), {}, OptionError),
        (("a",), {}, DTypeError),
        ((np.nan,), {}, NonFiniteError),
        ((0.1, 0), {}, OptionError),
        ((0.1, 2.5), {}, DTypeError),
        ((0.1, 2, 4), {}, OptionError),
        ((0.1, 2, (3, 5, 5)), {}, OptionError),
        ((0.1, 2, 101), {}, OptionError),
        ((0.1,), {"cushion": 1.0}, OptionError),
        ((0.1,), {"safety": 0.9}, OptionError),
        ((1e-200,), {"upper": 1e-199, "degree": 5}, RangeError),
        ((1e-20, 5, 5), {}, RangeError),
        ((1e-50, 2, 3), {}, RangeError),
    ],
)
def test_bad_arguments(arguments, options, error):
    with pytest.raises(error):
        minimax.msign_schedule(*arguments, **options)


@pytest.mark.parametrize(
    ("table", "error"),
    [
        ([], OptionError),
        ([[]], OptionError),
        (3, DTypeError),
        ([["a"]], DTypeError),
        ([[np.nan, 1.0]], NonFiniteError),
        (np.ones((2, 2, 2)), DTypeError),
        ([[1e300, 1e300]] * 3, RangeError),
        ([[1.0] * 9], OptionError),
    ],
)
def test_bad_tables(table, error):
    with pytest.raises(error):
        minimax.verify_schedule(table, 0.5)


def test_many_steps_end_soon():
    """The error shrinks to its eighth power in a step; what no float can hold is not carried along."""
    for steps in (6, 7):
        schedule = minimax.msign_schedule(0.5, steps, 15)
        assert schedule.certificate.lower_bound == 0.0
        assert schedule.certificate.value < 1e-100
        infimum.verify(schedule, 0.5)
    assert minimax.msign_schedule(1e-20, 20, cushion=0.1).certificate.ratio < 1.01


def test_degenerate_tables_have_true_certificates():
    for table in ([[0.0, 0.0, 0.0]], [[-1.0]], [[1e-320, 0.0]], [[1.0]], [[2.0, -1.0], [0.0]]):
        certificate = minimax.verify_schedule(table, 0.5).certificate
        assert certificate.lower_bound <= certificate.value
    assert minimax.msign_schedule(1.0, 2).certificate.value <= 1e-15


def test_bad_roots_are_told():
    with pytest.raises(OptionError, match="terms must be one number"):
        minimax.root_schedule(3, steps=2, terms=(3, 3, 3))
    with pytest.raises(OptionError, match="r must be at most"):
        minimax.root_schedule(50)
