"""The lines of n = a*b + c against every triple there is; hypotheses; the work of a proof."""

import math
import random

import numpy as np
import pytest

from infimum.errors import InfimumError, OptionError, RangeError, VerificationError
from infimum.proof.theorems import product_plus_remainder as theorem
from infimum.proof.theorems.product_plus_remainder import Equation, Visited

COSTS = [(1, 1, 1), (1, 1, 7), (3, 5, 2), (6, 10, 15), (4, 4, 1), (4, 4, 9), (1, 100, 1), (50, 49, 3), (2, 1, 40)]


def triples(n):
    return [(0, 0, n), *((a, b, n - a * b) for a in range(1, n + 1) for b in range(1, n // a + 1))]


def cost_of(triple, cost):
    return sum(number * price for number, price in zip(triple, cost, strict=True))


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_bound_of_every_range_of_lines(cost):
    """For all 1 <= first <= stop: what was seen is the best of these lines, and nothing outside is cheaper."""
    for n in (0, 1, 2, 7, 12, 30):
        equation = Equation.of(n, cost)
        assert (equation.unit, equation.unit * equation.alpha, equation.unit * equation.beta) == (
            math.gcd(cost[0], cost[1]),
            cost[0],
            cost[1],
        )
        lines: dict[int, list[int]] = {}
        for triple in triples(n):
            t = equation.alpha * triple[0] + equation.beta * triple[1]
            assert cost_of(triple, cost) == equation.price(triple)
            lines.setdefault(t, []).append(cost_of(triple, cost))
        top = min(max(lines) + 3, equation.start + 12)
        for first in range(1, top, max(1, top // 12)):
            for stop in range(first, top, max(1, top // 12)):
                seen = theorem.visit(equation, first, stop, equation.trivial)
                inside = [c for t, costs in lines.items() if first <= t < stop for c in costs]
                assert seen.best == min([cost[2] * n, *inside])
                outside = [c for t, costs in lines.items() if 0 < t < first or t >= seen.stop for c in costs]
                bound = theorem.outside(equation, first, seen.stop)
                assert all(c >= min(bound, cost[2] * n) for c in outside)


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_the_best_of_one_line_and_all_that_tie(cost):
    n = 60
    equation = Equation.of(n, cost)
    idle = [(0, x, n) for x in range(1, 31)] + [(x, 0, n) for x in range(1, 31)]  # a factor that multiplies 0
    everything = [t for t in triples(n) + idle if equation.alpha != equation.beta or t[0] <= t[1]]
    for t in range(1, 30):
        on_line = [x for x in everything if equation.alpha * x[0] + equation.beta * x[1] == t]
        found = theorem.visit(equation, t, t + 1, Visited(10**9, [], t), ties=True)
        least = min((cost_of(x, cost) for x in on_line), default=10**9)
        assert found.best == least
        assert sorted(set(found.triples)) == sorted(x for x in on_line if cost_of(x, cost) == least)


def test_lines_below_are_bounded_by_both_ends():
    equation = Equation.of(10**6, (1, 1, 1))
    assert equation.start == 2000
    for first in (2, 1000, 1999, 2000, 2001):
        t = first - 1
        assert equation.below(first) == math.ceil(t + 10**6 - t * t / 4)
    assert theorem.outside(equation, 1, 5) == 5  # nothing lies below line 1 but (0, 0, n)
    assert theorem.outside(equation, 2, 5) == 5
    assert theorem.outside(equation, 2001, 5000) == equation.below(2001) == 2000
    assert (equation.end(7), Equation.of(5, (4, 4, 1)).end(7), Equation.of(5, (4, 4, 1)).end(8)) == (7, 2, 2)
    assert equation.trivial == Visited(10**6, [(0, 0, 10**6)], 1)


# ------------------------------------------------------------------ blocks of machine integers


def test_blocks_agree_with_single_lines(monkeypatch):
    generator = random.Random(1)
    cases = [(generator.randrange(10**e), c) for e in (9, 12, 18, 22, 26) for c in [(1, 1, 1), (2, 3, 1), (4, 6, 5)]]
    blocks, sizes = [], []
    real = theorem._visit_block
    monkeypatch.setattr(theorem, "_visit_block", lambda *a: (sizes.append(a[2] - a[1]), real(*a))[1])
    for n, cost in cases:
        equation = Equation.of(n, cost)
        first = max(equation.start, 1)
        blocks.append(theorem.visit(equation, first, first + 3000, equation.trivial, ties=True))
        blocks.append(theorem.visit(equation, first + 7, first + 900, Visited(1 << 400, [], 1)))
    assert sizes
    assert max(sizes) <= theorem.BLOCK
    monkeypatch.setattr(theorem, "_fits_machine", lambda *_: False)
    for n, cost in cases:
        equation = Equation.of(n, cost)
        first = max(equation.start, 1)
        assert theorem.visit(equation, first, first + 3000, equation.trivial, ties=True) == blocks.pop(0)
        assert theorem.visit(equation, first + 7, first + 900, Visited(1 << 400, [], 1)) == blocks.pop(0)


def test_blocks_are_exact_where_roots_are_largest(monkeypatch):
    n = 10**45 + 12345678901234567890123
    first = math.isqrt(4 * n) + 1 + 5 * 10**6
    equation = Equation.of(n, (1, 1, 1))
    nothing = Visited(10**40, [], first)
    assert theorem._fits_machine(equation, first + 64, first + 2000)
    block = theorem.visit(equation, first, first + 2000, nothing)
    monkeypatch.setattr(theorem, "_fits_machine", lambda *_: False)
    assert theorem.visit(equation, first, first + 2000, nothing) == block


def test_machine_integers_are_used_only_where_they_are_exact():
    """Each condition of the page at its edge: the root below 2**50 and below the line, costs below 2**62."""
    fits = theorem._fits_machine
    equation = Equation.of(10**12, (1, 1, 1))
    start = equation.start
    assert not fits(equation, start, start + 10)
    assert fits(equation, start + 1, start + 10)
    small = Equation.of(1, (1, 1, 1))  # the root is all of the line
    assert not fits(small, 1000, 2000)

    def reach(e, stop):
        return math.isqrt(stop * stop - 2 * e.modulus * e.n) + 2 * e.modulus

    large = Equation.of(10**58, (1, 1, 1))
    low, high = large.start + 1, 4 * large.start
    while high - low > 1:  # the last stop whose reach is below 2**50
        middle = (low + high) // 2
        low, high = (middle, high) if reach(large, middle) < theorem.ROOT_LIMIT else (low, middle)
    assert fits(large, large.start + 1, low)
    assert not fits(large, large.start + 1, high)
    assert theorem.ROOT_LIMIT == 2**50
    for unit in (1, 3):
        for gamma in (1 << 12, 1 << 20):
            priced = Equation.of(10**40, (unit, unit, gamma))
            low, high = priced.start + 1, 4 * priced.start
            limit = (1 << 62) - unit * theorem.BLOCK
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if gamma * 8 * reach(priced, middle) < limit else (low, middle)
            assert fits(priced, priced.start + 1, low)
            assert not fits(priced, priced.start + 1, high)


def test_numbers_wrap_to_signed_64_bits():
    for number in (0, 5, -5, 2**63 - 1, 2**63, 2**64, -(2**63), 2**64 + 7, 2**200 + 1):
        wrapped = int(theorem._wrap(number))
        assert -(2**63) <= wrapped < 2**63
        assert (wrapped - number) % 2**64 == 0


# ------------------------------------------------------------------ ranges that a witness names


@pytest.mark.parametrize("cost", COSTS, ids=str)
@pytest.mark.parametrize("ties", [False, True])
def test_a_range_is_visited_no_further_than_needed(cost, ties, monkeypatch):
    """Whatever a witness names, no more lines are visited than a search needs, and the bound is the same."""
    visited = []
    real = theorem._visit_one_by_one
    monkeypatch.setattr(theorem, "_visit_one_by_one", lambda e, a, b, *r: (visited.append(b - a), real(e, a, b, *r))[1])
    monkeypatch.setattr(theorem, "_fits_machine", lambda *_: False)
    for n in (0, 1, 5, 97, 1000, 12345):
        equation = Equation.of(n, cost)
        best = min(cost_of(x, cost) for x in triples(n)) if n < 2000 else None
        first, seen = theorem.visit_range(equation, 1, 1 + 10**8, ties)
        assert best is None or seen.best == best
        bound = min(seen.best, theorem.outside(equation, first, seen.stop))
        assert bound == seen.best
        work = sum(visited)
        visited.clear()
        end = seen.best // equation.unit
        assert work <= 4 * (1 + end - min(equation.start, end)) + 4 * theorem.HEAD
        part, some = theorem.visit_range(equation, first, first, ties)
        assert (part, sum(visited)) == (first, 0)
        assert some.best == cost[2] * n
        visited.clear()
        for stop in (first, first + 1, seen.stop):
            low, partly = theorem.visit_range(equation, first, max(first, stop), ties)
            for x in triples(n) if n < 2000 else []:
                if low <= equation.alpha * x[0] + equation.beta * x[1] < partly.stop:
                    assert cost_of(x, cost) >= partly.best
        visited.clear()


def test_work_is_bounded_and_the_figure_is_named():
    equation = Equation.of(10**12, (10**9 + 7, 10**9 + 9, 1))
    seen = theorem.visit_range(equation, 1, 1 + theorem.LINES, False)[1]
    assert seen.best == 10**12
    assert theorem.LINES == 10**8
    with pytest.raises(VerificationError, match=r"asks for 100000001 lines, at most 100,000,000"):
        theorem.visit_range(equation, 1, 2 + theorem.LINES, False)
    with pytest.raises(VerificationError, match="lines"):
        theorem.visit_range(equation, 1, 10**30, False)


def test_a_proof_starts_at_the_start_or_below():
    equation = Equation.of(10**40, (1, 1, 1))
    with pytest.raises(VerificationError, match="first must be at most"):
        theorem.visit_range(equation, equation.start + 10, equation.start + 10**7, False)
    theorem.visit_range(equation, equation.start, equation.start + 10, False)
    flat = Equation.of(100, (1000, 1000, 1))  # (0, 0, n) is the best: any first is as good
    assert theorem.visit_range(flat, flat.start + 1, flat.start + 1, False)[1].best == 100
    zero = Equation.of(0, (1, 1, 1))
    assert theorem.visit_range(zero, 1, 1, False)[1].best == 0


@pytest.mark.parametrize(
    "bad", [0, -1, 1.0, True, None, "5", [5], 10**1000 + 1, np.float64(5.0), np.bool_(True)], ids=str
)
def test_ends_of_a_range_are_whole_numbers(bad):
    equation = Equation.of(1000, (1, 1, 1))
    with pytest.raises(VerificationError, match="first"):
        theorem.visit_range(equation, bad, 10**1000, False)
    with pytest.raises(VerificationError, match="stop"):
        theorem.visit_range(equation, 1, bad, False)


def test_a_range_is_not_empty_backwards():
    with pytest.raises(VerificationError, match="stop must be from 60"):
        theorem.visit_range(Equation.of(1000, (1, 1, 1)), 60, 59, False)


def certify(triple, n=130, cost=(1, 1, 1)):
    equation = Equation.of(n, cost)
    first, seen = theorem.visit_range(equation, 1, 100, False)
    return theorem.certify_triple(equation, triple, {}, first, seen)


def test_the_triple_is_measured():
    certificate = certify((10, 13, 0))
    assert (certificate.value, certificate.lower_bound) == (23, 23)
    assert (certificate.theorem, certificate.rigour) == (theorem.THEOREM, "exact")
    assert certify((0, 0, 130)).value == 130
    assert certify((13, 10, 0), cost=(1, 2, 1)).value == 33
    assert certify((1, 130, 0)).value == 131


@pytest.mark.parametrize(
    "triple",
    [
        (13, 10, 0),  # a > b where they cost the same
        (10, 13, 1),
        (10, 12, 0),
        (-10, -13, 0),
        (-1, -1, 129),
        (True, 130, 0),
        (10.0, 13, 0),
        (10, 13, False),
        (10, 13 + 0j, 0),
        (0, 131, 130),
        (2**33, 2**31, 130),
        (np.float64(10), 13, 0),
        (1, 131, -1),
        ("10", 13, 0),
        (None, 0, 130),
    ],
    ids=str,
)
def test_triples_that_are_none(triple):
    with pytest.raises(VerificationError):
        certify(triple)


def test_products_of_machine_integers_do_not_wrap():
    with pytest.raises(VerificationError):
        theorem.certify_triple(
            Equation.of(2**40, (1, 1, 1)), (np.int64(2**32), np.int64(2**32), np.int64(2**40)), {}, 1, Visited(0, [], 1)
        )
    assert certify((np.int8(10), np.int8(13), np.int8(0))).value == 23


@pytest.mark.parametrize("cost", [(1, 1), (1, 1, 1, 1), 5, None, (1, 1, 0), (0, 1, 1), (1, -1, 1), "111"], ids=str)
def test_costs_that_are_none(cost):
    with pytest.raises(OptionError, match="cost"):
        Equation.of(5, cost)


@pytest.mark.parametrize("number", [1.0, True, "5", None, 5j], ids=str)
def test_numbers_that_are_none(number):
    with pytest.raises(InfimumError, match="n must be a whole number"):
        Equation.of(number, (1, 1, 1))
    with pytest.raises(InfimumError, match=r"cost\[1\] must be a whole number"):
        Equation.of(5, (1, number, 1))
    with pytest.raises(OptionError):
        Equation.of(-1, (1, 1, 1))


def test_numbers_of_more_than_1000_digits():
    most = 10**1000
    for n, cost in [(most - 1, (1, 1, 1)), (1, (most - 1, 1, 1)), (1, (1, most - 1, 1)), (0, (1, 1, most - 1))]:
        Equation.of(n, cost)
    too_large = [
        (most, (1, 1, 1)),
        (1, (most, 1, 1)),
        (1, (1, most, 1)),
        (0, (1, 1, most)),
        (most // 2, (1, 1, 2)),
        (most - 1, (10**600, 10**600 + 1, 1)),
    ]
    for n, cost in too_large:
        with pytest.raises(RangeError, match=r"below 10\*\*1000"):
            Equation.of(n, cost)
    with pytest.raises(RangeError):
        Equation.of(10**4000, (1, 1, 1))


# ------------------------------------------------------------------ many numbers at once


def test_many_numbers_against_every_divisor():
    least = [0]
    for n in range(1, 600):
        products = min(a + n // a for a in range(1, math.isqrt(n) + 1) if n % a == 0)
        least.append(min(least[-1] + 1, products))
    sums, lines = theorem.least_sums(np.arange(600))
    assert sums.tolist() == least
    for n, total, line in zip(range(600), sums.tolist(), lines.tolist(), strict=True):
        assert any(a + b == line and c == total - line for a, b, c in triples(n))


def test_many_large_numbers_against_one_at_a_time(monkeypatch):
    rng = np.random.default_rng(5)
    roots = np.array([1, 2, 46341, 94906265, 94906266, 3037000498, 3037000499], dtype=np.int64)
    near = np.concatenate([roots**2 + k for k in (-1, 0, 1)] + [roots * (roots - 1) + k for k in (-1, 0, 1)])
    values = np.concatenate([near[near >= 0], rng.integers(0, 2**63 - 1, 40), 2**63 - 1 - np.arange(4)])
    sums, _ = theorem.least_sums(values)
    for n, total in zip(values.tolist(), sums.tolist(), strict=True):
        equation = Equation.of(n, (1, 1, 1))
        first = max(equation.start, 1)
        assert theorem.visit_range(equation, first, first + 10**7, False)[1].best == total
    monkeypatch.setattr(theorem, "BLOCK", 7)
    assert np.array_equal(theorem.least_sums(values)[0], sums)
    assert theorem.least_sums(np.zeros(0, dtype=np.int64))[0].shape == (0,)


def test_start_lines_are_exact_up_to_the_largest_number():
    roots = np.array([1, 2, 3, 94906265, 94906266, 3037000499], dtype=np.int64)
    values = np.unique(
        np.concatenate([roots**2 + k for k in (-1, 0, 1)] + [roots * (roots - 1) + k for k in (-1, 0, 1)])
    )
    values = np.append(values[values >= 0], 2**63 - 1)
    for n, t, defect, odd in zip(values.tolist(), *(x.tolist() for x in theorem.start_lines(values)), strict=True):
        assert (t, defect, odd) == (math.isqrt(4 * n), math.isqrt(4 * n) ** 2 - 4 * n, math.isqrt(4 * n) % 2)


def test_gmpy2_or_not_is_the_same(monkeypatch):
    """The integers of many digits of gmpy2, where it is installed: the same numbers, Python's in the end."""
    gmpy2 = pytest.importorskip("gmpy2")
    for n, cost in [(random.Random(9).randrange(10**60), (3, 5, 2)), (12345, (1, 1, 1)), (10**30 + 57, (1, 1, 1))]:
        equation = Equation.of(n, cost)
        found = []
        for integer, isqrt in ((int, math.isqrt), (gmpy2.mpz, gmpy2.isqrt)):
            monkeypatch.setattr(theorem, "_integer", integer)
            monkeypatch.setattr(theorem, "_isqrt", isqrt)
            first = max(equation.start, 1)
            found.append(theorem.visit_range(equation, first, first + 500, True))
        assert found[0] == found[1]
        numbers = [found[1][0], found[1][1].best, found[1][1].stop, *(x for t in found[1][1].triples for x in t)]
        assert all(type(x) is int for x in numbers)


@pytest.mark.parametrize(("n", "cost"), [(23, (3, 5, 2)), (47, (6, 10, 15)), (1123, (50, 49, 3)), (1127, (50, 49, 3))])
def test_lines_below_the_start_are_visited_one_by_one(n, cost):
    """The optimum lies below the start: downwards, and no further than the bound of the lines below asks for."""
    equation = Equation.of(n, cost)
    first, seen = theorem.visit_range(equation, 1, 1 + 10**8, False)
    assert first < equation.start
    assert seen.best == min(cost_of(x, cost) for x in triples(n))
    assert equation.below(first) >= seen.best
    above = theorem.visit(equation, equation.start, equation.start + 10**6, equation.trivial)
    assert above.best > seen.best


def test_no_line_is_visited_where_the_bound_is_met():
    """Below line `first` every triple costs at least what was seen: the least such line is not passed."""
    passed = 0
    for n in range(500, 560):
        equation = Equation.of(n, (1, 100, 1))
        first, seen = theorem.visit_range(equation, 1, 1 + 10**8, False)
        if first < equation.start:
            passed += 1
            assert equation.below(first + 1) < theorem.visit(equation, first + 1, first + 10**6, equation.trivial).best
        assert equation.below(first) >= seen.best or first == 1
    assert passed


def test_small_things_of_the_search(monkeypatch):
    equation = Equation.of(175, (1, 1, 1))
    first, stop = equation.start, equation.start + 50
    alone = theorem.visit(equation, first, stop, equation.trivial)
    assert alone == theorem.visit(equation, first, stop, equation.trivial, ties=False)
    assert len(alone.triples) < len(theorem.visit(equation, first, stop, equation.trivial, ties=True).triples)
    assert theorem.outside(Equation.of(10**6, (1, 1, 1)), 1, 10**7) == 10**7
    assert theorem.outside(Equation.of(10**6, (1, 1, 1)), 2, 10**7) == 10**6 + 1
    with pytest.raises(VerificationError, match="first must be at most 2000"):
        theorem.visit_range(Equation.of(10**6, (1, 1, 1)), 2002, 2200, False)
    wide = Equation.of(10**6, (1000, 999, 1))  # one class of d is longer than the line
    assert not theorem._fits_machine(wide, wide.start + 1, wide.start + 10)
    monkeypatch.setattr(theorem, "HEAD", 1)
    fits = theorem._fits_machine
    for n in range(10_000, 10_400):
        equation = Equation.of(n, (1, 1, 1))
        found = []
        for usable in (fits, lambda *_: False):
            monkeypatch.setattr(theorem, "_fits_machine", usable)
            found.append(theorem.visit(equation, equation.start, equation.start + 200, equation.trivial, ties=True))
        assert found[0] == found[1]


def walked(equation, first, stop, ties):
    """The order of a proof, written again: up from the start, then down while a line may be cheaper (as cheap)."""
    begin = max(first, min(equation.start, stop))
    best, triples, seen = equation.trivial.best, list(equation.trivial.triples), begin

    def look(t):
        nonlocal best, triples
        found = theorem.visit(equation, t, t + 1, Visited(best, [], t), ties=True)
        triples = found.triples + ([] if found.best < best else triples)
        best = found.best

    for t in range(begin, stop):
        if equation.unit * t >= best + ties:
            break
        look(t)
        seen = t + 1
    while begin > first and equation.below(begin) < best + ties:
        begin -= 1
        look(begin)
    return begin, best, sorted(triples), seen


@pytest.mark.parametrize("cost", [*COSTS, (1, 2, 1), (5, 5, 2)], ids=str)
@pytest.mark.parametrize("ties", [False, True])
def test_proofs_walk_up_and_then_down(cost, ties):
    for n in [*range(40), 97, 120, 360]:
        equation = Equation.of(n, cost)
        least = min(cost_of(x, cost) for x in triples(n))
        begin, seen = theorem.visit_range(equation, 1, 10**7, ties)
        again = walked(equation, 1, 10**7, ties)
        assert (begin, seen.best, sorted(seen.triples)) == again[:3]
        assert seen.best == least
        if ties:  # all of them, each once
            idle = [(0, x, n) for x in range(1, n * cost[2] + 1)] + [(x, 0, n) for x in range(1, n * cost[2] + 1)]
            every = {x for x in [*triples(n), *idle] if cost[0] != cost[1] or x[0] <= x[1]}
            assert sorted(seen.triples) == sorted(x for x in every if cost_of(x, cost) == least)
        top = equation.start
        for first, stop in ((1, 5), (max(top - 5, 1), top + 1), (max(top // 2, 1), max(top // 2, 1) + 3)):
            begin, seen = theorem.visit_range(equation, first, stop, ties)
            assert (begin, seen.best, sorted(seen.triples)) == walked(equation, first, stop, ties)[:3]
            assert first <= begin <= seen.stop <= stop


def test_ranges_end_where_they_are_said_to():
    equation = Equation.of(1000, (1, 1, 1))  # the start is 63
    assert theorem.visit_range(equation, 1, 5, False)[1].stop == 5
    assert theorem.visit_range(equation, 31, 31, False)[0] == 31
    assert theorem.visit_range(Equation.of(10**6, (1, 1, 1)), 2001, 2010, False)[0] == 2001
    flat = Equation.of(100, (1000, 1000, 1))
    assert theorem.visit_range(flat, flat.start + 1, flat.start + 9, False)[0] == flat.start + 1
    assert flat.gamma * flat.n <= flat.below(3991) < flat.floor  # above the cost of (0, 0, n), which is enough
    assert theorem.visit_range(flat, 3991, 3992, False)[1].best == 100
    assert theorem.visit(flat, 20, 30, flat.trivial).stop == 20  # none of them can be cheaper
    assert theorem.visit(equation, 10, 5, equation.trivial).stop == 10
    assert theorem.visit_range(Equation.of(0, (1, 1, 4)), 2, 5, False)[1].best == 0  # below line 2: 1 - 4 / 4
    with pytest.raises(VerificationError, match="first must be at most 0"):
        theorem.visit_range(Equation.of(0, (1, 1, 8)), 2, 5, False)


def test_the_first_lines_one_by_one_then_larger_and_larger_blocks(monkeypatch):
    calls = []
    for name in ("_visit_one_by_one", "_visit_block"):
        monkeypatch.setattr(theorem, name, lambda e, a, b, seen, _, n=name: (calls.append((n[7:], b - a)), seen)[1])
    monkeypatch.setattr(theorem, "_fits_machine", lambda *_: True)
    equation = Equation.of(10**6, (1, 1, 1))
    seen = theorem.visit(equation, 5000, 5000 + 32 + 512 + 544 + 1088 + 2176 + 4352 + 8192 + 7, Visited(10**9, [], 1))
    sizes = [512, 544, 1088, 2176, 4352, 8192, 7]
    assert calls == [("one_by_one", 32), *(("block", size) for size in sizes)]
    assert seen == Visited(10**9, [], 5000 + 32 + sum(sizes))
    calls.clear()
    theorem.visit(equation, 5000, 10**9, Visited(5700, [], 1))  # until no line can be cheaper
    assert calls == [("one_by_one", 32), ("block", 512), ("block", 156)]
    assert theorem._fits_machine(equation, 1, 2)
    constants = (theorem.HEAD, theorem.BLOCK, theorem.SPARSE, theorem.LARGEST)
    assert constants == (32, 2**13, 0.7, 10**1000)


def test_lines_that_cannot_be_cheaper_are_not_looked_at(monkeypatch):
    roots = []
    monkeypatch.setattr(theorem, "_isqrt", lambda number: (roots.append(number), math.isqrt(number))[1])
    equation = Equation.of(10**6, (1, 1, 1))
    for ties, lines in ((False, 10), (True, 11)):
        roots.clear()
        theorem._visit_one_by_one(equation, 2090, 2200, Visited(2100, [], 1), ties)
        assert len(roots) == lines


@pytest.mark.parametrize("cost", [(1, 2, 1), (2, 1, 3), (1, 1, 1), (3, 2, 1), (9, 4, 2)], ids=str)
def test_blocks_see_every_line_of_both_classes(cost):
    """Blocks of a few lines, whose best is asked for against single lines."""
    for n in (10**5 + 17, 10**8 + 1, 10**12 + 39):
        equation = Equation.of(n, cost)
        for first in range(2 * equation.start, 2 * equation.start + 400, 8):
            if not theorem._fits_machine(equation, first, first + 8):
                continue
            nothing = Visited(10**30, [], 1)
            block = theorem._visit_block(equation, first, first + 8, nothing, True)
            assert block == theorem._visit_one_by_one(equation, first, first + 8, nothing, True)


def test_edges_of_machine_integers_are_met_exactly():
    """The root just 2**50 or the line itself, the cost just 2**62: none of these is used."""
    fits = theorem._fits_machine
    equation = Equation.of(10**12, (1, 1, 1))
    assert not fits(equation, 1, 10)  # far below the start
    for less, usable in ((0, False), (2, True)):
        root, stop = 2**50 - 4 - less, 2**51
        squares = Equation.of((stop**2 - root**2) // 4, (1, 1, 1))
        assert fits(squares, squares.start + 1, stop) == usable
    line = Equation.of(100, (1, 1, 1))  # isqrt(40**2 - 400) + 4 = 38
    assert [fits(line, first, 40) for first in (37, 38, 39)] == [False, False, True]
    for less, usable in ((0, False), (2, True)):
        root, stop = 2**47 - 5 - less, 2**48 + 1  # 2**15 * (root + 4) + 4 * 2**13 = 2**62
        priced = Equation.of((stop**2 - root**2) // 4, (4, 4, 2**12))
        assert fits(priced, priced.start + 1, stop) == usable


def test_certificates_take_the_least_of_what_was_seen_and_the_rest():
    equation = Equation.of(130, (1, 1, 1))
    for best, stop, bound in ((50, 20, 20), (15, 20, 15)):
        assert theorem.certify_triple(equation, (10, 13, 0), {}, 1, Visited(best, [], stop)).lower_bound == bound
    assert certify((10, 10, 30)).value == 50
    for triple in ((10, 13), (10, 13, 0, 5)):
        with pytest.raises(ValueError, match=r"zip|unpack"):
            certify(triple)


# ------------------------------------------------------------------ many numbers at once, in detail


def test_the_first_line_of_the_least_sum_is_told():
    sums, lines = theorem.least_sums(np.arange(2000))
    for n, total, line in zip(range(2000), sums.tolist(), lines.tolist(), strict=True):
        equation = Equation.of(n, (1, 1, 1))
        seen = theorem.visit(equation, max(equation.start, 1), 10**6, equation.trivial)
        assert (seen.best, sum(seen.triples[0][:2])) == (total, line)


def test_parts_stay_in_the_cache_of_the_host(monkeypatch):
    calls, real = [], theorem._least_sums
    monkeypatch.setattr(theorem, "_least_sums", lambda xp, n: (calls.append((xp, n.shape[0])), real(xp, n))[1])
    monkeypatch.setattr(theorem, "BLOCK", 4)
    expected = [a.tolist() for a in theorem.least_sums(np.arange(10))]
    assert [(xp is np, size) for xp, size in calls] == [(True, 4), (True, 4), (True, 2)]
    calls.clear()
    monkeypatch.setattr("array_api_compat.device", lambda _: "cuda:0")
    assert [a.tolist() for a in theorem.least_sums(np.arange(10))] == expected
    assert [(xp is np, size) for xp, size in calls] == [(False, 10)]


@pytest.mark.parametrize("off", [-1.0, 0.0, 1.0])
def test_start_lines_make_good_for_a_root_that_is_off_by_one(off, monkeypatch):
    class Rough:
        def __getattr__(self, name):
            return getattr(np, name)

        def sqrt(self, x):
            assert x.dtype == np.float64
            return np.array([max(math.isqrt(n) + off, 0.0) for n in values.tolist()])

        def astype(self, x, dtype):
            return x.astype(dtype)

    monkeypatch.setattr(theorem, "namespace", lambda **_: Rough())
    roots = np.array([1000, 94906264, 3037000498], dtype=np.int64)
    near = [roots**2 + k for k in (-1, 0, 1, 2)] + [roots * (roots - 1) + k for k in (-1, 0, 1)]
    values = np.concatenate([np.arange(60), *near, [2**63 - 1]])
    for n, t, defect, odd in zip(values.tolist(), *(x.tolist() for x in theorem.start_lines(values)), strict=True):
        assert (t, defect, odd) == (math.isqrt(4 * n), math.isqrt(4 * n) ** 2 - 4 * n, math.isqrt(4 * n) % 2)
