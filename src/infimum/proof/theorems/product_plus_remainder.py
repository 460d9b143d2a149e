"""n = a*b + c: no triple is cheaper than the best one on the lines alpha*a + beta*b = t that were visited.

A triple on line t costs at least t, so the lines from the best cost onwards need no visit; those well below
``2*sqrt(alpha*beta*n)`` leave a remainder that costs too much. Everything is exact integer arithmetic.
Statement and proof: docs/theorems/product_plus_remainder.md.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import array_api_compat
import numpy as np

from infimum._arguments import whole_number
from infimum._arrays import Array, Namespace, like_array, namespace, to_numpy
from infimum.errors import OptionError, RangeError, VerificationError
from infimum.proof.certificate import Certificate
from infimum.proof.evidence import shown, whole

Triple: TypeAlias = tuple[int, int, int]

THEOREM = "product_plus_remainder"
LINES = 10**8  # that a search, and so a proof, may visit: ten times what a search visits unless told otherwise
LARGEST = 10**1000  # of a number, a cost, or a line: what is solved can be read back from JSON
HEAD = 32  # so many lines are visited one by one, before a block of machine integers pays
BLOCK = 1 << 13  # lines in the largest block: its arrays stay in the cache
SPARSE = 0.7  # finished numbers are put aside when less than this part still runs
ROOT_LIMIT = 1 << 50  # below this a float64 square root is off by less than 1/4

try:  # faster on integers of many digits, otherwise the same
    _gmp: Any = importlib.import_module("gmpy2")
    _integer, _isqrt = _gmp.mpz, _gmp.isqrt
except ImportError:
    _integer, _isqrt = int, math.isqrt


class Visited(NamedTuple):
    """Least cost seen, the triples seen that have it, and the first line above that was not visited."""

    best: int
    triples: list[Triple]
    stop: int


@dataclass(frozen=True, slots=True)
class Equation:
    """n = a*b + c at cost ``unit * (alpha*a + beta*b) + gamma*c``, with alpha and beta coprime.

    On the line ``t = alpha*a + beta*b`` put ``d = beta*b - alpha*a``; then ``4*alpha*beta*a*b = t**2 - d**2``, where d
    runs through one class modulo ``2*alpha*beta``, the class of ``twist * t``.
    """

    n: int
    alpha: int
    beta: int
    gamma: int
    unit: int

    @classmethod
    def of(cls, n: object, cost: object) -> Equation:
        """Check the arguments and divide the costs of a and b by their greatest common divisor."""
        if not isinstance(cost, tuple | list) or len(cost) != 3:
            raise OptionError(f"cost must be three positive whole numbers (of a, b and c), got {cost!r}")
        number = whole_number("n", n, least=0)
        alpha, beta, gamma = (whole_number(f"cost[{i}]", item, least=1) for i, item in enumerate(cost))
        unit = math.gcd(alpha, beta)
        equation = cls(number, alpha // unit, beta // unit, gamma, unit)
        if max(alpha, beta, gamma * max(number, 1), equation.start) >= LARGEST:
            raise RangeError(f"n, its costs and cost[2] * n must be below 10**1000, got n = {shown(number)}")
        return equation

    @property
    def modulus(self) -> int:
        """Distance between neighbouring d on a line."""
        return 2 * self.alpha * self.beta

    @property
    def twist(self) -> int:
        """Factor that takes t to the class of d: a is ``t / alpha`` modulo beta, and d is ``t - 2*alpha*a``."""
        return (1 - 2 * self.alpha * pow(self.alpha, -1, self.beta)) % self.modulus

    @property
    def start(self) -> int:
        """The last line on which every product a*b fits into n."""
        return math.isqrt(2 * self.modulus * self.n)

    @property
    def floor(self) -> int:
        """Least cost of a triple on the start and above it."""
        return self.unit * self.start

    @property
    def trivial(self) -> Visited:
        """What line 0 offers: the triple (0, 0, n)."""
        return Visited(self.gamma * self.n, [(0, 0, self.n)], 1)

    def price(self, triple: Triple) -> int:
        """Cost of a triple."""
        a, b, c = triple
        return self.unit * (self.alpha * a + self.beta * b) + self.gamma * c

    def below(self, first: int) -> int:
        """Bound, together with the cost of (0, 0, n), on the cost of every triple on the lines 0 < t < first.

        c is at least ``n - t**2 / (4*alpha*beta)``, which makes the cost at least a concave function of t: its least
        value is at an end, t = 0 or t = first - 1.
        """
        t, whole = first - 1, 2 * self.modulus
        return self.unit * t + self.gamma * self.n - self.gamma * t * t // whole

    def end(self, cost: int) -> int:
        """Return the first line on which no triple is cheaper than `cost`."""
        return -(-cost // self.unit)


def outside(equation: Equation, first: int, stop: int) -> int:
    """No triple but (0, 0, n) costs less on the lines below `first` and from `stop` on."""
    beyond = equation.unit * stop
    return min(beyond, equation.below(first)) if first > 1 else beyond


def visit_range(equation: Equation, first: Any, stop: Any, ties: bool) -> tuple[int, Visited]:
    """Visit the lines ``first <= t < stop`` that a witness names, and no more than a search would.

    Upwards from the start, until no line can be cheaper (`ties`: as cheap); then downwards as long as one may be.
    Returns the lowest line that was needed, and what was seen.
    """
    first = whole("first", first, least=1, most=LARGEST)
    stop = whole("stop", stop, least=first, most=LARGEST)
    if stop - first > LINES:
        raise VerificationError(f"the witness asks for {shown(stop - first)} lines, at most {LINES:,} are visited")
    if first > max(equation.start, 1) and equation.below(first) < min(equation.gamma * equation.n, equation.floor):
        raise VerificationError(f"first must be at most {shown(equation.start)}, where lines start, got {shown(first)}")
    begin = max(first, min(equation.start, stop))
    seen = visit(equation, begin, stop, equation.trivial, ties)
    while begin > first and equation.below(begin) < seen.best + ties:
        begin -= 1
        seen = visit(equation, begin, begin + 1, seen, ties)._replace(stop=seen.stop)
    return begin, seen


def visit(equation: Equation, first: int, stop: int, seen: Visited, ties: bool = False) -> Visited:
    """Visit the lines from `first` on, up to `stop` or until none can be cheaper (`ties`: as cheap) than the best."""
    t = first
    while t < (end := min(stop, equation.end(seen.best + ties))):
        head = min(end, t + (HEAD if t == first else min(BLOCK, max(t - first, BLOCK >> 4))))
        step = _visit_block if t > first and _fits_machine(equation, t, head) else _visit_one_by_one
        seen = step(equation, t, head, seen, ties)
        t = head
    return seen._replace(stop=max(first, end))


def _visit_one_by_one(equation: Equation, first: int, stop: int, seen: Visited, ties: bool) -> Visited:
    best, triples = seen.best, seen.triples
    modulus, twist, whole = equation.modulus, equation.twist, 2 * equation.modulus
    t = _integer(first)
    defect = t * t - whole * equation.n  # d*d must reach it; kept up to date by differences
    end = min(stop, equation.end(best + ties))
    while t < end:
        root = _isqrt(defect - 1) + 1 if defect > 0 else 0
        d = root + min((twist * t - root) % modulus, (-twist * t - root) % modulus)
        cost = equation.unit * t + equation.gamma * ((d * d - defect) // whole)
        if cost <= best and d <= t:
            found = _triples(equation, int(t), int(d))
            triples = found if cost < best else triples + found
            best = int(cost)
            end = min(stop, equation.end(best + ties))
        defect += 2 * t + 1
        t += 1
    return seen._replace(best=best, triples=triples)


def _triples(equation: Equation, t: int, d: int) -> list[Triple]:
    """Return the triples on line t whose difference is d or -d; where a and b cost the same, the one with a <= b."""
    found = []
    for signed in {d, -d} if equation.modulus > 2 else {d}:
        if (signed - equation.twist * t) % equation.modulus == 0:
            a, b = (t - signed) // (2 * equation.alpha), (t + signed) // (2 * equation.beta)
            found.append((a, b, equation.n - a * b))
    return sorted(found)


def _fits_machine(equation: Equation, first: int, stop: int) -> bool:
    """Tell whether every number that counts on these lines is exact in 64 bits (see `_visit_block`)."""
    whole, modulus = 2 * equation.modulus, equation.modulus
    reach = math.isqrt(max(stop * stop - whole * equation.n, 0)) + 2 * modulus
    return (
        first > equation.start  # so that the defect is positive
        and reach < min(ROOT_LIMIT, first)  # d <= t: a and b are not negative
        and equation.gamma * 4 * modulus * reach + equation.unit * BLOCK < 1 << 62
    )


def _visit_block(equation: Equation, first: int, stop: int, seen: Visited, _ties: bool) -> Visited:
    """Visit a block of lines at once.

    The defect may exceed 64 bits, but d*d - defect does not: it is exact modulo 2**64. The float64 root is off by less
    than 1/4, so rounding it down starts at most two below the true one, and one more modulus makes good for that.
    """
    modulus, twist, whole = equation.modulus, equation.twist, 2 * equation.modulus
    k = np.arange(stop - first, dtype=np.int64)
    defect = first * first - whole * equation.n
    wrapped = _wrap(defect) + k * (_wrap(2 * first) + k)
    root = np.sqrt(float(defect) + k * (float(2 * first) + k)).astype(np.int64)
    c = np.full(k.shape, np.iinfo(np.int64).max)
    for sign in (twist, -twist % modulus) if modulus > 2 else (twist,):
        apart = sign * first % modulus + sign * k - root
        d = root + (apart - apart // modulus * modulus)  # NumPy divides by a constant faster than it takes remainders
        d += modulus * (d * d - wrapped < 0)
        c = np.minimum(c, (d * d - wrapped) // whole)
    cost = equation.unit * k + equation.gamma * c
    least = int(cost.min())
    if equation.unit * first + least <= seen.best:
        for line in np.flatnonzero(cost == least).tolist():
            seen = _visit_one_by_one(equation, first + line, first + line + 1, seen, ties=True)
    return seen


def _wrap(number: int) -> np.int64:
    """Reduce modulo 2**64, to a signed integer."""
    return np.int64((number + (1 << 63)) % (1 << 64) - (1 << 63))


def certify_triple(
    equation: Equation, triple: Triple, witness: Mapping[str, int], first: int, seen: Visited
) -> Certificate:
    """Measure the triple; bound the cost of every triple by what was seen from line `first` on, and by the rest."""
    a, b, c = (whole(name, item, least=0, most=equation.n) for name, item in zip("abc", triple, strict=True))
    if a * b + c != equation.n:
        raise VerificationError(f"a*b + c = {shown(equation.n)} was expected, got {shown(a * b + c)}")
    if equation.alpha == equation.beta and a > b:
        raise VerificationError(f"a <= b was expected where they cost the same, got a = {shown(a)}")
    return Certificate(
        value=equation.price((a, b, c)),
        lower_bound=min(seen.best, outside(equation, first, seen.stop)),
        theorem=THEOREM,
        rigour="exact",
        witness=witness,
    )


def least_sums(values: Array) -> tuple[Array, Array]:
    """Return the least a + b + c and the line a + b that has it, for every number of a flat int64 array from 0.

    All numbers are visited in step, line by line; a number is finished when its line reaches its best sum.
    """
    if str(array_api_compat.device(values)) not in ("cpu", "CPU_DEVICE"):
        return _least_sums(namespace(values=values), values)
    host = to_numpy(values)  # the fastest library for small parts, which stay in the cache
    parts = [_least_sums(np, host[i : i + BLOCK]) for i in range(0, max(host.size, 1), BLOCK)]
    sums, lines = (like_array(np.concatenate(items), values) for items in zip(*parts, strict=True))
    return sums, lines


def _least_sums(xp: Namespace, n: Array) -> tuple[Array, Array]:
    t, defect, odd = (xp.astype(item, xp.float64) for item in start_lines(n))
    # Exact in float64: t < 2**33, and a search below n = 2**63 ends before t*t - 4*n reaches 2**53.
    best, line = xp.astype(n, xp.float64), xp.zeros_like(t)  # (0, 0, n), which can win for n < 7 only
    index = xp.cumulative_sum(xp.ones_like(n)) - 1
    q, finished = odd, []
    while t.shape[0]:
        cost = t + (q * q - defect) / 4
        better = xp.astype(cost < best, xp.float64)
        best, line = xp.minimum(best, cost), line + better * (t - line)
        defect, t, odd = defect + (2 * t + 1), t + 1, 1 - odd
        running = t < best
        if int(xp.sum(xp.astype(running, xp.int64))) < SPARSE * t.shape[0]:
            state = (t, defect, odd, best, line, index)
            done, live = xp.nonzero(~running)[0], xp.nonzero(running)[0]
            finished.append([xp.take(item, done) for item in (best, line, index)])
            t, defect, odd, best, line, index = (xp.take(item, live) for item in state)
        q = odd + 2 * xp.ceil((xp.sqrt(defect) - odd) / 2)  # the least root of the parity of t
    best, line, index = (xp.concat(items) for items in zip(*finished, strict=True)) if finished else (best, line, index)
    order = xp.argsort(index)
    return xp.astype(xp.take(best, order), xp.int64), xp.astype(xp.take(line, order), xp.int64)


def start_lines(n: Array) -> tuple[Array, Array, Array]:
    """Return ``t = isqrt(4*n)``, ``t*t - 4*n`` and the parity of t without leaving int64."""
    xp = namespace(n=n)
    root = xp.astype(xp.sqrt(xp.astype(n, xp.float64)), xp.int64)  # off by at most one
    rest = n - root * root  # exact even where the square wraps
    down = xp.astype(rest < 0, xp.int64)
    root, rest = root - down, rest + down * (2 * root - 1)
    up = xp.astype(rest > 2 * root, xp.int64)
    root, rest = root + up, rest - up * (2 * root + 1)
    odd = xp.astype(rest > root, xp.int64)
    return 2 * root + odd, odd * (4 * root + 1) - 4 * rest, odd
