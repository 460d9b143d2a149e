"""n = a*b + c: against brute force, against the post's algorithm, large numbers, hostile input, verification."""

import dataclasses
import math
import random
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import infimum
from infimum.errors import DTypeError, InfimumError, OptionError, RangeError, VerificationError
from infimum.integers import brute_force, product_plus_remainder
from infimum.proof.theorems import product_plus_remainder as theorem
from tests.integers import reference

SEQUENCE = [0, 1, 2, 3, 4, 5, 5, 6, 6, 6, 7, 8, 7, 8, 9, 8, 8, 9, 9, 10, 9, 10, 11, 12, 10]
COSTS = [
    *[
        (1, 1, 2),
        (1, 1, 7),
        (1, 2, 1),
        (3, 5, 2),
        (5, 3, 2),
        (6, 10, 15),
        (4, 4, 1),
        (4, 4, 9),
        (1, 100, 1),
        (100, 1, 1),
    ],
    *[
        (1, 1, 1000),
        (7, 7, 1),
        (12, 18, 5),
        (2, 3, 50),
        (50, 49, 3),
        (1000, 1, 1),
        (9, 16, 25),
        (2, 2, 2),
        (1, 3, 3),
        (8, 1, 2),
    ],
]


def price(result):
    return result.cost[0] * result.a + result.cost[1] * result.b + result.cost[2] * result.c


def test_sequence_from_zero():
    assert [product_plus_remainder(n).value for n in range(25)] == SEQUENCE


def test_the_example_of_the_post():
    result = product_plus_remainder(130)
    assert (result.a, result.b, result.c, result.value) == (10, 13, 0, 23)


def test_reference_is_brute_force():
    for cost in [(1, 1, 1), *COSTS]:
        assert reference.least_costs(40, cost) == [brute_force.least_cost(n, cost) for n in range(41)]


def test_every_n_up_to_20000():
    for n, least in enumerate(reference.least_costs(20_000, (1, 1, 1))):
        result = product_plus_remainder(n)
        assert result.a * result.b + result.c == n
        assert 0 <= result.a <= result.b
        assert result.a + result.b + result.c == result.value == result.certificate.lower_bound == least, n


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_every_n_up_to_2000_with_costs(cost):
    for n, least in enumerate(reference.least_costs(2000, cost)):
        result = product_plus_remainder(n, cost=cost)
        assert result.a * result.b + result.c == n
        assert price(result) == result.value == result.certificate.lower_bound == least, n


def test_post_algorithm_up_to_1e16():
    generator = random.Random(9775)
    for _ in range(2000):
        n = int(10 ** generator.uniform(3, 16))
        assert product_plus_remainder(n).value == reference.post_algorithm(n), n


@pytest.mark.parametrize("cost", [(1, 1, 1), *COSTS[:10]], ids=str)
def test_all_optima(cost):
    for n in [*range(60), 250, 251, 252, 999]:
        result = product_plus_remainder(n, cost=cost, all=True)
        assert list(result.optima) == sorted(brute_force.cheapest(n, cost)), n
        infimum.verify(result, n)


@settings(max_examples=200, deadline=None)
@given(
    a=st.integers(0, 10**12),
    b=st.integers(0, 10**12),
    c=st.integers(0, 10**6),
    cost=st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40)),
    steps=st.integers(0, 300),
)
def test_no_rival_beats_the_bound(a, b, c, cost, steps):
    n = a * b + c
    result = product_plus_remainder(n, cost=cost, max_steps=steps)
    assert result.a * result.b + result.c == n
    assert result.certificate.lower_bound <= min(result.value, cost[0] * a + cost[1] * b + cost[2] * c)
    assert result.steps <= steps
    infimum.verify(result, n)


def test_blocks_agree_with_single_lines(monkeypatch):
    generator = random.Random(1)
    cases = [(generator.randrange(10**e), cost) for e in (12, 18, 22, 26) for cost in [(1, 1, 1), (2, 3, 1), (4, 6, 5)]]
    blocks = [product_plus_remainder(n, cost=cost, all=True) for n, cost in cases]
    assert max(result.steps for result in blocks) > 10_000
    monkeypatch.setattr(theorem, "_fits_machine", lambda *_: False)
    assert [product_plus_remainder(n, cost=cost, all=True) for n, cost in cases] == blocks


def test_blocks_are_exact_where_roots_are_largest(monkeypatch):
    n = 10**45 + 12345678901234567890123
    first = math.isqrt(4 * n) + 1 + 5 * 10**6
    equation = theorem.Equation.of(n, (1, 1, 1))
    nothing = theorem.Visited(10**40, [], first)
    assert theorem._fits_machine(equation, first + 64, first + 2000)
    block = theorem.visit(equation, first, first + 2000, nothing)
    monkeypatch.setattr(theorem, "_fits_machine", lambda *_: False)
    assert theorem.visit(equation, first, first + 2000, nothing) == block


def test_steps_grow_like_the_sixth_root():
    generator = random.Random(2)
    for exponent in (6, 12, 18, 24, 30):
        numbers = [generator.randrange(10**exponent, 2 * 10**exponent) for _ in range(40)]
        ratios = [product_plus_remainder(n).steps / n ** (1 / 6) for n in numbers]
        assert 0.5 < np.mean(ratios) < 2.5


def test_a_number_of_300_digits_stops_at_the_limit():
    n = random.Random(4).randrange(10**300)
    result = product_plus_remainder(n, max_steps=2000)
    assert 1998 <= result.steps <= 2000
    assert result.a * result.b + result.c == n
    assert 0 < result.certificate.gap < 10**100
    assert result.certificate.lower_bound == math.isqrt(4 * n) + 2000
    assert product_plus_remainder(n, max_steps=2000, all=True).optima is None
    infimum.verify(result, n)


def test_costs_beyond_every_float():
    n = random.Random(5).randrange(10**1000)
    result = product_plus_remainder(n, max_steps=10)
    assert str(result.certificate).startswith(str(result.certificate.lower_bound))
    assert result.certificate.ratio >= 1.0
    infimum.verify(infimum.from_json(result.to_json()), n)
    with pytest.raises(VerificationError, match="does not follow"):
        infimum.verify(forge(result, lower_bound=result.certificate.lower_bound + 1), n)


def forge(result, *, witness=None, **claims):
    if witness is not None:
        claims["witness"] = {**result.certificate.witness, **witness}
    return dataclasses.replace(result, certificate=dataclasses.replace(result.certificate, **claims))


def test_verify_refuses_what_is_not_optimal():
    n = 1_000_000_007
    result = product_plus_remainder(n)
    infimum.verify(result, n)
    worse = dataclasses.replace(result, c=result.c + result.a, b=result.b - 1)
    assert worse.a * worse.b + worse.c == n
    with pytest.raises(VerificationError, match="value"):
        infimum.verify(worse, n)
    honest = forge(worse, value=price(worse))
    infimum.verify(honest, n)  # true, but it no longer claims to be optimal
    with pytest.raises(VerificationError, match="lower_bound"):
        infimum.verify(forge(worse, value=price(worse), lower_bound=price(worse)), n)


def test_verify_refuses_a_wrong_product():
    result = product_plus_remainder(130)
    for change in ({"a": 11}, {"c": 1}, {"c": -1}, {"a": -10, "b": -13}, {"a": 10.0}, {"b": True}):
        with pytest.raises(VerificationError):
            infimum.verify(dataclasses.replace(result, **change), 130)
    with pytest.raises(VerificationError):
        infimum.verify(result, 131)
    with pytest.raises(VerificationError):
        infimum.verify(result, -130)


@pytest.mark.parametrize("cost", [(1, 1, 1), (3, 5, 2), (4, 6, 1)])
@pytest.mark.parametrize("all", [False, True])
def test_verify_refuses_every_shortened_witness(cost, all):
    generator = random.Random(3)
    shortened = 0
    for _ in range(200):
        n = generator.randrange(10**8)
        result = product_plus_remainder(n, cost=cost, all=all)
        first, stop = result.certificate.witness["first"], result.certificate.witness["stop"]
        if first == stop:
            continue
        shortened += 1
        for witness in ({"first": first + 1}, {"stop": stop - 1}, {"stop": first}, {"first": stop}):
            with pytest.raises(VerificationError):
                infimum.verify(forge(result, witness=witness), n)
    assert shortened > 100


def test_verify_refuses_incomplete_optima():
    n = 175
    result = product_plus_remainder(n, all=True)
    assert len(result.optima) == 4
    for optima in (result.optima[1:], (), (*result.optima, (0, 0, 175)), "all"):
        with pytest.raises(VerificationError):
            infimum.verify(dataclasses.replace(result, optima=optima), n)


@pytest.mark.parametrize("number", [5.0, True, "5", None, np.float64(5), np.bool_(True), np.array([5]), 5j])
def test_numbers_that_are_not_whole(number):
    with pytest.raises(DTypeError, match="whole number"):
        product_plus_remainder(number)
    with pytest.raises(DTypeError, match="whole number"):
        product_plus_remainder(5, cost=(1, number, 1))
    with pytest.raises(DTypeError, match="whole number"):
        product_plus_remainder(5, max_steps=number)


@pytest.mark.parametrize("cost", [(1, 1, 0), (0, 1, 1), (1, -1, 1), (1, 1), (1, 1, 1, 1), 1, None, "1,1,1", {1, 2, 3}])
def test_bad_costs(cost):
    with pytest.raises(OptionError, match="cost"):
        product_plus_remainder(5, cost=cost)


def test_numbers_below_zero():
    with pytest.raises(OptionError, match="n must be at least 0, got -1"):
        product_plus_remainder(-1)
    with pytest.raises(OptionError, match="max_steps"):
        product_plus_remainder(5, max_steps=-1)


def test_numpy_integers_do_not_overflow():
    for number in (np.int64(2**63 - 1), np.uint64(2**64 - 1), np.int8(127)):
        result = product_plus_remainder(number, cost=[np.int8(1), 1, 1])
        assert all(type(item) is int for item in (result.a, result.b, result.c, result.value, *result.cost))
        assert result.a * result.b + result.c == int(number)


def test_no_step_at_all():
    result = product_plus_remainder(10**9 + 7, max_steps=0)
    assert (result.a, result.b, result.c) == (31622, 31623, 10**9 + 7 - 31622 * 31623)  # nearly a square
    assert result.certificate.lower_bound == math.isqrt(4 * (10**9 + 7))
    infimum.verify(result, 10**9 + 7)


def test_all_errors_are_infimum_errors():
    assert issubclass(DTypeError, InfimumError)
    assert issubclass(OptionError, InfimumError)


@pytest.mark.parametrize(
    ("n", "options", "drawn"),
    [
        (130, {}, 4),
        (0, {}, 4),
        (1, {}, 3),  # the answer lies on line 0, before the start
        (3, {}, 3),
        (50, {"cost": (100, 100, 1)}, 3),
        (10**15 + 37, {"cost": (2, 3, 1)}, 4),
        (7**401, {"max_steps": 50}, 4),
    ],
)
def test_plot(n, options, drawn):
    ax = product_plus_remainder(n, **options).plot()
    assert ax.get_title()
    assert len(ax.lines) == drawn
    plt.close(ax.figure)


def test_a_number_too_large_to_draw():
    with pytest.raises(RangeError, match="too large"):
        product_plus_remainder(7**801, max_steps=1).plot()


def test_the_same_with_gmpy2():
    """gmpy2 is optional: a stand-in with its names shows that nothing but its integers is used."""
    program = (
        "import sys, types, math; m = types.ModuleType('gmpy2'); m.mpz = type('mpz', (int,), {}); m.isqrt = math.isqrt;"
        "sys.modules['gmpy2'] = m; import infimum; from infimum.proof.theorems import product_plus_remainder as t;"
        "assert t._integer is m.mpz; r = infimum.integers.product_plus_remainder(10**9 + 7, all=True);"
        "assert all(type(x) is int for x in (r.a, r.b, r.c, r.value, *r.certificate.witness.values()));"
        "infimum.verify(r, 10**9 + 7); print(r.a, r.b, r.c)"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    result = product_plus_remainder(10**9 + 7)
    assert out.split() == [str(result.a), str(result.b), str(result.c)]


@pytest.mark.parametrize("steps", [0, 1, 10])
@pytest.mark.parametrize(
    ("n", "cost"), [(1009, (1, 1, 10**6)), (1009, (1, 50, 10**6)), (10**12 + 39, (3, 1, 7)), (1, (5, 2, 9))]
)
def test_stopped_early_it_is_no_worse_than_what_needs_no_search(n, cost, steps):
    result = product_plus_remainder(n, cost=cost, max_steps=steps)
    trivial = min(cost[2] * n, cost[0] + cost[1] * n, cost[0] * n + cost[1])
    assert result.certificate.lower_bound <= result.value <= trivial
    infimum.verify(result, n)
